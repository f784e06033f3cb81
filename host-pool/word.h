// SPDX-License-Identifier: BSD-3-Clause
/* Page words and blob headers: packing and unpacking.  proto/vmswap-image.h
 * draws them. */

#ifndef VMSWAP_WORD_H
#define VMSWAP_WORD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "pool.h"
#include "vmswap-image.h"

#define WORD_MASK(bits) ((UINT64_C (1) << (bits)) - 1)

/* Where a blob lies.  size counts header and padding. */
struct place {
  uint32_t segment;
  uint32_t offset;
};

static inline uint32_t
blob_size (uint32_t length)
{
  return (VMSWAP_BLOB_HEADER_SIZE + length + VMSWAP_BLOB_ALIGN - 1) &
         ~(VMSWAP_BLOB_ALIGN - 1u);
}

static inline enum vmswap_word_tag
word_tag (uint64_t word)
{
  return (enum vmswap_word_tag) (word & WORD_MASK (VMSWAP_WORD_TAG_BITS));
}

static inline bool
word_is_blob (uint64_t word)
{
  return word_tag (word) == VMSWAP_WORD_BLOB;
}

static inline bool
word_is_shared (uint64_t word)
{
  return word_tag (word) == VMSWAP_WORD_SHARED;
}

static inline bool
word_is_cold (uint64_t word)
{
  return word_tag (word) == VMSWAP_WORD_COLD;
}

/* Does the word name bytes in the arena by itself? */
static inline bool
word_has_place (uint64_t word)
{
  return word_is_blob (word) || word_is_cold (word);
}

static inline uint64_t
word_shared (uint32_t entry, uint64_t fingerprint)
{
  return VMSWAP_WORD_SHARED | (uint64_t) entry << VMSWAP_WORD_ENTRY_SHIFT |
         fingerprint >> VMSWAP_WORD_PRINT_SHIFT << VMSWAP_WORD_PRINT_SHIFT;
}

static inline uint32_t
word_entry (uint64_t word)
{
  return (uint32_t) (word >> VMSWAP_WORD_ENTRY_SHIFT);
}

/* Do the bits of the fingerprint that the word of a shared page keeps agree
 * with the whole? */
static inline bool
word_shared_matches (uint64_t word, uint64_t fingerprint)
{
  return word >> VMSWAP_WORD_PRINT_SHIFT ==
         fingerprint >> VMSWAP_WORD_PRINT_SHIFT;
}

/* A fill page has no blob that could be checked, so its word checks itself:
 * seven bits that follow from the value. */
static inline uint64_t
word_fill (uint32_t value)
{
  const uint64_t check = ((value * 0x9e3779b1u) >> 25) ^ 0x55;

  return check << VMSWAP_WORD_FINGERPRINT_SHIFT |
         (uint64_t) value << VMSWAP_WORD_FILL_SHIFT | VMSWAP_WORD_FILL;
}

static inline uint32_t
word_fill_value (uint64_t word)
{
  return (uint32_t) (word >> VMSWAP_WORD_FILL_SHIFT);
}

static inline uint64_t
word_blob (struct place place, uint32_t length, uint64_t fingerprint)
{
  return VMSWAP_WORD_BLOB |
         (uint64_t) place.segment << VMSWAP_WORD_SEGMENT_SHIFT |
         (uint64_t) (place.offset / VMSWAP_BLOB_ALIGN)
             << VMSWAP_WORD_OFFSET_SHIFT |
         (uint64_t) (length - 1) << VMSWAP_WORD_LENGTH_SHIFT |
         (fingerprint >> 32) << VMSWAP_WORD_FINGERPRINT_SHIFT;
}

static inline struct place
word_place (uint64_t word)
{
  return (struct place){
    .segment = word >> VMSWAP_WORD_SEGMENT_SHIFT &
               WORD_MASK (VMSWAP_WORD_SEGMENT_BITS),
    .offset = (word >> VMSWAP_WORD_OFFSET_SHIFT &
               WORD_MASK (VMSWAP_WORD_OFFSET_BITS)) *
              VMSWAP_BLOB_ALIGN,
  };
}

static inline uint32_t
word_length (uint64_t word)
{
  return (uint32_t) (word >> VMSWAP_WORD_LENGTH_SHIFT &
                     WORD_MASK (VMSWAP_WORD_LENGTH_BITS)) +
         1;
}

static inline bool
word_is_raw (uint64_t word)
{
  return word_length (word) == POOL_PAGE_SIZE;
}

/* A page of the group at that place; size: of all of the group, a multiple of
 * VMSWAP_BLOB_ALIGN. */
static inline uint64_t
word_cold (struct place place, uint32_t size, uint64_t fingerprint)
{
  return (word_blob (place, size / VMSWAP_BLOB_ALIGN, fingerprint) &
          ~WORD_MASK (VMSWAP_WORD_TAG_BITS)) |
         VMSWAP_WORD_COLD;
}

