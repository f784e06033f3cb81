// SPDX-License-Identifier: BSD-3-Clause
/* Changes to the image, and their undoing.
 *
 * A change is one byte that names its kind, and what that kind needs: most of
 * them aim at a field of a structure, so that few bytes get deep; raw ones
 * reach everything else.
 *
 * Invariant: every byte of the file that a change wrote lies in a stretch of
 * the list, and its file page is among those saved. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "image-damage.h"
#include "word.h"

#define MAX_STRETCHES 128
#define MAX_PAGES 64

static struct stretch stretches[MAX_STRETCHES];
static unsigned nr_stretches;

/* File pages that were changed, and what they hold since. */
static struct saved {
  uint32_t page;
  uint8_t bytes[POOL_PAGE_SIZE];
} saved[MAX_PAGES];
static unsigned nr_saved;
static uint64_t file_size;

static struct saved *
find_saved (uint32_t page)
{
  for (unsigned i = 0; i < nr_saved; ++i)
    if (saved[i].page == page)
      return &saved[i];
  return NULL;
}

/* Makes room in the lists.  False: the input wants too much. */
static bool
touch (uint64_t at, uint64_t length)
{
  const uint64_t first = at / POOL_PAGE_SIZE;
  const uint64_t last = (at + length - 1) / POOL_PAGE_SIZE;

  if (length == 0 || at >= base.size || length > base.size - at ||
      nr_stretches == MAX_STRETCHES || last - first >= MAX_PAGES - nr_saved)
    return false;
  stretches[nr_stretches++] = (struct stretch){ at, length };
  for (uint64_t page = first; page <= last; ++page)
    if (!find_saved ((uint32_t) page))
      saved[nr_saved++].page = (uint32_t) page;
  return true;
}

static void
put (uint64_t at, const void *bytes, uint64_t length)
{
  if (touch (at, length))
    memcpy (base.map + at, bytes, length);
}

/* Up to 16 bytes of the input, to a place of a structure of the given size. */
static void
put_input (struct input *input, uint64_t at, uint64_t size)
{
  uint64_t offset = size <= 256 ? input_u8 (input) : input_u32 (input);
  uint64_t length = 1 + input_u8 (input) % 16;
  uint8_t bytes[16];

  offset %= size;
  if (length > size - offset)
    length = size - offset;
  for (unsigned i = 0; i < length; ++i)
    bytes[i] = input_u8 (input);
  put (at + offset, bytes, length);
}

static const struct base_page *
some_page (struct input *input)
{
  return &base.page[input_u8 (input) % base.nr_pages];
}

static uint64_t
volume_at (unsigned id)
{
  return base.super.volumes_offset +
         id % POOL_MAX_VOLUMES * sizeof (struct vmswap_image_volume);
}

static uint64_t
segment_at (uint32_t segment)
{
  return base.super.segments_offset + segment % base.super.segments_count *
                                          sizeof (struct vmswap_image_segment);
}

static void
damage_super (struct input *input)
{
  const uint8_t which = input_u8 (input);

  if (which & 64)
    put_input (input, VMSWAP_SHARING_OFFSET,
               sizeof (struct vmswap_image_volume));
  else
    put_input (input, which % 2 * POOL_PAGE_SIZE, sizeof base.super + 8);
}

/* A geometry that is right in itself, and a file that is large enough. */
static void
damage_geometry (struct input *input)
{
  struct vmswap_image_super super;

  memcpy (&super, base.map + base.super.generation % 2 * POOL_PAGE_SIZE,
          sizeof super);
  super.segments_count = input_u8 (input);
  super.frames_count = input_u16 (input);
  if (super.frames_count % 4)
    super.frames_count += super.segments_count * 256;
  super.frames_offset =
      super.segments_offset + ((super.segments_count * 16ul + 4095) & ~4095ul);
  super.data_offset =
      super.frames_offset + (uint64_t) super.frames_count * POOL_PAGE_SIZE;
  super.image_size =
      super.data_offset + (uint64_t) super.segments_count * POOL_SEGMENT_SIZE;
  put (base.super.generation % 2 * POOL_PAGE_SIZE, &super, sizeof super);
  if (super.image_size > file_size &&
      ftruncate (base.fd, (off_t) super.image_size) == 0)
    file_size = super.image_size;
}

static void
damage_volume (struct input *input)
{
  put_input (input, volume_at (input_u8 (input) % (BASE_VOLUMES + 2)), 256);
}

/* Another entry of the table, with the words of an existing one. */
static void
damage_volume_copy (struct input *input)
{
  const unsigned from = input_u8 (input) % BASE_VOLUMES;

  put (volume_at (input_u16 (input)), base.map + volume_at (from), 256);
}

static void
damage_segment (struct input *input)
{
  put_input (input, segment_at (input_u8 (input)), 16);
}

