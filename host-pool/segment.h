// SPDX-License-Identifier: BSD-3-Clause
/* Segments: the 1 MiB pieces of the arena that hold blobs, their states and
 * the lists of free ones.  proto/vmswap-image.h has the table of states.
 *
 * Three ways a segment can be free:
 *   ready    has memory and is charged; the first to be taken
 *   bare     has no memory
 *   reserve  charged, for the cleaner alone: it must be able to move blobs
 *            out of a victim when nothing else is left */

#ifndef VMSWAP_SEGMENT_H
#define VMSWAP_SEGMENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "arena.h"
#include "lock.h"
#include "word.h"
#include "worker.h"

#define SEGMENT_NONE UINT32_MAX
#define SEGMENT_RESERVE 2

/* What the process knows of a segment beyond the image. */
struct segment {
  _Atomic uint32_t live;     /* bytes of blobs that page words name, or will */
  _Atomic uint32_t inflight; /* blobs being copied in, not published yet */
  uint32_t next;             /* in the list it is on */
  bool adopted; /* from an earlier process, which may have left holes: places
                 * that were given out and not filled */
  uint64_t tag; /* of its retirement */

  /* Once it is sealed: */
  _Atomic uint32_t born;     /* when the youngest blob was written */
  _Atomic bool examined; /* cold.c has walked over it */
};

struct segment_list {
  uint32_t head, tail, length;
};

struct segments {
  struct arena *arena;
  struct workers *workers;
  struct lock lock; /* the lists and the counts below */
  struct segment *segment;
  struct segment_list ready, bare, reserve, limbo;
  uint32_t nr;
  uint32_t next_bare;       /* never used so far: this one and those above */
  uint32_t nr_charged;      /* segments that may hold memory */
  uint32_t nr_unbacked;     /* of the reserve: charged, but hold none now; they
                             * are the last of its list */
  uint32_t nr_punching;     /* of the reserve, too: they are losing their memory
                             * right now, and are not on its list */
  _Atomic uint32_t transit; /* taken, and not in a lane yet */
  _Atomic uint32_t next_birth;
  _Atomic uint64_t opened; /* how many lanes have opened, ever */
};

/* The cleaner may use up the reserve, the cold generation one segment of it. */
enum segment_user { SEGMENT_FOR_WRITER, SEGMENT_FOR_CLEANER, SEGMENT_FOR_COLD };

extern int segments_create (struct segments *segments, struct arena *arena,
                            struct workers *workers);
extern void segments_destroy (struct segments *segments);

/* A free segment, now OPEN and backed by memory.  Makes system calls: no lock
 * may be held.  -ENOSPC: the limit is reached; or passed, in an adopted pool:
 * then segments go to the cleaner alone, or back to the host, until it is not.
 * -ENOMEM. */
extern int segment_take (struct segments *segments, enum segment_user user,
                         uint32_t *ret);

/* Gives back a segment that was taken and not used. */
extern void segment_untake (struct segments *segments, uint32_t segment);

/* A segment that was taken is in a lane now, where all can use it. */
extern void segment_installed (struct segments *segments);

/* An OPEN segment gets no more blobs. */
extern void segment_seal (struct segments *segments, uint32_t segment,
                          uint32_t used, uint32_t born);

/* Seconds, since some time; costs nothing. */
extern uint32_t segment_clock (void);

/* Accounts for a blob: credit when its place is taken, published when a page
 * word names it (or it is given up), debit when no word names it any more. */
extern void segment_credit (struct segments *segments, uint32_t segment,
                            uint32_t bytes);
extern void segment_published (struct segments *segments, uint32_t segment);
extern void segment_debit (struct segments *segments, uint32_t segment,
                           uint32_t bytes);

/* The cleaner takes a SEALED segment; false: it cannot be had. */
extern bool segment_claim (struct segments *segments, uint32_t segment);

/* … and ends with it: retired when nothing is live, else SEALED again. */
extern void segment_unclaim (struct segments *segments, uint32_t segment);

/* For an adopted image, before anything else.  Words name the segment, and is
 * this the first that does?  The segment has live bytes, up to the given end;
 * and then once: all segments without any are free.  -ENOSPC: there are too few
 * of those to work with. */
extern bool segment_meet (struct segments *segments, uint32_t segment);
extern void segment_adopt (struct segments *segments, uint32_t segment,
                           uint32_t live, uint32_t end);
extern int segments_adopt_done (struct segments *segments);

/* Frees the retired segments that no reader can look at any more.  Returns
 * how many. */
extern unsigned segments_reap (struct segments *segments);

/* Gives the memory of ready segments back to the host, down to keep of them.
 * Returns how many. */
extern unsigned segments_give_back (struct segments *segments, unsigned keep);

/* The same for the reserve, which stays charged. */
extern void segments_release_reserve (struct segments *segments);

/* Segments that a writer could take now, without cleaning. */
extern uint64_t segments_available (struct segments *segments);

extern uint32_t segments_ready (struct segments *segments);

extern enum vmswap_segment_state segment_state (const struct segments *segments,
                                                uint32_t segment);

/* Segments from here on were never used. */
extern uint32_t segments_high (struct segments *segments);

#endif /* VMSWAP_SEGMENT_H */
