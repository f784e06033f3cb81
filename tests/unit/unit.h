// SPDX-License-Identifier: BSD-3-Clause
/* What the unit tests share: CHECK, and a small pool.  These tests look inside
 * the pool; those of tests/pool do not. */

#ifndef VMSWAP_UNIT_H
#define VMSWAP_UNIT_H

#include <string.h>

#include "internal.h"
#include "unit-check.h"

static inline struct pool *
unit_pool (uint64_t mebibytes)
{
  const struct pool_config config = { .limit = mebibytes << 20 };
  struct pool *pool;

  CHECK (pool_create (&config, &pool) == 0);
  return pool;
}

static inline struct volume *
unit_volume (struct pool *pool, const char *name, uint64_t size)
{
  struct volume *volume;

  CHECK (volume_open (pool, name, size, &volume, NULL) == 0);
  return volume;
}

static inline void
unit_check_pool (struct pool *pool)
{
  char report[256];

  if (pool_check (pool, true, report, sizeof report) != 0) {
    fprintf (stderr, "pool_check: %s\n", report);
    exit (1);
  }
}

/* A page that compresses to about half, and is told apart by its seed. */
static inline void
unit_page (uint8_t *page, uint32_t seed)
{
  uint32_t state = seed * 2654435761u + 1;

  for (unsigned i = 0; i < POOL_PAGE_SIZE; i += 8) {
    state = state * 1664525u + 1013904223u;
    memcpy (page + i, &state, 4);
    memcpy (page + i + 4, &seed, 4);
  }
}

#endif /* VMSWAP_UNIT_H */
