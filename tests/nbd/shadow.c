// SPDX-License-Identifier: BSD-3-Clause
/* Owns nothing; a shadow belongs to one thread. */

#include <config.h>

#include <string.h>

#include "shadow.h"

uint32_t
shadow_differs (const struct shadow *shadow, uint32_t offset, uint32_t count,
                const uint8_t *got)
{
  const uint8_t *expected = shadow->data + offset;
  uint32_t i = 0;

  if (memcmp (got, expected, count) == 0)
    return count;
  while (got[i] == expected[i])
    i++;
  return i;
}

unsigned
shadow_settle (struct shadow *shadow, uint32_t offset, uint32_t count,
               const uint8_t *got, const uint8_t *wanted,
               bool whole_pages_are_new, uint32_t *at)
{
  static const uint8_t zeroes[PAGE];
  unsigned wrong = 0;
  uint32_t n;

  for (uint32_t i = 0; i < count; i += n) {
    const uint8_t *new = wanted ? wanted + i : zeroes;
    n = PAGE - (shadow->start + offset + i) % PAGE;
    if (n > count - i)
      n = count - i;
    if (memcmp (got + i, new, n) == 0)
      continue;
    if ((!whole_pages_are_new || n < PAGE) &&
        memcmp (got + i, shadow->data + offset + i, n) == 0)
      continue;
    if (wrong++ == 0)
      *at = offset + i;
  }
  memcpy (shadow->data + offset, got, count);
  return wrong;
}
