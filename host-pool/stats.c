// SPDX-License-Identifier: BSD-3-Clause
/* Counters: from requests to volumes to the pool.  Owns nothing; the counters
 * are atomics, exact when no request is under way. */

#include <config.h>

#include "cleanup.h"
#include "internal.h"

/* Every counter once: what is done to one is done to all. */
#define FOR_EACH_COUNTER(what)                                                 \
  what (blob_pages) what (raw_pages) what (fill_pages) what (lost_pages)       \
      what (data_bytes) what (blob_bytes) what (pages_written)                 \
          what (pages_read) what (pages_trimmed) what (bad_pages)              \
              what (writes_refused) what (quota_refused) what (shared_pages)   \
                  what (shared_bytes) what (share_lookups) what (share_hits)       \
                      what (cold_pages) what (cold_bytes)

void
tally_add (struct volume *volume, const struct tally *tally, unsigned shard)
{
  struct counters *counters = &volume->counters[shard % NR_SHARDS];
  struct blob_shard *blobs = &volume->pool->blob_shard[shard % NR_SHARDS];

#define APPLY(name)                                                            \
  if (tally->name)                                                             \
    atomic_fetch_add_explicit (&counters->name, tally->name,                   \
                               memory_order_relaxed);
  FOR_EACH_COUNTER (APPLY)
#undef APPLY
  if (tally->blob_bytes)
    atomic_fetch_add_explicit (&blobs->bytes, tally->blob_bytes,
                               memory_order_relaxed);
  if (tally->shared_bytes)
    atomic_fetch_add_explicit (&blobs->shared, tally->shared_bytes,
                               memory_order_relaxed);
}

void
tally_apply (struct volume *volume, const struct tally *tally, unsigned shard)
{
  if (volume_is_limited (volume) || __builtin_expect (tally->ahead != 0, 0))
    quota_tally (volume, tally, shard);
  else
    tally_add (volume, tally, shard);
}

uint64_t
pool_blob_bytes (struct pool *pool)
{
  uint64_t sum = 0;

  for (unsigned i = 0; i < NR_SHARDS; ++i)
    sum +=
        atomic_load_explicit (&pool->blob_shard[i].bytes, memory_order_relaxed);
  return sum;
}

static void
add_volume (struct tally *sum, struct volume *volume)
{
  for (unsigned i = 0; i < NR_SHARDS; ++i) {
    struct counters *counters = &volume->counters[i];

#define ADD(name)                                                              \
  sum->name += atomic_load_explicit (&counters->name, memory_order_relaxed);
    FOR_EACH_COUNTER (ADD)
#undef ADD
  }
}

void
tally_depart (struct pool *pool, struct volume *volume)
{
  add_volume (&pool->departed, volume);
}

static uint64_t
stored_pages (const struct tally *sum)
{
  return sum->blob_pages + sum->cold_pages + sum->shared_pages +
         sum->fill_pages;
}

static void
get_segments (struct pool *pool, struct pool_stats *ret)
{
  struct segments *segments = &pool->segments;

  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
    const uint64_t unbacked =
        (uint64_t) segments->nr_unbacked * POOL_SEGMENT_SIZE;

    ret->used -= unbacked;
    ret->segment_bytes =
        (uint64_t) segments->nr_charged * POOL_SEGMENT_SIZE - unbacked;
    ret->free_bytes =
        (uint64_t) (segments->ready.length + segments->reserve.length +
                    segments->limbo.length) *
            POOL_SEGMENT_SIZE -
        unbacked;
  }
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->frames.lock);
    ret->table_bytes =
        (uint64_t) (pool->frames.nr_taken + pool->frames.nr_ready) *
        POOL_PAGE_SIZE;
  }
}

