// SPDX-License-Identifier: BSD-3-Clause
/* Memory that went bad: a read of such a page is refused, all other pages are
 * right, and neither the cleaner nor pool_check falls over it. */

#include <config.h>

#include <errno.h>

#include "table.h"
#include "unit.h"
#include "word.h"

#define PAGES 4000

static uint64_t
word_of (struct volume *volume, uint32_t page)
{
  struct lock *stripe = lock_acquire (table_stripe (volume, page));
  const uint64_t word = table_get_locked (volume, page);

  lock_release (stripe);
  return word;
}

static uint8_t *
blob_of (struct volume *volume, uint32_t page)
{
  const struct place at = word_place (word_of (volume, page));

  return arena_segment (&volume->pool->arena, at.segment) + at.offset;
}

static void
fill (struct volume *volume, uint32_t first, uint32_t step)
{
  uint8_t page[POOL_PAGE_SIZE];

  for (uint32_t i = first; i < PAGES; i += step) {
    unit_page (page, i);
    CHECK (volume_write (volume, page, sizeof page,
                         (uint64_t) i * POOL_PAGE_SIZE) == 0);
  }
}

/* Reads all pages; those marked bad must fail, the others must be right. */
static void
read_all (struct volume *volume, const bool *bad)
{
  uint8_t page[POOL_PAGE_SIZE], expected[POOL_PAGE_SIZE];

  for (uint32_t i = 0; i < PAGES; ++i) {
    unit_page (expected, i);
    const int err =
        volume_read (volume, page, sizeof page, (uint64_t) i * POOL_PAGE_SIZE);
    if (bad && bad[i])
      CHECK (err == -EIO);
    else
      CHECK (err == 0 && memcmp (page, expected, sizeof page) == 0);
  }
}

/* Every single bit of a blob, header and data, is covered. */
static void
test_every_bit (void)
{
  struct pool *pool = unit_pool (32);
  struct volume *volume = unit_volume (pool, "bits", PAGES * 4096ul);
  uint8_t page[POOL_PAGE_SIZE];
  unsigned refused = 0;

  fill (volume, 0, 1);
  uint8_t *blob = blob_of (volume, 7);
  const uint32_t length = word_length (word_of (volume, 7));
  const uint32_t bits = 8 * (VMSWAP_BLOB_HEADER_SIZE + length);
  uint8_t expected[POOL_PAGE_SIZE];

  unit_page (expected, 7);
  for (uint32_t bit = 0; bit < bits; ++bit) {
    blob[bit / 8] ^= 1 << bit % 8;
    const int err = volume_read (volume, page, sizeof page, 7 * 4096);
    /* A few bits of an LZ4 stream do not matter to what comes out. */
    CHECK (err == -EIO || memcmp (page, expected, sizeof page) == 0);
    refused += err == -EIO;
    blob[bit / 8] ^= 1 << bit % 8;
  }
  CHECK (refused > bits * 9 / 10);
  read_all (volume, NULL);
  struct pool_stats stats;
  pool_get_stats (pool, &stats);
  CHECK (stats.bad_pages == refused);
  pool_destroy (pool);
}

/* Flips every bit of the page's word in turn: no read of it succeeds. */
static void
flip_word (struct volume *volume, uint32_t page)
{
  uint8_t data[POOL_PAGE_SIZE];
  char report[200];

  for (unsigned bit = 0; bit < 64; ++bit) {
    uint64_t *leaf = table_leaf_locked (volume, page);

    leaf[page] ^= UINT64_C (1) << bit;
    CHECK (volume_read (volume, data, sizeof data, page * 4096ul) == -EIO);
    if (leaf[page])
      CHECK (pool_check (volume->pool, true, report, sizeof report) ==
             -EUCLEAN);
    leaf[page] ^= UINT64_C (1) << bit;
  }
  unit_check_pool (volume->pool);
}

/* A blob, a fill page, and an empty page beside them. */
static void
test_every_bit_of_a_word (void)
{
  struct pool *pool = unit_pool (32);
  struct volume *volume = unit_volume (pool, "word", PAGES * 4096ul);
  uint8_t page[POOL_PAGE_SIZE];

  fill (volume, 0, 1);
  memset (page, 0xaa, sizeof page);
  CHECK (volume_write (volume, page, sizeof page, 10 * 4096) == 0);
  CHECK (volume_trim (volume, sizeof page, 11 * 4096) == 0);
  flip_word (volume, 9);
  flip_word (volume, 10);
  flip_word (volume, 11);
  pool_destroy (pool);
}

/* A pool whose pages are all cold. */
static struct volume *
cold_volume (const char *name)
{
  const struct pool_config config = { .limit = 32 << 20,
                                      .cold = { .on = true } };
  struct volume *volume;
  struct pool_stats stats;
  struct pool *pool;

  CHECK (pool_create (&config, &pool) == 0);
  volume = unit_volume (pool, name, PAGES * 4096ul);
  fill (volume, 0, 1);
  CHECK (pool_compact (pool) == 0);
  pool_get_stats (pool, &stats);
  CHECK (stats.cold_pages == PAGES);
  return volume;
}

