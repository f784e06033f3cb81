// SPDX-License-Identifier: BSD-3-Clause
/* ivshmem-host: what the guest posts and asks for is done, on a pool that is
 * plain shared memory. */

#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem-host.h"

struct host host;

static uint8_t *
page_at (enum vmswap_ring_part_name part, uint32_t n)
{
  return region + geometry.parts[part].offset + (size_t) n * PAGE;
}

uint32_t
noise (void)
{
  static uint32_t state = 1;

  state = state * 1664525u + 1013904223u;
  return state ^ state >> 15;
}

static void
entry_store (uint32_t n, uint64_t page)
{
  struct vmswap_ring_cache_entry *entry =
      &CACHE[n / VMSWAP_RING_CACHE_WAYS].ways[n % VMSWAP_RING_CACHE_WAYS];
  const uint32_t sequence = RELAXED (&entry->sequence);
  const uint32_t odd = (sequence + 1) | 1;

  SET (&entry->sequence, odd);
  __atomic_thread_fence (__ATOMIC_RELEASE);
  SET (&entry->page, page);
  if (page != VMSWAP_RING_NO_PAGE)
    memcpy (page_at (VMSWAP_RING_CACHE_PAGES, n), store + page * PAGE, PAGE);
  RELEASE (&entry->sequence, odd + 1);
}

static void
cache_drop (uint64_t page)
{
  uint32_t n;

  if (COUNT (CACHE) == 0)
    return;
  n = vmswap_ring_cache_set_of (page, COUNT (CACHE)) * VMSWAP_RING_CACHE_WAYS;
  for (unsigned i = 0; i < VMSWAP_RING_CACHE_WAYS; ++i, ++n)
    if (CACHE[n / VMSWAP_RING_CACHE_WAYS].ways[i].page == page &&
        CACHE[n / VMSWAP_RING_CACHE_WAYS].ways[i].sequence)
      entry_store (n, VMSWAP_RING_NO_PAGE);
}

/* What comes after a page that was read. */
static void
cache_fill (uint64_t page)
{
  if (COUNT (CACHE) == 0 || page >= shared->device_pages || !present[page])
    return;
  cache_drop (page);
  entry_store (vmswap_ring_cache_set_of (page, COUNT (CACHE)) *
                       VMSWAP_RING_CACHE_WAYS +
                   noise () % VMSWAP_RING_CACHE_WAYS,
               page);
}

void
cache_empty (void)
{
  for (uint32_t n = 0; n < COUNT (CACHE) * VMSWAP_RING_CACHE_WAYS; ++n)
    entry_store (n, VMSWAP_RING_NO_PAGE);
}

static void
page_present (uint64_t page, bool is)
{
  shared->held += (uint64_t) is - present[page];
  present[page] = is;
}

/* Room for one more? */
static bool
pool_takes (uint64_t page)
{
  const uint32_t limit = knob (KNOB_LIMIT);

  return present[page] || limit == 0 || shared->held < limit;
}

static void
pages_free (uint64_t page, uint32_t count)
{
  for (; count > 0; --count, ++page) {
    page_present (page, false);
    cache_drop (page);
  }
}

static void
page_fill (uint64_t page, uint32_t value)
{
  uint32_t *words = (uint32_t *) (store + page * PAGE);

  for (unsigned i = 0; i < PAGE / sizeof *words; ++i)
    words[i] = value;
}

bool
post_do (uint32_t position)
{
  const struct vmswap_ring_post post = POSTS[position & (COUNT (POSTS) - 1)];
  const uint32_t count = post.op == VMSWAP_POST_FREE ? post.arg : 1;

  if (!vmswap_ring_range_is_right (post.page, count, shared->device_pages) ||
      (post.op == VMSWAP_POST_WRITE && post.arg >= COUNT (SLOTS)) ||
      post.op < VMSWAP_POST_WRITE || post.op > VMSWAP_POST_FILL || post.flags) {
    SET (&header->bad_posts, header->bad_posts + 1);
    return true;
  }
  if (post.op == VMSWAP_POST_FREE) {
    pages_free (post.page, count);
    return true;
  }
  if (!pool_takes (post.page))
    return false;
  if (post.op == VMSWAP_POST_WRITE)
    memcpy (store + post.page * PAGE, page_at (VMSWAP_RING_SLOTS, post.arg),
            PAGE);
  else
    page_fill (post.page, post.arg);
  page_present (post.page, true);
  cache_drop (post.page);
  return true;
}

/* There is no room for a post: frees behind it may make some. */
static void
frees_do_early (uint32_t head)
{
  for (uint32_t i = host.tail; i != head; ++i) {
    const struct vmswap_ring_post post = POSTS[i & (COUNT (POSTS) - 1)];

    if (post.op == VMSWAP_POST_FREE &&
        vmswap_ring_range_is_right (post.page, post.arg, shared->device_pages))
      pages_free (post.page, post.arg);
  }
}

