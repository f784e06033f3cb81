// SPDX-License-Identifier: BSD-3-Clause
/* A trend is the majority of the newest 8, 16 or 32 deltas, and never 0:
 * checked against one that counts everything, over deltas of all kinds. */

#include <config.h>

#include "prefetch-trend.h"
#include "unit.h"

#define ROUNDS 200000u

static uint32_t
roll (uint32_t bound)
{
  static uint64_t x = 1;

  x = x * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
  return (x >> 33) % bound;
}

/* Has this delta a majority in a window, by a count of them all?  Of fewer than
 * eight, three quarters. */
static bool
counted (const int64_t *log, unsigned n, int64_t delta)
{
  for (unsigned window = 8; window <= 32; window *= 2) {
    const unsigned w = n < 8 ? n : window;
    unsigned count = 0;

    if (w > n)
      return false;
    for (unsigned i = n - w; i < n; ++i)
      count += log[i] == delta;
    if (w < 8 ? count >= 3 && count * 4 >= w * 3 : count * 2 > w)
      return true;
  }
  return false;
}

/* Deltas that are regular for a while, with so much noise in a hundred. */
static void
check_against_count (unsigned noise)
{
  static int64_t log[ROUNDS];
  struct trend trend = { 0 };
  int64_t delta = 1;
  unsigned found = 0;

  for (unsigned n = 0; n < ROUNDS;) {
    int64_t one;

    if (roll (40) == 0)
      delta = (int64_t) roll (5) - 2;
    one = roll (100) < noise ? (int64_t) roll (7) - 3 : delta;
    log[n++] = one;
    const int32_t was = trend.delta;
    const int32_t now = trend_log (&trend, one);

    CHECK (now == 0 || counted (log, n, now));
    /* A majority that the newest belongs to is found, a trend that still has
     * one is kept or left for another that has one. */
    CHECK (now != 0 || one == 0 || !counted (log, n, one));
    CHECK (now != 0 || was == 0 || !counted (log, n, was));
    found += now != 0;
  }
  CHECK (found > 0 || noise > 90);
  if (noise == 0)
    CHECK (found > ROUNDS / 2);
}

static void
check_strange_deltas (void)
{
  struct trend trend = { 0 };

  for (unsigned i = 0; i < 100; ++i)
    CHECK (trend_log (&trend, 0) == 0);
  for (unsigned i = 0; i < 100; ++i)
    CHECK (trend_log (&trend, INT64_C (1) << 32) == 0);
  for (unsigned i = 0; i < 100; ++i)
    CHECK (trend_log (&trend, (INT64_C (1) << 32) + 5) == 0);
  for (unsigned i = 0; i < 100; ++i)
    trend_log (&trend, INT32_MIN);
  CHECK (trend.delta == INT32_MIN);
}

/* Two are a chance, three a trend; a ring that wrapped stays full. */
static void
check_first_and_wrap (void)
{
  struct trend trend = { 0 };

  CHECK (trend_log (&trend, 7) == 0);
  CHECK (trend_log (&trend, 7) == 0);
  CHECK (trend_log (&trend, 7) == 7);
  CHECK (!trend_regular (&trend));
  trend.logged = UINT32_MAX - 3;
  for (unsigned i = 0; i < 40; ++i) {
    trend_log (&trend, -3);
    CHECK (trend_length (&trend) == TREND_RING);
  }
  CHECK (trend.delta == -3 && trend_regular (&trend));
}

/* Twelve of the last sixteen, and no fewer. */
static void
check_regular (void)
{
  for (unsigned others = 0; others <= 7; ++others) {
    struct trend trend = { 0 };

    for (unsigned i = 0; i < 16; ++i)
      trend_log (&trend, i < others ? 100 + i : 9);
    CHECK (trend.delta == 9);
    CHECK (trend_regular (&trend) == (others <= 4));
  }
}

int
main (void)
{
  for (unsigned noise = 0; noise <= 100; noise += 10)
    check_against_count (noise);
  check_strange_deltas ();
  check_first_and_wrap ();
  check_regular ();
  return 0;
}
