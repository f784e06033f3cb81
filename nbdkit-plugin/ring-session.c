// SPDX-License-Identifier: BSD-3-Clause
/* Sessions: the time from one start of the guest's driver to the next, and the
 * states of both sides.
 *
 * Owns the host's block of the header.  A session begins like this:
 *
 *     session differs from session_ack --> draining: posts that are open are
 *     done, requests forgotten --> features are checked --> session_ack
 *
 * Invariants
 *  1. From the moment that a new session is seen, nothing is written to a tag's
 *     page or a result before it is acknowledged.
 *  2. host_state LIVE and session_ack are stored after all that they stand
 *     for. */

#include <config.h>

#include <string.h>

#include "ring.h"

/* So many sessions may begin at once; then no more within a second. */
#define SESSIONS_AT_ONCE 4u
#define SESSION_NS UINT64_C (1000000000)

/* How long posts of the old session are freed from: somebody waits for its end,
 * a FREE may be for all of the volume, and a page that stays harms nobody.
 * (Writes are done, however long that takes: they are as many as there are
 * posts.) */
#define DRAIN_NS UINT64_C (2000000000)

void
ring_set_state (struct ring *ring, enum vmswap_ring_host_state state,
                enum vmswap_ring_reason reason)
{
  struct vmswap_ring_header *header = ring->region.header;

  ring->host_state = state;
  ring->host_reason = reason;
  RING_SET (&header->host_reason, reason);
  RING_RELEASE (&header->host_state, state);
  ring_interrupt (ring);
}

bool
ring_guest_is (const struct ring *ring, enum vmswap_ring_guest_state state)
{
  return RING_ACQUIRE (&ring->region.header->guest_state) == state;
}

static void
begin_common (struct ring *ring)
{
  ring->host_state = VMSWAP_HOST_LIVE;
  ring->host_reason = VMSWAP_REASON_NONE;
  ring->session_credit = SESSIONS_AT_ONCE;
  ring->now_ns = ring->room_ns = ring->beat_ns = traffic_clock ();
  ring->device_pages = volume_size (ring->conn->volume) / POOL_PAGE_SIZE;
  ring->stuck.early = ring->post_tail;
  ring_ahead_begin (ring);
}

/* The magic is last. */
void
ring_begin (struct ring *ring)
{
  struct vmswap_ring_header *header = ring->region.header;

  begin_common (ring);
  ring->generation = 1;
  header->device_pages = ring->device_pages;
  header->generation = ring->generation;
  ring_room_turn (ring);
  RING_RELEASE (&header->host_state, VMSWAP_HOST_LIVE);
  __atomic_thread_fence (__ATOMIC_RELEASE);
  memcpy (header->magic, VMSWAP_RING_MAGIC, sizeof header->magic);
}

static void
load_own_words (struct ring *ring)
{
  const struct vmswap_ring_header *header = ring->region.header;
  const struct vmswap_ring_result *results =
      ring_part (ring, VMSWAP_RING_RESULTS);

  ring->post_tail = RING_RELAXED (&header->post_tail);
  ring->requests.complete_head = RING_RELAXED (&header->complete_head);
  ring->generation = RING_RELAXED (&header->generation);
  ring->heartbeat = RING_RELAXED (&header->heartbeat);
  ring->session_ack = RING_RELAXED (&header->session_ack);
  ring->bad_posts = RING_RELAXED (&header->bad_posts);
  ring->lost_posts = RING_RELAXED (&header->lost_posts);
  ring->host_flags = RING_RELAXED (&header->host_flags) & VMSWAP_HOST_FULL;
  ring->hint_tail = ring->hint_head = RING_RELAXED (&header->hint_head);
  for (uint32_t tag = 0; tag < RING_COUNT (ring, REQUESTS); ++tag)
    ring->requests.result_serial[tag] = RING_RELAXED (&results[tag].serial);
}

/* The guest is in a session already: what is open is work. */
static void
resume (struct ring *ring)
{
  const struct vmswap_ring_header *header = ring->region.header;

  ring->features =
      RING_RELAXED (&header->guest_features) & VMSWAP_RING_FEATURES;
  ring->requests.submit_tail = RING_ACQUIRE (&header->submit_head);
  if (ring_guest_is (ring, VMSWAP_GUEST_LIVE) ||
      ring_guest_is (ring, VMSWAP_GUEST_QUIESCED))
    ring_requests_scan (ring);
}

