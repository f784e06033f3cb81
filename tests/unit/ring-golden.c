// SPDX-License-Identifier: BSD-3-Clause
/* The bytes of version 1: a header, a post, a request, a result and a cache
 * entry, as every guest that was ever built reads and writes them.  If this
 * fails, the layout has changed, and needs another version. */

#include <config.h>

#include <stdio.h>
#include <string.h>

#include "unit-check.h"
#include "vmswap-ring.h"

struct golden {
  unsigned offset;
  const char *hex;
};

/* All bytes that are not 0 are within these. */
static const struct golden golden_header[] = {
  { 0, "564d535741505247"
       "01000000"
       "00100000"
       "0000000200000000"
       "0300000000000000" },
  { 32, "00100000"
        "00200000" /* posts */
        "00100200"
        "00020000" /* submits */
        "00200200"
        "00020000" /* completes */
        "00300200"
        "00020000" /* hints */
        "00400200"
        "00010000" /* requests */
        "00600200"
        "00010000" /* results */
        "00700200"
        "b0050000" /* cache */
        "00e00300"
        "00010000" /* tag pages */
        "00e01300"
        "00080000" /* staging slots */
        "00e09300"
        "c0160000" /* cache pages */ },
  { 112, "77656231" },
  { 256, "01000000"
         "00000000"
         "01000000"
         "07000000"
         "11121314"
         "21222324"
         "02000000"
         "03000000"
         "0000200000000000" },
  { 384, "02000000"
         "21222324"
         "0100000000000000" },
  { 512, "31323334" },
  { 640, "41424344" },
  { 768, "51525354"
         "61626364"
         "71727374" },
  { 896, "81828384" },
  { 1024, "91929394" },
  { 1152, "a1a2a3a4" },
  { 1280, "b1b2b3b4"
          "c1c2c3c4" },
  { 0, NULL },
};

static unsigned
nibble (char c)
{
  return (unsigned) (c <= '9' ? c - '0' : c - 'a' + 10);
}

static void
compare (const char *what, const void *bytes, size_t size,
         const struct golden *golden)
{
  const uint8_t *have = bytes;
  uint8_t want[4096] = { 0 };

  for (; golden->hex; ++golden)
    for (size_t i = 0; golden->hex[2 * i]; ++i)
      want[golden->offset + i] = (uint8_t) (nibble (golden->hex[2 * i]) << 4 |
                                            nibble (golden->hex[2 * i + 1]));
  for (size_t i = 0; i < size; ++i)
    if (have[i] != want[i]) {
      fprintf (stderr, "%s: byte %zu is %02x, was %02x in version 1\n", what, i,
               have[i], want[i]);
      exit (1);
    }
}

static void
test_header (void)
{
  static struct vmswap_ring_header header;
  struct vmswap_ring_geometry geometry;
  struct vmswap_ring_geometry again;

  CHECK (vmswap_ring_geometry_for_size (32u << 20, &geometry) == 0);
  memcpy (header.magic, VMSWAP_RING_MAGIC, sizeof header.magic);
  header.version = VMSWAP_RING_VERSION;
  header.page_size = VMSWAP_RING_PAGE_SIZE;
  header.region_size = VMSWAP_RING_SIZE_DEFAULT;
  header.features = VMSWAP_RING_FEATURES;
  vmswap_ring_geometry_store (&geometry, &header);
  memcpy (header.volume, "web1", 4);
  header.host_state = VMSWAP_HOST_LIVE;
  header.host_reason = VMSWAP_REASON_NONE;
  header.host_flags = VMSWAP_HOST_FULL;
  header.generation = 7;
  header.heartbeat = 0x14131211;
  header.session_ack = 0x24232221;
  header.bad_posts = 2;
  header.lost_posts = 3;
  header.device_pages = 8u << 18;
  header.guest_state = VMSWAP_GUEST_LIVE;
  header.session = 0x24232221;
  header.guest_features = VMSWAP_RING_FEATURE_FILL;
  header.post_tail = 0x34333231;
  header.complete_head = 0x44434241;
  header.post_event = 0x54535251;
  header.submit_event = 0x64636261;
  header.hint_event = 0x74737271;
  header.post_head = 0x84838281;
  header.submit_head = 0x94939291;
  header.hint_head = 0xa4a3a2a1;
  header.tail_event = 0xb4b3b2b1;
  header.complete_event = 0xc4c3c2c1;
  compare ("the header", &header, sizeof header, golden_header);

  memset (&again, 0xff, sizeof again);
  vmswap_ring_geometry_load (&header, &again);
  CHECK (memcmp (&again, &geometry, sizeof again) == 0);
}

static void
test_entries (void)
{
  const struct golden golden_post[] = { { 0, "efcdab8967452301"
                                             "78563412"
                                             "01000000" },
                                        { 0, NULL } };
  const struct golden golden_request[] = { { 0, "efcdab8967452301"
                                                "01000000"
                                                "44332211"
                                                "78563412"
                                                "0301" },
                                           { 0, NULL } };
  const struct golden golden_result[] = { { 0, "78563412"
                                               "1c000000" },
                                          { 0, NULL } };
  const struct golden golden_set[] = { { 32, "ffffffffffffffff"
                                             "78563412" },
                                       { 0, NULL } };
  const uint64_t page = VMSWAP_U64 (0x0123456789abcdef);
  const struct vmswap_ring_post post = { page, 0x12345678, VMSWAP_POST_WRITE, 0,
                                         0 };
  struct vmswap_ring_request request;
  struct vmswap_ring_result result;
  struct vmswap_ring_cache_set set;

  memset (&request, 0, sizeof request);
  request.page = page;
  request.count = 1;
  request.after = 0x11223344;
  request.serial = 0x12345678;
  request.op = VMSWAP_REQUEST_DISCARD;
  request.flags = VMSWAP_REQUEST_AHEAD;
  memset (&result, 0, sizeof result);
  result.serial = 0x12345678;
  result.status = VMSWAP_STATUS_FULL;
  memset (&set, 0, sizeof set);
  set.ways[2].page = VMSWAP_RING_NO_PAGE;
  set.ways[2].sequence = 0x12345678;

  compare ("a post", &post, sizeof post, golden_post);
  compare ("a request", &request, sizeof request, golden_request);
  compare ("a result", &result, sizeof result, golden_result);
  compare ("a cache set", &set, sizeof set, golden_set);
  CHECK (vmswap_ring_cache_set_of (0, 1456) == 0);
  CHECK (vmswap_ring_cache_set_of (1, 1456) == 899);
  CHECK (vmswap_ring_cache_set_of (page, 1456) == 296);
}

int
main (void)
{
  test_header ();
  test_entries ();
  return 0;
}
