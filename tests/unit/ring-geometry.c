// SPDX-License-Identifier: BSD-3-Clause
/* A geometry that is made fits its region; one that does not is refused, with
 * the reason. */

#include <config.h>

#include <stdio.h>
#include <string.h>

#include "unit-check.h"
#include "vmswap-ring.h"

static const uint64_t size = VMSWAP_RING_SIZE_DEFAULT;
static struct vmswap_ring_geometry good;

static const char *
with (unsigned part, uint32_t offset, uint32_t count)
{
  struct vmswap_ring_geometry geometry = good;

  geometry.parts[part].offset += offset;
  geometry.parts[part].count = count;
  return vmswap_ring_geometry_check (&geometry, size);
}

#define REFUSED(part, offset, count, reason)                                   \
  do {                                                                         \
    const char *wrong = with (part, offset, count);                            \
    CHECK (wrong &&strcmp (wrong, reason) == 0);                               \
  } while (0)

static void
test_all_sizes (void)
{
  struct vmswap_ring_geometry geometry;

  for (uint64_t s = VMSWAP_RING_SIZE_MIN; s <= VMSWAP_RING_SIZE_MAX; s *= 2) {
    CHECK (vmswap_ring_geometry_for_size (s, &geometry) == 0);
    CHECK (vmswap_ring_geometry_check (&geometry, s) == NULL);
    CHECK (vmswap_ring_geometry_check (&geometry, s / 2) != NULL);
    /* Nothing of note is left over: less than two sets and a table's page. */
    CHECK (s - geometry.parts[VMSWAP_RING_CACHE_PAGES].offset -
               vmswap_ring_part_size (
                   VMSWAP_RING_CACHE_PAGES,
                   geometry.parts[VMSWAP_RING_CACHE_PAGES].count) <
           9 * VMSWAP_RING_PAGE_SIZE);
  }
  CHECK (vmswap_ring_geometry_for_size (0, &geometry) == -1);
  CHECK (vmswap_ring_geometry_for_size (VMSWAP_RING_SIZE_MIN / 2, &geometry) ==
         -1);
  CHECK (vmswap_ring_geometry_for_size (VMSWAP_RING_SIZE_MAX * 2, &geometry) ==
         -1);
  CHECK (vmswap_ring_geometry_for_size (3u << 20, &geometry) == -1);
}

static void
test_counts (void)
{
  const char *ring = "a ring's count is not a power of two";
  const char *tags = "too few or too many requests";
  const char *tables = "requests, results and their pages differ in number";
  const char *slots = "too few or too many staging slots";
  const char *posts = "posts: too few or too many";
  const char *tag_rings = "submits or completes: too few or too many";
  const char *cache = "the cache's sets and pages do not go together";

  REFUSED (VMSWAP_RING_POSTS, 0, 0, ring);
  REFUSED (VMSWAP_RING_SUBMITS, 0, 3, ring);
  REFUSED (VMSWAP_RING_COMPLETES, 0, UINT32_MAX, ring);
  REFUSED (VMSWAP_RING_HINTS, 0, 513, ring);
  REFUSED (VMSWAP_RING_HINTS, 0, 1u << 31, "too many hints");
  REFUSED (VMSWAP_RING_REQUESTS, 0, 0, tags);
  REFUSED (VMSWAP_RING_REQUESTS, 0, 257, tags);
  REFUSED (VMSWAP_RING_RESULTS, 0, 255, tables);
  REFUSED (VMSWAP_RING_TAG_PAGES, 0, 257, tables);
  REFUSED (VMSWAP_RING_SUBMITS, 0, 256, tag_rings);
  REFUSED (VMSWAP_RING_SUBMITS, 0, 1u << 31, tag_rings);
  REFUSED (VMSWAP_RING_COMPLETES, 0, 256, tag_rings);
  REFUSED (VMSWAP_RING_SLOTS, 0, 0, slots);
  REFUSED (VMSWAP_RING_SLOTS, 0, UINT32_MAX, slots);
  REFUSED (VMSWAP_RING_POSTS, 0, 2048, posts);
  REFUSED (VMSWAP_RING_POSTS, 0, 1u << 31, posts);
  REFUSED (VMSWAP_RING_CACHE, 0, UINT32_MAX, cache);
  REFUSED (VMSWAP_RING_CACHE, 0, 1, cache);
  REFUSED (VMSWAP_RING_CACHE, 0, 0x40000001, cache); /* 4 x it is 4 */
  REFUSED (VMSWAP_RING_CACHE_PAGES, 0, 0, cache);
}

static void
test_places (void)
{
  for (unsigned part = 0; part < VMSWAP_RING_PARTS; ++part) {
    const uint32_t count = good.parts[part].count;

    REFUSED (part, 64, count, "a part does not start at a page");
    CHECK (with (part, 0u - good.parts[part].offset, count) != NULL);
    CHECK (with (part, (uint32_t) size, count) != NULL);
    CHECK (with (part, 0u - good.parts[part].offset - 4096, count) != NULL);
  }
  REFUSED (VMSWAP_RING_POSTS, 4096, good.parts[VMSWAP_RING_POSTS].count,
           "parts overlap");
  REFUSED (VMSWAP_RING_CACHE_PAGES, 8 * 4096,
           good.parts[VMSWAP_RING_CACHE_PAGES].count,
           "a part ends beyond the region");
}

static void
test_ranges (void)
{
  CHECK (vmswap_ring_range_is_right (0, 1, 1));
  CHECK (vmswap_ring_range_is_right (5, 3, 8));
  CHECK (!vmswap_ring_range_is_right (5, 4, 8));
  CHECK (!vmswap_ring_range_is_right (5, 0, 8));
  CHECK (!vmswap_ring_range_is_right (8, 1, 8));
  CHECK (!vmswap_ring_range_is_right (UINT64_MAX, 1, 8));
  CHECK (!vmswap_ring_range_is_right (UINT64_MAX, UINT32_MAX, 8));
  CHECK (!vmswap_ring_range_is_right (0, 1, 0));
}

/* Passed exactly once, also where the index wraps. */
static void
test_events (void)
{
  for (uint32_t event = 0xfffffff0u; event != 16; ++event)
    for (uint32_t before = event - 8; before != event + 8; ++before)
      for (uint32_t step = 0; step < 8; ++step)
        CHECK (vmswap_ring_need_event (event, before + step, before) ==
               (event - before < step));
}

static void
test_sets (void)
{
  for (uint32_t sets = 1; sets < 5000; sets = sets * 3 + 1)
    for (uint64_t page = 1; page != 0; page <<= 1) {
      CHECK (vmswap_ring_cache_set_of (page, sets) < sets);
      CHECK (vmswap_ring_cache_set_of (page - 1, sets) < sets);
    }
}

int
main (void)
{
  CHECK (vmswap_ring_geometry_for_size (size, &good) == 0);
  test_all_sizes ();
  test_counts ();
  test_places ();
  test_ranges ();
  test_events ();
  test_sets ();
  return 0;
}
