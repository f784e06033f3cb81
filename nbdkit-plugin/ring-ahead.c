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

/* A guest that asked for neighbours at once is taken for one that reads ahead
 * for so many runs; the parts of a row are no further apart than this. */
#define ROWS_MOST 64u
#define ROW_NS UINT64_C (4000)

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

/* Tells a run, and takes what follows from it. */
static void
tell (struct ring *ring, const struct ring_run *run)
{
  struct ring_ahead *ahead = &ring->ahead;
  uint64_t proposals[RING_AHEAD_QUEUE];
  unsigned n;

  if ((ring->features & VMSWAP_RING_FEATURE_HINTS) == 0)
    return;
  n = prefetch_read (&ahead->prefetch, run->page, run->count, run->hits,
                     proposals, RING_AHEAD_QUEUE - ahead->length);
  for (unsigned i = 0; i < n; ++i)
    if (ring_cache_holds (ring, proposals[i]))
      refuse (ring, proposals[i]);
    else
      ahead->queue[ahead->length++] = proposals[i];
}

static void
tell_all (struct ring *ring)
{
  struct ring_ahead *ahead = &ring->ahead;

  for (unsigned i = 0; i < ahead->nr_runs; ++i)
    tell (ring, &ahead->runs[i]);
  ahead->nr_runs = 0;
  if (ahead->rows > 0)
    ahead->rows--;
}

/* --- Rows: pages that a guest asks for at once are one read, of a guest that
 * reads ahead itself, and no trend.  What it finds in the cache and what it
 * asks for come by different ways, so a row comes in parts. */

/* The run that the page adjoins, which has it now; NULL: there is none. */
static struct ring_run *
row_extend (struct ring_ahead *ahead, uint64_t page)
{
  for (unsigned i = 0; i < ahead->nr_runs; ++i) {
    struct ring_run *run = &ahead->runs[i];
    const bool below = ahead->rows > 0 && page + 1 == run->page;

    if (below || page == run->page + run->count) {
      run->page -= below;
      run->count++;
      return run;
    }
  }
  return NULL;
}

/* It may have come to where another begins. */
static void
row_join (struct ring_ahead *ahead, struct ring_run *run)
{
  for (unsigned i = 0; i < ahead->nr_runs; ++i) {
    struct ring_run *next = &ahead->runs[i];

    if (next->page != run->page + run->count)
      continue;
    run->count += next->count;
    run->hits += next->hits;
    *next = ahead->runs[--ahead->nr_runs];
    return;
  }
}

static void
note (struct ring *ring, uint64_t page, bool hit)
{
  struct ring_ahead *ahead = &ring->ahead;
  struct ring_run *run;

  unqueue (ahead, page); /* one before it may have proposed it */
  ahead->noted_ns = ring->now_ns;
  run = row_extend (ahead, page);
  if (run == NULL) {
    if (ahead->nr_runs == (ahead->rows > 0 ? RING_RUNS : 1))
      tell_all (ring);
    run = &ahead->runs[ahead->nr_runs++];
    *run = (struct ring_run){ .page = page, .count = 1 };
  }
  run->hits += hit;
  if (run->hits == RUN_MAX)
    tell_all (ring); /* a trend that was right is not to wait long */
  else if (ahead->rows > 0)
    row_join (ahead, run);
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
  if (ahead->nr_misses > 0 && page - ahead->misses[ahead->nr_misses - 1] == 1)
    ahead->rows = ROWS_MOST;
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
  if (ahead->nr_runs == 0)
    return false;
  /* Nothing has come that they go on with. */
  if (ahead->rows == 0 || ring->now_ns - ahead->noted_ns >= ROW_NS)
    tell_all (ring);
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
  ahead->nr_runs = ahead->nr_misses = ahead->length = 0;
}
