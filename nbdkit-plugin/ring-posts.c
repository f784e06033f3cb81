// SPDX-License-Identifier: BSD-3-Clause
/* Posts: writes and frees that the guest does not wait for, in their order.
 *
 * Owns post_tail.
 *
 * Invariants
 *  1. post_tail in the region never passes a post that is not in the pool,
 *     dropped as impossible, superseded, or lost.
 *  2. It is in the region before anything is done that comes after these posts:
 *     a request that waits for them, the end of a session.
 *  3. An entry is copied before it is looked at, a slot before it is stored. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "ring.h"
#include "serve.h"

/* What became of the post at post_tail. */
enum done { DONE, PART, REFUSED };

static const struct vmswap_ring_post *
entry_at (const struct ring *ring, uint32_t position)
{
  const struct vmswap_ring_post *posts = ring_part (ring, VMSWAP_RING_POSTS);

  return &posts[position & (RING_COUNT (ring, POSTS) - 1)];
}

static bool
is_possible (const struct ring *ring, const struct vmswap_ring_post *post)
{
  if (post->flags != 0)
    return false;
  switch (post->op) {
  case VMSWAP_POST_WRITE:
    return post->page < ring->device_pages &&
           post->arg < RING_COUNT (ring, SLOTS);
  case VMSWAP_POST_FREE:
    return vmswap_ring_range_is_right (post->page, post->arg,
                                       ring->device_pages);
  case VMSWAP_POST_FILL:
    /* Of a session that has ended nobody may know what it had accepted. */
    return post->page < ring->device_pages &&
           (ring->draining || (ring->features & VMSWAP_RING_FEATURE_FILL) != 0);
  default:
    return false;
  }
}

bool
ring_post_copy (const struct ring *ring, uint32_t position,
                struct vmswap_ring_post *ret)
{
  const struct vmswap_ring_post *entry = entry_at (ring, position);

  ret->page = RING_RELAXED (&entry->page);
  ret->arg = RING_RELAXED (&entry->arg);
  ret->op = RING_RELAXED (&entry->op);
  ret->flags = RING_RELAXED (&entry->flags);
  ret->reserved = 0;
  return is_possible (ring, ret);
}

bool
ring_trim_step (struct ring *ring, struct ring_steps *steps, uint64_t page,
                uint64_t count)
{
  const uint64_t start = traffic_clock ();
  uint64_t n;

  if (steps->page != page || steps->count != count)
    *steps = (struct ring_steps){ .page = page,
                                  .count = count,
                                  .size = RING_STEP_MIN };
  n = count - steps->done;
  if (n > steps->size)
    n = steps->size;
  serve_try_trim (ring->conn, n * POOL_PAGE_SIZE,
                  (page + steps->done) * POOL_PAGE_SIZE);
  ring_cache_drop (ring, page + steps->done, n);
  steps->done += n;
  if (traffic_clock () - start < RING_STEP_NS && steps->size < RING_STEP_MAX)
    steps->size *= 2;
  if (steps->done < count)
    return false;
  *steps = (struct ring_steps){ 0 };
  return true;
}

/* The content of a WRITE or FILL, copied. */
static void
copy_content (struct ring *ring, const struct vmswap_ring_post *post)
{
  if (post->op == VMSWAP_POST_WRITE)
    memcpy (ring->page, ring_page_at (ring, VMSWAP_RING_SLOTS, post->arg),
            VMSWAP_RING_PAGE_SIZE);
  else
    for (unsigned i = 0; i < VMSWAP_RING_PAGE_SIZE; i += sizeof post->arg)
      memcpy (ring->page + i, &post->arg, sizeof post->arg);
}

/* The page cannot be stored, and its old content is not to be read for it. */
static enum done
lose (struct ring *ring, const struct vmswap_ring_post *post, int err)
{
  volume_lose_page (ring->conn->volume, post->page * POOL_PAGE_SIZE);
  serve_fail (ring->conn, err, "store a page that was posted",
              post->page * POOL_PAGE_SIZE);
  ring_cache_drop (ring, post->page, 1);
  RING_SET (&ring->region.header->lost_posts, ++ring->lost_posts);
  ring_count (ring, TRAFFIC_RING_LOST, 1);
  return DONE;
}

