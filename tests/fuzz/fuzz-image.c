// SPDX-License-Identifier: BSD-3-Clause
/* Fuzz target: the state image.
 *
 * The input damages an image that a pool has made; another pool then gets to
 * adopt it.  What must hold:
 *
 *   refused   the file is byte for byte what it was, and there is a reason
 *   adopted   a page reads as it was if nothing on the way to it was touched;
 *             any other fails, or reads as zeroes, as one repeated value, or
 *             as what it has once held; and once all that fail are written or
 *             trimmed, the pool passes its own check, cleaning or not, and
 *             can be adopted again
 *
 * First two bytes: what is done with the pool, its limit, and whether it makes
 * pages cold.  What takes long needs two bits. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "image-base.h"
#include "image-damage.h"
#include "internal.h"
#include "table.h"
#include "word.h"

enum {
  DO_CHECKSUMS = 1, /* those of the superblocks are right */
  DO_WRITE = 6,     /* some pages are written */
  DO_COMPACT = 0x18,
  DO_AGAIN = 0x60, /* a third pool adopts what the second left */
  DO_TRIM = 0x80,  /* pages that fail are trimmed, not written */
};

#define MORE_COLD 0x18 /* in the second byte */

#define MAX_PAGES 16384
#define MAX_WRITTEN 8

static uint8_t *page_buffer; /* before a guard */
static char reason[256];

/* Pages that were written since, and what with. */
static struct written {
  unsigned volume;
  uint64_t page;
  uint32_t content;
} written[MAX_WRITTEN];
static unsigned nr_written;
static bool same_super;
static bool
    seen[BASE_MAX_PAGES]; /* pages of the catalogue, since it was reset */
static unsigned how;      /* a combination of DO_ */
static bool makes_cold;

static bool
do_it (unsigned what)
{
  return (how & what) == what;
}

static bool
is_fill (const uint8_t *page)
{
  return memcmp (page, page + 4, POOL_PAGE_SIZE - 4) == 0;
}

static bool
way_is_untouched (const struct base_page *page)
{
  const struct stretch entry = { base.super.volumes_offset + page->volume * 256,
                                 256 };

  const struct stretch table = { VMSWAP_SHARING_OFFSET,
                                 sizeof (struct vmswap_image_volume) };

  if (!same_super || damage_touches (&entry) ||
      (page->way[WAY_SHARED].length && damage_touches (&table)))
    return false;
  for (unsigned i = 0; i < sizeof page->way / sizeof page->way[0]; ++i)
    if (page->way[i].length && damage_touches (&page->way[i]))
      return false;
  return true;
}

static const struct written *
find_written (unsigned volume, uint64_t page)
{
  for (unsigned i = nr_written; i-- > 0;)
    if (written[i].volume == volume && written[i].page == page)
      return &written[i];
  return NULL;
}

/* Is this what another page held, whose blob's header was forged?  Whoever can
 * do that can give the blob to anybody: nothing in the image is secret.  Nor
 * does a shared blob know whose it is: a copy of its word is as good as the
 * word. */
static bool
is_given_away (const uint8_t *bytes)
{
  for (unsigned i = 0; i < base.nr_pages; ++i) {
    const struct base_page *page = &base.page[i];
    const struct stretch header = { page->way[WAY_BLOB].at,
                                    VMSWAP_BLOB_HEADER_SIZE };

    if (page->way[WAY_BLOB].length &&
        (page->way[WAY_SHARED].length || damage_touches (&header)) &&
        memcmp (bytes, page->bytes, POOL_PAGE_SIZE) == 0)
      return true;
  }
  return false;
}

