// SPDX-License-Identifier: BSD-3-Clause
/* Opening the pool that a server left. */

#ifndef VMSWAPCTL_IMAGE_H
#define VMSWAPCTL_IMAGE_H

#include "pool.h"

/* Opens the pool in dir to look at it; nothing there changes.  On failure it
 * has said why, and returns the error of pool_create; -ENODATA: there is no
 * pool yet, which is not an error. */
extern int image_look (const char *dir, struct pool **ret);

/* The same, to work on it as a server does. */
extern int image_take (const char *dir, struct pool **ret);

#endif /* VMSWAPCTL_IMAGE_H */
