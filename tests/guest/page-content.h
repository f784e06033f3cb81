// SPDX-License-Identifier: BSD-3-Clause
/* Pages of checkable content, as compressible as what guests swap.
 *
 * A page follows from (seed, index, version, mix) alone, and no two of them
 * are alike, but for the pages of zeroes.  MIX_USUAL: of sixteen pages about
 * one is zero, two repeat one word, five are text, six look like a heap
 * (pointers, small numbers, zeroes) and two do not compress.  MIX_RANDOM: no
 * page compresses.
 */

#ifndef VMSWAP_PAGE_CONTENT_H
#define VMSWAP_PAGE_CONTENT_H

#include <stdint.h>

#define PAGE_BYTES 4096u

enum page_mix { MIX_USUAL, MIX_RANDOM };

/* A good 64-bit mixing function. */
static inline uint64_t
mix64 (uint64_t x)
{
  x ^= x >> 31;
  x *= UINT64_C (0x7fb5d329728ea185);
  x ^= x >> 27;
  x *= UINT64_C (0x81dadef4bc2dd44d);
  x ^= x >> 33;
  return x;
}

/* Writes the PAGE_BYTES bytes of a page to out. */
extern void page_make (uint8_t *out, uint64_t seed, uint64_t index,
                       unsigned version, enum page_mix mix);

/* "zero", "word", "text", "heap" or "random", for messages. */
extern const char *page_kind_name (uint64_t seed, uint64_t index,
                                   enum page_mix mix);

#endif /* VMSWAP_PAGE_CONTENT_H */
