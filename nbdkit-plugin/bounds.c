// SPDX-License-Identifier: BSD-3-Clause
/* Limits of exports.  Owns nothing; the pool keeps them. */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bounds.h"
#include "human.h"

const char *
limits_bad (uint64_t quota, uint64_t reserve)
{
  if (quota != 0 && quota < LIMITS_MIN_QUOTA)
    return "the quota is too small: give at least 64K, or 0 for none";
  if (quota % POOL_PAGE_SIZE != 0 || reserve % POOL_PAGE_SIZE != 0)
    return "quota and reserve are multiples of 4096: give one, such as 1M, a "
           "part of the pool, such as 25%, or 0 for none";
  if (quota != 0 && quota < reserve)
    return "the quota is smaller than the reserve: what is reserved must be "
           "allowed, so give a larger quota or a smaller reserve";
  return NULL;
}

/* The reserves come to too much. */
static void
explain (struct pool *pool, struct volume *volume, uint64_t reserve,
         char *reason, size_t reason_size)
{
  struct human wanted, others, utmost;
  struct volume_stats own;
  struct pool_stats all;

  volume_get_stats (volume, &own);
  pool_get_stats (pool, &all);
  snprintf (reason, reason_size,
            "export '%s' cannot have a reserve of %s: others have %s, and a "
            "pool of this size can promise %s in all: reserve less, or give "
            "the pool more with pool=",
            volume_name (volume), human_size (&wanted, reserve),
            human_size (&others, all.reserved - own.reserve),
            human_at_most (&utmost, all.reservable));
}

int
limits_set (struct pool *pool, struct volume *volume, uint64_t quota,
            uint64_t reserve, char *reason, size_t reason_size)
{
  struct volume_stats now;
  const char *bad;
  int r;

  volume_get_stats (volume, &now);
  if (quota == LIMITS_KEEP)
    quota = now.quota;
  if (reserve == LIMITS_KEEP)
    reserve = now.reserve;
  bad = limits_bad (quota, reserve);

  if (bad != NULL) {
    snprintf (reason, reason_size, "export '%s': %s", volume_name (volume),
              bad);
    return -EINVAL;
  }
  r = volume_set_limits (volume, quota, reserve);
  if (r == -ENOSPC)
    explain (pool, volume, reserve, reason, reason_size);
  else if (r < 0)
    snprintf (reason, reason_size, "export '%s': %s", volume_name (volume),
              strerror (-r));
  return r;
}
