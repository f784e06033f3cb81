// SPDX-License-Identifier: BSD-3-Clause
/* A compression ratio that falls within an hour is noticed; one that rises, one
 * that fell long ago, or one of few pages is not. */

#include <config.h>

#include "../pool/test.h"
#include "trend.h"

int
main (void)
{
  struct trend trend = { .taken = 0 };
  double from, to;

  CHECK (!trend_fell (&trend, &from, &to));
  for (unsigned i = 0; i < 100; ++i) {
    trend_add (&trend, 10000, 2 + i / 100.);
    CHECK (!trend_fell (&trend, &from, &to));
  }
  trend_add (&trend, 10000, 2.5);
  CHECK (!trend_fell (&trend, &from, &to));
  trend_add (&trend, 10000, 2.2);
  CHECK (trend_fell (&trend, &from, &to));
  CHECK (from == 2.99 && to == 2.2);
  /* Nothing is known of a pool that is nearly empty. */
  trend_add (&trend, 10, 1);
  CHECK (!trend_fell (&trend, &from, &to));
  /* It has become the normal state after an hour. */
  for (unsigned i = 0; i < 57; ++i) {
    trend_add (&trend, 10000, 2);
    CHECK (trend_fell (&trend, &from, &to));
  }
  trend_add (&trend, 10000, 2);
  trend_add (&trend, 10000, 2);
  CHECK (!trend_fell (&trend, &from, &to));
  return 0;
}
