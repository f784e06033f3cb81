// SPDX-License-Identifier: BSD-3-Clause
/* Fuzz target: what a guest may write into its region.
 *
 * The input is a guest: words that it stores, anywhere in the region, between
 * turns of the server, which may also die and be replaced.  What must hold:
 * every turn ends; no byte outside of the region is touched (it lies between
 * pages that cannot be); the server's own notes stay what they can be; the page
 * of the other guest is what it was; the pool is sound.
 *
 * First byte: how the region begins.  Then one byte per step, and what it
 * needs. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "exports.h"
#include "fuzz.h"
#include "ring.h"
#include "server.h"
#include "settings.h"

#define PAGES 700u
#define MAX_STEPS 300u
#define DRAIN_TURNS 10000u

enum { CHECK_POOL = 1, SCRIBBLED = 2, IN_SESSION = 4 };

static struct pool *pool;
static struct settings settings = SETTINGS_DEFAULT;
static struct volume *neighbour;
static uint8_t neighbours_page[POOL_PAGE_SIZE];
static struct ring ring;
static const struct peer peer = { .kind = PEER_IVSHMEM, .id = { 1, 0 } };

/* Once: a pool, this guest and another. */
static void
make_pool (void)
{
  static char registry[] = SETTINGS_REGISTRY_NONE;
  static struct guest other = { .name = "other", .size = 64 * 4096 };
  static struct guest guest = { .next = &other,
                                .name = "guest",
                                .size = PAGES * 4096 };
  const struct pool_config config = { .limit = POOL_MIN_LIMIT };

  guest.limits.quota.bytes = 1u << 20;
  settings.registry = registry;
  settings.guests = &guest;
  settings.nr_guests = 2;
  settings.pool = POOL_MIN_LIMIT;
  if (pool_create (&config, &pool) != 0 || exports_start (pool, &settings) != 0)
    fuzz_die ("the pool");
  neighbour = volume_find (pool, "other");
  fuzz_content (neighbours_page, 7);
  if (volume_write (neighbour, neighbours_page, POOL_PAGE_SIZE, 5 * 4096) != 0)
    fuzz_die ("the other guest");
}

static void
make_ring (void)
{
  memset (&ring, 0, sizeof ring);
  ring.region.fd = ring.doorbell = ring.interrupt = -1;
  ring.conn = exports_open_as ("guest", &peer, false);
  if (ring.conn == NULL || exports_claim (ring.conn) != 0)
    fuzz_die ("the export");
}

static void
begin (void)
{
  make_ring ();
  if (ring_region_make (&ring.region, VMSWAP_RING_SIZE_MIN, "guest", PAGES) !=
          0 ||
      ring_cache_make (&ring) != 0)
    fuzz_die ("the region");
  ring_begin (&ring);
}

static void
end (void)
{
  struct conn *conn = ring.conn;

  ring_cache_free (&ring);
  ring_region_free (&ring.region);
  exports_close (conn);
}

/* The server's own notes. */
static void
check_notes (void)
{
  const uint32_t tags = RING_COUNT (&ring, REQUESTS);
  unsigned open[RING_WAIT + 1] = { 0 };

  for (uint32_t tag = 0; tag < tags; ++tag) {
    const struct ring_work *work = &ring.requests.work[tag];

    FUZZ_CHECK (work->state <= RING_WAIT);
    open[work->state]++;
    if (work->state != RING_NONE)
      FUZZ_CHECK (vmswap_ring_range_is_right (work->page, work->count, PAGES));
  }
  for (unsigned state = RING_READ; state <= RING_WAIT; ++state)
    FUZZ_CHECK (open[state] == ring.requests.open[state]);
  for (uint32_t n = 0; n < 4 * ring.cache.sets; ++n)
    FUZZ_CHECK (ring.cache.entry[n].page < PAGES ||
                ring.cache.entry[n].page == VMSWAP_RING_NO_PAGE);
  FUZZ_CHECK (ring.ahead.length <= RING_AHEAD_QUEUE);
  for (unsigned i = 0; i < ring.ahead.length; ++i)
    FUZZ_CHECK (ring.ahead.queue[i] < PAGES);
  FUZZ_CHECK (ring.device_pages == PAGES);
}

/* Another server finds the region as it is now. */
static void
take_over (void)
{
  struct ring_region region;
  const int fd = dup (ring.region.fd);
  const char *why;
  int r;

  if (fd == -1)
    fuzz_die ("dup");
  end ();
  make_ring ();
  r = ring_region_map (&region, fd, &why);
  FUZZ_CHECK (r == 0 || (r == -EINVAL && why != NULL));
  if (r == 0) {
    ring.region = region;
    if (ring_cache_make (&ring) != 0)
      fuzz_die ("the cache");
    ring_take_over (&ring);
    return;
  }
  ring_region_free (&region);
  exports_close (ring.conn);
  begin ();
}

