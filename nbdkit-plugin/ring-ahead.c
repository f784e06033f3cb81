// SPDX-License-Identifier: BSD-3-Clause
/* Which pages the cache is filled with.
 *
 * This is the one place where the ring asks what will be read next.  It tells
 * prefetch (host-pool/prefetch.h) all reads of the guest that it learns of:
 * those that it answered, and those of which there are hints.  What prefetch
 * proposes goes into a queue, and is brought when the guest waits for nothing.
 *
 * Order matters to a trend.  A guest that reads from the cache, and then a page
 * that is not there, has given hints of the former before it asks for the
 * latter; so the head of the hints is looked at after that of the requests, and
 * what lies before is told first.  The same goes for posts: a page that is
 * freed after it was read was not brought in vain.
 *
 * A guest without hints gets nothing: all that it reads from the cache would
 * look as if nobody had.
 *
 * Owns the queue, and the head and tail of the hints.
 *
 * Invariant: a page that prefetch proposed is in the queue, or in the cache, or
 * prefetch was told that it is not. */

#include <config.h>

#include <string.h>

#include "ring.h"

/* Pages brought in a turn, as long as nobody waits. */
#define AT_ONCE 8u

/* Pages from the cache that make a run: those that Linux reads ahead at once,
 * as it is set by default. */
#define RUN_MAX 8u

/* Hints after which a sleeping host wants to fetch more, at the most. */
#define PATIENCE_MAX 8u

static uint64_t
queue_take (struct ring_ahead *ahead, unsigned n)
{
  const uint64_t page = ahead->queue[n];

  ahead->length--;
  memmove (&ahead->queue[n], &ahead->queue[n + 1],
           (ahead->length - n) * sizeof ahead->queue[0]);
  return page;
}

/* The page is read: there is nothing to bring. */
static bool
unqueue (struct ring_ahead *ahead, uint64_t page)
{
  for (unsigned n = 0; n < ahead->length; ++n)
    if (ahead->queue[n] == page) {
      queue_take (ahead, n);
      return true;
    }
  return false;
}

static void
refuse (struct ring *ring, uint64_t page)
{
  prefetch_refuse (&ring->ahead.prefetch, page);
}

/* Tells the run, and takes what follows from it. */
static void
tell (struct ring *ring)
{
  struct ring_ahead *ahead = &ring->ahead;
  const struct ring_run run = ahead->run;
  uint64_t proposals[RING_AHEAD_QUEUE];
  unsigned n;

  ahead->run.count = 0;
  if ((ring->features & VMSWAP_RING_FEATURE_HINTS) == 0)
    return;
  n = prefetch_read (&ahead->prefetch, run.page, run.count, run.hits, proposals,
                     RING_AHEAD_QUEUE - ahead->length);
  for (unsigned i = 0; i < n; ++i)
    if (ring_cache_holds (ring, proposals[i]))
      refuse (ring, proposals[i]);
    else
      ahead->queue[ahead->length++] = proposals[i];
}

/* Pages in a row that are asked for at once are one read, of a guest that reads
 * ahead itself, and no trend. */
static void
note (struct ring *ring, uint64_t page, bool hit)
{
  struct ring_run *run = &ring->ahead.run;

  unqueue (&ring->ahead, page); /* one before it may have proposed it */
  if (run->count > 0 && run->page + run->count != page)
    tell (ring);
  if (run->count == 0)
    *run = (struct ring_run){ .page = page };
  run->count++;
  run->hits += hit;
  if (run->hits == RUN_MAX)
    tell (ring); /* a trend that was right is not to wait long */
}

/* A hint of a page that is not in the cache: it was read from a post, or the
 * page went before the hint was heard. */
static void
hear_one (struct ring *ring, uint64_t page)
{
  if (page >= ring->device_pages)
    return;
  if (ring_cache_note_read (ring, page))
    ring_count (ring, TRAFFIC_RING_HITS, 1);
  note (ring, page, true);
}