/* An entry of a root or directory, on the way to a page or beside it. */
static void
damage_entry (struct input *input)
{
  const struct base_page *page = some_page (input);
  const uint8_t level = input_u8 (input);
  const uint16_t beside = input_u16 (input);
  uint32_t frame = input_u16 (input);
  uint64_t at = page->way[level % 3].at;

  if (level & 0x80 && page->way[WAY_SHARED].length)
    at = page->way[WAY_SHARED + level % 3].at;
  if (level & 0x10)
    at = at / POOL_PAGE_SIZE * POOL_PAGE_SIZE + beside % 1024 * 4;
  if (level & 0x20)
    frame <<= 16;
  if (level & 0x40)
    frame = some_page (input)->way[WAY_WORD].at / POOL_PAGE_SIZE;
  put (at, &frame, sizeof frame);
}

/* A word made from parts, for a page or for one beside it. */
static void
damage_word (struct input *input)
{
  const struct base_page *page = some_page (input);
  const struct base_page *model = some_page (input);
  const uint8_t how = input_u8 (input);
  uint64_t word = model->word, at = page->way[WAY_WORD].at;

  if (how & 128 && page->way[WAY_SHARED].length)
    at = page->way[WAY_SHARED_WORD].at;
  if (how & 1)
    at = at / POOL_PAGE_SIZE * POOL_PAGE_SIZE + input_u16 (input) % 512 * 8;
  if (how & 2)
    word ^= UINT64_C (1) << input_u8 (input) % 64;
  if (how & 4)
    word = word_moved (word, (struct place){ input_u32 (input) & 0xffffff,
                                             input_u32 (input) & 0xffffc });
  if (how & 8)
    word = input_u64 (input);
  if (how & 16)
    word = word_fill (input_u32 (input));
  if (how & 32)
    word = VMSWAP_WORD_LOST;
  if (how & 64)
    word = word_shared (input_u8 (input), word);
  put (at, &word, sizeof word);
}

/* Words that name many segments, one each, at their starts. */
static void
damage_spread (struct input *input)
{
  const struct base_page *page = some_page (input);
  const uint64_t leaf = page->way[WAY_WORD].at / POOL_PAGE_SIZE;
  const unsigned first = input_u8 (input), n = input_u8 (input) % 128;
  uint32_t segment = input_u8 (input);
  uint64_t words[128];

  for (unsigned i = 0; i < n; ++i)
    words[i] = word_moved (page->word | 1, (struct place){ segment++, 0 });
  put (leaf * POOL_PAGE_SIZE + first * 8, words, n * sizeof words[0]);
}

static void
damage_blob (struct input *input)
{
  const struct base_page *page = some_page (input);

  if (page->way[WAY_BLOB].length)
    put_input (input, page->way[WAY_BLOB].at, page->way[WAY_BLOB].length);
}

/* The header of a blob, made from parts. */
static void
damage_header (struct input *input)
{
  const struct base_page *page = some_page (input);
  const uint8_t how = input_u8 (input);
  uint8_t bytes[VMSWAP_BLOB_HEADER_SIZE];
  struct blob blob;

  if (!page->way[WAY_BLOB].length)
    return;
  blob = blob_unpack (base.map + page->way[WAY_BLOB].at);
  if (how & 1)
    blob.volume = input_u16 (input);
  if (how & 2)
    blob.page = input_u32 (input);
  if (how & 4)
    blob.length = input_u16 (input) % 4096 + 1;
  if (how & 8)
    blob.codec = input_u8 (input) & 15;
  if (how & 16)
    blob.fingerprint = input_u32 (input);
  blob_pack (bytes, &blob);
  put (page->way[WAY_BLOB].at, bytes, sizeof bytes);
}

static void
damage_bit (struct input *input)
{
  const uint32_t page = base.used[input_u16 (input) % base.nr_used];
  const uint64_t at =
      (uint64_t) page * POOL_PAGE_SIZE + input_u16 (input) % POOL_PAGE_SIZE;
  const uint8_t byte = base.map[at] ^ 1 << input_u8 (input) % 8;

  put (at, &byte, 1);
}

static void
damage_zeroes (struct input *input)
{
  static const uint8_t zeroes[4 * POOL_PAGE_SIZE];
  const uint64_t at = input_u32 (input) % base.size;

  put (at, zeroes, 1 + input_u16 (input) % sizeof zeroes);
}

/* A stretch of the image, a second time somewhere else. */
static void
damage_copy (struct input *input)
{
  uint8_t bytes[POOL_PAGE_SIZE];
  const uint32_t page = base.used[input_u16 (input) % base.nr_used];
  const uint32_t to = base.used[input_u16 (input) % base.nr_used];

  memcpy (bytes, base.map + (uint64_t) page * POOL_PAGE_SIZE, sizeof bytes);
  put ((uint64_t) to * POOL_PAGE_SIZE, bytes, sizeof bytes);
}

