// SPDX-License-Identifier: BSD-3-Clause
/* Pages become cold when they are old, in groups that take less; they are read
 * as before, become warm again when they are, and let go of their memory when
 * they are dropped. */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "content.h"
#include "test.h"

#define PAGES (8 * MIB / POOL_PAGE_SIZE)

static struct pool *pool;
static struct volume *volume;

static struct pool_stats
stats_now (void)
{
  struct pool_stats stats;

  pool_get_stats (pool, &stats);
  return stats;
}

static void
setup (struct pool_cold cold, uint64_t limit)
{
  const struct pool_config config = { .limit = limit, .cold = cold };

  CHECK_RC (pool_create (&config, &pool), 0);
  CHECK_RC (volume_open (pool, "guest", 64 * MIB, &volume, NULL), 0);
}

static void
write_page (uint64_t page, enum content_kind kind)
{
  uint8_t data[POOL_PAGE_SIZE];

  content_page (data, kind, page);
  CHECK_RC (volume_write (volume, data, sizeof data, page * POOL_PAGE_SIZE), 0);
}

static void
check_page (uint64_t page, enum content_kind kind)
{
  uint8_t data[POOL_PAGE_SIZE], expected[POOL_PAGE_SIZE];

  content_page (expected, kind, page);
  CHECK_RC (volume_read (volume, data, sizeof data, page * POOL_PAGE_SIZE), 0);
  if (memcmp (data, expected, sizeof data) != 0)
    FAIL ("page %llu is wrong", (unsigned long long) page);
}

static void
fill (uint64_t pages)
{
  for (uint64_t page = 0; page < pages; ++page)
    write_page (page, CONTENT_HEAP);
}

static void
check_all (uint64_t pages)
{
  for (uint64_t page = 0; page < pages; ++page)
    check_page (page, CONTENT_HEAP);
}

static void
compact (void)
{
  CHECK_RC (pool_compact (pool), 0);
  POOL_CHECK (pool, true);
}

static void
trim (uint64_t first, uint64_t n)
{
  CHECK_RC (volume_trim (volume, n * POOL_PAGE_SIZE, first * POOL_PAGE_SIZE),
            0);
}

/* All that is old becomes cold, and takes less. */
static void
test_cooling (void)
{
  struct pool_stats hot, cold;

  setup ((struct pool_cold){ .on = true }, 64 * MIB);
  fill (PAGES);
  hot = stats_now ();
  CHECK_EQ (hot.cold_pages, 0);
  compact ();
  cold = stats_now ();
  printf ("cold: %llu pages take %llu KiB, %llu KiB when they are cold\n",
          (unsigned long long) PAGES,
          (unsigned long long) hot.blob_bytes / 1024,
          (unsigned long long) cold.blob_bytes / 1024);
  CHECK_EQ (cold.cold_pages, PAGES);
  CHECK_EQ (cold.blob_pages, 0);
  CHECK_EQ (cold.stored_pages, hot.stored_pages);
  CHECK_EQ (cold.cold_bytes, cold.blob_bytes);
  CHECK_LE (cold.blob_bytes * 10, hot.blob_bytes * 9);
  CHECK_LE (cold.used + MIB, hot.used);
  check_all (PAGES);

  /* Another time there is nothing to do, but what was read is warm. */
  compact ();
  CHECK_LE (1, stats_now ().pages_warmed);
  check_all (PAGES);
  trim (0, PAGES);
  compact ();
  CHECK_EQ (stats_now ().blob_bytes, 0);
  CHECK_EQ (stats_now ().cold_bytes, 0);
  CHECK_EQ (stats_now ().cold_pages, 0);
  pool_destroy (pool);
}

/* Reads across groups, and of parts of pages. */
static void
test_requests (void)
{
  static uint8_t all[64 * POOL_PAGE_SIZE], some[64 * POOL_PAGE_SIZE];

  setup ((struct pool_cold){ .on = true }, 64 * MIB);
  fill (64);
  /* Among them: one that is not compressible, fill pages, and none. */
  write_page (9, CONTENT_RANDOM);
  write_page (17, CONTENT_FILL32);
  trim (30, 1);
  compact ();
  CHECK_RC (volume_read (volume, all, sizeof all, 0), 0);
  for (uint64_t page = 0; page < 64; ++page)
    if (page != 30)
      check_page (page, page == 9    ? CONTENT_RANDOM
                        : page == 17 ? CONTENT_FILL32
                                     : CONTENT_HEAP);
  for (uint64_t at = 0; at + 30000 < sizeof all; at += 1234) {
    CHECK_RC (volume_read (volume, some, 30000, at), 0);
    CHECK (memcmp (some, all + at, 30000) == 0);
  }
  /* A part of a cold page is written: the rest of it stays. */
  CHECK_RC (volume_write (volume, "cold", 4, 20 * POOL_PAGE_SIZE + 100), 0);
  memcpy (all + 20 * POOL_PAGE_SIZE + 100, "cold", 4);
  CHECK_RC (volume_read (volume, some, sizeof some, 0), 0);
  CHECK (memcmp (some, all, sizeof all) == 0);
  compact ();
  CHECK_RC (volume_read (volume, some, sizeof some, 0), 0);
  CHECK (memcmp (some, all, sizeof all) == 0);
  pool_destroy (pool);
}