void
ring_ahead_look (struct ring *ring)
{
  ring->hint_head = RING_ACQUIRE (&ring->region.header->hint_head);
}

/* Hints are lossy: of too many the newest are taken. */
bool
ring_ahead_hear (struct ring *ring)
{
  const vmswap_le64 *hints = ring_part (ring, VMSWAP_RING_HINTS);
  const uint32_t count = RING_COUNT (ring, HINTS);
  unsigned n = 0;

  if (ring->hint_head - ring->hint_tail > count)
    ring->hint_tail = ring->hint_head - count / 2;
  for (; ring->hint_tail != ring->hint_head && n < VMSWAP_RING_BATCH; ++n)
    hear_one (ring, RING_RELAXED (&hints[ring->hint_tail++ & (count - 1)]));
  return n > 0;
}

void
ring_ahead_note (struct ring *ring, uint64_t page)
{
  struct ring_ahead *ahead = &ring->ahead;

  if (ring_cache_note_read (ring, page) || unqueue (ahead, page))
    ahead->late = true;
  if (ahead->nr_misses < sizeof ahead->misses / sizeof ahead->misses[0])
    ahead->misses[ahead->nr_misses++] = page;
}

bool
ring_ahead_learn (struct ring *ring)
{
  struct ring_ahead *ahead = &ring->ahead;
  const bool heard = ring_ahead_hear (ring);
  const unsigned n = ahead->nr_misses;

  ahead->nr_misses = 0;
  for (unsigned i = 0; i < n; ++i)
    note (ring, ahead->misses[i], false);
  if (heard || n > 0)
    return true;
  if (ahead->run.count == 0)
    return false;
  tell (ring); /* nothing has come that it goes on with */
  return true;
}

void
ring_ahead_waste (struct ring *ring, uint64_t page)
{
  ring_count (ring, TRAFFIC_RING_WASTED, 1);
  prefetch_waste (&ring->ahead.prefetch, page);
}

static void
bring (struct ring *ring, uint64_t page)
{
  if (!ring_cache_holds (ring, page) && ring_cache_has_room (ring, page) &&
      volume_peek_stored (ring->conn->volume, ring->page,
                          page * POOL_PAGE_SIZE) == 0) {
    ring_cache_put (ring, page, ring->page);
    ring_count (ring, TRAFFIC_RING_AHEAD, 1);
  }
  else
    refuse (ring, page);
}

/* Does the guest wait for something? */
static bool
is_wanted (const struct ring *ring)
{
  return RING_RELAXED (&ring->region.header->submit_head) !=
         ring->requests.submit_tail;
}

/* The next page to bring.  A guest that waits for pages which are on their way
 * is overtaken: what it needs last is brought first. */
static uint64_t
next (struct ring_ahead *ahead)
{
  const uint64_t page = queue_take (ahead, ahead->late ? ahead->length - 1 : 0);

  if (ahead->length == 0)
    ahead->late = false;
  return page;
}

bool
ring_ahead_turn (struct ring *ring)
{
  struct ring_ahead *ahead = &ring->ahead;

  if (ahead->length == 0)
    return false;
  for (unsigned n = 0; ahead->length > 0 && n < AT_ONCE && !is_wanted (ring);
       ++n)
    bring (ring, next (ahead));
  return true;
}

uint32_t
ring_ahead_patience (const struct ring *ring)
{
  const unsigned window = prefetch_window (&ring->ahead.prefetch) / 2;

  return window < 1 ? 1 : window < PATIENCE_MAX ? window : PATIENCE_MAX;
}

void
ring_ahead_begin (struct ring *ring)
{
  prefetch_init (&ring->ahead.prefetch, ring->device_pages,
                 ring->cache.sets * VMSWAP_RING_CACHE_WAYS);
}

void
ring_ahead_forget (struct ring *ring)
{
  struct ring_ahead *ahead = &ring->ahead;

  prefetch_forget (&ahead->prefetch);
  ahead->run.count = 0;
  ahead->nr_misses = ahead->length = 0;
}
