// SPDX-License-Identifier: BSD-3-Clause
/* Makes the pages that page-content.h describes.  No state, no locks. */

#include <stdint.h>
#include <string.h>

#include "page-content.h"

enum page_kind { KIND_ZERO, KIND_WORD, KIND_TEXT, KIND_HEAP, KIND_RANDOM };

static const char *const kind_names[] = {
  [KIND_ZERO] = "zero", [KIND_WORD] = "word",     [KIND_TEXT] = "text",
  [KIND_HEAP] = "heap", [KIND_RANDOM] = "random",
};

/* Sixteen words of eight bytes or less, padded to eight. */
static const char vocabulary[16][8] = {
  "the ",   "memory ",  "of ",  "a ",    "guest ", "page\n ",
  "is ",    "written ", "to ",  "swap ", "when ",  "nobody ",
  "needs ", "it, ",     "and ", "read ",
};

static enum page_kind
page_kind (uint64_t seed, uint64_t index, enum page_mix mix)
{
  if (mix == MIX_RANDOM)
    return KIND_RANDOM;
  switch (mix64 (seed * 31 + index) & 15) {
  case 0:
    return KIND_ZERO;
  case 1:
  case 2:
    return KIND_WORD;
  case 3:
  case 4:
  case 5:
  case 6:
  case 7:
    return KIND_TEXT;
  case 14:
  case 15:
    return KIND_RANDOM;
  default:
    return KIND_HEAP;
  }
}

const char *
page_kind_name (uint64_t seed, uint64_t index, enum page_mix mix)
{
  return kind_names[page_kind (seed, index, mix)];
}

/* Words in random order: four bits of the key choose each. */
static void
make_text (uint64_t *out, uint64_t key)
{
  for (unsigned i = 0; i < PAGE_BYTES / 8; i += 16) {
    uint64_t bits = key = mix64 (key + i + 1);

    for (unsigned k = 0; k < 16; ++k, bits >>= 4)
      memcpy (&out[i + k], vocabulary[bits & 15], 8);
  }
  out[0] = key;
}

/* Objects of 32 bytes: a pointer into a small heap, a hash, a count and a
 * size. */
static void
make_heap (uint64_t *out, uint64_t key)
{
  uint64_t heap = UINT64_C (0x00007f3c00000000) | (key & 0xff0000);

  for (unsigned i = 0; i < PAGE_BYTES / 8; i += 4) {
    uint64_t bits = key = mix64 (key + i + 1);

    out[i] = heap + (bits & 0xffff0);
    out[i + 1] = bits >> 40;
    out[i + 2] = bits & 3;
    out[i + 3] = 0;
  }
}

static void
make_random (uint64_t *out, uint64_t key)
{
  for (unsigned i = 0; i < PAGE_BYTES / 8; ++i)
    out[i] = key = mix64 (key + i + 1);
}

void
page_make (uint8_t *out, uint64_t seed, uint64_t index, unsigned version,
           enum page_mix mix)
{
  uint64_t key = mix64 (mix64 (mix64 (seed) + index) + version) | 1;
  uint64_t words[PAGE_BYTES / 8];

  switch (page_kind (seed, index, mix)) {
  case KIND_ZERO:
    memset (words, 0, sizeof words);
    break;
  case KIND_WORD:
    for (unsigned i = 0; i < PAGE_BYTES / 8; ++i)
      words[i] = key;
    break;
  case KIND_TEXT:
    make_text (words, key);
    break;
  case KIND_HEAP:
    make_heap (words, key);
    break;
  case KIND_RANDOM:
    make_random (words, key);
    break;
  }
  memcpy (out, words, sizeof words);
}