/* A group lives until its last page goes, and is made anew without those that
 * have gone. */
static void
test_torn (void)
{
  uint64_t whole, torn;

  setup ((struct pool_cold){ .on = true }, 64 * MIB);
  fill (64);
  compact ();
  whole = stats_now ().cold_bytes;
  for (uint64_t page = 0; page < 64; page += 2)
    trim (page, 1);
  torn = stats_now ().cold_bytes;
  CHECK_EQ (torn, whole);
  CHECK_EQ (stats_now ().cold_pages, 32);
  POOL_CHECK (pool, true);
  compact ();
  CHECK_EQ (stats_now ().cold_pages, 32);
  CHECK_LE (stats_now ().cold_bytes * 100, whole * 85);
  for (uint64_t page = 1; page < 64; page += 2)
    check_page (page, CONTENT_HEAP);
  for (uint64_t page = 1; page < 64; page += 4)
    trim (page, 3);
  CHECK_EQ (stats_now ().cold_bytes, 0);
  compact ();
  pool_destroy (pool);
}

/* However many groups lose pages at once, all of them are made anew. */
static void
test_many_torn (void)
{
  const uint64_t pages = 32 * MIB / POOL_PAGE_SIZE;
  uint64_t whole;

  setup ((struct pool_cold){ .on = true }, 64 * MIB);
  fill (pages);
  compact ();
  whole = stats_now ().cold_bytes;
  for (uint64_t page = 0; page < pages; page += 4)
    trim (page, 3);
  compact ();
  CHECK_EQ (stats_now ().cold_pages, pages / 4);
  CHECK_LE (stats_now ().cold_bytes * 10, whole * 6);
  for (uint64_t page = 3; page < pages; page += 4)
    check_page (page, CONTENT_HEAP);
  pool_destroy (pool);
}

/* What is written again leaves its group, and comes back when it is old. */
static void
test_overwritten (void)
{
  setup ((struct pool_cold){ .on = true }, 64 * MIB);
  fill (PAGES);
  compact ();
  for (uint64_t page = 1; page < PAGES; page += 4)
    write_page (page, CONTENT_TEXT);
  CHECK_EQ (stats_now ().cold_pages, PAGES - PAGES / 4);
  POOL_CHECK (pool, true);
  compact ();
  /* Not every group saves enough. */
  CHECK_LE (PAGES - PAGES / 16, stats_now ().cold_pages);
  for (uint64_t page = 0; page < PAGES; ++page)
    check_page (page, page % 4 == 1 ? CONTENT_TEXT : CONTENT_HEAP);
  pool_destroy (pool);
}

/* Not before its time; not what cannot shrink; not if it is off. */
static void
test_not_cold (void)
{
  setup ((struct pool_cold){ .on = true, .after = 1000000 }, 64 * MIB);
  fill (PAGES);
  compact ();
  CHECK_EQ (stats_now ().pages_cooled, 0);
  pool_destroy (pool);

  setup ((struct pool_cold){ .on = true }, 64 * MIB);
  for (uint64_t page = 0; page < PAGES; ++page)
    write_page (page, CONTENT_RANDOM);
  compact ();
  /* A few of them come from the same place in the bank of samples. */
  CHECK_LE (stats_now ().pages_cooled, PAGES / 32);
  CHECK_EQ (stats_now ().raw_pages + stats_now ().cold_pages, PAGES);
  pool_destroy (pool);

  setup ((struct pool_cold){ .on = false }, 64 * MIB);
  fill (PAGES);
  compact ();
  CHECK_EQ (stats_now ().pages_cooled, 0);
  pool_destroy (pool);
}

/* A guest is charged what its groups take, and is refused at its quota. */
static void
test_quota (void)
{
  struct volume_stats stats;
  uint64_t page = 0;

  setup ((struct pool_cold){ .on = true }, 64 * MIB);
  CHECK_RC (volume_set_limits (volume, 2 * MIB, 0), 0);
  for (unsigned round = 0; round < 3; ++round) {
    uint8_t data[POOL_PAGE_SIZE];
    int rc = 0;

    for (; rc == 0 && page < 16 * MIB / POOL_PAGE_SIZE; page += rc == 0) {
      content_page (data, CONTENT_HEAP, page);
      rc = volume_write (volume, data, sizeof data, page * POOL_PAGE_SIZE);
    }
    CHECK_RC (rc, -EDQUOT);
    volume_get_stats (volume, &stats);
    CHECK_LE (stats.charged, 2 * MIB);
    compact (); /* and there is room again */
  }
  check_all (page);
  volume_get_stats (volume, &stats);
  CHECK_LE (stats.charged, 2 * MIB);
  CHECK_LE (page * 9, stats.cold_pages * 10);
  pool_destroy (pool);
}

