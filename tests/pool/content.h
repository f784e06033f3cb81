// SPDX-License-Identifier: BSD-3-Clause
/* Page content that looks like swap: fill pages of all widths, text, heap
 * with pointers, and pages that no codec can shrink. */

#ifndef VMSWAP_TEST_CONTENT_H
#define VMSWAP_TEST_CONTENT_H

#include "test.h"

/* Builds the bank of sample pages.  Call once, before threads start. */
extern void content_init (uint64_t seed);

/* New content for a request at this offset.  Every page of it gets a kind of
 * its own; what is not a fill page carries marks, so that no two pages are
 * alike. */
extern void content_make (struct rng *rng, uint8_t *buf, size_t length,
                          uint64_t offset);

/* One whole page that depends on key alone, so that a test can make it again
 * instead of remembering it. */
enum content_kind {
  CONTENT_ZERO,
  CONTENT_FILL8,
  CONTENT_FILL16,
  CONTENT_FILL32,
  CONTENT_FILL64,
  CONTENT_TEXT,
  CONTENT_HEAP,
  CONTENT_RANDOM,
  CONTENT_KINDS
};
extern void content_page (uint8_t page[POOL_PAGE_SIZE], enum content_kind kind,
                          uint64_t key);

/* The page consists of one repeated value of at most 8 bytes. */
extern bool content_is_fill (const uint8_t page[POOL_PAGE_SIZE]);
extern bool content_is_zero (const uint8_t *buf, size_t length);

#endif /* VMSWAP_TEST_CONTENT_H */
