// SPDX-License-Identifier: BSD-3-Clause
/* The header that makes a volume a swap area: what mkswap(8) would write. */

#ifndef VMSWAP_SWAPHEADER_H
#define VMSWAP_SWAPHEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

/* A swap header can name pages that the kernel must not use.  Ours names those
 * that programs like blkid(8) read when they look what is on a disk: the first
 * and the last ones, and a few that known formats use.  No guest swaps to
 * them, so they read as zeroes even where all swapped pages are lost, and a
 * guest that boots then can tell what the disk is. */

/* Is this one of them, or the header?  pages: of the whole export. */
extern bool swapheader_reserves (uint64_t page, uint64_t pages);

/* The first of them that is not before page; pages if there is none. */
extern uint64_t swapheader_next (uint64_t page, uint64_t pages);

/* Is any byte of the range in one of them? */
extern bool swapheader_touched (uint64_t offset, uint64_t length,
                                uint64_t pages);

/* Fills page 0 of a swap area of the given size.  The UUID depends on
 * nothing but the name. */
extern void swapheader_make (uint8_t page[POOL_PAGE_SIZE], const char *name,
                             uint64_t size);

/* The UUID in a page 0.  Returns whether the page is a swap header at all. */
extern bool swapheader_uuid (const uint8_t page[POOL_PAGE_SIZE],
                             uint8_t uuid[16]);

#endif /* VMSWAP_SWAPHEADER_H */