/* Writes pages from this one on until the pool refuses one.  Returns that. */
static uint64_t
fill_up (uint64_t page)
{
  uint8_t data[POOL_PAGE_SIZE];
  int rc = 0;

  for (; rc == 0; page += rc == 0) {
    content_page (data, CONTENT_HEAP, page);
    rc = volume_write (volume, data, sizeof data, page * POOL_PAGE_SIZE);
  }
  CHECK_RC (rc, -ENOSPC);
  return page;
}

/* A pool that is full takes younger pages, until it is not full any more. */
static void
test_full_is_impatient (void)
{
  uint64_t page, first;

  setup ((struct pool_cold){ .on = true, .after = 7 }, 16 * MIB);
  page = first = fill_up (0);
  for (unsigned round = 0; round < 5; ++round) {
    compact ();
    page = fill_up (page);
  }
  CHECK_LE (first + 5, page);
  CHECK_LE (1, stats_now ().cold_pages);
  pool_destroy (pool);
}

/* A full pool takes more after its pages have become cold. */
static void
test_full (void)
{
  uint64_t page, first;

  setup ((struct pool_cold){ .on = true }, 16 * MIB);
  page = first = fill_up (0);
  for (unsigned round = 0; round < 4; ++round) {
    compact ();
    page = fill_up (page);
  }
  printf ("cold: 16 MiB hold %llu pages, %llu when they are cold\n",
          (unsigned long long) first, (unsigned long long) page);
  CHECK_LE (first * 14, page * 10);
  check_all (page);
  /* Overwriting cold pages works in a full pool, as long as slack is left. */
  for (uint64_t i = 0; i < 100; ++i)
    write_page (i * 7, CONTENT_HEAP);
  POOL_CHECK (pool, true);
  trim (0, page);
  compact ();
  CHECK_EQ (stats_now ().blob_bytes, 0);
  pool_destroy (pool);
}

/* Until so many pages went into groups, and so many came out. */
static void
wait_for (uint64_t cooled, uint64_t warmed)
{
  const double deadline = test_seconds () + 60;
  const struct timespec pause = { .tv_nsec = 1000000 };

  while (stats_now ().pages_cooled < cooled ||
         stats_now ().pages_warmed < warmed) {
    if (test_seconds () > deadline)
      FAIL ("the steward made %llu pages cold, %llu warm",
            (unsigned long long) stats_now ().pages_cooled,
            (unsigned long long) stats_now ().pages_warmed);
    nanosleep (&pause, NULL);
  }
}

/* The steward does it by itself. */
static void
test_steward (void)
{
  setup ((struct pool_cold){ .on = true, .cpu = 100 }, 64 * MIB);
  CHECK_RC (pool_start_steward (pool), 0);
  fill (PAGES);
  /* The last open segments are sealed when it is quiet. */
  wait_for (PAGES, 0);
  CHECK_EQ (stats_now ().cold_pages, PAGES);
  check_all (PAGES);
  wait_for (PAGES, 1);
  pool_stop_steward (pool);
  POOL_CHECK (pool, true);
  check_all (PAGES);
  pool_destroy (pool);
}

static void
test_settings (void)
{
  const struct pool_cold wrong[] = {
    { .on = true, .cpu = 101 },
    { .on = true, .level = POOL_COLD_MAX_LEVEL + 1 },
    { .on = true, .level = -1 },
  };

  for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
    const struct pool_config config = { .limit = 64 * MIB, .cold = wrong[i] };

    CHECK_RC (pool_create (&config, &pool), -EINVAL);
  }
  for (int level = 1; level <= POOL_COLD_MAX_LEVEL; ++level) {
    setup ((struct pool_cold){ .on = true, .level = level }, 64 * MIB);
    fill (16);
    compact ();
    CHECK_EQ (stats_now ().cold_pages, 16);
    check_all (16);
    pool_destroy (pool);
  }
}

int
main (void)
{
  content_init (1);
  test_cooling ();
  test_requests ();
  test_torn ();
  test_many_torn ();
  test_overwritten ();
  test_not_cold ();
  test_quota ();
  test_full ();
  test_full_is_impatient ();
  test_settings ();
  test_steward ();
  return 0;
}
