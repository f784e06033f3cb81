// SPDX-License-Identifier: BSD-3-Clause
/* The header that makes a volume a swap area: what mkswap(8) would write. */

#ifndef VMSWAP_SWAPHEADER_H
#define VMSWAP_SWAPHEADER_H

#include <stdint.h>

#include "pool.h"

/* Fills page 0 of a swap area of the given size.  The UUID depends on
 * nothing but the name. */
extern void swapheader_make (uint8_t page[POOL_PAGE_SIZE], const char *name,
                             uint64_t size);

#endif /* VMSWAP_SWAPHEADER_H */
