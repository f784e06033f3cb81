// SPDX-License-Identifier: BSD-3-Clause
/* One turn around a ring, in which each part gets a bounded share, and what it
 * takes to sleep.  Owns the events and the heartbeat.
 *
 * The order: what the guest waits for, what it does not wait for, what it may
 * want next. */

#include <config.h>

#include "bell.h"
#include "report.h"
#include "ring.h"

#define MS_NS UINT64_C (1000000)
#define BEAT_NS (VMSWAP_RING_HEARTBEAT_MS * MS_NS)

/* How soon a post that the pool refused is looked at again. */
#define STUCK_MS 10

/* A guest that posts one page after another rings for so many of them, if this
 * is looked at soon again; and before it has used an eighth of its slots. */
#define POSTS_MOST 32u
#define POSTS_MS 10

/* Nobody does that by mistake.  The guest gets on by looking now and then. */
static void
interrupt_no_more (struct ring *ring)
{
  ring->silent = true;
  report (REPORT_OTHER,
          "guest=%s: its QEMU makes interrupts block: it gets none any more: "
          "end that QEMU, it is not as it should be",
          volume_name (ring->conn->volume));
}

void
ring_interrupt (struct ring *ring)
{
  if (ring->interrupt == -1 || ring->silent)
    return;
  if (bell_ring (ring->interrupt) == 0)
    ring_count (ring, TRAFFIC_RING_INTERRUPTS, 1);
  else
    interrupt_no_more (ring);
}

void
ring_notify (struct ring *ring, const vmswap_le32 *event, uint32_t now,
             uint32_t before)
{
  RING_FULL_BARRIER ();
  if (vmswap_ring_need_event (RING_RELAXED (event), now, before))
    ring_interrupt (ring);
}

static void
beat (struct ring *ring)
{
  if (ring->now_ns < ring->beat_ns)
    return;
  ring->beat_ns = ring->now_ns + BEAT_NS;
  RING_SET (&ring->region.header->heartbeat, ++ring->heartbeat);
}

bool
ring_turn (struct ring *ring)
{
  bool any;

  ring->now_ns = traffic_clock ();
  beat (ring);
  ring_room_turn (ring);
  any = ring_session_turn (ring);
  any |= ring_requests_turn (ring);
  any |= ring_ahead_learn (ring);
  any |= ring_posts_turn (ring);
  any |= ring_requests_after_posts (ring);
  if (ring->host_state == VMSWAP_HOST_DEAD || ring->draining)
    return any;
  return ring_ahead_turn (ring) || any;
}

/* The position of posts after which there is something to do. */
static uint32_t
posts_seen (const struct ring *ring)
{
  if (ring->draining)
    return ring->drain_head;
  if (ring->host_state == VMSWAP_HOST_DEAD)
    return RING_RELAXED (&ring->region.header->post_head);
  return ring->stuck.is ? ring->stuck.compared : ring->post_tail;
}

/* How many posts make it worth while to wake up. */
static uint32_t
posts_patience (const struct ring *ring, bool soon)
{
  const uint32_t some = RING_COUNT (ring, SLOTS) / 8;

  if (!soon || some == 0 || ring->stuck.is || ring->draining)
    return 1;
  return some < POSTS_MOST ? some : POSTS_MOST;
}

bool
ring_arm (struct ring *ring, bool soon)
{
  struct vmswap_ring_header *header = ring->region.header;
  const uint32_t posts = posts_seen (ring);
  const uint32_t few = posts_patience (ring, soon);
  const uint32_t submits = ring->requests.submit_tail;
  const uint32_t wanted = ring_ahead_patience (ring);
  const bool serves = ring->host_state != VMSWAP_HOST_DEAD && !ring->draining;

  RING_SET (&header->post_event, posts + few - 1);
  RING_SET (&header->submit_event, submits);
  RING_SET (&header->hint_event, ring->hint_tail + wanted - 1);
  RING_FULL_BARRIER ();
  if (ring_session_is_due (ring))
    return false;
  if (!serves)
    return true;
  return RING_ACQUIRE (&header->post_head) - posts < few &&
         RING_ACQUIRE (&header->submit_head) == submits &&
         RING_ACQUIRE (&header->hint_head) - ring->hint_tail < wanted;
}

int
ring_patience (const struct ring *ring, bool soon)
{
  const uint64_t left =
      ring->beat_ns > ring->now_ns ? ring->beat_ns - ring->now_ns : 0;

  if (ring->stuck.is || ring->draining)
    return STUCK_MS;
  if (soon && left > POSTS_MS * MS_NS)
    return POSTS_MS;
  return (int) (left / MS_NS) + 1;
}
