// SPDX-License-Identifier: BSD-3-Clause
/* What the prefetch tests share: a volume with a cache of 256 pages in front,
 * which is filled as prefetch proposes.  A page leaves it when it is read, when
 * it is the oldest and room is needed, and when it is written: in the latter
 * two it was brought for nothing. */

#ifndef VMSWAP_PREFETCH_MODEL_H
#define VMSWAP_PREFETCH_MODEL_H

#include "prefetch.h"
#include "unit.h"

#define MODEL_ROOM 256
#define MODEL_LATE_MAX 64

struct model_page {
  uint64_t page;
  uint64_t ready; /* the request from which on it is there */
};

struct model {
  struct prefetch prefetch;
  struct model_page cache[MODEL_ROOM]; /* the oldest first */
  unsigned n;
  unsigned late; /* requests that it takes to bring a page */
  uint64_t requests;
  uint64_t repeated;        /* proposals of what was there already */
  uint64_t outside;         /* proposals out of the volume */
  struct model_call *calls; /* what prefetch was told, if asked for */
  size_t nr_calls, room_calls;
};

struct model_call {
  uint64_t page, count, hits; /* count 0: a waste */
};

extern void model_init (struct model *m, uint64_t pages);
extern void model_read (struct model *m, uint64_t page, uint64_t count);
extern void model_write (struct model *m, uint64_t page, uint64_t count);

/* What is left in the cache goes unread. */
extern void model_end (struct model *m);

/* The part of the pages read since before that were in the cache; the pages
 * wasted since then per page read, those in the cache included. */
extern double model_hit_rate (const struct model *m,
                              const struct prefetch_stats *before);
extern double model_waste_rate (const struct model *m,
                                const struct prefetch_stats *before);

/* What holds for any stream: counters agree, all proposals were in the volume,
 * and the promise of prefetch.h about pages brought for nothing. */
extern void model_check (const struct model *m);

/* Nanoseconds per request that the recorded calls take, the least of some
 * rounds. */
extern double model_cost (struct model *m);
extern void model_record (struct model *m);

#endif /* VMSWAP_PREFETCH_MODEL_H */
