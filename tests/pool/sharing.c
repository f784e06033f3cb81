// SPDX-License-Identifier: BSD-3-Clause
/* Identical pages are stored once, where that is wanted and nowhere else.
 *
 *   sharing [--mib N]      how much each guest holds (8) */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "content.h"
#include "test.h"

static uint64_t pages = 8 * MIB / POOL_PAGE_SIZE;
static bool deny_now;

static bool
deny (void *opaque)
{
  (void) opaque;
  return deny_now;
}

static struct pool *
make_pool (enum pool_sharing sharing, const char *state)
{
  const struct pool_config config = {
    .limit = 4 * pages * POOL_PAGE_SIZE + 16 * MIB,
    .sharing = sharing,
    .state = state,
    .deny = deny,
  };

  return test_create (&config);
}

static struct volume *
open_guest (struct pool *pool, const char *name, const char *group)
{
  struct volume *volume;

  CHECK_RC (volume_open (pool, name, pages * POOL_PAGE_SIZE, &volume, NULL), 0);
  if (group)
    CHECK_RC (volume_set_group (volume, group), 0);
  return volume;
}

static void
make_page (uint8_t *data, uint64_t key)
{
  content_page (data, key % 4 ? CONTENT_HEAP : CONTENT_RANDOM, key);
}

/* Every page of the guest holds content key + its number. */
static void
fill (struct volume *volume, uint64_t key)
{
  uint8_t data[POOL_PAGE_SIZE];

  for (uint64_t i = 0; i < pages; ++i) {
    make_page (data, key + i);
    CHECK_RC (volume_write (volume, data, sizeof data, i * POOL_PAGE_SIZE), 0);
  }
}

static void
verify (struct volume *volume, uint64_t key)
{
  uint8_t data[POOL_PAGE_SIZE], expected[POOL_PAGE_SIZE];

  for (uint64_t i = 0; i < pages; ++i) {
    make_page (expected, key + i);
    CHECK_RC (volume_read (volume, data, sizeof data, i * POOL_PAGE_SIZE), 0);
    if (memcmp (data, expected, sizeof data) != 0)
      FAIL ("%s page %llu is wrong", volume_name (volume),
            (unsigned long long) i);
  }
}

static uint64_t
held (struct pool *pool)
{
  struct pool_stats stats;

  CHECK_RC (pool_compact (pool), 0);
  POOL_CHECK (pool, true);
  pool_get_stats (pool, &stats);
  return stats.segment_bytes + stats.table_bytes;
}

/* Of n pages that could be shared, all but one in 50 are: the index forgets. */
#define CHECK_NEARLY(a, n)                                                     \
  do {                                                                         \
    CHECK_LE (a, n);                                                           \
    CHECK_LE ((n) - (n) / 50, a);                                              \
  } while (0)

static struct pool_stats
stats_of (struct pool *pool)
{
  struct pool_stats stats;

  pool_get_stats (pool, &stats);
  return stats;
}

/* What a pool holds after two guests have written the same. */
static uint64_t
two_guests (enum pool_sharing sharing, const char *group1, const char *group2)
{
  struct pool *pool = make_pool (sharing, NULL);
  struct volume *one = open_guest (pool, "one", group1);
  struct volume *two = open_guest (pool, "two", group2);

  fill (one, 1000);
  fill (two, 1000);
  const uint64_t bytes = held (pool);
  verify (one, 1000);
  verify (two, 1000);

  /* What one does to a page is nothing to the other. */
  fill (one, 500000);
  verify (two, 1000);
  CHECK_RC (volume_trim (two, volume_size (two), 0), 0);
  verify (one, 500000);
  volume_delete (one);
  held (pool);
  CHECK_EQ (stats_of (pool).shared_pages, 0);
  CHECK_EQ (stats_of (pool).shared_blobs, 0);
  CHECK_EQ (stats_of (pool).blob_bytes, 0);
  pool_destroy (pool);
  return bytes;
}