/* What lies at the place that the word names: a blob or a group, header and
 * padding included. */
static inline uint32_t
word_size (uint64_t word)
{
  return word_is_cold (word) ? word_length (word) * VMSWAP_BLOB_ALIGN
                             : blob_size (word_length (word));
}

/* Are both cold, and in the same group? */
static inline bool
word_same_group (uint64_t word, uint64_t other)
{
  return word_is_cold (word) &&
         ((word ^ other) & WORD_MASK (VMSWAP_WORD_FINGERPRINT_SHIFT)) == 0;
}

/* Can the word be what somebody stored?  Of a blob, a group, and a shared page,
 * the blob itself tells. */
static inline bool
word_is_sound (uint64_t word)
{
  switch (word_tag (word)) {
  case VMSWAP_WORD_EMPTY:
    return word == 0;
  case VMSWAP_WORD_FILL:
    return word == word_fill (word_fill_value (word));
  case VMSWAP_WORD_LOST:
    return word == VMSWAP_WORD_LOST;
  case VMSWAP_WORD_BLOB:
  case VMSWAP_WORD_SHARED:
  case VMSWAP_WORD_COLD:
    return true;
  }
  return false;
}

/* The same blob somewhere else. */
static inline uint64_t
word_moved (uint64_t word, struct place place)
{
  const uint64_t mask =
      WORD_MASK (VMSWAP_WORD_SEGMENT_BITS) << VMSWAP_WORD_SEGMENT_SHIFT |
      WORD_MASK (VMSWAP_WORD_OFFSET_BITS) << VMSWAP_WORD_OFFSET_SHIFT;

  return (word & ~mask) |
         (uint64_t) place.segment << VMSWAP_WORD_SEGMENT_SHIFT |
         (uint64_t) (place.offset / VMSWAP_BLOB_ALIGN)
             << VMSWAP_WORD_OFFSET_SHIFT;
}

/* Do the bits of the fingerprint that the word and the header keep agree with
 * the whole? */
static inline bool
word_fingerprint_matches (uint64_t word, uint32_t header_fingerprint,
                          uint64_t fingerprint)
{
  return header_fingerprint == (uint32_t) fingerprint &&
         word >> VMSWAP_WORD_FINGERPRINT_SHIFT ==
             (fingerprint >> 32 & WORD_MASK (VMSWAP_WORD_FINGERPRINT_BITS));
}

/* The part of a fingerprint that can be told without a look at the content:
 * from the word and the header of a blob. */
#define PRINT_BITS (32 + VMSWAP_WORD_FINGERPRINT_BITS)

static inline uint64_t
word_print (uint64_t word, uint32_t header_fingerprint)
{
  return word >> VMSWAP_WORD_FINGERPRINT_SHIFT << 32 | header_fingerprint;
}

/* A blob header, unpacked.  Of a group, length is its size / VMSWAP_BLOB_ALIGN,
 * and fingerprint tells what is in it. */
struct blob {
  uint32_t volume;
  uint32_t page;
  uint32_t length;
  uint8_t codec;
  uint32_t fingerprint;
};

/* From one blob to the next. */
static inline uint32_t
blob_extent (const struct blob *blob)
{
  return blob->codec == VMSWAP_CODEC_GROUP ? blob->length * VMSWAP_BLOB_ALIGN
                                           : blob_size (blob->length);
}

/* How many pages from the first one on may name it.  Of a group that does not
 * begin where groups do, none. */
static inline unsigned
blob_nr_owners (const struct blob *blob)
{
  if (blob->codec != VMSWAP_CODEC_GROUP)
    return 1;
  return blob->page % VMSWAP_GROUP_PAGES ? 0 : VMSWAP_GROUP_PAGES;
}

static inline void
blob_pack (void *at, const struct blob *blob)
{
  const uint64_t owner = (uint64_t) blob->volume | (uint64_t) blob->page << 16 |
                         (uint64_t) (blob->length - 1) << 48 |
                         (uint64_t) blob->codec << 60;
  const struct vmswap_image_blob image = {
    .owner_low = (uint32_t) owner,
    .owner_high = (uint32_t) (owner >> 32),
    .fingerprint = blob->fingerprint,
  };

  memcpy (at, &image, sizeof image);
}

static inline struct blob
blob_unpack (const void *at)
{
  struct vmswap_image_blob image;

  memcpy (&image, at, sizeof image);
  const uint64_t owner = (uint64_t) image.owner_high << 32 | image.owner_low;
  return (struct blob){
    .volume = owner & 0xffff,
    .page = (uint32_t) (owner >> 16),
    .length = (uint32_t) (owner >> 48 & 0xfff) + 1,
    .codec = (uint8_t) (owner >> 60),
    .fingerprint = image.fingerprint,
  };
}

#endif /* VMSWAP_WORD_H */
