// SPDX-License-Identifier: BSD-3-Clause
/* Prefetch: which pages of a volume will be read next.
 *
 * It sees what is read, and proposes pages that somebody may want to bring
 * where the next read is answered faster: a cache that the guest sees, or
 * memory instead of a disk.  Where that is, and what a page holds, it does not
 * know.
 *
 *   answer the read                               demand comes first
 *   n = prefetch_read (p, page, count, hits, proposals, max)
 *   for each proposal: bring it, or prefetch_refuse (p, page)
 *   when a page that was brought goes without having been read (the cache is
 *   full, or the page was written or trimmed): prefetch_waste (p, page)
 *
 * All reads are to be told, those that were answered from the cache included:
 * they keep the trend alive.  A page that was brought and read needs no other
 * word.
 *
 * Source of the idea: Maruf and Chowdhury, "Effectively Prefetching Remote
 * Memory with Leap", USENIX ATC'20, section on the majority trend: a ring of
 * the last 32 deltas, the majority among the newest 8, 16, 32, a window that
 * grows with hits.  What differs:
 *  - a volume has PREFETCH_STREAMS streams, by where they read, instead of one
 *    ring for all: a swap disk sees the reads of all processes of a guest
 *    (prefetch-stream.h, which also follows a stream from one run of swap slots
 *    to the next, and prefetch-jump.h, from one piece to the next, where it was
 *    read that way before; and prefetch-trail.h, which knows the order of all
 *    reads, where that is as it was);
 *  - a request of many pages is one delta, from its edge to the next one's
 *    edge, so that readahead by the guest does not look like a trend;
 *  - 0 is no trend, no proposal lies outside of the volume, and a trend needs
 *    three equal deltas that were really seen, or two that are apart as those
 *    of another stream are;
 *  - without a trend nothing is proposed (Leap: the neighbours);
 *  - pages are paid for, see below.
 *
 * The price.  A proposal costs one credit.  It comes back when the page is
 * read, with as much again, so that a stream may bring one page in vain for
 * each that was read.  Who has none borrows from the volume, which has
 * PREFETCH_START, earns 1/32 for a page read, and gets what streams earn and
 * do not need: what a process reads lies in pieces, and a new piece is a new
 * stream that has nothing yet.  And a read that went as at least 12 of the
 * stream's last 16 did, and that nobody had brought, earns the stream a
 * quarter.  So of the pages brought in vain there are never more than
 *
 *   PREFETCH_START + reads / 32 + foretold + regular reads missed / 4
 *
 * and where reads are random the last two are next to nothing: prefetch is off
 * there but for probes, by stream and by volume, and on again when they hit.
 *
 * Units: pages of 4 KiB, or whatever the caller counts in, numbered from 0.
 *
 * Memory: struct prefetch is the caller's, about 110 KiB, ready after
 * prefetch_init.  Nothing is allocated, nothing needs to be destroyed.
 *
 * Locking: none.  The caller serialises all calls for one volume.
 *
 * Errors: none.  A read that does not lie in the volume is ignored; page
 * numbers may come from a guest. */

#ifndef VMSWAP_PREFETCH_H
#define VMSWAP_PREFETCH_H

#include <stdint.h>

#include "prefetch-stream.h"

/* Pages to be ahead of a stream: from those of one that just began to those of
 * one that always hit, and of one whose pages come late.  At least a request,
 * and at the most a quarter of the caller's room. */
#define PREFETCH_WINDOW_MIN 2
#define PREFETCH_WINDOW_HIT 32
#define PREFETCH_WINDOW_MAX 64

#define PREFETCH_MOST_PAGES (UINT64_C (1) << 47)

/* Credits, in parts of a page. */
#define PREFETCH_COST 32  /* of a proposal */
#define PREFETCH_BONUS 32 /* beyond its cost, for one that was read */
#define PREFETCH_TRUST 8  /* for a regular read that was not foretold */
#define PREFETCH_EARNED 1 /* by the volume for a page read */
#define PREFETCH_START 16 /* pages that a volume can pay to begin with */

/* Proposals that are not yet read, wasted or refused: sets of
 * PREFETCH_WAYS. */
#define PREFETCH_SETS 256
#define PREFETCH_WAYS 4

/* Pages, but for withheld.  They may wrap, as any counter. */
struct prefetch_stats {
  uint64_t reads;    /* told by the caller */
  uint64_t hits;     /* of these, answered from where proposals were brought */
  uint64_t misses;   /* the others */
  uint64_t proposed; /* to the caller */
  uint64_t foretold; /* of these, read since: hits, and those that came late */
  uint64_t wasted;   /* of these, brought and gone without having been read */
  uint64_t refused;  /* of these, not brought */
  uint64_t withheld; /* requests that led to fewer, for want of credit */
};

struct prefetch {
  uint64_t pages;    /* of the volume */
  int32_t credit;    /* that streams may borrow */
  uint16_t widest;   /* window, given the caller's cache */
  uint16_t window;   /* of the stream that was read last */
  uint16_t lateness; /* from proposal until it is there, in requests of a
                      * stream, and parts of it */
  uint8_t age;       /* in requests, of the proposal that was read last */
  struct prefetch_stats stats;
  struct prefetch_streams streams;
  uint64_t open[PREFETCH_SETS][PREFETCH_WAYS];
  uint8_t asked[PREFETCH_SETS][PREFETCH_WAYS]; /* the reads of its stream */
};

/* A volume of so many pages, and room for so many that were brought and not
 * yet read.  With room for fewer than 4, nothing is ever proposed. */
extern void prefetch_init (struct prefetch *p, uint64_t pages, unsigned room);

/* A request read pages [page, page + count); hits of them were where proposals
 * are brought to.  Writes up to max pages to bring, most urgent first, and
 * returns how many.  None of them is still open from before (but for a few
 * where hundreds are). */
extern unsigned prefetch_read (struct prefetch *p, uint64_t page,
                               uint64_t count, uint64_t hits,
                               uint64_t *proposals, unsigned max);

/* A page that was brought is gone, and was not read. */
extern void prefetch_waste (struct prefetch *p, uint64_t page);

/* A page that was proposed was not brought: it is there already, it holds
 * nothing, there is no time.  The credit for it comes back. */
extern void prefetch_refuse (struct prefetch *p, uint64_t page);

/* The guest is another (a reboot, say): forgets streams and open proposals.
 * The counters stay, and what the volume may lend. */
extern void prefetch_forget (struct prefetch *p);

/* How many pages the stream that was read last is to be ahead; 0: it is not. A
 * caller that learns of hits late should not wait for more than half. */
extern unsigned prefetch_window (const struct prefetch *p);

extern void prefetch_get_stats (const struct prefetch *p,
                                struct prefetch_stats *stats);

#endif /* VMSWAP_PREFETCH_H */
