// SPDX-License-Identifier: BSD-3-Clause
/* What must hold for the host's side of a ring.
 *
 * Owns the counts of turns.  Bounds are in turns, never in time: the clock of
 * the ring is fuzz.c's. */

#include <config.h>

#include "fuzz.h"
#include "ring-checks.h"

/* Pages brought into the cache in a turn (AT_ONCE of ring-ahead.c). */
#define BROUGHT_MOST 8u

static uint64_t device_pages;
static uint64_t drain_turns; /* in a row */
static unsigned idle_turns;  /* of these, that did nothing when only writes are
                              * still done */

/* What a turn begins with. */
struct before {
  uint32_t post_tail, complete_head, session_ack, left, brought;
  bool draining;
};

void
ring_checks_begin (const struct ring *ring, uint64_t pages)
{
  device_pages = pages;
  drain_turns = idle_turns = 0;
  FUZZ_CHECK (!ring->draining);
}

/* The steps in which a range of the device is dropped, at the most. */
static uint64_t
range_steps (void)
{
  return device_pages / RING_STEP_MIN + 1;
}

/* A post is refused, and given up; it is a FREE, and was done early, too. */
static uint64_t
turns_for_posts (const struct ring *ring)
{
  return (uint64_t) RING_COUNT (ring, POSTS) * (3 + 2 * range_steps ());
}

/* And whatever the guest may have asked for, or given hints of: each may make
 * proposals, of which a turn brings some. */
static uint64_t
turns_for_all (const struct ring *ring)
{
  return 2 * turns_for_posts (ring) +
         RING_COUNT (ring, REQUESTS) * (2 + 2 * range_steps ()) +
         (uint64_t) RING_COUNT (ring, HINTS) *
             (1 + RING_AHEAD_QUEUE / BROUGHT_MOST);
}

/* A drain "is of at most count posts, in turns" (PROTOCOL.md), and goes on when
 * its time for frees is over: then a turn does a post, or finds that it is
 * refused, and the next one gives it up. */
static void
check_drain (const struct ring *ring, const struct before *before)
{
  const uint32_t left = ring->drain_head - ring->post_tail;

  if (!ring->draining) {
    drain_turns = idle_turns = 0;
    return;
  }
  FUZZ_CHECK (left <= RING_COUNT (ring, POSTS));
  if (before->draining)
    FUZZ_CHECK (left <= before->left);
  FUZZ_CHECK (++drain_turns <= turns_for_posts (ring) + 2);
  if (ring_drain_is_over (ring) && before->draining && left == before->left &&
      left > 0)
    FUZZ_CHECK (++idle_turns <= 1);
  else
    idle_turns = 0;
}

/* "At most VMSWAP_RING_BATCH posts" (PROTOCOL.md); but where a session begins,
 * the tail is first set to what the guest's head was. */
static void
check_share (const struct ring *ring, const struct before *before)
{
  const uint32_t from = ring->session_ack != before->session_ack
                            ? ring->drained_tail
                            : before->post_tail;
  const struct ring_requests *requests = &ring->requests;

  FUZZ_CHECK (ring->post_tail - from <= VMSWAP_RING_BATCH);
  /* One work for each tag, and each is looked at once. */
  FUZZ_CHECK (requests->complete_head - before->complete_head <=
              RING_COUNT (ring, REQUESTS));
  FUZZ_CHECK (ring->hint_head - ring->hint_tail <= RING_COUNT (ring, HINTS));
  FUZZ_CHECK (ring->cache.brought - before->brought <= BROUGHT_MOST);
}

/* A region that is served has posts that can be: "moves post_head too far, or
 * back behind what is done" (PROTOCOL.md), and it is BROKEN. */
static void
check_posts (const struct ring *ring)
{
  const uint32_t head = ring->region.header->post_head;
  const uint32_t open = head - ring->post_tail;

  FUZZ_CHECK (ring->stuck.early - ring->post_tail <= RING_COUNT (ring, POSTS));
  if (ring->host_state == VMSWAP_HOST_DEAD || ring->draining)
    return;
  FUZZ_CHECK (open <= RING_COUNT (ring, POSTS));
  FUZZ_CHECK (ring->stuck.early - ring->post_tail <= open);
}

bool
ring_checks_turn (struct ring *ring)
{
  const struct before before = {
    .post_tail = ring->post_tail,
    .complete_head = ring->requests.complete_head,
    .session_ack = ring->session_ack,
    .left = ring->drain_head - ring->post_tail,
    .brought = ring->cache.brought,
    .draining = ring->draining,
  };
  const bool any = ring_turn (ring);

  check_share (ring, &before);
  check_drain (ring, &before);
  check_posts (ring);
  return any;
}

void
ring_checks_notes (const struct ring *ring)
{
  const uint32_t tags = RING_COUNT (ring, REQUESTS);
  unsigned open[RING_WAIT + 1] = { 0 };

  for (uint32_t tag = 0; tag < tags; ++tag) {
    const struct ring_work *work = &ring->requests.work[tag];

    FUZZ_CHECK (work->state <= RING_WAIT);
    open[work->state]++;
    if (work->state != RING_NONE)
      FUZZ_CHECK (
          vmswap_ring_range_is_right (work->page, work->count, device_pages));
  }
  for (unsigned state = RING_READ; state <= RING_WAIT; ++state)
    FUZZ_CHECK (open[state] == ring->requests.open[state]);
  for (uint32_t n = 0; n < VMSWAP_RING_CACHE_WAYS * ring->cache.sets; ++n)
    FUZZ_CHECK (ring->cache.entry[n].page < device_pages ||
                ring->cache.entry[n].page == VMSWAP_RING_NO_PAGE);
  FUZZ_CHECK (ring->ahead.length <= RING_AHEAD_QUEUE);
  for (unsigned i = 0; i < ring->ahead.length; ++i)
    FUZZ_CHECK (ring->ahead.queue[i] < device_pages);
  FUZZ_CHECK (ring->device_pages == device_pages);
}

void
ring_checks_rest (struct ring *ring)
{
  const uint64_t most = turns_for_all (ring);
  uint64_t turns = 0;

  while (ring_checks_turn (ring) || !ring_arm (ring, false))
    if (++turns > most)
      FUZZ_FAIL ("the guest did nothing for %llu turns, and there still is "
                 "something to do",
                 (unsigned long long) turns);
  ring_checks_notes (ring);
  FUZZ_CHECK (ring_patience (ring, false) > 0);
}

void
ring_checks_end (struct ring *ring)
{
  ring_end (ring);
  drain_turns = idle_turns = 0;
  while (!ring_is_drained (ring))
    ring_checks_turn (ring);
}