static void
test_scopes (void)
{
  const uint64_t off = two_guests (POOL_SHARING_OFF, "a", "a");
  const uint64_t alone = two_guests (POOL_SHARING_ALWAYS, NULL, NULL);
  const uint64_t apart = two_guests (POOL_SHARING_ALWAYS, "a", "b");
  const uint64_t together = two_guests (POOL_SHARING_ALWAYS, "a", "a");
  const uint64_t found = two_guests (POOL_SHARING_AUTO, "a", "a");

  printf ("sharing: two guests of %llu MiB hold %llu KiB without; %llu apart, "
          "%llu in two groups, %llu in one, %llu when it is found out\n",
          (unsigned long long) (pages * POOL_PAGE_SIZE / MIB),
          (unsigned long long) off / 1024, (unsigned long long) alone / 1024,
          (unsigned long long) apart / 1024,
          (unsigned long long) together / 1024,
          (unsigned long long) found / 1024);
  CHECK_LE (off, alone + 2 * MIB);
  CHECK_LE (off, apart + 2 * MIB);
  CHECK_LE (together * 100, off * 55 + 200 * MIB);
  CHECK_LE (found * 100, off * 55 + 200 * MIB);
}

/* Guests that are alike, in one volume each. */
static void
test_own_pages (void)
{
  struct pool *pool = make_pool (POOL_SHARING_ALWAYS, NULL);
  struct volume *volume = open_guest (pool, "one", NULL);
  uint8_t data[POOL_PAGE_SIZE];
  struct volume_stats stats;

  for (uint64_t i = 0; i < pages; ++i) {
    make_page (data, i % 10);
    CHECK_RC (volume_write (volume, data, sizeof data, i * POOL_PAGE_SIZE), 0);
  }
  volume_get_stats (volume, &stats);
  CHECK_EQ (stats.shared_pages, pages);
  CHECK_EQ (stats_of (pool).shared_blobs, 10);
  POOL_CHECK (pool, true);
  /* The last reader of each takes it along. */
  CHECK_RC (volume_trim (volume, volume_size (volume) - 10 * POOL_PAGE_SIZE, 0),
            0);
  CHECK_EQ (stats_of (pool).shared_blobs, 10);
  CHECK_RC (volume_trim (volume, volume_size (volume), 0), 0);
  CHECK_EQ (stats_of (pool).shared_blobs, 0);
  CHECK_EQ (stats_of (pool).blob_bytes, 0);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

/* It is switched on by pages that are alike, and off by pages that are not. */
static void
test_switch (void)
{
  struct pool *pool = make_pool (POOL_SHARING_AUTO, NULL);
  struct volume *volume = open_guest (pool, "one", NULL);
  const uint64_t fixed = stats_of (pool).fixed_bytes;
  uint8_t data[POOL_PAGE_SIZE];

  for (unsigned round = 0; round < 8; ++round) {
    fill (volume, 7000000 + round * 100000);
    CHECK_RC (pool_compact (pool), 0);
    CHECK_EQ (stats_of (pool).sharing_all, 0);
  }
  CHECK_EQ (stats_of (pool).shared_pages, 0);
  for (unsigned round = 0; round < 6; ++round)
    for (uint64_t i = 0; i < pages; ++i) {
      make_page (data, i % 100);
      CHECK_RC (volume_write (volume, data, sizeof data, i * POOL_PAGE_SIZE),
                0);
    }
  CHECK_RC (pool_compact (pool), 0);
  CHECK_EQ (stats_of (pool).sharing_all, 1);
  CHECK_NEARLY (stats_of (pool).shared_pages, pages); /* by the sweep */
  CHECK_NEARLY (stats_of (pool).shared_blobs, 100);
  POOL_CHECK (pool, true);
  for (unsigned round = 0; round < 12; ++round) {
    fill (volume, 9000000 + round * 100000);
    CHECK_RC (pool_compact (pool), 0);
  }
  CHECK_EQ (stats_of (pool).sharing_all, 0);
  CHECK_EQ (stats_of (pool).fixed_bytes, fixed);
  verify (volume, 9000000 + 11 * 100000);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

/* Where memory for an entry is refused, pages are stored as ever. */
static void
test_no_memory (void)
{
  struct pool *pool = make_pool (POOL_SHARING_ALWAYS, NULL);
  struct volume *one = open_guest (pool, "one", "a");
  struct volume *two = open_guest (pool, "two", "a");
  uint8_t data[POOL_PAGE_SIZE];

  fill (one, 1000);
  for (uint64_t i = 0; i < pages; ++i) {
    int err;

    make_page (data, 1000 + i);
    deny_now = i % 3 != 0;
    err = volume_write (two, data, sizeof data, i * POOL_PAGE_SIZE);
    deny_now = false;
    if (err) {
      CHECK_RC (err, -ENOMEM);
      CHECK_RC (volume_write (two, data, sizeof data, i * POOL_PAGE_SIZE), 0);
    }
  }
  verify (one, 1000);
  verify (two, 1000);
  CHECK_RC (volume_trim (one, volume_size (one), 0), 0);
  verify (two, 1000);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

/* Groups, and what is shared, outlive the process.  What was shared stays
 * shared when its volume changes its group, but nothing new joins it. */
static void
test_restart (void)
{
  struct test_state state;
  struct pool *pool;
  struct volume *one, *two, *three;
  struct pool_stats before, after;

  CHECK (test_state_make (&state));
  pool = make_pool (POOL_SHARING_ALWAYS, state.dir);
  fill (open_guest (pool, "one", "a"), 1000);
  fill (open_guest (pool, "two", "a"), 1000);
  CHECK_RC (pool_compact (pool), 0);
  before = stats_of (pool);
  CHECK_NEARLY (before.shared_blobs, pages);
  pool_destroy (pool);

  pool = make_pool (POOL_SHARING_ALWAYS, state.dir);
  CHECK (pool_was_adopted (pool));
  POOL_CHECK (pool, true);
  after = stats_of (pool);
  CHECK_EQ (after.shared_pages, before.shared_pages);
  CHECK_EQ (after.shared_bytes, before.shared_bytes);
  CHECK_EQ (after.shared_blobs, before.shared_blobs);
  one = volume_find (pool, "one");
  two = volume_find (pool, "two");
  three = open_guest (pool, "three", "a");
  verify (one, 1000);
  CHECK_RC (pool_compact (pool), 0); /* the sweep finds what was there */
  fill (three, 1000);
  CHECK_RC (pool_compact (pool), 0);
  CHECK_NEARLY (stats_of (pool).shared_pages, 3 * pages);
  CHECK_NEARLY (stats_of (pool).shared_blobs, pages);

  /* It has left: its pages are not what others share any more. */
  CHECK_RC (volume_set_group (one, NULL), 0);
  CHECK_RC (volume_set_group (two, "b"), 0);
  verify (one, 1000);
  fill (one, 1000);
  CHECK_RC (pool_compact (pool), 0);
  CHECK_NEARLY (stats_of (pool).shared_pages, 2 * pages);
  verify (three, 1000);
  POOL_CHECK (pool, true);
  pool_destroy (pool);

  pool = make_pool (POOL_SHARING_OFF, state.dir);
  POOL_CHECK (pool, true);
  CHECK_NEARLY (stats_of (pool).shared_pages, 2 * pages);
  verify (volume_find (pool, "one"), 1000);
  verify (volume_find (pool, "two"), 1000);
  verify (volume_find (pool, "three"), 1000);
  pool_destroy (pool);
  test_state_remove (&state);
}

int
main (int argc, char **argv)
{
  if (argc == 3 && strcmp (argv[1], "--mib") == 0)
    pages = strtoull (argv[2], NULL, 0) * MIB / POOL_PAGE_SIZE;
  else if (argc != 1)
    FAIL ("usage: sharing [--mib N]");
  content_init (1);
  test_own_pages ();
  test_scopes ();
  test_switch ();
  test_no_memory ();
  test_restart ();
  return 0;
}