/* Reads a page and judges it.  False: it fails, and may. */
static bool
read_page (struct volume *volume, uint64_t page)
{
  const struct base_page *known = base_find (volume->id, page);
  const struct written *now = find_written (volume->id, page);
  const int err =
      volume_read (volume, page_buffer, POOL_PAGE_SIZE, page * POOL_PAGE_SIZE);

  if (known)
    seen[known - base.page] = true;
  if (err != 0 && err != -EIO)
    FUZZ_FAIL ("reading volume %u page %llu: error %d", volume->id,
               (unsigned long long) page, err);
  if (now) {
    uint8_t content[POOL_PAGE_SIZE] = { 0 };

    if (now->content)
      fuzz_content (content, now->content);
    if (err || memcmp (page_buffer, content, POOL_PAGE_SIZE) != 0)
      FUZZ_FAIL ("volume %u page %llu: not what was written", volume->id,
                 (unsigned long long) page);
    return true;
  }
  if (known && way_is_untouched (known) &&
      (err || memcmp (page_buffer, known->bytes, POOL_PAGE_SIZE) != 0))
    FUZZ_FAIL ("volume %u page %llu: was not touched, and reads as %s",
               volume->id, (unsigned long long) page,
               err ? "an error" : "something else");
  if (err)
    return false;
  if (is_fill (page_buffer) ||
      (known && (memcmp (page_buffer, known->bytes, POOL_PAGE_SIZE) == 0 ||
                 (known->old_bytes && memcmp (page_buffer, known->old_bytes,
                                              POOL_PAGE_SIZE) == 0))) ||
      is_given_away (page_buffer))
    return true;
  FUZZ_FAIL ("volume %u page %llu: content that was never written", volume->id,
             (unsigned long long) page);
}

static void
write_page (struct volume *volume, uint64_t page, uint32_t content)
{
  uint8_t bytes[POOL_PAGE_SIZE];
  int err;

  if (nr_written == MAX_WRITTEN)
    return;
  fuzz_content (bytes, content);
  err = volume_write (volume, bytes, sizeof bytes, page * POOL_PAGE_SIZE);
  if (err == -ENOSPC)
    return;
  if (err)
    FUZZ_FAIL ("writing a page: error %d", err);
  written[nr_written++] = (struct written){ volume->id, page, content };
  read_page (volume, page);
}

/* What volume_extents said so far. */
struct extents {
  uint64_t upto;
  enum volume_extent last;
};

static int
note_extent (void *opaque, uint64_t offset, uint64_t length,
             enum volume_extent kind)
{
  struct extents *extents = opaque;

  if (offset != extents->upto || length == 0 ||
      (offset != 0 && kind == extents->last))
    FUZZ_FAIL ("extents are not in order");
  extents->upto = offset + length;
  extents->last = kind;
  return 0;
}

static void
check_extents (struct volume *volume)
{
  struct extents extents = { 0 };

  if (volume_extents (volume, volume_size (volume), 0, note_extent, &extents) !=
          0 ||
      extents.upto != volume_size (volume))
    FUZZ_FAIL ("extents do not cover the volume");
}

/* The pages of a volume that have a word. */
struct pages {
  unsigned nr;
  uint32_t page[MAX_PAGES];
};

static void
note_page (struct volume *volume, uint32_t page, uint64_t word, void *opaque)
{
  const struct place at = word_place (word);
  struct pages *pages = opaque;

  if (word_has_place (word) &&
      (at.segment >= volume->pool->segments.nr ||
       at.offset + word_size (word) > POOL_SEGMENT_SIZE))
    FUZZ_FAIL ("volume %u page %u: its blob lies outside", volume->id, page);
  if (pages->nr < MAX_PAGES)
    pages->page[pages->nr++] = page;
}

/* A page that fails is written or trimmed. */
static void
heal_page (struct volume *volume, uint64_t page)
{
  if (do_it (DO_WRITE) && !do_it (DO_TRIM))
    write_page (volume, page, 1000 + (uint32_t) page % 64);
  if (find_written (volume->id, page))
    return;
  if (volume_trim (volume, POOL_PAGE_SIZE, page * POOL_PAGE_SIZE) != 0)
    FUZZ_FAIL ("a whole page cannot be trimmed");
  if (!read_page (volume, page))
    FUZZ_FAIL ("a trimmed page cannot be read");
}

static bool
has_word (struct volume *volume, uint64_t page)
{
  return table_get_locked (volume, (uint32_t) page) != 0;
}

/* What is lost without a word each: nothing of it reads as zeroes, until it is
 * given up. */
static void
read_lost (struct volume *volume, bool heal)
{
  const uint64_t first = volume->image->lost_first;
  const uint64_t last = volume->image->lost_end - 1;

  if (!volume_is_lost (volume))
    return;
  if (read_page (volume, first) && !has_word (volume, first))
    FUZZ_FAIL ("a lost page can be read");
  read_page (volume, last);
  if (heal)
    volume_forgive (volume);
}

/* Reads all pages that hold something.  heal: and does something about those
 * that fail. */
static void
read_volume (struct volume *volume, bool heal)
{
  static struct pages pages;

  check_extents (volume);
  read_lost (volume, heal);
  pages.nr = 0;
  table_each_word (volume, note_page, &pages);
  for (unsigned i = 0; i < pages.nr; ++i)
    if (!read_page (volume, pages.page[i]) && heal)
      heal_page (volume, pages.page[i]);
}

