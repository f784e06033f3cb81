// SPDX-License-Identifier: BSD-3-Clause
/* The cold generation: pages that were written long ago, compressed anew in
 * groups (group.h) as zram's recompression does page by page.
 *
 * Who does what:
 *   steward      finds pages that are old enough and decodes them into slots
 *                (cold-gather.c); stores what came of it (cold-store.c)
 *   compressor   a thread at idle priority that turns slots into groups, and
 *                never takes a lock: so that it can be starved without
 *                anybody waiting for it
 *   readers      leave a note of what they read (cold_touch); the steward makes
 *                such groups single, fast pages again
 *   writers      say that a group is not whole any more (cold_torn); the
 * steward comes by its segment again and makes it anew without what has gone
 *
 * Of a batch of slots (transitions, and who makes them):
 *
 *   EMPTY  -> FILLED   steward: slots hold pages
 *   FILLED -> DONE     compressor: slots hold groups
 *   DONE   -> EMPTY    steward: groups are stored, or given up
 *
 * A slot is a copy: nothing in the pool depends on what becomes of it, and a
 * page that has changed since it was gathered stays as it is. */

#ifndef VMSWAP_COLD_H
#define VMSWAP_COLD_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "group.h"
#include "lock.h"
#include "pool.h"

#define COLD_SLOTS 8
#define COLD_NOTES 256 /* a power of two */

/* Nothing to do until something happens. */
#define COLD_WAITS UINT32_MAX

struct pool;
struct tally;
struct volume;
struct worker;

/* What a page word named when it was looked at. */
struct expected {
  uint64_t word;
  uint64_t place; /* if it is shared: the word of its entry */
  uint32_t birth; /* of the segment, if it is a blob or a group */
};

/* Four pages, some of which are to be a group. */
struct cold_slot {
  struct group_pages pages;
  struct expected expected[VMSWAP_GROUP_PAGES]; /* by place */
  uint32_t limit; /* the group must not be larger */
  uint8_t *group; /* what came of it, */
  uint32_t size;  /* and its size; 0: it does not pay */
};

enum cold_state { COLD_EMPTY, COLD_FILLED, COLD_DONE };

/* Where the steward is in its walk over the blobs of a segment. */
struct cold_walk {
  uint32_t segment; /* SEGMENT_NONE: in none */
  uint32_t birth;   /* of it */
  uint32_t offset;
  uint32_t volume, first; /* the four pages that it gave last, */
  bool group;             /* because it met a group of theirs */
  bool crowded;           /* some pages of this segment had to be put off */
  uint32_t newest;        /* segments are looked at if their birth is less */
};

/* Four pages each; a new one takes the place of the oldest. */
struct cold_notes {
  _Atomic uint64_t note[COLD_NOTES];
  _Atomic uint32_t next;
} __attribute__ ((aligned (64)));

struct cold {
  struct pool_cold config; /* with defaults filled in; !on: nothing below is */
  struct lock lock;   /* the state, and all of a batch that is not FILLED */
  sem_t filled, done; /* what the compressor waits for; what it has done */
  enum cold_state state;
  bool running;
  atomic_bool stop;
  pthread_t thread;
  void *compressor; /* of the thread while FILLED, as are the slots */
  struct cold_slot slot[COLD_SLOTS];
  unsigned nr; /* slots in use */
  struct cold_walk walk;
  uint64_t next;  /* nanoseconds: not before then */
  uint64_t spent; /* CPU time of this batch */

  struct cold_notes touched;

  _Atomic uint64_t cooled, warmed, cpu_ns; /* pool_stats */
};

extern bool cold_config_is_good (const struct pool_cold *config);

/* -ENOMEM. */
extern int cold_create (struct pool *pool, const struct pool_cold *config);
extern void cold_destroy (struct pool *pool);

/* The compressor.  Errors of pthread_create, negative. */
extern int cold_start (struct pool *pool);
extern void cold_stop (struct pool *pool);

/* A step of the steward's.  Never waits.  Returns in how many milliseconds it
 * wants the next; COLD_WAITS: when it is nudged. */
extern uint32_t cold_step (struct pool *pool);

/* Does at once all there is to do, whatever CPU it takes.  False: there was no
 * room for some of it. */
extern bool cold_finish (struct pool *pool);

/* A page of a group was read.  A page left its group, which this word had named
 * and others still do.  Neither takes a lock. */
extern void cold_touch (struct volume *volume, uint32_t page);
extern void cold_torn (struct volume *volume, uint64_t word);

/* cold-gather.c, cold-store.c: for cold.c, which holds cold->lock and the
 * worker. */

/* Goes on with the walk.  False: nothing is old enough. */
extern bool cold_next (struct pool *pool, struct worker *worker);

/* Decodes some of the four pages that the walk gave, or a note names, into the
 * slot.  False: they had better stay as they are. */
enum cold_reason {
  COLD_OLD,    /* all of them, if all are old */
  COLD_TORN,   /* those in a group, if it is not whole */
  COLD_TOUCHED /* those in a group */
};
extern bool cold_gather (struct pool *pool, struct worker *worker,
                         uint32_t volume, uint32_t first,
                         enum cold_reason reason, struct cold_slot *slot);

/* Stores a slot's group in the place of its pages, unless they have changed.
 * False: there is no room; the walk will come to them again. */
extern bool cold_store (struct pool *pool, struct worker *worker,
                        const struct cold_slot *slot);

/* Makes single pages of a group again; uses the slot. */
extern void cold_warm (struct pool *pool, struct worker *worker,
                       uint32_t volume, uint32_t first, struct cold_slot *slot);

#endif /* VMSWAP_COLD_H */