static uint32_t *
word_of (struct input *input)
{
  const uint8_t part = input_u8 (input);
  const uint16_t at = input_u16 (input);

  if (part >= VMSWAP_RING_PARTS)
    return (uint32_t *) ring.region.base + at % 1024;
  return (uint32_t *) ring_part (&ring, part) +
         at % (vmswap_ring_part_size (part,
                                      ring.region.geometry.parts[part].count) /
               4);
}

static void
post (struct input *input)
{
  struct vmswap_ring_post *posts = ring_part (&ring, VMSWAP_RING_POSTS);
  struct vmswap_ring_post *post =
      &posts[ring.region.header->post_head & (RING_COUNT (&ring, POSTS) - 1)];
  const uint8_t how = input_u8 (input);

  post->op = how & 3;
  post->flags = how >> 7;
  post->page = input_u16 (input) % (PAGES + 2);
  post->arg = input_u16 (input);
  if ((how & 4) == 0)
    post->arg %= 80;
  if (post->op == VMSWAP_POST_WRITE && post->arg < RING_COUNT (&ring, SLOTS))
    fuzz_content (ring_page_at (&ring, VMSWAP_RING_SLOTS, post->arg),
                  post->arg * 8 + (how >> 4 & 7));
  ring.region.header->post_head++;
}

static void
request (struct input *input)
{
  struct vmswap_ring_request *requests =
      ring_part (&ring, VMSWAP_RING_REQUESTS);
  vmswap_le32 *submits = ring_part (&ring, VMSWAP_RING_SUBMITS);
  struct vmswap_ring_header *header = ring.region.header;
  const uint8_t how = input_u8 (input);
  const uint32_t tag = input_u8 (input) % (RING_COUNT (&ring, REQUESTS) + 1);

  submits[header->submit_head++ & (RING_COUNT (&ring, SUBMITS) - 1)] = tag;
  if (tag == RING_COUNT (&ring, REQUESTS))
    return;
  requests[tag].op = how & 3;
  requests[tag].flags = how >> 2 & 1;
  requests[tag].page = input_u16 (input) % (PAGES + 2);
  requests[tag].count = how & 8 ? input_u16 (input) : 1;
  requests[tag].after = header->post_head;
  if (how & 16)
    requests[tag].after += (uint32_t) (int8_t) input_u8 (input);
  requests[tag].serial++;
}

static void
session (struct input *input)
{
  struct vmswap_ring_header *header = ring.region.header;
  const uint8_t how = input_u8 (input);

  header->guest_features = how & 7;
  header->session++;
  header->guest_state = how >> 4 & 3;
}

static void
turns (unsigned n)
{
  const bool soon = n % 2 == 1;

  while (n-- > 0) {
    ring_turn (&ring);
    check_notes ();
  }
  ring_arm (&ring, soon);
  FUZZ_CHECK (ring_patience (&ring, soon) >= 0);
}

/* The guest is gone: what it posted comes to an end. */
static void
leave (void)
{
  unsigned n = 0;

  ring_end (&ring);
  while (!ring_is_drained (&ring) && n++ < DRAIN_TURNS)
    ring_turn (&ring);
  FUZZ_CHECK (ring_is_drained (&ring));
  end ();
}

static void
step (struct input *input)
{
  uint32_t *word;

  switch (input_u8 (input) % 9) {
  case 0:
    turns (1 + input_u8 (input) % 8);
    break;
  case 1:
  case 2:
    post (input);
    break;
  case 3:
  case 4:
    request (input);
    break;
  case 5:
    word = word_of (input);
    *word = input_u32 (input);
    break;
  case 6:
    word = word_of (input);
    *word += (uint32_t) (int8_t) input_u8 (input);
    break;
  case 7:
    session (input);
    break;
  default:
    if (input_u8 (input) % 4 != 0)
      take_over ();
    else {
      leave ();
      begin ();
    }
  }
}

static void
check_others (bool whole)
{
  uint8_t page[POOL_PAGE_SIZE];
  char report[256];

  FUZZ_CHECK (volume_peek (neighbour, page, 5 * 4096) == 0);
  FUZZ_CHECK (memcmp (page, neighbours_page, sizeof page) == 0);
  if (whole && pool_check (pool, true, report, sizeof report) != 0)
    FUZZ_FAIL ("pool_check: %s", report);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct input input = { data, data + size };
  const uint8_t how = input_u8 (&input);

  if (pool == NULL)
    make_pool ();
  server_reset ();
  begin ();
  if (how & IN_SESSION) {
    ring.region.header->guest_features = VMSWAP_RING_FEATURES;
    ring.region.header->session = 1;
    ring.region.header->guest_state = VMSWAP_GUEST_LIVE;
    turns (2);
  }
  for (unsigned n = 0; how & SCRIBBLED && n < 32; ++n)
    ((uint32_t *) ring.region.base)[n] ^= input_u8 (&input);
  for (unsigned n = 0; n < MAX_STEPS && !input_is_over (&input); ++n)
    step (&input);
  turns (4);
  leave ();
  volume_trim (volume_find (pool, "guest"), PAGES * 4096, 0);
  check_others (how & CHECK_POOL);
  return 0;
}