/* Every page of the catalogue that the extents do not tell of. */
static void
read_unseen (struct pool *pool)
{
  for (unsigned i = 0; i < base.nr_pages; ++i) {
    const struct base_page *page = &base.page[i];
    struct volume *volume = pool->volume[page->volume];

    if (seen[i])
      continue;
    if (volume && page->page < volume_size (volume) / POOL_PAGE_SIZE)
      read_page (volume, page->page);
    else if (way_is_untouched (page))
      FUZZ_FAIL ("a volume is gone");
  }
}

static void
read_all (struct pool *pool, bool heal)
{
  memset (seen, 0, sizeof seen);
  for (unsigned id = 0; id < POOL_MAX_VOLUMES; ++id)
    if (pool->volume[id])
      read_volume (pool->volume[id], heal);
  read_unseen (pool);
}

/* Writes some pages, in all volumes there are. */
static void
write_some (struct pool *pool)
{
  for (unsigned id = 0, n = 0; id < POOL_MAX_VOLUMES && n < 4; ++id) {
    struct volume *volume = pool->volume[id];

    if (!volume)
      continue;
    const uint64_t pages = volume_size (volume) / POOL_PAGE_SIZE;
    write_page (volume, pages - 1, 2000 + n++);
    write_page (volume, pages / 2, 2000 + n++);
  }
}

static void
check_pool (struct pool *pool)
{
  char report[256];

  if (pool_check (pool, true, report, sizeof report) != 0)
    FUZZ_FAIL ("the pool is not right: %s", report);
}

static void
use_pool (struct pool *pool)
{
  if (do_it (DO_WRITE))
    write_some (pool);
  read_all (pool, true);
  check_pool (pool);
  if (!do_it (DO_COMPACT))
    return;
  const int err = pool_compact (pool);
  if (err != 0 && err != -ENOSPC)
    FUZZ_FAIL ("cleaning: error %d", err);
  read_all (pool, false);
  check_pool (pool);
}

static int
adopt (uint64_t limit, struct pool **pool)
{
  const struct pool_config config = { .limit = limit,
                                      .cold = { .on = makes_cold, .level = 1 },
                                      .state = fuzz_folder (),
                                      .reason = reason,
                                      .reason_size = sizeof reason };

  reason[0] = '\0';
  return pool_create (&config, pool);
}

static bool
same_geometry (const struct vmswap_image_super *super)
{
  return memcmp (super->key, base.super.key, sizeof super->key) == 0 &&
         super->frames_offset == base.super.frames_offset &&
         super->data_offset == base.super.data_offset;
}

/* Tries to adopt the file, and works with what comes of it.  Returns whether
 * it was adopted. */
static bool
try_image (uint64_t limit)
{
  struct pool *pool;
  int err = adopt (limit, &pool);

  nr_written = 0;
  if (err) {
    if (err != -EUCLEAN && err != -EINVAL && err != -ENOSPC)
      FUZZ_FAIL ("pool_create: error %d", err);
    if (reason[0] == '\0')
      FUZZ_FAIL ("refused with error %d, without a reason", err);
    if (!damage_is_all ())
      FUZZ_FAIL ("refused (%s), and not left as it was", reason);
    return false;
  }
  same_super = pool_was_adopted (pool) && same_geometry (&pool->arena.super);
  if (pool_was_adopted (pool))
    use_pool (pool);
  pool_destroy (pool);
  if (do_it (DO_AGAIN)) {
    err = adopt (limit, &pool);
    if (err)
      FUZZ_FAIL ("adopted once, then refused with error %d: %s", err, reason);
    read_all (pool, false);
    check_pool (pool);
    pool_destroy (pool);
  }
  return true;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const uint64_t mib[] = { 16, 16, 16, 17, 24, 64, 65, 20 };
  struct input input = { data, data + size };
  const uint8_t more = (how = input_u8 (&input), input_u8 (&input));

  if (!page_buffer) {
    page_buffer = fuzz_guarded (POOL_PAGE_SIZE);
    base_make ();
  }
  makes_cold = (more & MORE_COLD) == MORE_COLD;
  fuzz_restart_random ();
  damage_make (&input, do_it (DO_CHECKSUMS));
  damage_undo (try_image (mib[more % 8] << 20));
  return 0;
}