void
pool_get_stats (struct pool *pool, struct pool_stats *ret)
{
  struct tally sum, shared = { 0 };
  uint64_t volumes = 0;

  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
    sum = pool->departed;
    for (unsigned i = 0; i < POOL_MAX_VOLUMES; ++i)
      if (pool->volume[i]) {
        add_volume (&sum, pool->volume[i]);
        volumes++;
      }
  }
  add_volume (&shared, &pool->sharing.blobs);
  *ret = (struct pool_stats){
    .limit = pool->arena.limit,
    .used = atomic_load (&pool->arena.used),
    .fixed_bytes = pool_fixed_bytes (pool),
    .blob_bytes = sum.blob_bytes + shared.blob_bytes,
    .data_bytes = sum.data_bytes + shared.data_bytes,
    .stored_pages = stored_pages (&sum),
    .blob_pages = sum.blob_pages,
    .raw_pages = sum.raw_pages,
    .cold_pages = sum.cold_pages,
    .cold_bytes = sum.cold_bytes,
    .pages_cooled = atomic_load (&pool->cold.cooled),
    .pages_warmed = atomic_load (&pool->cold.warmed),
    .cold_cpu_ns = atomic_load (&pool->cold.cpu_ns),
    .shared_pages = sum.shared_pages,
    .shared_bytes = sum.shared_bytes,
    .shared_blobs = shared.blob_pages + shared.cold_pages,
    .shared_blob_bytes = shared.blob_bytes,
    .sharing_all = index_mode (&pool->index) == INDEX_ALL,
    .share_lookups = sum.share_lookups,
    .share_hits = sum.share_hits,
    .fill_pages = sum.fill_pages,
    .lost_pages = sum.lost_pages,
    .volumes = volumes,
    .pages_written = sum.pages_written,
    .pages_read = sum.pages_read,
    .pages_trimmed = sum.pages_trimmed,
    .writes_refused = sum.writes_refused,
    .quota_refused = sum.quota_refused,
    .reserved = atomic_load (&pool->reserved),
    .unfilled = atomic_load (&pool->unfilled),
    .reservable = reserve_utmost (pool),
    .missing = reserve_missing (pool),
    .bad_pages = sum.bad_pages,
    .segments_cleaned = atomic_load (&pool->cleaner.cleaned),
    .bytes_moved = atomic_load (&pool->cleaner.moved),
    .segments_rescued = atomic_load (&pool->cleaner.rescued),
  };
  get_segments (pool, ret);
  ret->capacity = pool_capacity (pool);
}

uint64_t
pool_unfilled (const struct pool *pool)
{
  return atomic_load_explicit (&pool->unfilled, memory_order_relaxed);
}

/* What the shared pages of a volume take: of all shared blobs the part that they
 * are of all shared pages, by size. */
static uint64_t
part_of_shared (struct pool *pool, uint64_t shared_bytes)
{
  struct tally blobs = { 0 };
  uint64_t sum = 0;

  if (shared_bytes == 0)
    return 0;
  add_volume (&blobs, &pool->sharing.blobs);
  for (unsigned i = 0; i < NR_SHARDS; ++i)
    sum += atomic_load_explicit (&pool->blob_shard[i].shared,
                                 memory_order_relaxed);
  return sum ? (double) shared_bytes / (double) sum * (double) blobs.blob_bytes
             : 0;
}

void
volume_get_stats (struct volume *volume, struct volume_stats *ret)
{
  struct tally sum = { 0 };

  add_volume (&sum, volume);
  *ret = (struct volume_stats){
    .size = volume->size,
    .stored_pages = stored_pages (&sum),
    .blob_pages = sum.blob_pages,
    .raw_pages = sum.raw_pages,
    .cold_pages = sum.cold_pages,
    .cold_bytes = sum.cold_bytes,
    .fill_pages = sum.fill_pages,
    .lost_pages = sum.lost_pages,
    .shared_pages = sum.shared_pages,
    .shared_bytes = sum.shared_bytes,
    .shared_part = part_of_shared (volume->pool, sum.shared_bytes),
    .blob_bytes = sum.blob_bytes,
    .data_bytes = sum.data_bytes,
    .table_bytes = (uint64_t) atomic_load (&volume->frames) * POOL_PAGE_SIZE,
    .pages_written = sum.pages_written,
    .pages_read = sum.pages_read,
    .pages_trimmed = sum.pages_trimmed,
    .bad_pages = sum.bad_pages,
    .quota = atomic_load (&volume->limits.quota),
    .reserve = atomic_load (&volume->limits.reserve),
    .quota_refused = sum.quota_refused,
  };
  ret->charged = ret->blob_bytes + ret->shared_bytes + ret->table_bytes;
}