static void
full_set (void)
{
  const uint32_t limit = knob (KNOB_LIMIT);
  const bool full =
      knob (KNOB_FULL) || (limit && shared->held + COUNT (SLOTS) > limit);

  if (full == (header->host_flags & VMSWAP_HOST_FULL))
    return;
  SET (&header->host_flags, full ? VMSWAP_HOST_FULL : 0);
  notify (interrupt);
}

bool
posts_do (void)
{
  const uint32_t before = host.tail;
  const uint32_t head = ACQUIRE (&header->post_head);

  if (head - host.tail > COUNT (POSTS)) {
    fprintf (stderr, "ivshmem-host: post_head is impossible\n");
    _exit (3);
  }
  full_set ();
  while (host.tail != head && host.tail - before < VMSWAP_RING_BATCH) {
    if (!post_do (host.tail)) {
      frees_do_early (head);
      if (!post_do (host.tail))
        break;
    }
    host.tail++;
  }
  full_set ();
  if (host.tail == before)
    return false;
  RELEASE (&header->post_tail, host.tail);
  FULL_BARRIER ();
  if (vmswap_ring_need_event (RELAXED (&header->tail_event), host.tail, before))
    notify (interrupt);
  return true;
}

/* The status of a request; -1: not yet. */
static int
request_work (const struct vmswap_ring_request *request, uint32_t tag)
{
  const uint32_t head = ACQUIRE (&header->post_head);

  if (!vmswap_ring_range_is_right (request->page, request->count,
                                   shared->device_pages))
    return VMSWAP_STATUS_INVALID;
  if (request->op == VMSWAP_REQUEST_READ) {
    if (present[request->page])
      memcpy (page_at (VMSWAP_RING_TAG_PAGES, tag),
              store + request->page * PAGE, PAGE);
    else
      memset (page_at (VMSWAP_RING_TAG_PAGES, tag), 0, PAGE);
    return VMSWAP_STATUS_OK;
  }
  if (request->after - (host.tail - COUNT (POSTS)) >
      head - (host.tail - COUNT (POSTS)))
    return VMSWAP_STATUS_INVALID;
  if (request->op == VMSWAP_REQUEST_WRITE &&
      (knob (KNOB_FULL) || !pool_takes (request->page)))
    return VMSWAP_STATUS_FULL;
  if (request->op == VMSWAP_REQUEST_DISCARD)
    pages_free (request->page, request->count);
  if ((int32_t) (request->after - host.tail) > 0)
    return -1;
  if (request->op == VMSWAP_REQUEST_DISCARD)
    return VMSWAP_STATUS_OK;
  if (request->op != VMSWAP_REQUEST_WRITE)
    return VMSWAP_STATUS_UNKNOWN_OP;
  memcpy (store + request->page * PAGE, page_at (VMSWAP_RING_TAG_PAGES, tag),
          PAGE);
  page_present (request->page, true);
  cache_drop (request->page);
  return VMSWAP_STATUS_OK;
}

static void
request_do (uint32_t tag)
{
  struct vmswap_ring_request request;
  const uint32_t serial = ACQUIRE (&REQUESTS[tag].serial);
  int status;

  if (serial == RESULTS[tag].serial)
    return;
  request = REQUESTS[tag];
  status = request_work (&request, tag);
  if (status < 0)
    return;
  SET (&RESULTS[tag].status,
       knob (KNOB_STATUS) ? noise () | 1 : (uint32_t) status);
  RELEASE (&RESULTS[tag].serial, serial);
  if (knob (KNOB_COMPLETES) == 1) {
    SET (&COMPLETES[host.complete_head & (COUNT (COMPLETES) - 1)], noise ());
    host.complete_head++;
  }
  else if (knob (KNOB_COMPLETES) == 2)
    host.complete_head += noise ();
  SET (&COMPLETES[host.complete_head & (COUNT (COMPLETES) - 1)], tag);
  RELEASE (&header->complete_head, ++host.complete_head);
  FULL_BARRIER ();
  if (knob (KNOB_COMPLETES) ||
      vmswap_ring_need_event (RELAXED (&header->complete_event),
                              host.complete_head, host.complete_head - 1))
    notify (interrupt);
  if (request.op == VMSWAP_REQUEST_READ)
    for (uint64_t ahead = 1; ahead <= 4; ++ahead)
      cache_fill (request.page + ahead);
}

/* All tags, each time: what waits for post_tail is not in submits again. */
bool
requests_do (void)
{
  const uint32_t head = ACQUIRE (&header->submit_head);
  const uint32_t guest = ACQUIRE (&header->guest_state);
  const bool any = head != host.submit_tail;

  host.submit_tail = head;
  if (guest == VMSWAP_GUEST_LIVE || guest == VMSWAP_GUEST_QUIESCED)
    for (uint32_t tag = 0; tag < COUNT (REQUESTS); ++tag)
      request_do (tag);
  return any;
}