static void
damage_size (struct input *input)
{
  const uint64_t size = input_u32 (input) % (2 * base.size);

  if (ftruncate (base.fd, (off_t) size) == 0)
    file_size = size;
}

typedef void damage_fn (struct input *input);

static damage_fn *const kinds[] = {
  damage_super, damage_geometry, damage_volume, damage_volume_copy,
  damage_entry, damage_word,     damage_word,   damage_spread,
  damage_blob,  damage_header,   damage_bit,    damage_zeroes,
  damage_copy,  damage_segment,  damage_size,   NULL,
};

static void
damage_raw (struct input *input)
{
  put_input (input, 0, base.size);
}

static void
fix_checksums (void)
{
  for (unsigned slot = 0; slot < 2; ++slot) {
    const struct stretch stretch = { slot * POOL_PAGE_SIZE,
                                     sizeof (struct vmswap_image_super) };
    struct vmswap_image_super super;

    if (!damage_touches (&stretch))
      continue;
    memcpy (&super, base.map + stretch.at, sizeof super);
    super.checksum =
        XXH64 (&super, offsetof (struct vmswap_image_super, checksum), 0);
    memcpy (base.map + stretch.at, &super, sizeof super);
  }
}

void
damage_make (struct input *input, bool checksums)
{
  const unsigned nr = sizeof kinds / sizeof kinds[0];

  nr_stretches = nr_saved = 0;
  file_size = base.size;
  while (!input_is_over (input) && file_size >= base.size) {
    damage_fn *fn = kinds[input_u8 (input) % nr];

    (fn ? fn : damage_raw) (input);
  }
  if (file_size < base.size) /* the rest of the map is not there */
    return;
  if (checksums)
    fix_checksums ();
  for (unsigned i = 0; i < nr_saved; ++i)
    memcpy (saved[i].bytes,
            base.map + (uint64_t) saved[i].page * POOL_PAGE_SIZE,
            POOL_PAGE_SIZE);
}

bool
damage_touches (const struct stretch *stretch)
{
  for (unsigned i = 0; i < nr_stretches; ++i)
    if (stretches[i].at < stretch->at + stretch->length &&
        stretch->at < stretches[i].at + stretches[i].length)
      return true;
  return false;
}

bool
damage_is_all (void)
{
  struct stat st;

  if (fstat (base.fd, &st) == -1 || (uint64_t) st.st_size != file_size)
    return false;
  if (file_size < base.size)
    return true; /* what is left of it was compared when it was not cut */
  for (unsigned i = 0; i < base.nr_used; ++i) {
    const uint32_t page = base.used[i];

    if (!find_saved (page) &&
        memcmp (base.map + (uint64_t) page * POOL_PAGE_SIZE,
                base_original (page), POOL_PAGE_SIZE) != 0)
      return false;
  }
  for (unsigned i = 0; i < nr_saved; ++i)
    if (memcmp (base.map + (uint64_t) saved[i].page * POOL_PAGE_SIZE,
                saved[i].bytes, POOL_PAGE_SIZE) != 0)
      return false;
  return true;
}

static void
punch (uint64_t at, uint64_t end)
{
  if (fallocate (base.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                 (off_t) at, (off_t) (end - at)) == -1)
    fuzz_die ("fallocate");
}

/* Makes a hole of what was one. */
static void
restore_holes (void)
{
  uint32_t before = base.used[0];

  for (unsigned i = 1; i < base.nr_used; ++i) {
    if (base.used[i] > before + 1)
      punch ((before + 1ull) * POOL_PAGE_SIZE,
             (uint64_t) base.used[i] * POOL_PAGE_SIZE);
    before = base.used[i];
  }
  punch ((before + 1ull) * POOL_PAGE_SIZE, base.size);
}

static void
restore_page (uint32_t page)
{
  uint8_t *at = base.map + (uint64_t) page * POOL_PAGE_SIZE;
  const uint8_t *original = base_original (page);

  if (memcmp (at, original, POOL_PAGE_SIZE) != 0)
    memcpy (at, original, POOL_PAGE_SIZE);
}

/* Part of the volume table that no pool writes to: volumes are made in the
 * first entries. */
static bool
is_spare (uint32_t page)
{
  return page > base.super.volumes_offset / POOL_PAGE_SIZE &&
         page < base.super.segments_offset / POOL_PAGE_SIZE;
}

void
damage_undo (bool adopted)
{
  struct stat st;

  if (fstat (base.fd, &st) == -1)
    fuzz_die ("fstat");
  if ((uint64_t) st.st_size != base.size &&
      ftruncate (base.fd, (off_t) base.size) == -1)
    fuzz_die ("ftruncate");
  for (unsigned i = 0; i < nr_saved; ++i)
    restore_page (saved[i].page);
  if (!adopted && file_size >= base.size)
    return;
  for (unsigned i = 0; i < base.nr_used; ++i)
    if (file_size < base.size || !is_spare (base.used[i]))
      restore_page (base.used[i]);
  restore_holes ();
}
