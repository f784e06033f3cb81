// SPDX-License-Identifier: BSD-3-Clause
/* Golden images: pools as some version of vmswap wrote them, kept for ever, so
 * that later versions go on reading them.  golden/README.md is about them;
 * golden.sh unpacks each and calls this program.
 *
 *   golden-images WHAT STATE FORMAT
 *
 *   make      write a pool and close it
 *   leave     write a pool and be killed in the midst
 *   look      look at it: everything must be as it was written
 *   check     the same, adopted
 *   work      adopt it, write more, and be killed
 *   after     check, and what "work" wrote must be there as well
 *   newest    print the newest version that this program knows
 *   version   raise or lower the version in its superblock to FORMAT
 *   refused   it must be refused as another version's
 *
 * FORMAT is the version of the format that the image was made in.
 *
 * What a page holds follows from its volume and its number alone, by the
 * functions below.  They must never change: the images hold what they said
 * when the images were made. */

#include <config.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "image-edit.h"
#include "test.h"

#define LIMIT (16 * MIB)
#define LISTED_PAGES 24u /* of a volume; what is beyond is garbage, trimmed */
#define LOST_PAGE 18u    /* of web1; a fill page when it was whole */

/* "work" writes these. */
#define WORK_FIRST 4096u
#define WORK_PAGES 64u

/* step: pages i * step hold something, i below LISTED_PAGES.  since: images of
 * older formats do not have this volume. */
static const struct {
  const char *name;
  uint64_t size, step;
  unsigned since;
} volumes[] = {
  { "web1", 64 * MIB, 1, 1 },
  { "deleted", 64 * MIB, 1, 1 }, /* is not there any more: its entry is free */
  { "db 1/\xc3\xa4", 5 * TIB, 54000001, 1 }, /* three roots, many directories */
  { "empty", POOL_PAGE_SIZE, 0, 1 },
  { "lost", 8 * MIB, 1, 2 }, /* in part: see LOST_FIRST */
  { "twin 1", 8 * MIB, 1, 3 },
  { "twin 2", 8 * MIB, 1, 3 }, /* holds the same, in the same blobs */
  { "cold", 8 * MIB, 1, 4 },   /* in groups, one of which has lost a page */
};
#define NR_VOLUMES (sizeof volumes / sizeof volumes[0])
#define WEB1 0
#define DELETED 1
#define LOST 4
#define TWINS 5 /* and 6 */
#define COLD 7

/* The range that "lost" has lost: empty pages in it, but one of zeroes. */
#define LOST_FIRST 1u
#define LOST_END 2000u
#define LOST_ZEROED 100u

enum kind { EMPTY, TEXT, FILL, RAW };

static enum kind
kind_of (unsigned volume, uint64_t page)
{
  const uint64_t step = volumes[volume].step;
  const uint64_t i = step ? page / step : 0;

  if (volume == DELETED || step == 0 || page % step || i >= LISTED_PAGES)
    return EMPTY;
  switch (i % 8) {
  case 1:
  case 2:
    return FILL;
  case 3:
    return volume == WEB1 && i == 19 ? RAW : TEXT;
  case 5: /* never written */
  case 7: /* written and trimmed */
    return EMPTY;
  default:
    return TEXT;
  }
}

/* Words of a vocabulary of 8: some 300 bytes when compressed.  seed is not
 * the page number alone: what was overwritten had another. */
static void
text_page (uint8_t *data, uint64_t seed)
{
  struct rng rng = { test_mix (seed) };
  size_t at = 0;

  while (at < POOL_PAGE_SIZE) {
    uint64_t word = test_mix (rng_below (&rng, 8) + 1);
    const uint64_t length = 12 + word % 30;

    for (uint64_t i = 0; i < length && at < POOL_PAGE_SIZE; ++i, word /= 3)
      data[at++] = 'a' + word % 26;
    if (at < POOL_PAGE_SIZE)
      data[at++] = ' ';
  }
}

static void
raw_page (uint8_t *data, uint64_t seed)
{
  struct rng rng = { test_mix (seed) };

  for (size_t at = 0; at < POOL_PAGE_SIZE; at += 8) {
    const uint64_t x = rng_next (&rng);

    memcpy (data + at, &x, sizeof x);
  }
}

static void
make_page (uint8_t *data, enum kind kind, uint64_t seed)
{
  const uint32_t value = 0x80000001u | (uint32_t) seed << 8;

  switch (kind) {
  case EMPTY:
    memset (data, 0, POOL_PAGE_SIZE);
    break;
  case TEXT:
    text_page (data, seed);
    break;
  case FILL:
    for (size_t at = 0; at < POOL_PAGE_SIZE; at += 4)
      memcpy (data + at, &value, sizeof value);
    break;
  case RAW:
    raw_page (data, seed);
    break;
  }
}

