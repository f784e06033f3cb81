// SPDX-License-Identifier: BSD-3-Clause
/* Damaged memory: bits of stored blobs are flipped behind the pool's back.
 * A read then fails with -EIO or returns what was written, never anything
 * else; the checker sees it; the cleaner survives it; and a page that is
 * written again is well again.
 *
 * The arena is found in /proc/self/maps, as the one shared mapping that
 * appears with the pool, and blobs in it by the content of pages that no codec
 * can shrink.  Between two of those lies a compressed one. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "test.h"

#define PAGES 1500u
#define MAX_BLOB (POOL_PAGE_SIZE + 16)

static struct pool *pool;
static struct volume *volume;
static uint32_t versions[PAGES];
static uint8_t *arena;
static size_t arena_size;
static struct rng rng = { 31 };

static void
page_of (unsigned page, uint8_t *buf)
{
  content_page (buf, page % 2 ? CONTENT_TEXT : CONTENT_RANDOM,
                page << 20 | versions[page]);
}

static void
write_page (unsigned page)
{
  uint8_t buf[POOL_PAGE_SIZE];

  versions[page]++;
  page_of (page, buf);
  CHECK_RC (
      volume_write (volume, buf, sizeof buf, (uint64_t) page * POOL_PAGE_SIZE),
      0);
}

/* Right or refused.  True: right. */
static bool
read_page (unsigned page)
{
  uint8_t expected[POOL_PAGE_SIZE], actual[POOL_PAGE_SIZE];
  const int rc = volume_read (volume, actual, sizeof actual,
                              (uint64_t) page * POOL_PAGE_SIZE);

  if (rc == -EIO)
    return false;
  CHECK_RC (rc, 0);
  page_of (page, expected);
  if (memcmp (expected, actual, sizeof actual) != 0) {
    test_hexdump_diff (expected, actual, sizeof actual,
                       (uint64_t) page * POOL_PAGE_SIZE);
    FAIL ("page %u: a damaged page was returned as good", page);
  }
  return true;
}

static unsigned
count_bad (void)
{
  unsigned bad = 0;

  for (unsigned page = 0; page < PAGES; page++)
    bad += !read_page (page);
  return bad;
}

/* The largest writable shared mapping of a memfd, or of any file. */
static void
find_arena (void)
{
  FILE *fp = fopen ("/proc/self/maps", "r");
  char line[512];

  CHECK (fp != NULL);
  while (fgets (line, sizeof line, fp)) {
    uint64_t start, end;
    char perms[8];

    if (sscanf (line, "%" SCNx64 "-%" SCNx64 " %7s", &start, &end, perms) ==
            3 &&
        strcmp (perms, "rw-s") == 0 && end - start > arena_size) {
      arena = (uint8_t *) (uintptr_t) start;
      arena_size = end - start;
    }
  }
  fclose (fp);
  if (!arena)
    FAIL ("no shared mapping in /proc/self/maps");
}

/* Where the data of an incompressible page is stored. */
static uint8_t *
find_blob (unsigned page)
{
  uint8_t buf[POOL_PAGE_SIZE];
  uint8_t *at;

  CHECK (page % 2 == 0);
  page_of (page, buf);
  at = memmem (arena, arena_size, buf, sizeof buf);
  if (!at)
    FAIL ("page %u is not in the arena as it is", page);
  return at;
}

static void
setup (void)
{
  const struct pool_config config = { .limit = 16 * MIB };

  arena = NULL;
  arena_size = 0;
  memset (versions, 0, sizeof versions);
  CHECK_RC (pool_create (&config, &pool), 0);
  CHECK_RC (volume_open (pool, "guest", PAGES * POOL_PAGE_SIZE, &volume, NULL),
            0);
  for (unsigned page = 0; page < PAGES; page++)
    write_page (page);
  CHECK_EQ (count_bad (), 0);
  find_arena ();
}

static void
check_sees_damage (void)
{
  char report[256] = "";

  CHECK_RC (pool_check (pool, true, report, sizeof report), -EUCLEAN);
  CHECK (report[0] != 0);
}

/* One bit of a page that is stored as it is: always noticed; and the bit
 * turned back, everything is as it was. */
