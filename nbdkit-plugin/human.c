// SPDX-License-Identifier: BSD-3-Clause
/* Sizes as people write them.  Rounded to the nearest, with one decimal below
 * ten unless that is zero: 40K, 1.5M, 8G. */

#include <config.h>

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "human.h"

const char *
human_size (struct human *human, uint64_t bytes)
{
  static const char units[] = "KMGTPE";
  unsigned unit = 0, shift;
  uint64_t whole, rest, tenths, half;

  if (bytes < 1024) {
    snprintf (human->text, sizeof human->text, "%" PRIu64, bytes);
    return human->text;
  }
  while (unit < sizeof units - 2 && bytes >> 10 * (unit + 2) != 0)
    unit++;
  shift = 10 * (unit + 1);
  half = UINT64_C (1) << (shift - 1);
  whole = bytes >> shift;
  rest = bytes & (2 * half - 1); /* of one unit: ten times it fits */
  tenths = whole * 10 + ((rest * 10 + half) >> shift);
  if (tenths < 100 && tenths % 10 != 0)
    snprintf (human->text, sizeof human->text, "%" PRIu64 ".%" PRIu64 "%c",
              tenths / 10, tenths % 10, units[unit]);
  else if (tenths < 100)
    snprintf (human->text, sizeof human->text, "%" PRIu64 "%c", tenths / 10,
              units[unit]);
  else
    snprintf (human->text, sizeof human->text, "%" PRIu64 "%c",
              whole + (rest >= half), units[unit]);
  return human->text;
}

const char *
human_at_most (struct human *human, uint64_t bytes)
{
  static const char units[] = "KMGTPE";
  unsigned unit = 0;

  if (bytes < 10 << 10) {
    snprintf (human->text, sizeof human->text, "%" PRIu64, bytes);
    return human->text;
  }
  while (unit < sizeof units - 2 && bytes >> 10 * (unit + 2) >= 10)
    unit++;
  snprintf (human->text, sizeof human->text, "%" PRIu64 "%c",
            bytes >> 10 * (unit + 1), units[unit]);
  return human->text;
}

int
human_parse (const char *text, uint64_t *ret)
{
  static const char units[] = "BKMGTPE";
  uint64_t number = 0;
  const char *unit;
  unsigned shift = 0;

  if (*text < '0' || *text > '9')
    return -EINVAL;
  for (; *text >= '0' && *text <= '9'; ++text)
    if (__builtin_mul_overflow (number, 10, &number) ||
        __builtin_add_overflow (number, *text - '0', &number))
      return -EINVAL;
  if (*text != '\0') {
    unit = strchr (units, toupper ((unsigned char) *text));
    if (unit == NULL || text[1] != '\0')
      return -EINVAL;
    shift = (unit - units) * 10;
  }
  if (number > UINT64_MAX >> shift)
    return -EINVAL;
  *ret = number << shift;
  return 0;
}
