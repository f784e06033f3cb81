// SPDX-License-Identifier: BSD-3-Clause
/* A pool of many full segments to which a page is added now and then: each
 * compaction ends, copies little, and keeps the segments few. */

#include <config.h>

#include "unit.h"

#define PAGES (80u * 256)

int
main (void)
{
  struct pool *pool = unit_pool (128);
  struct volume *volume = unit_volume (pool, "idle", (PAGES + 100) * 4096ul);
  uint8_t page[POOL_PAGE_SIZE];
  struct pool_stats before, after;
  uint32_t x = 1;

  for (uint32_t i = 0; i < PAGES + 40; ++i) {
    for (unsigned j = 0; j < sizeof page; ++j)
      page[j] = (x = x * 1664525u + 1013904223u) >> 24;
    CHECK (volume_write (volume, page, sizeof page, i * 4096ul) == 0);
    if (i < PAGES)
      continue;
    CHECK (pool_compact (pool) == 0);
    if (i == PAGES)
      pool_get_stats (pool, &before);
  }
  pool_get_stats (pool, &after);
  CHECK (after.bytes_moved - before.bytes_moved < 8u << 20);
  CHECK (after.segment_bytes < after.blob_bytes + (8u << 20));
  unit_check_pool (pool);
  pool_destroy (pool);
  return 0;
}
