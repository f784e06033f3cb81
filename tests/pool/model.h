// SPDX-License-Identifier: BSD-3-Clause
/* The model test: several threads use the pool in every way its header
 * allows, and whatever they read must agree with what they know they wrote.
 *
 * Two ways of knowing:
 *   shadow  every thread owns a byte range of every volume and keeps a plain
 *           copy of it.  The borders of the ranges lie in the middle of
 *           pages, so neighbours' read-modify-writes meet in one page, and
 *           each must keep the other's bytes.   model-shadow.c
 *           With --limits, quotas and reserves come and go, and the shadows say
 *           who may be refused.  model-limits.c
 *   hot     all threads use the same few pages; everything written names its
 *           writer and its moment.                model-hot.c
 */

#ifndef VMSWAP_TEST_MODEL_H
#define VMSWAP_TEST_MODEL_H

#include <stdatomic.h>

#include "content.h"
#include "test.h"

#define MODEL_MAX_THREADS 64u
#define MODEL_MAX_REQUEST (256u << 10)
#define MODEL_LIMITS_VOLUMES 16u

enum model_op {
  MODEL_READ,
  MODEL_WRITE,
  MODEL_ZERO,
  MODEL_TRIM,
  MODEL_EXTENTS,
  MODEL_STATS,
  MODEL_OPS
};

struct model_options {
  uint64_t ops;     /* in all, by all threads */
  unsigned seconds; /* stop after these; 0: when ops are done */
  unsigned threads;
  unsigned volumes;
  uint64_t size; /* of each volume */
  uint64_t pool; /* its limit */
  uint64_t seed;
  uint64_t check_every; /* operations between two pool_check */
  const char *codec;
  enum pool_sharing sharing;
  unsigned groups; /* volume i belongs to group i % groups; 0: none */
  unsigned same;   /* every other page is one of so many; 0: all differ */
  bool full; /* the pool is too small, writes may be refused */
  bool hot;
  bool limits; /* quotas and reserves, that change */
  bool cold;   /* what is written becomes cold at once, at full speed */
  bool steward;
};

struct model_counts {
  uint64_t ops[MODEL_OPS];
  uint64_t bytes[MODEL_OPS];
  uint64_t refused;
  uint64_t learned_new; /* pages that a refused request did change */
  uint64_t limits_changed, quota_refused;
  uint64_t quota_proved,
      reserve_proved; /* requests that could not be refused */
};

struct model_volume {
  struct volume *volume;
  uint8_t *shadow; /* each thread touches its own range alone */

  /* model-limits.c */
  _Atomic uint64_t pages; /* that may hold something */
  _Atomic uint64_t quota, reserve;
  _Atomic uint64_t limits_serial; /* odd: they are being changed */
  _Atomic uint64_t granted; /* limits_serial for which the reserve is there */
  _Atomic uint64_t over_quota, over_reserve; /* how often pages went over */
};

struct request {
  unsigned volume;
  uint64_t offset;
  uint64_t length;
};

/* What is known of the limits when a request begins. */
struct ticket {
  uint64_t added; /* to the pages of the volume */
  uint64_t serial, quota, reserve, over_quota, over_reserve;
  bool granted, below_quota, below_reserve;
};

struct model {
  struct model_options opt;
  struct pool *pool;
  struct model_volume *volumes;
  struct pool_stats empty; /* volumes open, nothing written */
  double deadline;         /* 0: none */
  _Atomic uint64_t done;
  _Atomic bool stop;
};

struct model_thread {
  struct model *model;
  unsigned id;
  struct rng rng;
  struct model_counts counts;
  uint8_t *buf;   /* MODEL_MAX_REQUEST: what is written */
  uint8_t *probe; /* MODEL_MAX_REQUEST: what is read */
};

/* Counts an operation.  False: it was the last one.  Now and then checks the
 * pool, while the other threads go on. */
extern bool model_tick (struct model *m);

/* Pages and counters now: the limit holds, sums add up. */
extern void model_sample_stats (struct model *m);

extern void *model_shadow_thread (void *arg);

/* The first byte of a thread's range.  Borders are never page borders. */
extern uint64_t model_range_start (const struct model *m, unsigned volume,
                                   unsigned thread);

/* Around a request: held before it; begin; the request; the shadow is brought
 * up to date; learn; end. */
extern uint64_t model_limits_held (struct model_thread *t,
                                   const struct request *r);
extern struct ticket model_limits_begin (struct model_thread *t,
                                         const struct request *r);
extern void model_limits_learn (struct model_thread *t, const struct request *r,
                                uint64_t held_before);
extern void model_limits_end (struct model_thread *t, const struct request *r,
                              const struct ticket *ticket, int rc);
extern void model_limits_change (struct model_thread *t);
extern void model_limits_look (struct model *m);

extern void model_hot_init (struct model *m);
extern void *model_hot_thread (void *arg);

/* The walk over extents keeps its promises, and holes are zero in the shadow.
 * The range must belong to the caller. */
extern void model_check_extents (struct model *m, struct model_volume *v,
                                 uint64_t length, uint64_t offset);

/* With no other thread in the pool. */
extern void model_verify (struct model *m);
extern void model_empty (struct model *m);

#endif /* VMSWAP_TEST_MODEL_H */
