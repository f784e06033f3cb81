// SPDX-License-Identifier: BSD-3-Clause
/* A thread finds a segment dead and is stopped before it retires it.
 * Meanwhile another retires it, and it is used again: the first must not retire
 * the segment's next life, in which pages live. */

#include <config.h>

#include "crash-point.h"
#include "unit.h"

static struct pool *pool;
static uint32_t segment;
static bool raced;

/* The other thread, at the worst moment. */
void
crash_point (const char *name)
{
  struct segments *segments;
  uint32_t again;

  if (strcmp (name, "segment found dead") != 0 || raced)
    return;
  raced = true;
  segments = &pool->segments;
  segment_debit (segments, segment, 0); /* finds it dead, too, and retires */
  CHECK (segment_state (segments, segment) == VMSWAP_SEGMENT_LIMBO);
  CHECK (segments_reap (segments) == 1);
  CHECK (segment_take (segments, SEGMENT_FOR_WRITER, &again) == 0);
  CHECK (again == segment);
  segment_credit (segments, segment, 200);
  segment_published (segments, segment);
  segment_seal (segments, segment, 200, 0);
}

int
main (void)
{
  pool = unit_pool (32);
  CHECK (segment_take (&pool->segments, SEGMENT_FOR_WRITER, &segment) == 0);
  segment_credit (&pool->segments, segment, 100);
  segment_published (&pool->segments, segment);
  segment_seal (&pool->segments, segment, 100, 0);
  segment_debit (&pool->segments, segment, 100);
  CHECK (raced);
  CHECK (segment_state (&pool->segments, segment) == VMSWAP_SEGMENT_SEALED);
  segment_debit (&pool->segments, segment, 200);
  CHECK (segment_state (&pool->segments, segment) == VMSWAP_SEGMENT_LIMBO);
  pool_destroy (pool);
  return 0;
}