static void
write_page (struct volume *volume, uint64_t page, enum kind kind, uint64_t seed)
{
  uint8_t data[POOL_PAGE_SIZE];

  make_page (data, kind, seed);
  CHECK_RC (volume_write (volume, data, sizeof data, page * POOL_PAGE_SIZE), 0);
}

/* -- making -----------------------------------------------------------------
 */

static bool make_cold; /* pools that are opened make all pages cold */

static struct pool *
open_pool (const char *state, enum pool_sharing sharing, bool look_only)
{
  char reason[512] = "";
  const struct pool_config config = {
    .limit = LIMIT,
    .sharing = sharing,
    .cold = { .on = make_cold },
    .state = state,
    .look_only = look_only,
    .reason = reason,
    .reason_size = sizeof reason,
  };
  struct pool *pool;
  const int err = pool_create (&config, &pool);

  if (err)
    FAIL ("%s: %d, %s", state, err, reason);
  return pool;
}

static struct volume *
open_volume (struct pool *pool, unsigned i)
{
  struct volume *volume;

  CHECK_RC (volume_open (pool, volumes[i].name, volumes[i].size, &volume, NULL),
            0);
  return volume;
}

static uint64_t
seed_of (unsigned volume, unsigned n)
{
  return (volume == TWINS + 1 ? TWINS : volume) * 100 + n;
}

/* Garbage, so that the cleaner has to move what lies between, and so that
 * frames and an entry for a volume are free again. */
static void
write_garbage (struct pool *pool, unsigned round)
{
  struct volume *volume = open_volume (pool, DELETED);

  for (unsigned page = 0; page < 1500; ++page)
    write_page (volume, page, TEXT, round * 31 + page % 5);
  volume_delete (volume);
}

static void
write_volume (struct pool *pool, unsigned i)
{
  struct volume *volume = open_volume (pool, i);

  for (unsigned n = 0; volumes[i].step && n < LISTED_PAGES; ++n) {
    const uint64_t page = n * volumes[i].step;

    if (n % 8 == 7) {
      write_page (volume, page, TEXT, 5000 + n);
      CHECK_RC (volume_trim (volume, POOL_PAGE_SIZE, page * POOL_PAGE_SIZE), 0);
      continue;
    }
    if (n % 8 == 6) /* overwritten */
      write_page (volume, page, TEXT, 6000 + n);
    if (kind_of (i, page) != EMPTY)
      write_page (volume, page, kind_of (i, page), seed_of (i, n));
    if (n % 12 == 0)
      write_garbage (pool, n);
  }
}

static void
write_twins (struct pool *pool)
{
  for (unsigned i = TWINS; i < COLD; ++i) {
    struct volume *volume = open_volume (pool, i);

    CHECK_RC (volume_set_group (volume, "twins"), 0);
    for (unsigned n = 0; n < LISTED_PAGES; ++n)
      if (kind_of (i, n) != EMPTY)
        write_page (volume, n, kind_of (i, n), seed_of (i, n));
  }
}

/* Everything becomes cold, that of the other volumes too; then a page is
 * written again. */
static void
write_cold (const char *state)
{
  struct pool_stats stats;
  struct volume *volume;
  struct pool *pool;

  make_cold = true;
  pool = open_pool (state, POOL_SHARING_AUTO, false);
  make_cold = false;
  write_volume (pool, COLD);
  volume = open_volume (pool, COLD);
  write_page (volume, 0, TEXT, 7000);
  CHECK_RC (pool_compact (pool), 0);
  write_page (volume, 0, TEXT, seed_of (COLD, 0));
  POOL_CHECK (pool, true);
  pool_get_stats (pool, &stats);
  CHECK_LE (40, stats.cold_pages);
  pool_destroy (pool);
}

/* Lost to the end; trimmed there; inside one page is zeroed, and one trimmed,
 * which stays lost. */
static void
lose_range (struct pool *pool)
{
  struct volume *volume = open_volume (pool, LOST);
  const uint64_t end = (uint64_t) LOST_END * POOL_PAGE_SIZE;
  const uint64_t zeroed = (uint64_t) LOST_ZEROED * POOL_PAGE_SIZE;

  volume_lose (volume, LOST_FIRST * POOL_PAGE_SIZE);
  CHECK_RC (volume_trim (volume, volumes[LOST].size - end, end), 0);
  CHECK_RC (volume_zero (volume, POOL_PAGE_SIZE, zeroed), 0);
  CHECK_RC (volume_trim (volume, POOL_PAGE_SIZE, 2 * zeroed), 0);
}