void
ring_take_over (struct ring *ring)
{
  struct vmswap_ring_header *header = ring->region.header;

  load_own_words (ring);
  begin_common (ring);
  ring_cache_clear (ring);
  RING_SET (&header->device_pages, ring->device_pages);
  RING_SET (&header->post_event, ring->post_tail - 1);
  RING_SET (&header->submit_event, RING_RELAXED (&header->submit_head) - 1);
  RING_SET (&header->hint_event, ring->hint_tail - 1);
  ring_room_turn (ring);
  RING_SET (&header->generation, ++ring->generation);
  RING_SET (&header->heartbeat, ++ring->heartbeat);
  RING_SET (&header->host_reason, VMSWAP_REASON_NONE);
  RING_RELEASE (&header->host_state, VMSWAP_HOST_LIVE);
  if (RING_ACQUIRE (&header->session) == ring->session_ack)
    resume (ring);
  ring_interrupt (ring);
}

/* Posts up to here, as far as the guest can have meant it. */
static void
drain (struct ring *ring)
{
  const uint32_t head = RING_ACQUIRE (&ring->region.header->post_head);

  ring_requests_forget (ring);
  ring_ahead_forget (ring);
  ring->draining = ring->giving_up = true;
  ring->drain_end_ns = traffic_clock () + DRAIN_NS;
  ring->drained_tail = head;
  ring->drain_head = head - ring->post_tail <= RING_COUNT (ring, POSTS)
                         ? head
                         : ring->post_tail;
}

void
ring_end (struct ring *ring)
{
  drain (ring);
  ring->new_session = 0;
}

bool
ring_is_drained (const struct ring *ring)
{
  return ring->draining && ring->post_tail == ring->drain_head;
}

/* The guest's indices are what they are: nothing before them is open. */
static void
skip_all (struct ring *ring)
{
  struct vmswap_ring_header *header = ring->region.header;

  ring->post_tail = ring->drained_tail;
  RING_RELEASE (&header->post_tail, ring->post_tail);
  ring->requests.submit_tail = RING_ACQUIRE (&header->submit_head);
  ring->hint_tail = ring->hint_head = RING_RELAXED (&header->hint_head);
  ring->free_steps = (struct ring_steps){ 0 };
  ring->stuck = (struct ring_stuck){ .early = ring->post_tail };
}

static void
acknowledge (struct ring *ring)
{
  struct vmswap_ring_header *header = ring->region.header;
  const uint64_t features = RING_RELAXED (&header->guest_features);

  ring->draining = ring->giving_up = false;
  if ((features & ~VMSWAP_RING_FEATURES) != 0) {
    ring->refused_session = ring->new_session;
    ring_set_state (ring, VMSWAP_HOST_DEAD, VMSWAP_REASON_FEATURES);
    return;
  }
  skip_all (ring);
  ring->features = features;
  ring->refused_session = 0;
  if (ring->host_state == VMSWAP_HOST_DEAD)
    ring_set_state (ring, VMSWAP_HOST_LIVE, VMSWAP_REASON_NONE);
  ring->session_ack = ring->new_session;
  RING_RELEASE (&header->session_ack, ring->session_ack);
  ring_interrupt (ring);
}

/* DEAD for good, or about to stop: nobody answers. */
static bool
may_begin (const struct ring *ring)
{
  switch (ring->host_state) {
  case VMSWAP_HOST_LIVE:
    return true;
  case VMSWAP_HOST_DEAD:
    return ring->host_reason == VMSWAP_REASON_BROKEN ||
           ring->host_reason == VMSWAP_REASON_FEATURES;
  default:
    return false;
  }
}

static bool
is_asked_for (const struct ring *ring)
{
  const uint32_t session = RING_RELAXED (&ring->region.header->session);

  return session != ring->session_ack && session != 0 &&
         (session != ring->refused_session || ring->refused_session == 0) &&
         may_begin (ring);
}

bool
ring_session_is_due (const struct ring *ring)
{
  return !ring->draining && is_asked_for (ring) &&
         (ring->session_credit > 0 || ring->now_ns >= ring->session_ns);
}

/* A guest that asks again and again waits. */
static void
pay (struct ring *ring)
{
  if (ring->now_ns >= ring->session_ns)
    ring->session_credit = SESSIONS_AT_ONCE;
  ring->session_credit--;
  ring->session_ns = ring->now_ns + SESSION_NS;
}

bool
ring_session_turn (struct ring *ring)
{
  if (ring->draining) {
    if (ring->new_session == 0 || !ring_is_drained (ring))
      return false;
    acknowledge (ring);
    return true;
  }
  if (ring_session_is_due (ring)) {
    pay (ring);
    ring->new_session = RING_ACQUIRE (&ring->region.header->session);
    drain (ring);
    return true;
  }
  if (ring_requests_any (ring) && ring_guest_is (ring, VMSWAP_GUEST_DEAD))
    ring_requests_forget (ring);
  return false;
}
