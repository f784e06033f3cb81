// SPDX-License-Identifier: BSD-3-Clause
/* Which pages the cache is filled with.
 *
 * This is the one place where the ring asks what will be read next: of
 * ring_ahead_read, which sees every read of the guest, and answers with pages
 * in the queue.  Now it knows runs of pages in ascending order alone.
 *
 * Owns the queue.  Pages in it are brought one by one, when the guest waits for
 * nothing. */

#include <config.h>

#include "ring.h"

#define RUN_MIN 3u /* reads in a row that make a run */
#define WINDOW 16u /* pages to be ahead of it */

static void
want (struct ring *ring, uint64_t page)
{
  struct ring_ahead *ahead = &ring->ahead;

  if (ahead->length == RING_AHEAD_QUEUE || page >= ring->device_pages ||
      ring_cache_holds (ring, page))
    return;
  ahead->queue[(ahead->first + ahead->length++) % RING_AHEAD_QUEUE] = page;
}

void
ring_ahead_read (struct ring *ring, uint64_t page, bool hit)
{
  struct ring_ahead *ahead = &ring->ahead;

  (void) hit;
  if (page - ahead->last > 4 || page == ahead->last)
    ahead->run = 0;
  ahead->last = page;
  if (++ahead->run < RUN_MIN)
    return;
  if (ahead->run == RUN_MIN || ahead->fetched_to <= page)
    ahead->fetched_to = page + 1;
  while (ahead->fetched_to <= page + WINDOW)
    want (ring, ahead->fetched_to++);
}

bool
ring_ahead_turn (struct ring *ring)
{
  struct ring_ahead *ahead = &ring->ahead;
  uint64_t page;

  if (ahead->length == 0)
    return false;
  page = ahead->queue[ahead->first];
  ahead->first = (ahead->first + 1) % RING_AHEAD_QUEUE;
  ahead->length--;
  if (page < ring->device_pages && !ring_cache_holds (ring, page) &&
      volume_peek (ring->conn->volume, ring->page, page * POOL_PAGE_SIZE) ==
          0) {
    ring_cache_put (ring, page, ring->page);
    ring_count (ring, TRAFFIC_RING_AHEAD, 1);
  }
  return true;
}

void
ring_ahead_forget (struct ring *ring)
{
  ring->ahead = (struct ring_ahead){ 0 };
}
