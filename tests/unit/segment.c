// SPDX-License-Identifier: BSD-3-Clause
/* Segments: the table of states, the reserve, and that nothing a reader may
 * look at is used again. */

#include <config.h>

#include <errno.h>

#include "unit.h"

static void
test_states (void)
{
  struct pool *pool = unit_pool (32);
  struct segments *segments = &pool->segments;
  uint32_t s, again;

  CHECK (segment_take (segments, SEGMENT_FOR_WRITER, &s) == 0);
  CHECK (segment_state (segments, s) == VMSWAP_SEGMENT_OPEN);
  segment_credit (segments, s, 100);
  CHECK (!segment_claim (segments, s)); /* open segments are nobody's prey */
  segment_seal (segments, s, 100, 0);
  CHECK (segment_state (segments, s) == VMSWAP_SEGMENT_SEALED);
  CHECK (!segment_claim (segments, s)); /* a blob is in flight */
  segment_published (segments, s);
  CHECK (segment_claim (segments, s));
  CHECK (!segment_claim (segments, s)); /* one cleaner */
  segment_unclaim (segments, s);
  CHECK (segment_state (segments, s) == VMSWAP_SEGMENT_SEALED);

  segment_debit (segments, s, 100);
  CHECK (segment_state (segments, s) == VMSWAP_SEGMENT_LIMBO);
  CHECK (segments_reap (segments) == 1);
  CHECK (segment_state (segments, s) == VMSWAP_SEGMENT_FREE);
  CHECK (segment_take (segments, SEGMENT_FOR_WRITER, &again) == 0);
  CHECK (again == s);                /* ready ones first */
  segment_seal (segments, again, 0, 0); /* dead when sealed */
  CHECK (segment_state (segments, s) == VMSWAP_SEGMENT_LIMBO);
  pool_destroy (pool);
}

/* A retired segment stays while a reader from before is still looking, and
 * only such a reader holds it. */
static void
test_readers (void)
{
  struct pool *pool = unit_pool (32);
  struct segments *segments = &pool->segments;
  struct worker *before = worker_get (&pool->workers);
  struct worker *after = worker_get (&pool->workers);
  uint32_t s;

  CHECK (segment_take (segments, SEGMENT_FOR_WRITER, &s) == 0);
  worker_enter (&pool->workers, before);
  segment_seal (segments, s, 0, 0);
  worker_enter (&pool->workers, after);
  CHECK (segments_reap (segments) == 0);
  CHECK (segment_state (segments, s) == VMSWAP_SEGMENT_LIMBO);
  worker_leave (before);
  CHECK (segments_reap (segments) == 1);
  worker_leave (after);
  worker_put (&pool->workers, before);
  worker_put (&pool->workers, after);
  pool_destroy (pool);
}

/* Writers leave the reserve to the cleaner, and it is the first to be filled
 * again. */
static void
test_reserve (void)
{
  struct pool *pool = unit_pool (16);
  struct segments *segments = &pool->segments;
  uint32_t s, last = SEGMENT_NONE, n = 0;

  while (segment_take (segments, SEGMENT_FOR_WRITER, &s) == 0)
    last = s, n++;
  CHECK (n > 4 && segments_available (segments) == 0);
  for (unsigned i = 0; i < SEGMENT_RESERVE; ++i)
    CHECK (segment_take (segments, SEGMENT_FOR_CLEANER, &s) == 0);
  CHECK (segment_take (segments, SEGMENT_FOR_CLEANER, &s) == -ENOSPC);

  segment_seal (segments, last, 0, 0);
  CHECK (segments_reap (segments) == 1);
  CHECK (segment_take (segments, SEGMENT_FOR_WRITER, &s) == -ENOSPC);
  CHECK (segment_take (segments, SEGMENT_FOR_CLEANER, &s) == 0);
  pool_destroy (pool);
}

static void
test_give_back (void)
{
  struct pool *pool = unit_pool (32);
  struct segments *segments = &pool->segments;
  const uint64_t used = atomic_load (&pool->arena.used);
  uint32_t s[8];

  for (unsigned i = 0; i < 8; ++i)
    CHECK (segment_take (segments, SEGMENT_FOR_WRITER, &s[i]) == 0);
  CHECK (atomic_load (&pool->arena.used) == used + 8 * POOL_SEGMENT_SIZE);
  memset (arena_segment (&pool->arena, s[0]), 0xff, POOL_SEGMENT_SIZE);
  for (unsigned i = 0; i < 8; ++i)
    segment_untake (segments, s[i]);
  CHECK (segments_give_back (segments, 3) == 5);
  CHECK (segments_give_back (segments, 0) == 3);
  CHECK (atomic_load (&pool->arena.used) == used);
  for (unsigned i = 0; i < POOL_SEGMENT_SIZE; ++i)
    CHECK (arena_segment (&pool->arena, s[0])[i] == 0); /* really gone */
  pool_destroy (pool);
}

int
main (void)
{
  test_states ();
  test_readers ();
  test_reserve ();
  test_give_back ();
  return 0;
}
