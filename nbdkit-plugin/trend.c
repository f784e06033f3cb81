// SPDX-License-Identifier: BSD-3-Clause
/* How well pages compressed within the last hour.  Owns nothing. */

#include <config.h>

#include "trend.h"

/* 16 MiB of guests' memory. */
#define ENOUGH_PAGES 4096u
#define FALL 0.75

void
trend_add (struct trend *trend, uint64_t pages, double ratio)
{
  trend->ratio[trend->taken++ % TREND_SAMPLES] =
      pages >= ENOUGH_PAGES ? ratio : 0;
}

bool
trend_fell (const struct trend *trend, double *from, double *to)
{
  if (trend->taken == 0)
    return false;
  *to = trend->ratio[(trend->taken - 1) % TREND_SAMPLES];
  *from = 0;
  for (unsigned i = 0; i < TREND_SAMPLES; ++i)
    if (trend->ratio[i] > *from)
      *from = trend->ratio[i];
  return *to > 0 && *to <= *from * FALL;
}