/* EIO: the registry must have noted something first, and its disk fails. */
static bool
may_go_later (int err)
{
  return err == ENOSPC || err == EDQUOT || err == ENOMEM || err == EIO;
}

static enum done
store (struct ring *ring, const struct vmswap_ring_post *post)
{
  int r;

  copy_content (ring, post);
  r = serve_try_write (ring->conn, ring->page, POOL_PAGE_SIZE,
                       post->page * POOL_PAGE_SIZE);
  if (r == 0) {
    ring_cache_drop (ring, post->page, 1);
    ring->room_written++;
    return DONE;
  }
  if (!may_go_later (-r))
    return lose (ring, post, -r);
  if (!ring->stuck.is) {
    serve_fail (ring->conn, -r, "store a page that was posted",
                post->page * POOL_PAGE_SIZE);
    ring_stuck_begin (ring, -r);
  }
  return REFUSED;
}

bool
ring_drain_is_over (const struct ring *ring)
{
  return ring->draining && ring->now_ns >= ring->drain_end_ns;
}

static enum done
do_free (struct ring *ring, const struct vmswap_ring_post *post)
{
  if (ring_drain_is_over (ring)) {
    ring->free_steps = (struct ring_steps){ 0 };
    return DONE;
  }
  return ring_trim_step (ring, &ring->free_steps, post->page, post->arg) ? DONE
                                                                         : PART;
}

static enum done
do_post (struct ring *ring)
{
  struct vmswap_ring_post post;

  if (!ring_post_copy (ring, ring->post_tail, &post)) {
    RING_SET (&ring->region.header->bad_posts, ++ring->bad_posts);
    ring_count (ring, TRAFFIC_RING_BAD, 1);
    return DONE;
  }
  return post.op == VMSWAP_POST_FREE ? do_free (ring, &post)
                                     : store (ring, &post);
}

/* The one at post_tail, which was refused before. */
static enum done
do_stuck_post (struct ring *ring, uint32_t head)
{
  struct vmswap_ring_post post;
  enum done done;

  switch (ring_stuck_turn (ring, head)) {
  case STUCK_IDLE:
    return REFUSED;
  case STUCK_BUSY:
    return PART;
  case STUCK_SKIP:
    break;
  case STUCK_TRY:
    done = do_post (ring);
    if (done == REFUSED && ring->giving_up &&
        ring_post_copy (ring, ring->post_tail, &post))
      done = lose (ring, &post, ring->stuck.err);
    if (done != DONE)
      return done;
  }
  ring->stuck.is = false;
  return DONE;
}

int
ring_posts_open (struct ring *ring, uint32_t *head)
{
  uint32_t open;

  *head = ring->draining ? ring->drain_head
                         : RING_ACQUIRE (&ring->region.header->post_head);
  open = *head - ring->post_tail;
  /* A guest that is gone can be told nothing. */
  if (open <= RING_COUNT (ring, POSTS) &&
      (ring->draining || ring->stuck.early - ring->post_tail <= open))
    return (int) open;
  ring_set_state (ring, VMSWAP_HOST_DEAD, VMSWAP_REASON_BROKEN);
  return -1;
}

static void
publish (struct ring *ring, uint32_t before)
{
  if (ring->stuck.early - before < ring->post_tail - before)
    ring->stuck.early = ring->post_tail;
  RING_RELEASE (&ring->region.header->post_tail, ring->post_tail);
  ring_count (ring, TRAFFIC_RING_POSTS, ring->post_tail - before);
  ring_notify (ring, &ring->region.header->tail_event, ring->post_tail, before);
}

bool
ring_posts_turn (struct ring *ring)
{
  const uint32_t before = ring->post_tail;
  enum done done = DONE;
  uint32_t head;

  if (ring->host_state == VMSWAP_HOST_DEAD && !ring->draining)
    return false;
  if (ring_posts_open (ring, &head) <= 0)
    return false;
  /* What is written or freed now was not brought in vain if it was read. */
  ring_ahead_look (ring);
  ring_ahead_hear (ring);
  while (ring->post_tail != head && done == DONE &&
         ring->post_tail - before < VMSWAP_RING_BATCH) {
    done = ring->stuck.is ? do_stuck_post (ring, head) : do_post (ring);
    if (done == DONE)
      ring->post_tail++;
  }
  if (ring->post_tail != before)
    publish (ring, before);
  return ring->post_tail != before || done == PART;
}
