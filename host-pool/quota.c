// SPDX-License-Identifier: BSD-3-Clause
/* Guests as tenants of one pool: what a volume may hold at the most, and what
 * it can have whatever the others do.
 *
 * What a volume *holds* is its blobs, headers and padding included, and its
 * page tables.  For its quota, a page that shares its blob counts as if it had
 * one: what others do is nothing to a quota.  For its reserve it counts
 * nothing: the page may need a blob of its own at any time.  Two rules:
 *
 *   quota    a word that would take what the volume holds above its quota is
 *            not stored (-EDQUOT).
 *   reserve  what all volumes hold, and what they do not hold of their reserves
 *            (*unfilled*), fit into the pool together.  A word that would break
 *            that is not stored (-ENOSPC).  A volume below its reserve cannot
 *            break it: what it takes, it fills.  So it is never refused.
 *
 * A reserve may be set when others already hold what it needs.  Then it is not
 * *granted* until the rule holds again: nobody else grows meanwhile, and its
 * volume gets what comes free, but nothing that was *promised* to a volume
 * whose reserve is granted.
 *
 * Overwrites may use up a part of the pool's slack, as they may without
 * reserves, but only a quarter of it: the rest is what makes the rule good for
 * real memory, which comes in segments that have to be cleaned.
 *
 * A word that makes nothing larger is stored under any rule.
 *
 * Invariants
 *  1. The charge of a volume with limits is exact while its lock is held, but
 *     for frames: those are counted when they are taken, so each request under
 *     way can take the three of a new page beyond the quota; and for shared
 *     pages, counted when the page is done: one a request.  (And the 16 pages
 *     that each request which was under way when the limits came has not told
 *     of.)
 *  2. pool->unfilled is the sum of limits.unfilled; so for promised and
 *     reserved.
 *  3. What volumes hold and pool->promised fit into the pool, a quarter of the
 *     slack included.
 *
 * Counts of a volume without limits wait in the tallies of its requests; a
 * volume with limits has its growth counted when the word is stored
 * (tally->ahead), and that costs it a lock for each page.
 *
 * Lock: limits->lock; volumes_lock for pool->reserved. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"
#include "word.h"

/* What requests under way may hold and have not told of: a reserve is looked at
 * closely that much before it matters. */
#define UNTOLD                                                                 \
  ((uint64_t) NR_WORKERS * TALLY_EVERY *                                       \
   (POOL_PAGE_SIZE + VMSWAP_BLOB_HEADER_SIZE))

static uint64_t
load (const _Atomic uint64_t *value)
{
  return atomic_load_explicit (value, memory_order_relaxed);
}

void
quota_create (struct volume *volume)
{
  lock_init (&volume->limits.lock, LOCK_LIMITS);
}

static uint64_t
sum_of (struct volume *volume, bool shared)
{
  int64_t sum = 0;

  for (unsigned i = 0; i < NR_SHARDS; ++i) {
    sum += (int64_t) load (&volume->counters[i].blob_bytes);
    if (shared)
      sum += (int64_t) load (&volume->counters[i].shared_bytes);
  }
  sum += (int64_t) atomic_load (&volume->frames) * POOL_PAGE_SIZE;
  return sum > 0 ? (uint64_t) sum : 0;
}

uint64_t
quota_charge (struct volume *volume)
{
  return sum_of (volume, true);
}

uint64_t
quota_fill (struct volume *volume)
{
  return sum_of (volume, false);
}

/* Sets a volume's share of a sum of the pool. */
static void
set_share (_Atomic uint64_t *share, _Atomic uint64_t *sum, uint64_t value)
{
  const uint64_t before = load (share);

  if (value == before)
    return;
  atomic_store_explicit (share, value, memory_order_relaxed);
  atomic_fetch_add (sum, value - before);
}

/* Counts anew what is missing to the reserve. */
static void
refill_locked (struct volume *volume)
{
  struct limits *limits = &volume->limits;
  struct pool *pool = volume->pool;
  const uint64_t reserve = load (&limits->reserve);
  const uint64_t granted = load (&limits->granted);
  const uint64_t charge = reserve ? quota_fill (volume) : 0;

  set_share (&limits->unfilled, &pool->unfilled,
             charge < reserve ? reserve - charge : 0);
  set_share (&limits->promised, &pool->promised,
             charge < granted ? granted - charge : 0);
}

/* Adds to what the volume and the pool hold; bytes may "wrap" below zero.  The
 * order matters to taken_with. */
