// SPDX-License-Identifier: BSD-3-Clause
/* Owns nothing; the caller's lock. */

#include <config.h>

#include "lowest.h"

void
lowest_add (struct lowest *lowest, uint64_t number)
{
  uint64_t *kept = lowest->kept;
  unsigned i = lowest_kept (lowest);

  lowest->count++;
  if (i == LOWEST_MAX && number > kept[--i])
    return;
  for (; i > 0 && kept[i - 1] > number; --i)
    kept[i] = kept[i - 1];
  kept[i] = number;
}
