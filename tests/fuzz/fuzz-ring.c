// SPDX-License-Identifier: BSD-3-Clause
/* Fuzz target: what a guest may write into its region.
 *
 * The input is a guest: words that it stores, anywhere in the region, and
 * indices that it moves on and back, between turns of the server, which may
 * also die and be replaced; time passes, and the guest's quota is lowered. What
 * must hold: every turn ends, and does no more than its share, and the server
 * comes to rest (ring-checks.h); no byte outside of the region is touched (it
 * lies between pages that cannot be); the page of the other guest is what it
 * was; the pool is sound.
 *
 * First byte: how the region begins, and how slow the clock is.  Then one byte
 * per step, and what it needs. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "exports.h"
#include "fuzz.h"
#include "ring-checks.h"
#include "ring.h"
#include "server.h"
#include "settings.h"

#define PAGES 700u
#define MAX_STEPS 300u
#define QUOTA (UINT64_C (1) << 20)

/* Steps that came later than others, where few old inputs have any. */
#define NEW_STEPS 0xf0u

enum { CHECK_POOL = 1, SCRIBBLED = 2, IN_SESSION = 4, SLOW = 8 };

/* How much time passes from one look at the clock to the next: a step of a FREE
 * is quick, and the next one is larger; or it is not. */
#define QUICK_NS 1000u
#define SLOW_NS 150000u

static struct pool *pool;
static struct settings settings = SETTINGS_DEFAULT;
static struct volume *neighbour;
static uint8_t neighbours_page[POOL_PAGE_SIZE];
static struct ring ring;
static struct ring_region made;
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

  guest.limits.quota.bytes = QUOTA;
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
set_quota (uint64_t quota)
{
  static uint64_t now = QUOTA;

  if (quota == now)
    return; /* nobody is woken in vain */
  now = quota;
  if (volume_set_limits (volume_find (pool, "guest"), quota, 0) != 0)
    fuzz_die ("the quota");
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

/* A region as it is made, but for the magic: zeroes after the header.  One is
 * made, and used again and again: to make it takes a fifth of the time of an
 * execution. */
static void
make_region (void)
{
  static uint8_t start[POOL_PAGE_SIZE];

  if (made.base != NULL) {
    memset (made.base, 0, made.size);
    memcpy (made.base, start, sizeof start);
  }
  else if (ring_region_make (&made, VMSWAP_RING_SIZE_MIN, "guest", PAGES) == 0)
    memcpy (start, made.base, sizeof start);
  else
    fuzz_die ("the region");
  ring.region = made;
}

static void
begin (void)
{
  make_ring ();
  make_region ();
  if (ring_cache_make (&ring) != 0)
    fuzz_die ("the cache");
  ring_begin (&ring);
  ring_checks_begin (&ring, PAGES);
}

static void
end (void)
{
  struct conn *conn = ring.conn;

  ring_cache_free (&ring);
  if (ring.region.base != made.base)
    ring_region_free (&ring.region);
  exports_close (conn);
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
    ring_checks_begin (&ring, PAGES);
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

/* One of the guest's indices is put somewhere: to where it is, to what the host
 * has done, to where the guest may come at the most, to what was done early;
 * and a few or many positions on, or back. */
static void
move (struct input *input)
{
  static const uint8_t shifts[4] = { 0, 4, 8, 24 };
  struct vmswap_ring_header *header = ring.region.header;
  const struct {
    vmswap_le32 *index;
    uint32_t tail, count;
  } ends[4] = {
    { &header->post_head, ring.post_tail, RING_COUNT (&ring, POSTS) },
    { &header->post_head, ring.post_tail, RING_COUNT (&ring, POSTS) },
    { &header->submit_head, ring.requests.submit_tail,
      RING_COUNT (&ring, SUBMITS) },
    { &header->hint_head, ring.hint_tail, RING_COUNT (&ring, HINTS) },
  };
  const uint8_t how = input_u8 (input);
  const uint32_t amount = (uint32_t) (int8_t) input_u8 (input)
                          << shifts[how >> 4 & 3];
  const uint32_t origins[4] = { *ends[how & 3].index, ends[how & 3].tail,
                                ends[how & 3].tail + ends[how & 3].count,
                                ring.stuck.early };

  *ends[how & 3].index = origins[how >> 2 & 3] + amount;
}

/* The operator lowers the guest's quota to some pages, so that the pool refuses
 * posts; or it is what it was. */
static void
limit (struct input *input)
{
  const uint8_t pages = input_u8 (input);

  set_quota (pages < 128 ? (pages % 32 + UINT64_C (1)) * POOL_PAGE_SIZE
                         : QUOTA);
}

static void
turns (unsigned n)
{
  const bool soon = n % 2 == 1;

  while (n-- > 0) {
    ring_checks_turn (&ring);
    ring_checks_notes (&ring);
  }
  ring_arm (&ring, soon);
  FUZZ_CHECK (ring_patience (&ring, soon) >= 0);
}

/* The guest is gone: what it posted comes to an end. */
static void
leave (void)
{
  ring_checks_end (&ring);
  end ();
}

static void
new_step (unsigned kind, struct input *input)
{
  switch (kind) {
  case 0:
    move (input);
    break;
  case 1:
    limit (input);
    break;
  case 2:
    fuzz_clock_advance (input_u8 (input) * UINT64_C (20000000));
    break;
  default:
    ring_checks_rest (&ring);
  }
}

static void
step (struct input *input)
{
  const uint8_t kind = input_u8 (input);
  uint32_t *word;

  if (kind >= NEW_STEPS) {
    new_step (kind % 4, input);
    return;
  }
  switch (kind % 9) {
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
  fuzz_clock_restart (how & SLOW ? SLOW_NS : QUICK_NS);
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
  ring_checks_rest (&ring);
  leave ();
  set_quota (QUOTA);
  volume_trim (volume_find (pool, "guest"), PAGES * 4096, 0);
  check_others (how & CHECK_POOL);
  return 0;
}
