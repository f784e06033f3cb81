// SPDX-License-Identifier: BSD-3-Clause
/* Limits of volumes: a quota that bounds what one holds, a reserve that nobody
 * else can take.  quota.c has the rules. */

#ifndef VMSWAP_QUOTA_H
#define VMSWAP_QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lock.h"

struct pool;
struct tally;
struct volume;

/* Of one volume; zeroes: no limits. */
struct limits {
  _Atomic bool
      any; /* has a quota or a reserve: requests look no further else */
  struct lock lock; /* all changes, and what the volume holds while any */
  _Atomic uint64_t quota, reserve;
  _Atomic uint64_t granted;            /* of the reserve: it was there once */
  _Atomic uint64_t unfilled, promised; /* of the reserve, of what is granted:
                                        * as counted in the pool */
};

extern void quota_create (struct volume *volume);

/* With its volume, which nobody uses any more: what was reserved is not.
 * volumes_lock is held. */
extern void quota_destroy (struct volume *volume);

/* What counts for the quota: blobs, headers and padding included, of shared
 * pages as if they had one each, and page tables. */
extern uint64_t quota_charge (struct volume *volume);

/* What fills the reserve: the same without shared pages.  A shared page may
 * need a blob of its own at any time. */
extern uint64_t quota_fill (struct volume *volume);

/* A word is about to be stored: counts what it adds to the volume, in the
 * tally as well.  -EDQUOT: that is more than the quota allows.  The stripe lock
 * of the page is held. */
extern int quota_take_locked (struct volume *volume, struct tally *tally,
                              uint32_t page, uint64_t word);

/* The word was not stored after all: undoes the last quota_take_locked, which
 * had found the tally with this much ahead. */
extern void quota_give_back (struct volume *volume, struct tally *tally,
                             uint64_t ahead);

/* Would the page be refused now?  Saves the work for one that would; what
 * counts is quota_take_locked. */
extern int quota_look (struct volume *volume, uint32_t page, uint64_t word);

/* Page tables went without a request: the reserve misses that much more. */
extern void quota_refill (struct volume *volume);

/* tally_apply, for a volume with limits. */
extern void quota_tally (struct volume *volume, const struct tally *tally,
                         unsigned shard);

/* In a pool with reserves that is tight.  -ENOSPC: storing the word would leave
 * less than what is reserved for others. */
extern int reserve_admit (struct volume *volume, uint32_t page, uint64_t word);

/* Is so little room left beside the reserves that writers must look closely? */
extern bool reserve_is_close (struct pool *pool);

/* What reserves may add up to. */
extern uint64_t reserve_utmost (const struct pool *pool);

/* By how much the pool cannot keep its reserves at once: they were set when
 * others held the room. */
extern uint64_t reserve_missing (struct pool *pool);

#endif /* VMSWAP_QUOTA_H */
