// SPDX-License-Identifier: BSD-3-Clause
/* How full is full.
 *
 * The limit bounds everything the pool holds.  Of it, this is not for live
 * blobs and page tables: the fixed tables, the cleaner's reserve, and a slack
 * of 5 %.  Above that capacity the pool is "tight": pages that hold nothing
 * yet are refused, pages that are stored already may still be overwritten, at
 * the expense of the slack.  Half of the slack is never used up: below that,
 * cleaning would copy a segment for every few pages written.
 *
 * Where volumes have reserves, quota.c says who is refused; "tight" then means
 * that its rules have to be looked at for every page.
 *
 * Owns pool->tight.  It is weighed every 16 KiB of a segment and, once set,
 * after every change: a pool overshoots by little.  No lock. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "internal.h"
#include "table.h"
#include "word.h"

uint64_t
pool_slack (const struct pool *pool)
{
  const uint64_t share = pool->arena.limit / 20;
  const uint64_t least = 2 * POOL_SEGMENT_SIZE + POOL_SEGMENT_SIZE / 4;

  return share > least ? share : least;
}

uint64_t
pool_fixed_bytes (const struct pool *pool)
{
  return pool->fixed_bytes + index_extra_bytes (&pool->index);
}

uint64_t
pool_table_bytes (struct pool *pool)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->frames.lock);
  return (uint64_t) pool->frames.nr_taken * POOL_PAGE_SIZE;
}

/* What is left of the limit when the tables have theirs. */
static uint64_t
room_for_segments (struct pool *pool)
{
  const uint64_t taken = pool_fixed_bytes (pool) + pool_table_bytes (pool);

  return pool->arena.limit > taken ? pool->arena.limit - taken : 0;
}

uint64_t
pool_capacity (struct pool *pool)
{
  const uint64_t kept = SEGMENT_RESERVE * POOL_SEGMENT_SIZE + pool_slack (pool);
  uint64_t room = room_for_segments (pool);

  room -= room % POOL_SEGMENT_SIZE; /* segments are taken whole */
  return room > kept ? room - kept : 0;
}

/* Live blobs lie in segments, and the reserve holds none at rest.  One segment
 * of it is leeway, for fixed tables that may be larger than they were. */
uint64_t
pool_utmost (struct pool *pool)
{
  const uint64_t kept = (SEGMENT_RESERVE - 1) * POOL_SEGMENT_SIZE;
  const uint64_t room = room_for_segments (pool);

  return room > kept ? room - kept : 0;
}

void
pool_weigh (struct pool *pool)
{
  const bool tight =
      atomic_load_explicit (&pool->reserved, memory_order_relaxed)
          ? reserve_is_close (pool)
          : pool_blob_bytes (pool) >= pool_capacity (pool);

  if (tight != atomic_load_explicit (&pool->tight, memory_order_relaxed))
    atomic_store_explicit (&pool->tight, tight, memory_order_relaxed);
}

int
page_admit (struct volume *volume, uint32_t page, uint64_t word)
{
  struct pool *pool = volume->pool;
  int err;

  if (volume_is_limited (volume)) {
    err = quota_look (volume, page, word);
    if (err)
      return err;
  }
  if (__builtin_expect (
          !atomic_load_explicit (&pool->tight, memory_order_relaxed), 1))
    return 0;
  /* Tables may have been given up since. */
  pool_weigh (pool);
  if (!atomic_load_explicit (&pool->tight, memory_order_relaxed))
    return 0;
  if (atomic_load_explicit (&pool->reserved, memory_order_relaxed))
    return reserve_admit (volume, page, word);
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  const uint64_t old = table_get_locked (volume, page);

  if (page_freeable_locked (volume, page, old))
    return 0;
  /* A page of a group that others name frees nothing: of the slack, a quarter
   * is for these, and the rest for those that do. */
  return word_is_cold (old) && pool_blob_bytes (pool) <
                                   pool_capacity (pool) + pool_slack (pool) / 4
             ? 0
             : -ENOSPC;
}
