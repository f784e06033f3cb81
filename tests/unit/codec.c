// SPDX-License-Identifier: BSD-3-Clause
/* Codecs give back what they were given, and survive damaged input. */

#include <config.h>

#include <errno.h>

#include "codec.h"
#include "unit.h"
#include "word.h"

/* Damaged data may decode to garbage (the fingerprint is there to notice),
 * but must stay inside the buffers: run under ASan by check-sanitizers. */
static void
test_damage (const struct codec *codec, const uint8_t *data, size_t length)
{
  uint8_t *copy = malloc (length), *page = malloc (POOL_PAGE_SIZE);

  for (unsigned i = 0; i < 20000; ++i) {
    memcpy (copy, data, length);
    copy[lrand48 () % length] ^= 1 << lrand48 () % 8;
    copy[lrand48 () % length] = lrand48 ();
    const size_t cut = i % 3 ? length : 1 + lrand48 () % length;
    const int err = codec->decompress (copy, cut, page);
    CHECK (err == 0 || err == -EIO);
  }
  free (copy);
  free (page);
}

static void
test_codec (const struct codec *codec)
{
  uint8_t page[POOL_PAGE_SIZE], back[POOL_PAGE_SIZE], out[CODEC_MAX_OUTPUT];
  void *state = aligned_alloc (64, (codec->state_size + 63) & ~63ul);

  CHECK (codec_by_name (codec->name) == codec);
  CHECK (codec_by_id (codec->id) == codec);
  for (uint32_t seed = 0; seed < 100; ++seed) {
    unit_page (page, seed);
    if (seed % 3 == 0) /* incompressible */
      for (unsigned i = 0; i < sizeof page; ++i)
        page[i] = lrand48 () >> 7;
    const size_t length = codec->compress (state, page, out);
    CHECK (length <= CODEC_MAX_OUTPUT);
    if (length >= POOL_PAGE_SIZE)
      continue;
    CHECK (codec->decompress (out, length, back) == 0);
    CHECK (memcmp (page, back, sizeof page) == 0);
    if (seed == 1)
      test_damage (codec, out, length);
  }
  CHECK (codec->decompress ("", 1, back) == -EIO);
  free (state);
}

int
main (void)
{
  const char *const *names = pool_codecs ();
  unsigned n = 0;

  for (; names[n]; ++n) {
    CHECK (codec_by_name (names[n]));
    test_codec (codec_by_name (names[n]));
  }
  CHECK (n == 2);
  CHECK (!codec_by_name ("lz") && !codec_by_name ("") && !codec_by_id (15));
  return 0;
}
