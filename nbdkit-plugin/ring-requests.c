// SPDX-License-Identifier: BSD-3-Clause
/* Requests: what the guest waits for.
 *
 * Owns the work at hand, one for each tag at the most, and the words of
 * results.
 *
 * Invariants
 *  1. A tag that is in work is not looked at again before it has its result.
 *  2. A WRITE or DISCARD takes effect, and has its result, when post_tail in
 *     the region has come to its `after`; a DISCARD may be done earlier as
 *     well.
 *  3. Reads that somebody waits for come before those that nobody does. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "ring.h"
#include "serve.h"

static struct vmswap_ring_result *
result_of (const struct ring *ring, uint32_t tag)
{
  struct vmswap_ring_result *results = ring_part (ring, VMSWAP_RING_RESULTS);

  return &results[tag];
}

static void
set_state (struct ring *ring, uint32_t tag, enum ring_work_state state)
{
  struct ring_requests *requests = &ring->requests;

  requests->open[requests->work[tag].state]--;
  requests->work[tag].state = state;
  requests->open[state]++;
}

/* status, and the page if there is one, are there: the guest may look. */
static void
finish (struct ring *ring, uint32_t tag, enum vmswap_ring_status status)
{
  struct ring_requests *requests = &ring->requests;
  struct vmswap_ring_header *header = ring->region.header;
  struct vmswap_ring_result *result = result_of (ring, tag);
  vmswap_le32 *completes = ring_part (ring, VMSWAP_RING_COMPLETES);
  const uint32_t serial = requests->work[tag].serial;
  const uint32_t before = requests->complete_head;

  set_state (ring, tag, RING_NONE);
  RING_SET (&result->status, status);
  requests->result_serial[tag] = serial;
  RING_RELEASE (&result->serial, serial);
  RING_SET (&completes[before & (RING_COUNT (ring, COMPLETES) - 1)], tag);
  RING_RELEASE (&header->complete_head, ++requests->complete_head);
  ring_notify (ring, &header->complete_event, requests->complete_head, before);
}

static bool
after_is_right (struct ring *ring, uint32_t after)
{
  uint32_t head;
  const int open = ring_posts_open (ring, &head);

  return open != -1 && head - after <= open + RING_COUNT (ring, POSTS);
}

static enum vmswap_ring_status
check (struct ring *ring, const struct ring_work *work, uint8_t flags)
{
  if (work->op < VMSWAP_REQUEST_READ || work->op > VMSWAP_REQUEST_DISCARD)
    return VMSWAP_STATUS_UNKNOWN_OP;
  if ((flags & ~VMSWAP_REQUEST_AHEAD) != 0 ||
      !vmswap_ring_range_is_right (work->page, work->count,
                                   ring->device_pages) ||
      (work->op != VMSWAP_REQUEST_DISCARD && work->count != 1) ||
      (work->op != VMSWAP_REQUEST_READ && !after_is_right (ring, work->after)))
    return VMSWAP_STATUS_INVALID;
  return VMSWAP_STATUS_OK;
}

/* Takes the tag up, if it is open and not in work. */
static void
take (struct ring *ring, uint32_t tag)
{
  struct vmswap_ring_request *table = ring_part (ring, VMSWAP_RING_REQUESTS);
  const struct vmswap_ring_request *request = &table[tag];
  struct ring_work *work = &ring->requests.work[tag];
  enum vmswap_ring_status status;
  uint32_t serial;
  uint8_t flags;

  if (work->state != RING_NONE)
    return;
  serial = RING_ACQUIRE (&request->serial);
  if (serial == ring->requests.result_serial[tag])
    return;
  *work = (struct ring_work){
    .page = RING_RELAXED (&request->page),
    .count = RING_RELAXED (&request->count),
    .after = RING_RELAXED (&request->after),
    .serial = serial,
    .op = RING_RELAXED (&request->op),
  };
  flags = RING_RELAXED (&request->flags);
  ring_count (ring, TRAFFIC_RING_REQUESTS, 1);
  status = check (ring, work, flags);
  if (status != VMSWAP_STATUS_OK) {
    ring_count (ring, TRAFFIC_RING_BAD, 1);
    finish (ring, tag, status);
  }
  else if (work->op != VMSWAP_REQUEST_READ)
    set_state (ring, tag, RING_WAIT);
  else {
    ring_ahead_note (ring, work->page);
    set_state (ring, tag, flags ? RING_AHEAD : RING_READ);
  }
}

void
ring_requests_scan (struct ring *ring)
{
  for (uint32_t tag = 0; tag < RING_COUNT (ring, REQUESTS); ++tag)
    take (ring, tag);
}

void
ring_requests_forget (struct ring *ring)
{
  for (uint32_t tag = 0; tag < RING_COUNT (ring, REQUESTS); ++tag)
    set_state (ring, tag, RING_NONE);
}

/* Those that submits names. */
static bool
take_new (struct ring *ring)
{
  struct ring_requests *requests = &ring->requests;
  const vmswap_le32 *submits = ring_part (ring, VMSWAP_RING_SUBMITS);
  const uint32_t count = RING_COUNT (ring, SUBMITS);
  const uint32_t head = RING_ACQUIRE (&ring->region.header->submit_head);
  const uint32_t from = requests->submit_tail;

  ring_ahead_look (ring); /* what was read before these reads */
  if (head == from)
    return false;
  requests->submit_tail = head;
  if (!ring_guest_is (ring, VMSWAP_GUEST_LIVE) &&
      !ring_guest_is (ring, VMSWAP_GUEST_QUIESCED))
    return true;
  if (head - from > count) {
    ring_requests_scan (ring);
    return true;
  }
  for (uint32_t at = from; at != head; ++at) {
    const uint32_t tag = RING_RELAXED (&submits[at & (count - 1)]);

    if (tag < RING_COUNT (ring, REQUESTS))
      take (ring, tag);
  }
  return true;
}