/* What a damaged word becomes when the pool is adopted. */
static void
lose_page (const char *state)
{
  struct image_edit edit = image_edit_open (state);

  *image_edit_word (&edit, volumes[WEB1].name, LOST_PAGE) ^= UINT64_C (1) << 30;
  image_edit_close (&edit);
  pool_destroy (open_pool (state, POOL_SHARING_AUTO, false));
}

static void __attribute__ ((noreturn)) be_killed (void)
{
  raise (SIGKILL);
  abort ();
}

static void
make (const char *state, bool leave)
{
  struct pool *pool = open_pool (state, POOL_SHARING_OFF, false);
  struct pool_stats stats;

  for (unsigned i = 0; i < TWINS; ++i) {
    if (i >= DELETED)
      open_volume (pool, DELETED); /* nobody else gets its entry */
    if (i != DELETED)
      write_volume (pool, i);
  }
  volume_delete (open_volume (pool, DELETED));
  lose_range (pool);
  CHECK_RC (pool_compact (pool), 0);
  POOL_CHECK (pool, true);
  pool_get_stats (pool, &stats);
  CHECK (stats.bytes_moved > 0);
  pool_destroy (pool);
  pool = open_pool (state, POOL_SHARING_ALWAYS, false);
  write_twins (pool);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
  write_cold (state);
  lose_page (state);
  if (!leave)
    return;
  /* Open segments, blobs that died in them, a volume half deleted. */
  pool = open_pool (state, POOL_SHARING_AUTO, false);
  for (unsigned n = 0; n < LISTED_PAGES; n += 8) {
    struct volume *web1 = open_volume (pool, WEB1);

    write_page (web1, n, TEXT, 9000 + n);
    write_page (web1, n, TEXT, WEB1 * 100 + n);
  }
  be_killed ();
}

/* -- checking ---------------------------------------------------------------
 */

static bool
is_lost (unsigned volume, uint64_t page)
{
  if (volume == LOST)
    return page >= LOST_FIRST && page < LOST_END && page != LOST_ZEROED &&
           kind_of (volume, page) == EMPTY;
  return volume == WEB1 && page == LOST_PAGE;
}

static void
check_page (struct volume *volume, unsigned i, uint64_t page, uint64_t seed)
{
  uint8_t expected[POOL_PAGE_SIZE], actual[POOL_PAGE_SIZE];
  const uint64_t offset = page * POOL_PAGE_SIZE;

  if (is_lost (i, page)) {
    CHECK_RC (volume_read (volume, actual, sizeof actual, offset), -EIO);
    return;
  }
  CHECK_RC (volume_read (volume, actual, sizeof actual, offset), 0);
  make_page (expected, kind_of (i, page), seed);
  if (memcmp (expected, actual, sizeof actual) != 0) {
    test_hexdump_diff (expected, actual, sizeof actual, offset);
    FAIL ("%s page %" PRIu64 " is not what was written", volume_name (volume),
          page);
  }
}

/* All the pages of small volumes; of large ones those that hold something and
 * their neighbours, and the counts tell that there are no others. */
static void
check_volume (struct pool *pool, unsigned i, unsigned more)
{
  struct volume *volume = volume_find (pool, volumes[i].name);
  const unsigned beyond = i == WEB1   ? WORK_FIRST
                          : i == LOST ? volumes[LOST].size / POOL_PAGE_SIZE
                                      : 0;
  unsigned count[4] = { 0 }, lost = 0;
  struct volume_stats stats;

  CHECK (volume != NULL);
  CHECK_EQ (volume_size (volume), volumes[i].size);
  for (unsigned n = 0; volumes[i].step && n < LISTED_PAGES; ++n) {
    const uint64_t page = n * volumes[i].step;

    check_page (volume, i, page, seed_of (i, n));
    if (volumes[i].step > 1)
      check_page (volume, i, page + 1, 0);
    lost += is_lost (i, page);
    count[kind_of (i, page)] += !is_lost (i, page);
  }
  for (uint64_t page = LISTED_PAGES; page < beyond; ++page) {
    check_page (volume, i, page, 0);
    lost += is_lost (i, page);
  }
  volume_get_stats (volume, &stats);
  CHECK_EQ (stats.blob_pages + stats.cold_pages + stats.shared_pages,
            count[TEXT] + count[RAW] + more);
  CHECK_EQ (stats.shared_pages, i == TWINS || i == TWINS + 1 ? count[TEXT] : 0);
  if (i == COLD)
    CHECK_EQ (stats.cold_pages, count[TEXT] + count[RAW] - 1);
  CHECK_EQ (stats.raw_pages, count[RAW]);
  CHECK_EQ (stats.fill_pages, count[FILL] + (i == LOST ? 1 : 0));
  CHECK_EQ (stats.lost_pages, i == WEB1 ? 1 : 0);
  CHECK_EQ (volume_count_lost (volume), lost);
  CHECK_EQ (volume_is_lost (volume), i == LOST);
}

