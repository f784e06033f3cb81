// SPDX-License-Identifier: BSD-3-Clause
/* What a range of an export must hold, and what it may hold after a request
 * of which nobody knows how far it came. */

#ifndef VMSWAP_SHADOW_H
#define VMSWAP_SHADOW_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE 4096u

struct shadow {
  uint64_t start; /* of the range, in the export */
  uint32_t size;
  uint8_t *data;
};

/* Where got differs from the shadow at offset first; count: nowhere. */
extern uint32_t shadow_differs (const struct shadow *shadow, uint32_t offset,
                                uint32_t count, const uint8_t *got);

/* After a request that may have done a part: every page, or the part of it
 * that was asked for, must be all old or all new.  wanted NULL: zeroes.
 * whole_pages_are_new: only parts of pages may be old.
 *
 * Takes over what was read.  Returns how many pages are neither, *at: where
 * the first of them starts. */
extern unsigned shadow_settle (struct shadow *shadow, uint32_t offset,
                               uint32_t count, const uint8_t *got,
                               const uint8_t *wanted, bool whole_pages_are_new,
                               uint32_t *at);

#endif /* VMSWAP_SHADOW_H */
