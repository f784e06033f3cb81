// SPDX-License-Identifier: BSD-3-Clause
/* The file an arena lies in, and its superblock. */

#ifndef VMSWAP_IMAGE_FILE_H
#define VMSWAP_IMAGE_FILE_H

#include <stdbool.h>

#include "pool.h"
#include "vmswap-image.h"

/* The name of the file in config->state. */
#define IMAGE_FILE "pool.vmswap"

/* Opens the file, or makes a memfd, and tells its superblock: the one found
 * (*found) or one for a new image, which is not written yet.  Returns the
 * descriptor, with the file locked, or -errno as pool_create says. */
extern int image_open (const struct pool_config *config,
                       struct vmswap_image_super *super, bool *found);

/* Writes the superblock to the slot whose turn it is. */
extern void image_write_super (void *base, struct vmswap_image_super *super);

/* Says why pool_create fails. */
extern void __attribute__ ((format (printf, 2, 3)))
image_reason (const struct pool_config *config, const char *fmt, ...);

#endif /* VMSWAP_IMAGE_FILE_H */
