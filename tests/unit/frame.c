// SPDX-License-Identifier: BSD-3-Clause
/* Frames: taken zeroed, counted, and given back to the host. */

#include <config.h>

#include <errno.h>

#include "unit.h"

static void
test_take_and_trim (void)
{
  struct pool *pool = unit_pool (16);
  struct frames *frames = &pool->frames;
  const uint64_t used = atomic_load (&pool->arena.used);
  static uint32_t taken[1000];

  CHECK (frame_take (frames) == 0); /* none is ready yet */
  for (unsigned i = 0; i < 1000; ++i) {
    CHECK (frames_prepare (frames) == 0);
    taken[i] = frame_take (frames);
    CHECK (taken[i] != 0);
    const uint8_t *at = arena_frame (&pool->arena, taken[i]);
    for (unsigned j = 0; j < POOL_PAGE_SIZE; ++j)
      CHECK (at[j] == 0);
    memset (arena_frame (&pool->arena, taken[i]), 0xee, POOL_PAGE_SIZE);
  }
  CHECK (frames->nr_taken == 1000);
  CHECK (atomic_load (&pool->arena.used) >= used + 1000 * POOL_PAGE_SIZE);
  for (unsigned i = 0; i < 1000; i += 2)
    frame_drop (frames, taken[i]);
  /* Those that come again are zeroed, too. */
  const uint32_t again = frame_take (frames);
  CHECK (*(uint64_t *) arena_frame (&pool->arena, again) == 0);
  frame_drop (frames, again);
  for (unsigned i = 1; i < 1000; i += 2)
    frame_drop (frames, taken[i]);

  frames_trim (frames);
  CHECK (frames->nr_taken == 0);
  CHECK (atomic_load (&pool->arena.used) <= used + FRAMES_BATCH_BYTES);
  pool_destroy (pool);
}

static void
test_limit (void)
{
  struct pool *pool = unit_pool (16);
  struct frames *frames = &pool->frames;
  unsigned n = 0;

  for (;;) {
    const int err = frames_prepare (frames);

    if (err) {
      CHECK (err == -ENOSPC);
      break;
    }
    CHECK (frame_take (frames) != 0);
    n++;
  }
  CHECK (n > 2000 && atomic_load (&pool->arena.used) <= pool->arena.limit);
  pool_destroy (pool);
}

int
main (void)
{
  test_take_and_trim ();
  test_limit ();
  return 0;
}
