// SPDX-License-Identifier: BSD-3-Clause
/* Puts the parts of a pool together and takes them apart again, in the
 * opposite order.  Owns struct pool. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>

#include <xxhash.h>

#include "internal.h"
#include "sharing.h"

static void
create_locks (struct pool *pool)
{
  for (unsigned i = 0; i < NR_STRIPES; ++i)
    lock_init (&pool->stripe[i].lock, LOCK_STRIPE);
  for (unsigned i = 0; i < NR_PARTIAL_LOCKS; ++i)
    lock_init (&pool->partial[i].lock, LOCK_PARTIAL);
  lock_init (&pool->volumes_lock, LOCK_VOLUMES);
  space_create (&pool->space);
  steward_create (pool);
}

static void
destroy_locks (struct pool *pool)
{
  for (unsigned i = 0; i < NR_STRIPES; ++i)
    lock_destroy (&pool->stripe[i].lock);
  for (unsigned i = 0; i < NR_PARTIAL_LOCKS; ++i)
    lock_destroy (&pool->partial[i].lock);
  lock_destroy (&pool->volumes_lock);
  space_destroy (&pool->space);
  steward_destroy (pool);
}

/* Everything that needs memory beyond struct pool itself. */
static int
create_parts (struct pool *pool, const struct pool_cold *cold)
{
  int err;

  err = workers_create (&pool->workers, &pool->arena, pool->codec->state_size);
  if (err)
    return err;
  err = frames_create (&pool->frames, &pool->arena);
  if (err)
    goto destroy_frames;
  err = segments_create (&pool->segments, &pool->arena, &pool->workers);
  if (err)
    goto destroy_segments;
  err = decoders_create (&pool->decoders, &pool->arena);
  if (err)
    goto destroy_decoders;
  err = sharing_create (pool, pool->sharing.wanted == POOL_SHARING_OFF
                                  ? INDEX_NONE
                                  : INDEX_SAMPLED);
  if (err)
    goto destroy_sharing;
  err = cleaner_create (pool);
  if (err)
    goto destroy_cleaner;
  lanes_create (&pool->lanes, &pool->segments);
  err = cold_create (pool, cold);
  if (err)
    goto destroy_cold;
  return 0;

destroy_cold:
  cold_destroy (pool);
  lanes_destroy (&pool->lanes);
destroy_cleaner:
  cleaner_destroy (pool);
destroy_sharing:
  sharing_destroy (pool);
destroy_decoders:
  decoders_destroy (&pool->decoders);
destroy_segments:
  segments_destroy (&pool->segments);
destroy_frames:
  frames_destroy (&pool->frames);
  workers_destroy (&pool->workers);
  return err;
}

int
pool_create (const struct pool_config *config, struct pool **ret)
{
  const struct pool_cold never = { .on = false };
  struct pool_config with_defaults = *config;
  struct pool *pool;
  int err;

  if (!config->codec || config->look_only)
    with_defaults.codec = "lz4";
  if (config->look_only) {
    if (!config->state)
      return -EINVAL;
  }
  else if (config->limit < POOL_MIN_LIMIT || config->limit > POOL_MAX_LIMIT ||
           !codec_by_name (with_defaults.codec) ||
           !cold_config_is_good (&config->cold))
    return -EINVAL;

  pool = aligned_alloc (64, (sizeof *pool + 63) & ~(size_t) 63);
  if (!pool)
    return -ENOMEM;
  *pool = (struct pool){ .codec = codec_by_name (with_defaults.codec) };
  pool->sharing.wanted = config->look_only ? POOL_SHARING_OFF : config->sharing;

  err = arena_create (&pool->arena, &with_defaults);
  if (err)
    goto free_pool;
  err = create_parts (pool, config->look_only ? &never : &config->cold);
  if (err)
    goto destroy_arena;
  create_locks (pool);
  pool->fixed_bytes = atomic_load (&pool->arena.used);
  if (!pool->arena.adopted)
    pool->fixed_bytes -= SEGMENT_RESERVE * POOL_SEGMENT_SIZE;
  err = pool->arena.adopted ? pool_adopt (pool, config) : 0;
  if (err) {
    pool_destroy (pool);
    return err;
  }
  pool_weigh (pool);
  sharing_weigh (pool); /* POOL_SHARING_ALWAYS begins at once */
  arena_commit (&pool->arena);
  *ret = pool;
  return 0;

destroy_arena:
  arena_destroy (&pool->arena);
free_pool:
  free (pool);
  return err;
}

void
pool_destroy (struct pool *pool)
{
  for (unsigned i = 0; i < POOL_MAX_VOLUMES; ++i)
    volume_free (pool->volume[i]);
  destroy_locks (pool);
  cold_destroy (pool);
  lanes_destroy (&pool->lanes);
  cleaner_destroy (pool);
  sharing_destroy (pool);
  decoders_destroy (&pool->decoders);
  segments_destroy (&pool->segments);
  frames_destroy (&pool->frames);
  workers_destroy (&pool->workers);
  arena_destroy (&pool->arena);
  free (pool);
}

bool
pool_was_adopted (const struct pool *pool)
{
  return pool->arena.adopted;
}

uint64_t
pool_identity (const struct pool *pool)
{
  return XXH64 (pool->arena.super.key, sizeof pool->arena.super.key, 0);
}

int
pool_lock_memory (struct pool *pool)
{
  return arena_lock_memory (&pool->arena);
}

uint64_t
pool_lockable_bytes (const struct pool *pool)
{
  return arena_lockable_bytes (&pool->arena);
}
