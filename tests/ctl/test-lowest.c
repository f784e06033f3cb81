// SPDX-License-Identifier: BSD-3-Clause
/* Whatever the order in which numbers come, the lowest are kept, in order. */

#include <config.h>

#include "../pool/test.h"
#include "../../vmswapctl/lowest.h"

/* 0 to n - 1, each once, in an order that step decides. */
static void
add_and_look (unsigned n, unsigned step)
{
  struct lowest lowest = { 0 };

  for (unsigned i = 0, number = n - 1; i < n; ++i) {
    lowest_add (&lowest, number);
    number = (number + step) % n;
  }
  CHECK_EQ (lowest.count, n);
  CHECK_EQ (lowest_kept (&lowest), n < LOWEST_MAX ? n : LOWEST_MAX);
  for (unsigned i = 0; i < lowest_kept (&lowest); ++i)
    CHECK_EQ (lowest.kept[i], i);
}

int
main (void)
{
  static const unsigned primes[] = { 2, 3, 5, 7, 11, 101 };

  for (unsigned i = 0; i < sizeof primes / sizeof primes[0]; ++i)
    for (unsigned step = 1; step < primes[i]; ++step)
      add_and_look (primes[i], step);
  return 0;
}
