// SPDX-License-Identifier: BSD-3-Clause
/* Owns the bank: sample pages of text and heap, and a block of noise.  It is
 * written by content_init alone and only read afterwards; no lock. */

#include <config.h>

#include <string.h>

#include "content.h"

#define BANK 64
#define NOISE_SIZE (1u << 20)
#define MARK_STEP 512 /* one mark in every sector */

static uint8_t text_bank[BANK][POOL_PAGE_SIZE];
static uint8_t heap_bank[BANK][POOL_PAGE_SIZE];
static uint8_t noise[NOISE_SIZE + POOL_PAGE_SIZE];

/* Words of a small vocabulary, each with its own frequency. */
static void
make_text (uint8_t *page, struct rng *rng, unsigned vocabulary)
{
  size_t at = 0;

  while (at < POOL_PAGE_SIZE) {
    const uint64_t a = rng_below (rng, vocabulary);
    uint64_t word = test_mix ((a * rng_below (rng, vocabulary)) / 7 + 1);
    const unsigned length = 2 + word % 9;

    for (unsigned i = 0; i < length && at < POOL_PAGE_SIZE; i++, word /= 26)
      page[at++] = 'a' + word % 26;
    if (at < POOL_PAGE_SIZE)
      page[at++] = rng_below (rng, 12) ? ' ' : '\n';
  }
}

/* Objects of 32 bytes: a type pointer, a link, a small count, a field that is
 * often zero. */
static void
make_heap (uint8_t *page, struct rng *rng, unsigned types)
{
  const uint64_t base =
      UINT64_C (0x00007f0000000000) + (rng_next (rng) << 40 >> 28);

  for (size_t at = 0; at < POOL_PAGE_SIZE; at += 32) {
    const uint64_t object[4] = {
      base + 4096 * rng_below (rng, types),
      base + 16 * rng_below (rng, 1 << 16),
      rng_below (rng, 8),
      rng_below (rng, 3) ? 0 : rng_next (rng) >> 40,
    };
    memcpy (page + at, object, sizeof object);
  }
}

void
content_init (uint64_t seed)
{
  struct rng rng = { test_mix (seed + 77) };

  for (unsigned i = 0; i < BANK; i++) {
    make_text (text_bank[i], &rng, 3 + i * 8);
    make_heap (heap_bank[i], &rng, 1 + i);
  }
  for (size_t at = 0; at < sizeof noise; at += 8) {
    const uint64_t x = rng_next (&rng);
    memcpy (noise + at, &x, 8);
  }
}

static void
make_fill (uint8_t *page, uint64_t value, unsigned width)
{
  for (size_t at = 0; at < POOL_PAGE_SIZE; at += width)
    memcpy (page + at, &value, width);
}

static void
mark (uint8_t *page, uint64_t key)
{
  for (size_t at = 0; at < POOL_PAGE_SIZE; at += MARK_STEP) {
    const uint64_t value = test_mix (key + at);
    memcpy (page + at + key % (MARK_STEP / 8) * 8, &value, 8);
  }
}

void
content_page (uint8_t page[POOL_PAGE_SIZE], enum content_kind kind,
              uint64_t key)
{
  const uint64_t x = test_mix (key ^ UINT64_C (0x5bd1e9955bd1e995));

  switch (kind) {
  case CONTENT_ZERO:
    memset (page, 0, POOL_PAGE_SIZE);
    break;
  case CONTENT_FILL8:
    make_fill (page, x, 1);
    break;
  case CONTENT_FILL16:
    make_fill (page, x, 2);
    break;
  case CONTENT_FILL32:
    make_fill (page, x, 4);
    break;
  case CONTENT_FILL64:
    make_fill (page, x, 8);
    break;
  case CONTENT_TEXT:
    memcpy (page, text_bank[x % BANK], POOL_PAGE_SIZE);
    mark (page, key);
    break;
  case CONTENT_HEAP:
    memcpy (page, heap_bank[x % BANK], POOL_PAGE_SIZE);
    mark (page, key);
    break;
  default:
    memcpy (page, noise + x % (NOISE_SIZE / 8) * 8, POOL_PAGE_SIZE);
    mark (page, key);
    break;
  }
}

static enum content_kind
pick_kind (struct rng *rng)
{
  static const uint8_t kinds[16] = {
    CONTENT_ZERO,   CONTENT_FILL8,  CONTENT_FILL16, CONTENT_FILL32,
    CONTENT_FILL64, CONTENT_TEXT,   CONTENT_TEXT,   CONTENT_TEXT,
    CONTENT_TEXT,   CONTENT_HEAP,   CONTENT_HEAP,   CONTENT_HEAP,
    CONTENT_HEAP,   CONTENT_RANDOM, CONTENT_RANDOM, CONTENT_RANDOM,
  };

  return kinds[rng_below (rng, 16)];
}

void
content_make (struct rng *rng, uint8_t *buf, size_t length, uint64_t offset)
{
  uint8_t page[POOL_PAGE_SIZE];

  while (length > 0) {
    const size_t in_page = offset % POOL_PAGE_SIZE;
    const size_t room = POOL_PAGE_SIZE - in_page;
    const size_t n = length < room ? length : room;

    content_page (page, pick_kind (rng), rng_next (rng));
    memcpy (buf, page + in_page, n);
    buf += n;
    offset += n;
    length -= n;
  }
}

bool
content_is_fill (const uint8_t page[POOL_PAGE_SIZE])
{
  return memcmp (page, page + 8, POOL_PAGE_SIZE - 8) == 0;
}

bool
content_is_zero (const uint8_t *buf, size_t length)
{
  return length == 0 || (buf[0] == 0 && memcmp (buf, buf + 1, length - 1) == 0);
}
