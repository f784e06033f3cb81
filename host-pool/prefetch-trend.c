// SPDX-License-Identifier: BSD-3-Clause
/* Owns the ring of deltas of one stream.
 *
 * Invariants
 *  1. delta is 0, or was the majority of one of the windows when it or another
 *     was last logged.
 *  2. logged never becomes small again: a full ring stays full.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include <stdbool.h>

#include "prefetch-trend.h"

/* The delta at that age, 0 being the newest. */
static int32_t
delta_at (const struct trend *trend, unsigned age)
{
  return trend->ring[(trend->logged - 1 - age) % TREND_RING];
}

/* The windows are the newest 8, 16, 32; all, while there are fewer than 8. */
static unsigned
smallest_window (unsigned length)
{
  return length < TREND_SHORTEST ? length : TREND_SHORTEST;
}

/* Are so many of n enough?  Two streams that take turns alternate: among a few
 * deltas one of theirs would have the majority. */
static bool
is_enough (unsigned count, unsigned n)
{
  return count >= TREND_FEWEST &&
         (n < TREND_SHORTEST ? count * 4 >= n * 3 : count > n / 2);
}

/* Is this delta the majority of a window? */
static bool
is_majority (const struct trend *trend, int32_t delta)
{
  const unsigned length = trend_length (trend);
  unsigned age = 0, count = 0;

  for (unsigned n = smallest_window (length); n <= length; n *= 2) {
    for (; age < n; ++age)
      count += delta_at (trend, age) == delta;
    if (is_enough (count, n))
      return true;
  }
  return false;
}

/* The majority of the smallest window that has one, 0 if none has: the only
 * candidate is what is left of n when unlike ones take each other away. */
static int32_t
vote (const struct trend *trend)
{
  const unsigned length = trend_length (trend);
  int32_t candidate = 0;
  unsigned age = 0, count = 0;

  for (unsigned n = smallest_window (length); n <= length; n *= 2) {
    for (; age < n; ++age) {
      const int32_t delta = delta_at (trend, age);

      if (count == 0)
        candidate = delta;
      count += delta == candidate ? 1 : -1;
    }
    if (count > 0 && candidate != 0 && is_majority (trend, candidate))
      return candidate;
  }
  return 0;
}

int32_t
trend_log (struct trend *trend, int64_t delta)
{
  if (delta != (int32_t) delta)
    delta = 0;
  trend->ring[trend->logged % TREND_RING] = delta;
  if (++trend->logged == 0)
    trend->logged = TREND_RING;
  /* One more for the trend pushes out one at the most: it keeps its majority.
   * And where there was none, only the newest can have become it. */
  if (trend->delta != 0 && delta != trend->delta)
    trend->delta = vote (trend);
  else if (trend->delta == 0 && is_majority (trend, delta))
    trend->delta = delta;
  return trend->delta;
}

bool
trend_regular (const struct trend *trend)
{
  unsigned count = 0;

  if (trend->delta == 0 || trend_length (trend) < TREND_SHORTEST * 2)
    return false;
  for (unsigned age = 0; age < TREND_SHORTEST * 2; ++age)
    count += delta_at (trend, age) == trend->delta;
  return count >= TREND_SHORTEST * 3 / 2;
}