/* Every bit of a group is covered, for each of its pages. */
static void
test_every_bit_of_a_group (void)
{
  struct volume *volume = cold_volume ("group");
  uint8_t *group = blob_of (volume, 8);
  const uint32_t bits = 8 * word_size (word_of (volume, 8));
  uint8_t pages[4 * POOL_PAGE_SIZE], expected[4 * POOL_PAGE_SIZE];
  unsigned refused = 0;

  for (unsigned i = 0; i < 4; ++i) {
    unit_page (expected + i * POOL_PAGE_SIZE, 8 + i);
    CHECK (blob_of (volume, 8 + i) == group);
  }
  for (uint32_t bit = 0; bit < bits; ++bit) {
    group[bit / 8] ^= 1 << bit % 8;
    for (unsigned i = 0; i < 4; ++i) {
      const int err = volume_read (volume, pages, POOL_PAGE_SIZE,
                                   (8 + i) * 4096ul);

      CHECK (err == -EIO ||
             memcmp (pages, expected + i * POOL_PAGE_SIZE, 4096) == 0);
      refused += err == -EIO;
    }
    const int err = volume_read (volume, pages, sizeof pages, 8 * 4096ul);
    CHECK (err == -EIO || memcmp (pages, expected, sizeof pages) == 0);
    group[bit / 8] ^= 1 << bit % 8;
  }
  /* The content of one page is not in all bits. */
  CHECK (refused > bits * 9 / 10);
  read_all (volume, NULL);
  flip_word (volume, 9);
  pool_destroy (volume->pool);
}

/* A group whose header is damaged loses its pages and no others when the
 * cleaner comes; what is made cold or warm leaves it alone. */
static void
test_damaged_group (void)
{
  struct volume *volume = cold_volume ("group");
  struct pool *pool = volume->pool;
  bool bad[PAGES] = { false };
  struct pool_stats stats;

  /* Half of the groups go, so that the rest is worth cleaning. */
  blob_of (volume, 5)[6] ^= 0xff;   /* a length */
  blob_of (volume, 21)[28] ^= 0xff; /* and the first byte of a frame */
  for (unsigned page = 0; page < PAGES; page += 8)
    CHECK (volume_trim (volume, 4 * 4096, page * 4096ul) == 0);
  CHECK (pool_compact (pool) == 0);
  fill (volume, 0, 8);
  fill (volume, 1, 8);
  fill (volume, 2, 8);
  fill (volume, 3, 8);
  for (unsigned i = 0; i < 4; ++i)
    bad[4 + i] = bad[20 + i] = true;
  read_all (volume, bad);
  CHECK (pool_compact (pool) == 0);
  read_all (volume, bad);
  pool_get_stats (pool, &stats);
  CHECK (stats.segments_rescued >= 1 && stats.lost_pages == 4);
  /* No group was moved a second time for its second page. */
  CHECK (stats.bytes_moved ==
         atomic_load (&pool->lanes.survivors.appended) +
             atomic_load (&pool->lanes.cold_survivors.appended));
  for (unsigned i = 0; i < 4; ++i) {
    fill (volume, 4 + i, PAGES);
    fill (volume, 20 + i, PAGES);
  }
  read_all (volume, NULL);
  unit_check_pool (pool);
  CHECK (volume_trim (volume, volume_size (volume), 0) == 0);
  CHECK (pool_compact (pool) == 0);
  pool_get_stats (pool, &stats);
  CHECK (stats.segment_bytes == 0);
  pool_destroy (pool);
}

/* Damages a header in a segment that is worth cleaning: the cleaner goes by
 * the page tables instead, all other pages of the segment are right, and the
 * page itself is lost, which reads as an error until it is written. */
static void
test_cleaner (void)
{
  struct pool *pool = unit_pool (32);
  struct volume *volume = unit_volume (pool, "web1", PAGES * 4096ul);
  struct pool_stats stats;
  bool bad[PAGES] = { false };

  fill (volume, 0, 1);
  cleaner_seal (pool);
  fill (volume, 0, 2); /* half of every segment is dead now */
  bad[1] = true;
  blob_of (volume, 1)[6] ^= 0xff; /* its length */

  char report[200];
  CHECK (pool_check (pool, false, report, sizeof report) == -EUCLEAN);
  CHECK (strstr (report, "web1 page 1"));
  CHECK (pool_compact (pool) == 0);
  pool_get_stats (pool, &stats);
  CHECK (stats.segments_rescued == 1 && stats.segments_cleaned > 3);
  CHECK (stats.lost_pages == 1);
  read_all (volume, bad);
  unit_check_pool (pool);

  uint8_t page[POOL_PAGE_SIZE];
  unit_page (page, 1);
  CHECK (volume_write (volume, page, sizeof page, 4096) == 0);
  read_all (volume, NULL);
  pool_get_stats (pool, &stats);
  CHECK (stats.lost_pages == 0);

  CHECK (volume_trim (volume, volume_size (volume), 0) == 0);
  CHECK (pool_compact (pool) == 0);
  unit_check_pool (pool);
  pool_get_stats (pool, &stats);
  CHECK (stats.segment_bytes == 0);
  pool_destroy (pool);
}

/* A partial write to a bad page must not make it look good. */
static void
test_partial_write (void)
{
  struct pool *pool = unit_pool (32);
  struct volume *volume = unit_volume (pool, "part", PAGES * 4096ul);
  uint8_t page[POOL_PAGE_SIZE];

  fill (volume, 0, 1);
  blob_of (volume, 3)[20] ^= 0x10;
  CHECK (volume_write (volume, "x", 1, 3 * 4096 + 5) == -EIO);
  CHECK (volume_zero (volume, 100, 3 * 4096) == -EIO);
  CHECK (volume_read (volume, page, 1, 3 * 4096) == -EIO);
  /* A whole page heals it. */
  unit_page (page, 3);
  CHECK (volume_write (volume, page, sizeof page, 3 * 4096) == 0);
  read_all (volume, NULL);
  pool_destroy (pool);
}

int
main (void)
{
  test_every_bit ();
  test_every_bit_of_a_word ();
  test_cleaner ();
  test_partial_write ();
  test_every_bit_of_a_group ();
  test_damaged_group ();
  return 0;
}
