// SPDX-License-Identifier: BSD-3-Clause
/* Page words and blob headers keep what is packed into them, at the edges of
 * every field. */

#include <config.h>

#include "unit.h"
#include "word.h"

static void
test_blob_words (void)
{
  const uint32_t segments[] = { 0, 1, (1u << 24) - 1 };
  const uint32_t offsets[] = { 0, 4, POOL_SEGMENT_SIZE - 4 };
  const uint32_t lengths[] = { 1, 2, 2047, 4095, 4096 };
  const uint64_t prints[] = { 0, UINT64_MAX, UINT64_C (0x5500000001) };

  for (unsigned s = 0; s < 3; ++s)
    for (unsigned o = 0; o < 3; ++o)
      for (unsigned l = 0; l < 5; ++l)
        for (unsigned p = 0; p < 3; ++p) {
          const struct place place = { segments[s], offsets[o] };
          const uint64_t word = word_blob (place, lengths[l], prints[p]);

          CHECK (word_is_blob (word));
          CHECK (word_place (word).segment == place.segment);
          CHECK (word_place (word).offset == place.offset);
          CHECK (word_length (word) == lengths[l]);
          CHECK (word_is_raw (word) == (lengths[l] == 4096));
          CHECK (
              word_fingerprint_matches (word, (uint32_t) prints[p], prints[p]));
          /* Any single bit of the fingerprint that is kept counts. */
          for (unsigned bit = 0; bit < 39; ++bit)
            CHECK (!word_fingerprint_matches (word, (uint32_t) prints[p],
                                              prints[p] ^ UINT64_C (1) << bit));
        }
}

static void
test_moved (void)
{
  const uint64_t word =
      word_blob ((struct place){ 7, 128 }, 1234, UINT64_C (0xabcdef0123456789));
  const struct place to = { (1u << 24) - 1, POOL_SEGMENT_SIZE - 4 };
  const uint64_t moved = word_moved (word, to);

  CHECK (word_place (moved).segment == to.segment);
  CHECK (word_place (moved).offset == to.offset);
  CHECK (word_length (moved) == 1234);
  CHECK (word_moved (moved, (struct place){ 7, 128 }) == word);
}

static void
test_fill_words (void)
{
  const uint32_t values[] = { 1, 0x80000000, UINT32_MAX, 0xdeadbeef };

  for (unsigned i = 0; i < 4; ++i) {
    const uint64_t word = word_fill (values[i]);

    CHECK (word_tag (word) == VMSWAP_WORD_FILL);
    CHECK (word_fill_value (word) == values[i]);
  }
  CHECK (word_tag (0) == VMSWAP_WORD_EMPTY);
}

static void
test_headers (void)
{
  const struct blob blobs[] = {
    { 0, 0, 1, 0, 0 },
    { 65535, UINT32_MAX, 4096, 15, UINT32_MAX },
    { 1023, 0x12345678, 1777, 1, 0x9abcdef0 },
  };
  uint8_t bytes[VMSWAP_BLOB_HEADER_SIZE];

  for (unsigned i = 0; i < 3; ++i) {
    blob_pack (bytes, &blobs[i]);
    const struct blob b = blob_unpack (bytes);
    CHECK (b.volume == blobs[i].volume && b.page == blobs[i].page &&
           b.length == blobs[i].length && b.codec == blobs[i].codec &&
           b.fingerprint == blobs[i].fingerprint);
  }
  CHECK (blob_size (1) == 16 && blob_size (4) == 16 && blob_size (5) == 20 &&
         blob_size (4096) == 4108);
}

int
main (void)
{
  test_blob_words ();
  test_moved ();
  test_fill_words ();
  test_headers ();
  return 0;
}
