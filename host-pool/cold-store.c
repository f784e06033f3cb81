// SPDX-License-Identifier: BSD-3-Clause
/* From slots into the pool: a group in the place of its pages, and single pages
 * in the place of a group that was read.
 *
 * Owns nothing.
 *
 * Invariant: a group is complete before the first word that names it is stored.
 * All of its pages are exchanged under one stripe lock, or none; a process that
 * dies in between leaves some in the group and some where they were, and both
 * are whole.
 *
 * Locks: cold->lock is held.  The stripe, while words change. */

#include <config.h>

#include <string.h>

#include "cleanup.h"
#include "crash-point.h"
#include "internal.h"
#include "table.h"

/* Are all pages what they were when they were gathered? */
static bool
unchanged_locked (struct volume *volume, const struct cold_slot *slot)
{
  const struct group_pages *pages = &slot->pages;
  struct expected now;

  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i) {
    if (!(pages->present & 1u << i))
      continue;
    page_expect_locked (volume, pages->first + i, &now);
    if (now.word != slot->expected[i].word ||
        now.birth != slot->expected[i].birth)
      return false;
  }
  return true;
}

/* The words name the group from now on. */
static void
exchange_locked (struct volume *volume, struct tally *tally,
                 const struct cold_slot *slot, struct place at)
{
  const struct group_pages *pages = &slot->pages;
  uint64_t word = 0, old;

  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i) {
    if (!(pages->present & 1u << i))
      continue;
    word = word_cold (at, slot->size, pages->print[i]);
    table_set_locked (volume, pages->first + i, word, &old);
    CRASH_POINT ("page cooled");
    page_release_locked (volume, pages->first + i, tally, old);
    tally_word (tally, word, 1);
  }
  tally_group (tally, word, 1);
}

/* In an epoch, so that the volume stays.  False: something has changed. */
static bool
publish (struct pool *pool, const struct worker *worker,
         const struct cold_slot *slot, struct place at)
{
  struct volume *volume = volume_of_blob (pool, slot->pages.volume);
  struct tally tally = { 0 };

  if (!volume)
    return false;
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, slot->pages.first));
    if (!unchanged_locked (volume, slot))
      return false;
    exchange_locked (volume, &tally, slot, at);
  }
  tally_apply (volume, &tally, worker->shard);
  if (volume_is_limited (volume))
    space_notify (&volume->space);
  return true;
}

/* There was no room: another time. */
static void
put_off (struct pool *pool, const struct cold_slot *slot)
{
  struct segments *segments = &pool->segments;

  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i)
    if (slot->pages.present & 1u << i)
      atomic_store_explicit (
          &segments->segment[word_place (slot->expected[i].word).segment]
               .examined,
          false, memory_order_relaxed);
  pool->cold.walk.crowded = true;
}

/* What became cold before may have left whole segments behind. */
static int
find_room (struct pool *pool, uint32_t size, struct place *at)
{
  int err = lane_reserve_cold (&pool->lanes, size, at);

  if (err && pool_reap (pool))
    err = lane_reserve_cold (&pool->lanes, size, at);
  return err;
}

bool
cold_store (struct pool *pool, struct worker *worker,
            const struct cold_slot *slot)
{
  struct place at;
  bool done;

  if (find_room (pool, slot->size, &at) != 0) {
    put_off (pool, slot);
    return false;
  }
  memcpy (arena_segment (&pool->arena, at.segment) + at.offset, slot->group,
          slot->size);
  CRASH_POINT ("group copied");
  worker_enter (&pool->workers, worker);
  done = publish (pool, worker, slot, at);
  worker_leave (worker);
  if (!done)
    segment_debit (&pool->segments, at.segment, slot->size);
  segment_published (&pool->segments, at.segment);
  if (!done)
    return true;
  atomic_fetch_add_explicit (&pool->cold.cooled, slot->pages.nr,
                             memory_order_relaxed);
  pool_weigh (pool);
  space_notify (&pool->space);
  return true;
}

void
cold_warm (struct pool *pool, struct worker *worker, uint32_t id,
           uint32_t first, struct cold_slot *slot)
{
  const struct group_pages *pages = &slot->pages;
  const uint8_t *data = pages->pages;
  struct tally tally = { 0 };
  struct volume *volume;

  /* So that the volume stays. */
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->cleaner.lock);
  if (!cold_gather (pool, worker, id, first, COLD_TOUCHED, slot))
    return;
  volume = volume_of_blob (pool, id);
  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i) {
    if (!(pages->present & 1u << i))
      continue;
    if (page_restore (volume, worker, &tally, first + i, data, pages->print[i],
                      &slot->expected[i]) == 0)
      atomic_fetch_add_explicit (&pool->cold.warmed, 1, memory_order_relaxed);
    data += POOL_PAGE_SIZE;
  }
  tally_apply (volume, &tally, worker->shard);
  pool_weigh (pool);
}