static void
count_locked (struct volume *volume, uint64_t bytes)
{
  _Atomic uint64_t *pool = &volume->pool->blob_shard[0].bytes;

  if (bytes)
    atomic_fetch_add (&volume->counters[0].blob_bytes, bytes);
  if ((int64_t) bytes > 0)
    atomic_fetch_add (pool, bytes);
  refill_locked (volume);
  if ((int64_t) bytes < 0)
    atomic_fetch_add (pool, bytes);
}

void
quota_refill (struct volume *volume)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&volume->limits.lock);
  refill_locked (volume);
}

/* What a word takes that is to be stored: never that of a cold page. */
static uint64_t
word_bytes (uint64_t word)
{
  return word_is_blob (word) ? word_size (word) : 0;
}

/* What blobs grow by when the word takes the place of the page's old one. */
static uint64_t
growth_locked (struct volume *volume, uint32_t page, uint64_t word,
               uint64_t old)
{
  const uint64_t now = word_bytes (word);
  const uint64_t before = page_freeable_locked (volume, page, old);

  return now > before ? now - before : 0;
}

/* … and what the volume is charged grows by, shared pages included. */
static uint64_t
charge_growth_locked (struct volume *volume, uint32_t page, uint64_t word,
                      uint64_t old)
{
  struct pool *pool = volume->pool;
  const uint64_t now = word_bytes (word) + share_bytes (pool, word);
  const uint64_t before =
      page_freeable_locked (volume, page, old) + share_bytes (pool, old);

  return now > before ? now - before : 0;
}

static bool
exceeds_quota (struct volume *volume, uint64_t bytes)
{
  const uint64_t quota = load (&volume->limits.quota);

  return quota && bytes && quota_charge (volume) + bytes > quota;
}

int
quota_take_locked (struct volume *volume, struct tally *tally, uint32_t page,
                   uint64_t word)
{
  const uint64_t old = table_get_locked (volume, page);
  const uint64_t more = growth_locked (volume, page, word, old);
  const uint64_t charged = charge_growth_locked (volume, page, word, old);
  const uint64_t frames = table_frames_wanted_locked (volume, page);

  if (more == 0 && charged == 0 && frames == 0)
    return 0;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&volume->limits.lock);
  if (exceeds_quota (volume, charged + frames * POOL_PAGE_SIZE))
    return -EDQUOT;
  count_locked (volume, more);
  tally->ahead += more;
  return 0;
}

void
quota_give_back (struct volume *volume, struct tally *tally, uint64_t ahead)
{
  if (tally->ahead == ahead)
    return;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&volume->limits.lock);
  count_locked (volume, ahead - tally->ahead);
  tally->ahead = ahead;
}

/* What storing the word would add, just now, to what fills a reserve; to what
 * a quota bounds. */
static uint64_t
wanted (struct volume *volume, uint32_t page, uint64_t word, uint64_t *old,
        uint64_t *charged)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  const uint64_t frames =
      (uint64_t) table_frames_wanted_locked (volume, page) * POOL_PAGE_SIZE;

  *old = table_get_locked (volume, page);
  *charged = charge_growth_locked (volume, page, word, *old) + frames;
  return growth_locked (volume, page, word, *old) + frames;
}

int
quota_look (struct volume *volume, uint32_t page, uint64_t word)
{
  uint64_t old, bytes;

  if (load (&volume->limits.quota) == 0)
    return 0;
  wanted (volume, page, word, &old, &bytes);
  if (!exceeds_quota (volume, bytes))
    return 0;
  /* Directories that lost their last leaf are still charged. */
  return table_prune (volume) && !exceeds_quota (volume, bytes) ? 0 : -EDQUOT;
}

void
quota_tally (struct volume *volume, const struct tally *tally, unsigned shard)
{
  struct tally rest = *tally;

  rest.blob_bytes = rest.ahead = 0;
  tally_add (volume, &rest, shard);
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&volume->limits.lock);
  /* Frames may have changed, too. */
  count_locked (volume, tally->blob_bytes - tally->ahead);
}

/* What all volumes may hold together: segments are taken whole, so one of them
 * may be cut by the page tables; and where pages become cold, two lanes have
 * one each that writers cannot use. */
static uint64_t
room (const struct pool *pool, uint64_t tables)
{
  const uint64_t unusable = pool->cold.config.on ? 3 : 1;
  const uint64_t kept = (SEGMENT_RESERVE + unusable) * POOL_SEGMENT_SIZE +
                        pool_slack (pool) + pool_fixed_bytes (pool) + tables;

  return pool->arena.limit > kept ? pool->arena.limit - kept : 0;
}

uint64_t
reserve_utmost (const struct pool *pool)
{
  return room (pool, 0);
}

