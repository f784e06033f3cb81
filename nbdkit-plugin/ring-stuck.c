// SPDX-License-Identifier: BSD-3-Clause
/* Posts that the pool refused, for want of room mostly.
 *
 * The post at post_tail stays where it is, and those after it, in the guest's
 * memory.  What can be done meanwhile is what makes room:
 *
 *     frees among the open posts, early, and open DISCARD requests
 *     the post is not done at all, if one of them frees its page
 *     the post is tried again: when something was freed, here or by others,
 *     when limits were changed, and now and then
 *
 * Owns ring->stuck.  Invariant: stuck.early is not before post_tail, and frees
 * from there up to it were done early (they are done again in their place), so
 * nothing is freed early twice.  Nor is it after post_head, or the guest has
 * moved that back: then the region is BROKEN, but for what is drained. */

#include <config.h>

#include <errno.h>

#include "ring.h"

/* A post is tried again after so long in any case. */
#define RETRY_NS UINT64_C (500000000)

void
ring_stuck_begin (struct ring *ring, int err)
{
  ring->stuck.is = true;
  ring->stuck.err = err;
  ring->stuck.compared = ring->post_tail;
  ring->stuck.retry = false;
  ring->stuck.retry_ns = ring->now_ns + RETRY_NS;
  ring_room_set (ring, true);
}

/* Does one FREE, or a step of it, and looks at no more than a batch. */
static bool
free_early (struct ring *ring, uint32_t head)
{
  struct ring_stuck *stuck = &ring->stuck;
  const uint32_t from = stuck->early;
  struct vmswap_ring_post post;

  if (from - ring->post_tail >= head - ring->post_tail)
    return false;
  for (; stuck->early != head && stuck->early - from < VMSWAP_RING_BATCH;
       ++stuck->early)
    if (ring_post_copy (ring, stuck->early, &post) &&
        post.op == VMSWAP_POST_FREE) {
      stuck->retry = true;
      if (ring_trim_step (ring, &stuck->steps, post.page, post.arg))
        stuck->early++;
      return true;
    }
  return stuck->early != from;
}

/* Is the page of the post at post_tail freed by a later one? */
static bool
is_freed_later (const struct ring *ring, uint32_t head)
{
  struct vmswap_ring_post post, later;

  if (!ring_post_copy (ring, ring->post_tail, &post))
    return false;
  for (uint32_t at = ring->post_tail + 1; at != head; ++at)
    if (ring_post_copy (ring, at, &later) && later.op == VMSWAP_POST_FREE &&
        post.page - later.page < later.arg)
      return true;
  return ring_requests_discard (ring, post.page, ring->post_tail);
}

static bool
room_came (const struct ring *ring)
{
  return ring->stuck.err == EDQUOT
             ? volume_wait_space (ring->conn->volume, 0) == 0
             : pool_wait_space (ring->conn->pool, 0) == 0;
}

enum ring_stuck_turn
ring_stuck_turn (struct ring *ring, uint32_t head)
{
  struct ring_stuck *stuck = &ring->stuck;

  if (ring_drain_is_over (ring))
    return STUCK_TRY;
  if (free_early (ring, head) || ring_requests_while_stuck (ring))
    return STUCK_BUSY;
  if (stuck->compared != head || stuck->retry) {
    stuck->compared = head;
    if (is_freed_later (ring, head))
      return STUCK_SKIP;
  }
  if (!stuck->retry && ring->now_ns < stuck->retry_ns && !ring->giving_up &&
      !room_came (ring))
    return STUCK_IDLE;
  stuck->retry = false;
  stuck->retry_ns = ring->now_ns + RETRY_NS;
  return STUCK_TRY;
}