/* The page is decompressed in private memory: its check is not to be fooled. */
static void
read_page (struct ring *ring, uint32_t tag)
{
  struct ring_work *work = &ring->requests.work[tag];
  const uint64_t offset = work->page * POOL_PAGE_SIZE;
  const int r = serve_try_read (ring->conn, ring->page, POOL_PAGE_SIZE, offset);

  ring_count (ring, TRAFFIC_RING_READS, 1);
  if (r < 0) {
    serve_fail (ring->conn, -r, "read", offset);
    finish (ring, tag, VMSWAP_STATUS_IO);
    return;
  }
  memcpy (ring_page_at (ring, VMSWAP_RING_TAG_PAGES, tag), ring->page,
          VMSWAP_RING_PAGE_SIZE);
  finish (ring, tag, VMSWAP_STATUS_OK);
}

/* At most so many reads in this state, tag by tag, going on where the last look
 * ended. */
static bool
do_reads (struct ring *ring, enum ring_work_state state, unsigned most)
{
  struct ring_requests *requests = &ring->requests;
  const uint32_t tags = RING_COUNT (ring, REQUESTS);
  const unsigned open = requests->open[state];

  for (uint32_t i = 0; i < tags && requests->open[state] && most; ++i) {
    requests->next = requests->next + 1 < tags ? requests->next + 1 : 0;
    if (requests->work[requests->next].state == state) {
      if (state == RING_READ)
        ring_count (ring, TRAFFIC_RING_MISSES, 1);
      read_page (ring, requests->next);
      most--;
    }
  }
  return open != 0;
}

static enum vmswap_ring_status
status_of (int r)
{
  switch (-r) {
  case 0:
    return VMSWAP_STATUS_OK;
  case ENOSPC:
  case EDQUOT:
  case ENOMEM:
    return VMSWAP_STATUS_FULL;
  default:
    return VMSWAP_STATUS_IO;
  }
}

static void
write_page (struct ring *ring, uint32_t tag)
{
  const uint64_t page = ring->requests.work[tag].page;
  int r;

  memcpy (ring->page, ring_page_at (ring, VMSWAP_RING_TAG_PAGES, tag),
          VMSWAP_RING_PAGE_SIZE);
  r = serve_try_write (ring->conn, ring->page, POOL_PAGE_SIZE,
                       page * POOL_PAGE_SIZE);
  if (r < 0)
    serve_fail (ring->conn, -r, "write", page * POOL_PAGE_SIZE);
  else
    ring_cache_drop (ring, page, 1);
  if (status_of (r) == VMSWAP_STATUS_FULL)
    ring_room_set (ring, true);
  finish (ring, tag, status_of (r));
}

/* post_tail has come to it; true: it is done. */
static bool
do_waiting (struct ring *ring, uint32_t tag)
{
  struct ring_work *work = &ring->requests.work[tag];

  if (work->op == VMSWAP_REQUEST_WRITE)
    write_page (ring, tag);
  else if (ring_trim_step (ring, &work->steps, work->page, work->count))
    finish (ring, tag, VMSWAP_STATUS_OK);
  else
    return false;
  return true;
}

static bool
do_all_waiting (struct ring *ring)
{
  struct ring_requests *requests = &ring->requests;
  unsigned left = requests->open[RING_WAIT];
  bool any = false;

  for (uint32_t tag = 0; left > 0; ++tag) {
    const struct ring_work *work = &requests->work[tag];

    if (work->state != RING_WAIT)
      continue;
    left--;
    if ((int32_t) (ring->post_tail - work->after) < 0)
      continue;
    any = true;
    if (!do_waiting (ring, tag))
      break; /* a step each turn */
  }
  return any;
}

bool
ring_requests_turn (struct ring *ring)
{
  bool any;

  if (ring->host_state == VMSWAP_HOST_DEAD || ring->draining)
    return false;
  any = take_new (ring);
  return do_reads (ring, RING_READ, VMSWAP_RING_BATCH) || any;
}

bool
ring_requests_after_posts (struct ring *ring)
{
  bool any = false;

  if (ring->host_state == VMSWAP_HOST_DEAD || ring->draining)
    return false;
  if (ring->requests.open[RING_WAIT])
    any = do_all_waiting (ring);
  return do_reads (ring, RING_AHEAD, VMSWAP_RING_BATCH / 8) || any;
}

bool
ring_requests_discard (const struct ring *ring, uint64_t page,
                       uint32_t position)
{
  for (uint32_t tag = 0; tag < RING_COUNT (ring, REQUESTS); ++tag) {
    const struct ring_work *work = &ring->requests.work[tag];

    if (work->state == RING_WAIT && work->op == VMSWAP_REQUEST_DISCARD &&
        page - work->page < work->count &&
        (int32_t) (work->after - position) > 0)
      return true;
  }
  return false;
}

bool
ring_requests_while_stuck (struct ring *ring)
{
  struct ring_requests *requests = &ring->requests;

  if (requests->open[RING_WAIT] == 0)
    return false;
  for (uint32_t tag = 0; tag < RING_COUNT (ring, REQUESTS); ++tag) {
    struct ring_work *work = &requests->work[tag];

    if (work->state != RING_WAIT ||
        (int32_t) (ring->post_tail - work->after) >= 0)
      continue;
    if (work->op == VMSWAP_REQUEST_WRITE) {
      finish (ring, tag, VMSWAP_STATUS_FULL);
      return true;
    }
    if (!work->freed_early) {
      work->freed_early =
          ring_trim_step (ring, &work->early_steps, work->page, work->count);
      ring->stuck.retry = true;
      return true;
    }
  }
  return false;
}
