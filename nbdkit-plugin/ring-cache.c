// SPDX-License-Identifier: BSD-3-Clause
/* The cache of a region: pages that are held ready for the guest.
 *
 * Owns the private copies of the entries, which are what counts here.
 *
 * Invariants
 *  1. No entry holds a page that is older than the last post of it that
 *     post_tail has passed, or the last request that has its result: whoever
 *     stores or drops a page tells the cache before he says that it is done.
 *     One thread stores, drops and fills, so nothing comes in between.
 *  2. A page is in one entry at the most. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"

#define WAYS VMSWAP_RING_CACHE_WAYS

static struct vmswap_ring_cache_entry *
shared_entry (const struct ring *ring, uint32_t n)
{
  struct vmswap_ring_cache_set *sets = ring_part (ring, VMSWAP_RING_CACHE);

  return &sets[n / WAYS].ways[n % WAYS];
}

/* Changes entry n, and tells the guest so before and after. */
static void
change (struct ring *ring, uint32_t n, uint64_t page, const uint8_t *data)
{
  struct vmswap_ring_cache_entry *shared = shared_entry (ring, n);
  struct ring_cached *entry = &ring->cache.entry[n];
  uint64_t gone;

  RING_SET (&shared->sequence, entry->sequence | 1);
  __atomic_thread_fence (__ATOMIC_RELEASE);
  RING_SET (&shared->page, page);
  if (data != NULL)
    memcpy (ring_page_at (ring, VMSWAP_RING_CACHE_PAGES, n), data,
            VMSWAP_RING_PAGE_SIZE);
  entry->sequence = (entry->sequence | 1) + 1;
  if (entry->sequence == 0) /* that would be an empty one */
    entry->sequence = 2;
  RING_RELEASE (&shared->sequence, entry->sequence);
  gone = entry->unread ? entry->page : VMSWAP_RING_NO_PAGE;
  entry->page = page;
  entry->unread = data != NULL;
  entry->number = ring->cache.brought;
  if (gone != VMSWAP_RING_NO_PAGE)
    ring_ahead_waste (ring, gone);
}

int
ring_cache_make (struct ring *ring)
{
  const uint32_t sets = RING_COUNT (ring, CACHE);
  struct ring_cache *cache = &ring->cache;

  *cache = (struct ring_cache){ .sets = sets };
  cache->entry = calloc ((size_t) sets * WAYS + 1, sizeof *cache->entry);
  if (cache->entry == NULL)
    return -ENOMEM;
  for (uint32_t n = 0; n < sets * WAYS; ++n)
    cache->entry[n].page = VMSWAP_RING_NO_PAGE;
  return 0;
}

void
ring_cache_free (struct ring *ring)
{
  free (ring->cache.entry);
  ring->cache.entry = NULL;
  ring->cache.sets = 0;
}

/* Whatever another server, or the guest, has left there. */
void
ring_cache_clear (struct ring *ring)
{
  for (uint32_t n = 0; n < ring->cache.sets * WAYS; ++n) {
    struct ring_cached *entry = &ring->cache.entry[n];

    entry->sequence = RING_RELAXED (&shared_entry (ring, n)->sequence);
    if (entry->sequence != 0)
      change (ring, n, VMSWAP_RING_NO_PAGE, NULL);
    entry->page = VMSWAP_RING_NO_PAGE;
  }
}

/* The entry of the page, or -1. */
static int64_t
find (const struct ring *ring, uint64_t page)
{
  uint32_t first;

  if (ring->cache.sets == 0)
    return -1;
  first = WAYS * vmswap_ring_cache_set_of (page, ring->cache.sets);
  for (uint32_t n = first; n < first + WAYS; ++n)
    if (ring->cache.entry[n].page == page)
      return n;
  return -1;
}

bool
ring_cache_holds (const struct ring *ring, uint64_t page)
{
  return find (ring, page) != -1;
}

bool
ring_cache_note_read (struct ring *ring, uint64_t page)
{
  const int64_t n = find (ring, page);

  if (n == -1)
    return false;
  ring->cache.entry[n].unread = false;
  return true;
}

/* How many pages were brought since this one. */
static uint32_t
age_of (const struct ring_cache *cache, const struct ring_cached *entry)
{
  return (cache->brought - entry->number) & (UINT32_MAX >> 1);
}

/* Who goes first: what was read, then what is old. */
static uint64_t
rank (const struct ring_cache *cache, const struct ring_cached *entry)
{
  return ((uint64_t) !entry->unread << 32) + age_of (cache, entry);
}

/* The entry for a page, or -1.  Swap rarely reads a page twice, so one that was
 * read goes first; one that was not keeps its place until half of a cache was
 * brought after it. */
static int64_t
choose (const struct ring *ring, uint64_t page)
{
  const struct ring_cache *cache = &ring->cache;
  uint32_t first, oldest = 0;

  if (cache->sets == 0)
    return -1;
  first = WAYS * vmswap_ring_cache_set_of (page, cache->sets);
  for (uint32_t way = 0; way < WAYS; ++way) {
    const struct ring_cached *entry = &cache->entry[first + way];

    if (entry->page == VMSWAP_RING_NO_PAGE)
      return first + way;
    if (rank (cache, entry) > rank (cache, &cache->entry[first + oldest]))
      oldest = way;
  }
  if (cache->entry[first + oldest].unread &&
      age_of (cache, &cache->entry[first + oldest]) < cache->sets * WAYS / 2)
    return -1;
  return first + oldest;
}

bool
ring_cache_has_room (const struct ring *ring, uint64_t page)
{
  return choose (ring, page) != -1;
}

void
ring_cache_put (struct ring *ring, uint64_t page, const uint8_t *data)
{
  int64_t n = find (ring, page);

  if (n == -1)
    n = choose (ring, page);
  if (n == -1)
    return;
  ring->cache.brought++;
  change (ring, (uint32_t) n, page, data);
}

static void
drop_all_of (struct ring *ring, uint64_t page, uint64_t count)
{
  for (uint32_t n = 0; n < ring->cache.sets * WAYS; ++n)
    if (ring->cache.entry[n].page - page < count)
      change (ring, n, VMSWAP_RING_NO_PAGE, NULL);
}

void
ring_cache_drop (struct ring *ring, uint64_t page, uint64_t count)
{
  if (count > ring->cache.sets)
    drop_all_of (ring, page, count);
  else
    for (uint64_t p = page; p < page + count; ++p) {
      const int64_t n = find (ring, p);

      if (n != -1)
        change (ring, (uint32_t) n, VMSWAP_RING_NO_PAGE, NULL);
    }
}