static void
test_one_bit (void)
{
  struct pool_stats s;
  unsigned found = 0;

  setup ();
  for (unsigned i = 0; i < 64; i++) {
    const unsigned page = 2 * rng_below (&rng, PAGES / 2);
    uint8_t *at = find_blob (page) + rng_below (&rng, POOL_PAGE_SIZE);
    const uint8_t bit = 1 << rng_below (&rng, 8);

    *at ^= bit;
    if (read_page (page))
      FAIL ("page %u: a flipped bit went unnoticed", page);
    found++;
    if (i % 16 == 0)
      check_sees_damage ();
    *at ^= bit;
    CHECK (read_page (page));
  }
  pool_get_stats (pool, &s);
  CHECK_EQ (s.bad_pages, found);
  CHECK_EQ (count_bad (), 0);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

/* Headers and compressed bytes: the codec meets any nonsense. */
static void
test_nonsense (void)
{
  unsigned bad = 0;

  setup ();
  for (unsigned i = 0; i < 40; i++) {
    const unsigned page = 2 * rng_below (&rng, PAGES / 2 - 2);
    uint8_t *blob = find_blob (page) - 16;
    uint8_t saved[2 * MAX_BLOB];

    memcpy (saved, blob, sizeof saved);
    for (unsigned j = 0; j < 100; j++) {
      const unsigned length = 1 + rng_below (&rng, j % 2 ? 4 : 64);
      /* Often in what follows the raw page: the next blob's header. */
      uint8_t *at = blob + (j % 4 ? MAX_BLOB : 0) +
                    rng_below (&rng, j % 3 ? 64 : MAX_BLOB - 64);

      for (unsigned k = 0; k < length; k++)
        at[k] = j % 5 ? rng_next (&rng) : 0xff;
      for (unsigned k = 0; k < 4; k++)
        bad += !read_page (page + k);
      memcpy (blob, saved, sizeof saved);
    }
  }
  CHECK (bad > 100);
  CHECK_EQ (count_bad (), 0);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

/* The cleaner moves what is damaged, or leaves it where it is; nobody is
 * harmed who was whole. */
static void
test_cleaner (unsigned headers)
{
  struct pool_stats s;
  unsigned bad, again;

  setup ();
  for (unsigned i = 0; i < 12; i++) {
    uint8_t *blob = find_blob (2 * rng_below (&rng, PAGES / 2)) - 16;

    blob[headers ? rng_below (&rng, 16) : 16 + rng_below (&rng, 4096)] ^= 0x55;
  }
  bad = count_bad ();
  CHECK (bad > 0 && bad <= 12);
  check_sees_damage ();
  /* Overwrite two thirds: what is left moves. */
  for (unsigned page = 0; page < PAGES; page++)
    if (page % 3 != 0 && read_page (page))
      write_page (page);
  (void) pool_compact (pool);
  again = count_bad ();
  CHECK_LE (again, bad);
  pool_get_stats (pool, &s);
  CHECK (s.bad_pages >= bad);
  CHECK_LE (s.lost_pages, again); /* a lost page never reads as zeroes */
  if (headers)
    CHECK (s.lost_pages > 0);
  printf ("damage: %s: %u bad pages, %" PRIu64 " segments cleaned, %" PRIu64
          " rescued\n",
          headers ? "headers" : "data", bad, s.segments_cleaned,
          s.segments_rescued);
  /* A whole page over a bad one makes it well; a part of one cannot. */
  for (unsigned page = 0; page < PAGES; page++) {
    const uint8_t byte = 1;

    if (read_page (page))
      continue;
    CHECK_RC (
        volume_write (volume, &byte, 1, (uint64_t) page * POOL_PAGE_SIZE + 9),
        -EIO);
    CHECK (!read_page (page));
    write_page (page);
    CHECK (read_page (page));
  }
  CHECK_EQ (count_bad (), 0);
  pool_get_stats (pool, &s);
  CHECK_EQ (s.lost_pages, 0);
  POOL_CHECK (pool, true);
  CHECK_RC (volume_trim (volume, PAGES * POOL_PAGE_SIZE, 0), 0);
  pool_get_stats (pool, &s);
  CHECK_EQ (s.blob_pages, 0);
  pool_destroy (pool);
}

int
main (void)
{
  content_init (8);
  test_one_bit ();
  test_nonsense ();
  test_cleaner (0);
  test_cleaner (1);
  return 0;
}
