// SPDX-License-Identifier: BSD-3-Clause
/* Parts of the pool, as people write them.  Owns nothing. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "percent.h"
#include "pool.h"

int
percent_parse (const char *text, unsigned *ret)
{
  const size_t digits = strspn (text, "0123456789");

  if (digits == 0 || strcmp (text + digits, "%") != 0)
    return -EINVAL;
  *ret = digits <= 3 ? (unsigned) strtoul (text, NULL, 10) : 0;
  return *ret == 0 || *ret > 100 ? -ERANGE : 0;
}

uint64_t
percent_of (uint64_t bytes, unsigned percent)
{
  const uint64_t part = bytes / 100 * percent + bytes % 100 * percent / 100;

  return part / POOL_PAGE_SIZE * POOL_PAGE_SIZE;
}
