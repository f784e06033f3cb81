// SPDX-License-Identifier: BSD-3-Clause
/* Owns the table of jumps of a volume: direct mapped, with tags.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include "prefetch-jump.h"

/* How coarse places are: a reader with this stride comes to each once. */
static unsigned
shift_of (int32_t trend)
{
  uint32_t stride = trend < 0 ? -(uint32_t) trend : (uint32_t) trend;
  unsigned shift = 0;

  while (shift < JUMP_SHIFT_MAX && (stride >>= 1) > 0)
    shift++;
  return shift;
}

/* Where a jump from there is kept, and its tag, which is never 0. */
static unsigned
place_of (int64_t page, int32_t trend, uint32_t *tag)
{
  const unsigned shift = shift_of (trend);
  const uint64_t key =
      ((uint64_t) page >> shift) << 4 | shift << 1 | (trend < 0);
  const uint64_t hash = (key + 1) * UINT64_C (0x9e3779b97f4a7c15);

  *tag = (uint32_t) (hash >> 8) | 1;
  return (hash >> 40) % PREFETCH_JUMPS;
}

int32_t
jumps_find (const struct prefetch_jumps *jumps, int64_t page, int32_t trend)
{
  uint32_t tag;
  const struct prefetch_jump *jump = &jumps->jump[place_of (page, trend, &tag)];

  return jump->tag == tag ? jump->delta : 0;
}

void
jumps_set (struct prefetch_jumps *jumps, int64_t page, int32_t trend,
           int64_t delta)
{
  uint32_t tag;
  struct prefetch_jump *jump = &jumps->jump[place_of (page, trend, &tag)];

  if (delta != (int32_t) delta)
    return;
  if (delta != 0)
    *jump = (struct prefetch_jump){ .tag = tag, .delta = (int32_t) delta };
  else if (jump->tag == tag)
    jump->delta = 0;
}
