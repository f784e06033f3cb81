// SPDX-License-Identifier: BSD-3-Clause
/* Exports and the pool in words. */

#ifndef VMSWAP_DESCRIBE_H
#define VMSWAP_DESCRIBE_H

#include <stdbool.h>

#include "pool.h"

struct description {
  char text[256];
};

/* "vmswap web1 8G: 212M swapped in 70M of RAM", or "... empty" if it holds no
 * more than its swap header, and ", of 512M quota, 128M reserved" where there are
 * limits; returns ret->text. */
extern const char *describe_volume (struct volume *volume, bool has_header,
                                    struct description *ret);

/* The counters, as debug messages; when says at which occasion. */
extern void describe_pool (struct pool *pool, const char *when);

#endif /* VMSWAP_DESCRIBE_H */
