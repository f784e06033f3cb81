// SPDX-License-Identifier: BSD-3-Clause
/* What happens when room is needed: by a writer that found none, or by the
 * host that wants its memory back.  Owns nothing. */

#include <config.h>

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "cleanup.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"
#include "word.h"

/* How long a writer waits for readers to let go of retired segments.  They
 * hold them for microseconds, unless the host stopped them. */
#define GRACE_ROUNDS 10000

/* How often the cleaner must say no, with nothing on its way. */
#define REFUSALS 3

/* How often compaction makes room for groups, at the most: guests may write
 * meanwhile. */
#define COMPACT_ROUNDS 32

/* How often a writer with room naps for others who clean. */
#define HAND_ROUNDS 8

unsigned
pool_reap (struct pool *pool)
{
  const unsigned n = segments_reap (&pool->segments);

  /* An adopted pool gets back to its limit first: see segment_take. */
  if (arena_is_over (&pool->arena))
    segments_give_back (&pool->segments, 0);
  if (n)
    space_notify (&pool->space);
  return n;
}

/* Directories without leaves, in all volumes. */
static void
prune_tables (struct pool *pool)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
  for (unsigned i = 0; i < POOL_MAX_VOLUMES; ++i)
    if (pool->volume[i])
      table_prune (pool->volume[i]);
  table_prune (&pool->sharing.blobs);
  table_prune (&pool->sharing.counts);
}

/* Is what the caller needs there now, or made so without cleaning? */
static bool
satisfied (struct pool *pool, enum reclaim_need need)
{
  struct segments *segments = &pool->segments;

  pool_reap (pool);
  if (need == RECLAIM_SEGMENT) {
    /* Others may have taken what came free, into lanes that all use. */
    if (segments_available (segments) ||
        lanes_have_room (&pool->lanes, blob_size (POOL_PAGE_SIZE)))
      return true;
    /* Table frames that were dropped are still charged. */
    prune_tables (pool);
    frames_trim (&pool->frames);
    return segments_available (segments) > 0;
  }
  /* Frames need an account below the limit: a ready segment less. */
  return segments_give_back (segments, 0) > 0 ||
         arena_left (&pool->arena) >= FRAMES_BATCH_BYTES;
}

/* Are there segments that will be free, or in a lane, without our doing? */
static bool
more_is_coming (struct pool *pool)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->segments.lock);
  return pool->segments.limbo.length != 0 ||
         atomic_load (&pool->segments.transit) != 0;
}

/* The cleaner was refused again, and nothing can change that.  Not the first
 * time, because what was on its way may have arrived since the cleaner looked.
 */
static bool
nothing_comes (struct pool *pool, unsigned *refusals)
{
  return !more_is_coming (pool) && ++*refusals > REFUSALS;
}

static void
nap (void)
{
  const struct timespec t = { .tv_nsec = 100000 };

  nanosleep (&t, NULL);
}

static void
wait_a_little (unsigned round)
{
  if (round < 10)
    sched_yield ();
  else
    nap ();
}

int
pool_reclaim (struct pool *pool, enum reclaim_need need)
{
  unsigned waits = 0, refusals = 0, busy = 0;
  bool sealed = false;
  int err;

  while (!satisfied (pool, need)) {
    err = cleaner_try (pool, CLEAN_FORCED);
    if (err == 0) {
      refusals = 0;
      continue;
    }
    /* In a small pool, what is worth cleaning may be in the open segments. */
    if (err == -ENOENT && !sealed) {
      sealed = cleaner_try_seal (pool);
      if (sealed)
        continue;
      err = -EBUSY;
    }
    /* What the other frees may be had before he is done. */
    if (err == -EBUSY) {
      wait_a_little (++busy);
      continue;
    }
    busy = 0;
    /* Nothing to clean, or no room to clean into, or busy: only segments on
     * their way, or writers about to finish, can change that. */
    if (err != -EAGAIN && nothing_comes (pool, &refusals))
      return err == -ENOMEM ? err : -ENOSPC;
    if (++waits > GRACE_ROUNDS)
      return -ENOSPC;
    wait_a_little (waits);
  }
  return 0;
}

uint64_t
pool_low_water (const struct pool *pool)
{
  const uint64_t share = pool->arena.limit / POOL_SEGMENT_SIZE / 64;

  return share < 2 ? 2 : share > 64 ? 64 : share;
}

static bool
is_low (struct pool *pool)
{
  return segments_available (&pool->segments) < pool_low_water (pool);
}

void
pool_lend_a_hand (struct pool *pool)
{
  unsigned round = 0;

  if (!is_low (pool))
    return;
  /* While others clean, a writer that does not must not take all the room that
   * they make: then one of them would wait for long. */
  do
    pool_reap (pool);
  while (cleaner_try (pool, CLEAN_FORCED) == -EBUSY && ++round < HAND_ROUNDS &&
         (nap (), is_low (pool)));
}

void
pool_release_memory (struct pool *pool)
{
  struct arena *arena = &pool->arena;

  pool_reap (pool);
  prune_tables (pool);
  segments_give_back (&pool->segments, 0);
  /* Near the limit the reserve is needed at any moment. */
  if (atomic_load (&arena->used) < arena->limit / 4 * 3)
    segments_release_reserve (&pool->segments);
  frames_trim (&pool->frames);
}

/* Cleans a segment.  Those cleaned before it give the room for that, as soon as
 * readers have let go of them. */
static int
compact_step (struct pool *pool)
{
  unsigned waits = 0, refusals = 0;
  int err;

  for (;;) {
    pool_reap (pool);
    err = cleaner_step (pool, CLEAN_IDLE);
    if (err != -ENOSPC || nothing_comes (pool, &refusals) ||
        ++waits > GRACE_ROUNDS)
      return err;
    wait_a_little (waits);
  }
}

int
pool_compact (struct pool *pool)
{
  unsigned rounds = 0;
  uint64_t cooled;
  bool room;
  int err;

  sharing_weigh (pool);
  while (sharing_sweep (pool))
    ;
  cleaner_seal (pool);
  /* Cleaning makes room for more groups, and those leave more to clean. */
  do {
    cooled = atomic_load (&pool->cold.cooled);
    room = cold_finish (pool);
    do
      err = compact_step (pool);
    while (err == 0);
  } while (!room && atomic_load (&pool->cold.cooled) > cooled &&
           ++rounds < COMPACT_ROUNDS);
  cleaner_seal (pool);
  pool_release_memory (pool);
  return err == -ENOENT || err == -EAGAIN ? 0 : err;
}