/* What blobs take, and what is kept free: pool->unfilled or pool->promised.
 * Growth is added to the one before it is taken from the other, and the other
 * way round for what becomes free: so the larger of two looks, before and
 * after, misses neither. */
static uint64_t
taken_with (struct pool *pool, _Atomic uint64_t *kept)
{
  const uint64_t before = atomic_load (kept);
  const uint64_t held = pool_blob_bytes (pool);
  const uint64_t after = atomic_load (kept);

  return held + (before > after ? before : after);
}

static uint64_t
room_now (struct pool *pool)
{
  return room (pool, pool_table_bytes (pool));
}

bool
reserve_is_close (struct pool *pool)
{
  return taken_with (pool, &pool->unfilled) + UNTOLD >= room_now (pool);
}

uint64_t
reserve_missing (struct pool *pool)
{
  const uint64_t there = room_now (pool) + pool_slack (pool) / 4;
  const uint64_t taken = taken_with (pool, &pool->unfilled);

  return load (&pool->unfilled) && taken > there ? taken - there : 0;
}

/* All that is reserved is there: the volume's reserve is granted. */
static void
grant (struct volume *volume, uint64_t reserve)
{
  struct limits *limits = &volume->limits;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&limits->lock);
  if (load (&limits->reserve) != reserve)
    return; /* it is another now, and that may miss something */
  atomic_store (&limits->granted, reserve);
  refill_locked (volume);
}

static bool
is_granted (const struct volume *volume)
{
  return load (&volume->limits.granted) == load (&volume->limits.reserve);
}

int
reserve_admit (struct volume *volume, uint32_t page, uint64_t word)
{
  struct pool *pool = volume->pool;
  uint64_t old, charged, limit;
  const uint64_t bytes = wanted (volume, page, word, &old, &charged);

  const uint64_t reserve = load (&volume->limits.reserve);

  if (!is_granted (volume) && reserve_missing (pool) == 0)
    grant (volume, reserve);
  const uint64_t promised = load (&volume->limits.promised);
  const uint64_t unfilled = load (&volume->limits.unfilled);

  if (bytes <= promised)
    return 0;
  limit = room_now (pool);
  if (word_has_place (old))
    limit += pool_slack (pool) / 4;
  if (bytes <= unfilled)
    return taken_with (pool, &pool->promised) + bytes - promised <= limit
               ? 0
               : -ENOSPC;
  return taken_with (pool, &pool->unfilled) + bytes - unfilled <= limit
             ? 0
             : -ENOSPC;
}

/* volumes_lock is held. */
static int
check_limits_locked (struct volume *volume, uint64_t quota, uint64_t reserve)
{
  struct pool *pool = volume->pool;
  const uint64_t others =
      load (&pool->reserved) - load (&volume->limits.reserve);
  const uint64_t utmost = reserve_utmost (pool);

  if (quota && quota < reserve)
    return -EINVAL;
  /* Less than before is always taken. */
  if (reserve > load (&volume->limits.reserve) &&
      (others > utmost || reserve > utmost - others))
    return -ENOSPC;
  return 0;
}

static void
set_limits_locked (struct volume *volume, uint64_t quota, uint64_t reserve)
{
  struct limits *limits = &volume->limits;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&limits->lock);
  atomic_fetch_add (&volume->pool->reserved, reserve - load (&limits->reserve));
  atomic_store (&limits->quota, quota);
  atomic_store (&limits->reserve, reserve);
  if (load (&limits->granted) > reserve)
    atomic_store (&limits->granted, reserve);
  atomic_store (&limits->any, quota || reserve);
  refill_locked (volume);
}

/* Before and after the reserves change; volumes_lock is held. */
static void
grant_all_locked (struct pool *pool)
{
  if (reserve_missing (pool))
    return;
  for (unsigned i = 0; i < POOL_MAX_VOLUMES; ++i)
    if (pool->volume[i] && !is_granted (pool->volume[i]))
      grant (pool->volume[i], load (&pool->volume[i]->limits.reserve));
}

int
volume_set_limits (struct volume *volume, uint64_t quota, uint64_t reserve)
{
  struct pool *pool = volume->pool;

  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
    const int err = check_limits_locked (volume, quota, reserve);

    if (err)
      return err;
    grant_all_locked (pool);
    set_limits_locked (volume, quota, reserve);
    grant_all_locked (pool);
    pool_weigh (pool);
  }
  /* There may be room now where there was none. */
  space_notify (&volume->space);
  space_notify (&pool->space);
  return 0;
}

void
quota_destroy (struct volume *volume)
{
  set_limits_locked (volume, 0, 0);
  lock_destroy (&volume->limits.lock);
}
