// SPDX-License-Identifier: BSD-3-Clause
/* Opening the pool that a server left.  Owns nothing. */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "image.h"

/* The error of pool_create, in words. */
static int
open_pool (struct pool_config *config, struct pool **pool)
{
  char reason[512] = "";
  int err;

  config->reason = reason;
  config->reason_size = sizeof reason;
  err = pool_create (config, pool);
  if (err == -ENODATA)
    printf ("%s holds no pool yet: a server starts empty there\n",
            config->state);
  else if (err && reason[0])
    complain ("%s", reason);
  else if (err)
    complain ("%s: %s", config->state, strerror (-err));
  return err;
}

int
image_look (const char *dir, struct pool **ret)
{
  struct pool_config config = { .state = dir, .look_only = true };

  return open_pool (&config, ret);
}

int
image_take (const char *dir, struct pool **ret)
{
  struct pool_config config = { .state = dir };
  struct pool_stats stats;
  int err;

  /* The limit is the one that the last server had.  To look first also tells
   * that there is an image: one would be made. */
  err = image_look (dir, ret);
  if (err)
    return err;
  pool_get_stats (*ret, &stats);
  pool_destroy (*ret);
  config.limit = stats.limit;
  return open_pool (&config, ret);
}
