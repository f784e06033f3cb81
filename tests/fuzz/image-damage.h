// SPDX-License-Identifier: BSD-3-Clause
/* What an input of fuzz-image does to the image: a list of small changes, and
 * the way back. */

#ifndef VMSWAP_FUZZ_IMAGE_DAMAGE_H
#define VMSWAP_FUZZ_IMAGE_DAMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "fuzz.h"
#include "image-base.h"

/* Reads changes from the input until it is over, and makes them.  checksums:
 * those of the superblocks are made right again afterwards. */
extern void damage_make (struct input *input, bool checksums);

/* Did any change touch the stretch? */
extern bool damage_touches (const struct stretch *stretch);

/* Is the file still what it was after damage_make? */
extern bool damage_is_all (void);

/* Makes the file the base again.  adopted: a pool has worked on it. */
extern void damage_undo (bool adopted);

#endif /* VMSWAP_FUZZ_IMAGE_DAMAGE_H */
