// SPDX-License-Identifier: BSD-3-Clause
/* Owns the table of jumps of a volume: sets with tags, the newest first.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include <string.h>

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

/* The set in which a jump from there is kept, and its tag, which is never 0. */
static unsigned
set_of (enum jump_kind kind, int64_t page, int32_t trend, uint32_t *tag)
{
  const unsigned shift = shift_of (trend);
  const uint64_t key =
      ((uint64_t) page >> shift) << 5 | kind << 4 | shift << 1 | (trend < 0);
  const uint64_t hash = (key + 1) * UINT64_C (0x9e3779b97f4a7c15);

  *tag = (uint32_t) (hash >> 8) | 1;
  return (hash >> 40) % JUMP_SETS;
}

int32_t
jumps_find (const struct prefetch_jumps *jumps, enum jump_kind kind,
            int64_t page, int32_t trend)
{
  uint32_t tag;
  const struct prefetch_jump *set =
      jumps->set[set_of (kind, page, trend, &tag)];

  for (unsigned way = 0; way < JUMP_WAYS; ++way)
    if (set[way].tag == tag)
      return set[way].delta;
  return 0;
}

/* The newest is the first of its set. */
void
jumps_set (struct prefetch_jumps *jumps, enum jump_kind kind, int64_t page,
           int32_t trend, int64_t delta)
{
  uint32_t tag;
  struct prefetch_jump *set = jumps->set[set_of (kind, page, trend, &tag)];
  unsigned way = 0;

  if (delta != (int32_t) delta)
    return;
  while (way < JUMP_WAYS - 1 && set[way].tag != tag)
    way++;
  if (delta == 0) {
    if (set[way].tag == tag)
      set[way] = (struct prefetch_jump){ 0 };
    return;
  }
  memmove (set + 1, set, way * sizeof *set);
  set[0] = (struct prefetch_jump){ .tag = tag, .delta = (int32_t) delta };
}
