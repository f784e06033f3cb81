// SPDX-License-Identifier: BSD-3-Clause
/* Sizes as people write them.  Rounded to the nearest, with one decimal below
 * ten unless that is zero: 40K, 1.5M, 8G. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>

#include "human.h"

const char *
human_size (struct human *human, uint64_t bytes)
{
  static const char units[] = "KMGTPE";
  unsigned unit = 0;
  uint64_t whole, rest, tenths;

  if (bytes < 1024) {
    snprintf (human->text, sizeof human->text, "%" PRIu64, bytes);
    return human->text;
  }
  while (unit < sizeof units - 2 && bytes >> 10 * (unit + 2) != 0)
    unit++;
  whole = bytes >> 10 * (unit + 1);
  rest = bytes >> 10 * unit & 1023; /* 1024th parts of the unit */
  tenths = whole * 10 + (rest * 10 + 512) / 1024;
  if (tenths < 100 && tenths % 10 != 0)
    snprintf (human->text, sizeof human->text, "%" PRIu64 ".%" PRIu64 "%c",
              tenths / 10, tenths % 10, units[unit]);
  else if (tenths < 100)
    snprintf (human->text, sizeof human->text, "%" PRIu64 "%c", tenths / 10,
              units[unit]);
  else
    snprintf (human->text, sizeof human->text, "%" PRIu64 "%c",
              whole + (rest >= 512), units[unit]);
  return human->text;
}