static void
check_pool (struct pool *pool, unsigned more, unsigned format)
{
  struct pool_stats stats;
  unsigned n = 0;

  CHECK (pool_was_adopted (pool));
  for (unsigned i = 0; i < NR_VOLUMES; ++i)
    if (i != DELETED && volumes[i].since <= format) {
      check_volume (pool, i, i == WEB1 ? more : 0);
      n++;
    }
  CHECK (volume_find (pool, volumes[DELETED].name) == NULL);
  pool_get_stats (pool, &stats);
  CHECK_EQ (stats.volumes, n);
  CHECK_EQ (stats.limit, LIMIT);
  CHECK_EQ (stats.shared_blobs * 2, stats.shared_pages);
  CHECK_EQ (stats.cold_pages != 0, format >= volumes[COLD].since);
  POOL_CHECK (pool, true);
}

static void
check (const char *state, bool look_only, unsigned format)
{
  struct pool *pool = open_pool (state, POOL_SHARING_AUTO, look_only);

  check_pool (pool, 0, format);
  pool_destroy (pool);
}

static void
work (const char *state)
{
  struct pool *pool = open_pool (state, POOL_SHARING_AUTO, false);
  struct volume *web1 = open_volume (pool, WEB1);

  for (unsigned n = 0; n < WORK_PAGES; ++n)
    write_page (web1, WORK_FIRST + n, TEXT, n);
  be_killed ();
}

static void
after (const char *state, unsigned format)
{
  struct pool *pool = open_pool (state, POOL_SHARING_AUTO, false);
  struct volume *web1 = open_volume (pool, WEB1);
  uint8_t expected[POOL_PAGE_SIZE], actual[POOL_PAGE_SIZE];

  check_pool (pool, WORK_PAGES, format);
  for (unsigned n = 0; n < WORK_PAGES; ++n) {
    make_page (expected, TEXT, n);
    CHECK_RC (volume_read (web1, actual, sizeof actual,
                           (uint64_t) (WORK_FIRST + n) * POOL_PAGE_SIZE),
              0);
    CHECK (memcmp (expected, actual, sizeof actual) == 0);
  }
  /* The cleaner moves blobs of an older version, too. */
  CHECK_RC (pool_compact (pool), 0);
  check_pool (pool, WORK_PAGES, format);
  pool_destroy (pool);
}

static void
set_version (const char *state, uint32_t version)
{
  struct image_edit edit = image_edit_open (state);

  edit.super->version = version;
  image_edit_seal (&edit);
  image_edit_close (&edit);
}

static void
refused (const char *state)
{
  char reason[512] = "";
  struct pool_config config = {
    .limit = LIMIT,
    .state = state,
    .reason = reason,
    .reason_size = sizeof reason,
  };
  struct pool *pool;

  for (int look = 0; look < 2; ++look) {
    config.look_only = look;
    CHECK_RC (pool_create (&config, &pool), -EUCLEAN);
    if (!strstr (reason, "another version of vmswap") ||
        !strstr (reason, "move it away"))
      FAIL ("refused for another reason: %s", reason);
  }
}

int
main (int argc, char **argv)
{
  const char *what = argc > 3 ? argv[1] : "";
  const unsigned format = argc > 3 ? strtoul (argv[3], NULL, 0) : 0;

  if (strcmp (what, "make") == 0 || strcmp (what, "leave") == 0)
    make (argv[2], what[0] == 'l');
  else if (strcmp (what, "look") == 0 || strcmp (what, "check") == 0)
    check (argv[2], what[0] == 'l', format);
  else if (strcmp (what, "work") == 0)
    work (argv[2]);
  else if (strcmp (what, "after") == 0)
    after (argv[2], format);
  else if (strcmp (what, "version") == 0)
    set_version (argv[2], format);
  else if (strcmp (what, "newest") == 0)
    printf ("%u\n", VMSWAP_IMAGE_VERSION);
  else if (strcmp (what, "refused") == 0)
    refused (argv[2]);
  else
    FAIL ("see the top of %s", __FILE__);
  return 0;
}
