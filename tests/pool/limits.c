// SPDX-License-Identifier: BSD-3-Clause
/* Every limit and every error that pool.h names, and empty volumes: each
 * call first on a volume that nothing was ever written to. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "test.h"

#define PAGE ((uint64_t) POOL_PAGE_SIZE)

static struct pool *
new_pool (uint64_t limit, const char *codec)
{
  const struct pool_config config = { .limit = limit, .codec = codec };
  struct pool *pool;

  CHECK_RC (pool_create (&config, &pool), 0);
  return pool;
}

static struct volume *
new_volume (struct pool *pool, const char *name, uint64_t size)
{
  struct volume *volume;
  bool created = false;

  CHECK_RC (volume_open (pool, name, size, &volume, &created), 0);
  CHECK (created);
  return volume;
}

static bool
deny_all (void *opaque)
{
  return true;
}

static void
test_config (void)
{
  static const struct {
    struct pool_config config;
    int rc;
  } cases[] = {
    { { .limit = 0 }, -EINVAL },
    { { .limit = 1 }, -EINVAL },
    { { .limit = POOL_MIN_LIMIT - 1 }, -EINVAL },
    { { .limit = POOL_MAX_LIMIT + 1 }, -EINVAL },
    { { .limit = UINT64_MAX }, -EINVAL },
    { { .limit = POOL_MIN_LIMIT, .codec = "" }, -EINVAL },
    { { .limit = POOL_MIN_LIMIT, .codec = "lz" }, -EINVAL },
    { { .limit = POOL_MIN_LIMIT, .codec = "lz44" }, -EINVAL },
    { { .limit = POOL_MIN_LIMIT, .codec = "LZ4" }, -EINVAL },
    { { .limit = POOL_MIN_LIMIT, .deny = deny_all }, -ENOMEM },
    { { .limit = POOL_MIN_LIMIT }, 0 },
    { { .limit = POOL_MIN_LIMIT + 12345 }, 0 }, /* not a round number */
    { { .limit = POOL_MIN_LIMIT, .codec = "lz4" }, 0 },
    { { .limit = POOL_MIN_LIMIT, .codec = "none" }, 0 },
    { { .limit = 4 * GIB }, 0 },
  };

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct pool *pool = NULL;

    snprintf (test_context, sizeof test_context, "config %zu", i);
    CHECK_RC (pool_create (&cases[i].config, &pool), cases[i].rc);
    if (cases[i].rc == 0) {
      POOL_CHECK (pool, true);
      pool_destroy (pool);
    }
  }
  test_context[0] = 0;
}

static void
test_codecs (void)
{
  const char *const *codecs = pool_codecs ();
  bool lz4 = false, none = false;

  for (; *codecs; codecs++) {
    struct pool *pool = new_pool (POOL_MIN_LIMIT, *codecs);

    lz4 |= strcmp (*codecs, "lz4") == 0;
    none |= strcmp (*codecs, "none") == 0;
    pool_destroy (pool);
  }
  CHECK (lz4 && none);
}

static void
test_names (struct pool *pool)
{
  char longest[VOLUME_NAME_MAX + 2];
  struct volume *volume = NULL, *again;
  bool created = true;

  static const char *const bad[] = { "",     "a\n",       "\x7f",
                                     "\x01", "tab\there", "\x1b[1m" };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    CHECK_RC (volume_open (pool, bad[i], PAGE, &volume, NULL), -EINVAL);
    CHECK (volume_find (pool, bad[i]) == NULL);
  }
  memset (longest, 'n', sizeof longest);
  longest[VOLUME_NAME_MAX + 1] = 0;
  CHECK_RC (volume_open (pool, longest, PAGE, &volume, NULL), -EINVAL);
  CHECK (volume_find (pool, longest) == NULL);
  longest[VOLUME_NAME_MAX] = 0;
  volume = new_volume (pool, longest, PAGE);
  CHECK (strcmp (volume_name (volume), longest) == 0);
  CHECK (volume_find (pool, longest) == volume);
  CHECK_RC (volume_open (pool, longest, PAGE, &again, &created), 0);
  CHECK (again == volume && !created);
  longest[VOLUME_NAME_MAX - 1] = 0; /* a prefix is another name */
  CHECK (volume_find (pool, longest) == NULL);
  volume_delete (volume);
  volume = new_volume (pool, "web 1/~!", PAGE);
  volume_delete (volume);
}

static void
test_sizes (struct pool *pool)
{
  static const uint64_t bad[] = { 0,
                                  1,
                                  512,
                                  PAGE - 1,
                                  PAGE + 1,
                                  VOLUME_MAX_SIZE + PAGE,
                                  VOLUME_MAX_SIZE + 1,
                                  UINT64_MAX,
                                  -(uint64_t) PAGE };
  struct volume *volume = NULL;

  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK_RC (volume_open (pool, "sized", bad[i], &volume, NULL), -EINVAL);
  CHECK (volume == NULL);
  CHECK (volume_find (pool, "sized") == NULL);
  volume = new_volume (pool, "sized", 3 * PAGE);
  CHECK (volume_size (volume) == 3 * PAGE);
  CHECK_RC (volume_open (pool, "sized", 4 * PAGE, &volume, NULL), -EEXIST);
  CHECK_RC (volume_open (pool, "sized", 2 * PAGE, &volume, NULL), -EEXIST);
  volume_delete (volume_find (pool, "sized"));
  volume = new_volume (pool, "sized", 4 * PAGE); /* after delete: any size */
  volume_delete (volume);
}

struct extent {
  uint64_t offset, length;
  enum volume_extent kind;
};

struct extents {
  unsigned nr;
  unsigned stop_at; /* 0: never */
  struct extent extent[16];
};

static int
note_extent (void *opaque, uint64_t offset, uint64_t length,
             enum volume_extent kind)
{
  struct extents *e = opaque;

  CHECK (e->nr < 16);
  e->extent[e->nr++] = (struct extent){ offset, length, kind };
  return e->nr == e->stop_at ? 77 : 0;
}

static void
expect_one_extent (struct volume *volume, uint64_t length, uint64_t offset,
                   enum volume_extent kind)
{
  struct extents e = { 0 };

  CHECK_RC (volume_extents (volume, length, offset, note_extent, &e), 0);
  CHECK_EQ (e.nr, 1);
  CHECK_EQ (e.extent[0].offset, offset);
  CHECK_EQ (e.extent[0].length, length);
  CHECK_EQ (e.extent[0].kind, kind);
}

/* Offsets and lengths beyond the end, and those that overflow. */
static void
test_ranges (struct pool *pool, uint64_t size)
{
  struct volume *volume = new_volume (pool, "ranges", size);
  const struct {
    uint64_t length, offset;
  } bad[] = {
    { 1, size },
    { 1, size + 1 },
    { PAGE, size },
    { PAGE, size - 1 },
    { PAGE + 1, size - PAGE },
    { size + 1, 0 },
    { size, 1 },
    { 1, UINT64_MAX },
    { 2, UINT64_MAX },
    { PAGE, UINT64_MAX - PAGE + 1 },
    { UINT64_MAX, 0 },
    { UINT64_MAX, 1 },
    { UINT64_MAX, size - 1 },
    { UINT64_MAX - PAGE + 1, PAGE },
    { 0, size + 1 },
    { 0, UINT64_MAX },
  };
  uint8_t buf[PAGE + 1];
  struct extents e = { 0 };

  memset (buf, 0xa5, sizeof buf);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    const uint64_t l = bad[i].length, o = bad[i].offset;

    snprintf (test_context, sizeof test_context, "range %zu of %" PRIu64, i,
              size);
    CHECK_RC (volume_read (volume, buf, l, o), -EINVAL);
    CHECK_RC (volume_write (volume, buf, l, o), -EINVAL);
    CHECK_RC (volume_zero (volume, l, o), -EINVAL);
    CHECK_RC (volume_trim (volume, l, o), -EINVAL);
    CHECK_RC (volume_extents (volume, l, o, note_extent, &e), -EINVAL);
  }
  test_context[0] = 0;
  CHECK_EQ (e.nr, 0);
  for (size_t i = 0; i < sizeof buf; i++)
    CHECK (buf[i] == 0xa5);
  expect_one_extent (volume, size, 0, VOLUME_EXTENT_HOLE);
  volume_delete (volume);
}

/* Nothing to do is no error, at either end. */
static void
test_zero_length (struct pool *pool)
{
  struct volume *volume = new_volume (pool, "nothing", 8 * PAGE);
  struct extents e = { 0 };
  uint8_t byte = 0xa5;
  struct volume_stats s;

  for (uint64_t offset = 0; offset <= 8 * PAGE; offset += PAGE * 2 / 3) {
    CHECK_RC (volume_read (volume, &byte, 0, offset), 0);
    CHECK_RC (volume_write (volume, &byte, 0, offset), 0);
    CHECK_RC (volume_zero (volume, 0, offset), 0);
    CHECK_RC (volume_trim (volume, 0, offset), 0);
    CHECK_RC (volume_extents (volume, 0, offset, note_extent, &e), 0);
  }
  CHECK_RC (volume_read (volume, &byte, 0, 8 * PAGE), 0);
  CHECK (byte == 0xa5 && e.nr == 0);
  volume_get_stats (volume, &s);
  CHECK_EQ (s.pages_written, 0);
  CHECK_EQ (s.pages_read, 0);
  volume_delete (volume);
}

static void
expect_zeroes (struct volume *volume, uint64_t length, uint64_t offset)
{
  uint8_t *buf = test_alloc (length);

  memset (buf, 0xa5, length);
  CHECK_RC (volume_read (volume, buf, length, offset), 0);
  CHECK (content_is_zero (buf, length));
  free (buf);
}

/* A volume that nothing was written to, through every call. */
static void
test_empty (struct pool *pool)
{
  struct volume *volume = new_volume (pool, "empty", TIB);
  struct volume_stats s;
  struct pool_stats before, after;

  pool_get_stats (pool, &before);
  expect_zeroes (volume, 1, 0);
  expect_zeroes (volume, 3 * MIB + 5, 123);
  expect_zeroes (volume, 10000, TIB - 10000);
  CHECK_RC (volume_trim (volume, TIB, 0), 0);
  CHECK_RC (volume_zero (volume, TIB, 0), 0);
  CHECK_RC (volume_trim (volume, 5, 5), 0);
  CHECK_RC (volume_zero (volume, 5000, TIB - 5000), 0);
  expect_one_extent (volume, TIB, 0, VOLUME_EXTENT_HOLE);
  expect_one_extent (volume, 1, 17, VOLUME_EXTENT_HOLE);
  expect_one_extent (volume, TIB - 2, 1, VOLUME_EXTENT_HOLE);
  volume_get_stats (volume, &s);
  CHECK_EQ (s.size, TIB);
  CHECK_EQ (s.blob_pages + s.fill_pages + s.raw_pages, 0);
  CHECK_EQ (s.blob_bytes + s.data_bytes, 0);
  CHECK_EQ (s.pages_trimmed, 0);
  pool_get_stats (pool, &after);
  CHECK_EQ (after.used, before.used);
  CHECK_LE (s.table_bytes, 4 * MIB); /* what an empty 1 TiB export costs */
  POOL_CHECK (pool, true);
  volume_delete (volume);
}

static void
test_extents (struct pool *pool)
{
  struct volume *volume = new_volume (pool, "extents", 64 * MIB);
  struct extents e = { 0 };
  uint8_t page[PAGE];

  content_page (page, CONTENT_TEXT, 5);
  CHECK_RC (volume_write (volume, page, PAGE, 10 * MIB), 0);
  CHECK_RC (volume_write (volume, page, PAGE, 10 * MIB + PAGE), 0);
  CHECK_RC (volume_write (volume, page, PAGE, 64 * MIB - PAGE), 0);
  CHECK_RC (volume_extents (volume, 64 * MIB, 0, note_extent, &e), 0);
  CHECK_EQ (e.nr, 4);
  CHECK_EQ (e.extent[0].length, 10 * MIB);
  CHECK_EQ (e.extent[0].kind, VOLUME_EXTENT_HOLE);
  CHECK_EQ (e.extent[1].offset, 10 * MIB);
  CHECK_EQ (e.extent[1].length, 2 * PAGE);
  CHECK_EQ (e.extent[1].kind, VOLUME_EXTENT_DATA);
  CHECK_EQ (e.extent[3].offset, 64 * MIB - PAGE);
  CHECK_EQ (e.extent[3].length, PAGE);
  CHECK_EQ (e.extent[3].kind, VOLUME_EXTENT_DATA);

  e = (struct extents){ .stop_at = 2 }; /* the callback ends the walk */
  CHECK_RC (volume_extents (volume, 64 * MIB, 0, note_extent, &e), 77);
  CHECK_EQ (e.nr, 2);
  e = (struct extents){ 0 }; /* edges inside pages */
  CHECK_RC (volume_extents (volume, PAGE, 10 * MIB - 7, note_extent, &e), 0);
  CHECK_EQ (e.nr, 2);
  CHECK_EQ (e.extent[0].length, 7);
  CHECK_EQ (e.extent[1].length, PAGE - 7);
  expect_one_extent (volume, 9, 10 * MIB + 100, VOLUME_EXTENT_DATA);

  CHECK_RC (volume_trim (volume, 2 * PAGE, 10 * MIB), 0);
  CHECK_RC (volume_zero (volume, PAGE, 64 * MIB - PAGE), 0);
  expect_one_extent (volume, 64 * MIB, 0, VOLUME_EXTENT_HOLE);
  volume_delete (volume);
}

/* The very end of the largest volume, and parts of its last page. */
static void
test_far_end (struct pool *pool)
{
  struct volume *volume = new_volume (pool, "far", VOLUME_MAX_SIZE);
  const uint64_t last = VOLUME_MAX_SIZE - PAGE;
  uint8_t page[PAGE], back[PAGE];
  struct extents e = { 0 };

  content_page (page, CONTENT_HEAP, 9);
  CHECK_RC (volume_write (volume, page, PAGE, last), 0);
  CHECK_RC (volume_write (volume, page, 1, VOLUME_MAX_SIZE - 1), 0);
  page[PAGE - 1] = page[0];
  CHECK_RC (volume_read (volume, back, PAGE, last), 0);
  CHECK (memcmp (page, back, PAGE) == 0);
  CHECK_RC (volume_write (volume, page, PAGE, 0), 0);
  CHECK_RC (volume_extents (volume, VOLUME_MAX_SIZE, 0, note_extent, &e), 0);
  CHECK_EQ (e.nr, 3);
  CHECK_EQ (e.extent[0].length, PAGE);
  CHECK_EQ (e.extent[1].length, VOLUME_MAX_SIZE - 2 * PAGE);
  CHECK_EQ (e.extent[2].offset, last);
  CHECK_RC (volume_trim (volume, VOLUME_MAX_SIZE, 0), 0);
  expect_one_extent (volume, VOLUME_MAX_SIZE, 0, VOLUME_EXTENT_HOLE);
  expect_zeroes (volume, PAGE, last);
  expect_zeroes (volume, PAGE, 0);
  POOL_CHECK (pool, true);
  volume_delete (volume);
}

/* As many volumes as there may be, one more, and again after deletes. */
static void
test_many (void)
{
  struct pool *pool = new_pool (64 * MIB, NULL);
  struct pool_stats before, s;
  struct volume *volume;
  uint8_t page[PAGE], back[PAGE];
  char name[16];

  pool_get_stats (pool, &before);
  for (unsigned round = 0; round < 2; round++) {
    for (unsigned i = 0; i < POOL_MAX_VOLUMES; i++) {
      snprintf (name, sizeof name, "v%u", i);
      volume = new_volume (pool, name, (i + 1) * PAGE);
      content_page (page, CONTENT_TEXT, i + round);
      CHECK_RC (volume_write (volume, page, PAGE, i * PAGE), 0);
    }
    CHECK_RC (volume_open (pool, "more", PAGE, &volume, NULL), -ENOSPC);
    CHECK_RC (volume_open (pool, "v5", 6 * PAGE, &volume, NULL), 0);
    CHECK_RC (volume_open (pool, "v5", PAGE, &volume, NULL), -EEXIST);
    pool_get_stats (pool, &s);
    CHECK_EQ (s.volumes, POOL_MAX_VOLUMES);
    CHECK_EQ (s.blob_pages, POOL_MAX_VOLUMES);
    POOL_CHECK (pool, true);
    for (unsigned i = 0; i < POOL_MAX_VOLUMES; i++) {
      snprintf (name, sizeof name, "v%u", i);
      volume = volume_find (pool, name);
      CHECK (volume != NULL);
      content_page (page, CONTENT_TEXT, i + round);
      CHECK_RC (volume_read (volume, back, PAGE, i * PAGE), 0);
      CHECK (memcmp (page, back, PAGE) == 0);
      volume_delete (volume);
      CHECK (volume_find (pool, name) == NULL);
    }
  }
  CHECK_RC (pool_compact (pool), 0);
  POOL_CHECK (pool, true);
  pool_get_stats (pool, &s);
  CHECK_EQ (s.volumes, 0);
  CHECK_EQ (s.blob_pages, 0);
  CHECK_LE (s.table_bytes, before.table_bytes + TABLE_SLACK (0));
  CHECK_LE (s.used, before.used + 4 * POOL_SEGMENT_SIZE);
  pool_destroy (pool);
}

/* A volume of the name of a deleted one is empty. */
static void
test_reuse (struct pool *pool)
{
  struct volume *volume;
  uint8_t page[PAGE];

  for (unsigned i = 0; i < 50; i++) {
    volume = new_volume (pool, "reused", 16 * MIB);
    expect_one_extent (volume, 16 * MIB, 0, VOLUME_EXTENT_HOLE);
    expect_zeroes (volume, MIB, 3 * MIB);
    for (uint64_t at = 0; at < 16 * MIB; at += 64 << 10) {
      content_page (page, CONTENT_RANDOM, at + i);
      CHECK_RC (volume_write (volume, page, PAGE, at), 0);
    }
    volume_delete (volume);
  }
  POOL_CHECK (pool, true);
}

static void
test_codec_none (void)
{
  struct pool *pool = new_pool (32 * MIB, "none");
  struct volume *volume = new_volume (pool, "plain", 16 * MIB);
  uint8_t page[PAGE], back[PAGE];
  struct volume_stats s;

  for (unsigned i = 0; i < 2000; i++) {
    content_page (page, CONTENT_TEXT, i);
    CHECK_RC (volume_write (volume, page, PAGE, i * PAGE), 0);
  }
  for (unsigned i = 0; i < 2000; i++) {
    content_page (page, CONTENT_TEXT, i);
    CHECK_RC (volume_read (volume, back, PAGE, i * PAGE), 0);
    CHECK (memcmp (page, back, PAGE) == 0);
  }
  volume_get_stats (volume, &s);
  CHECK_EQ (s.blob_pages, 2000);
  CHECK_EQ (s.raw_pages, 2000);
  CHECK_EQ (s.data_bytes, 2000 * PAGE);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

/* Starting and stopping the steward, in any order that makes sense. */
static void
test_steward (void)
{
  struct pool *pool = new_pool (POOL_MIN_LIMIT, NULL);

  pool_stop_steward (pool); /* was never started */
  for (int i = 0; i < 20; i++) {
    CHECK_RC (pool_start_steward (pool), 0);
    pool_stop_steward (pool);
  }
  CHECK_RC (pool_compact (pool), 0);
  CHECK (pool_lockable_bytes (pool) > 0);
  pool_destroy (pool);
}

/* Locked or not, the pool works; and what is not used takes no memory. */
static void
test_lock_memory (void)
{
  const uint64_t before = test_rss_shmem ();
  struct pool *pool = new_pool (256 * MIB, NULL);
  struct volume *volume = new_volume (pool, "locked", GIB);
  const int rc = pool_lock_memory (pool);
  uint8_t page[PAGE], back[PAGE];

  if (rc != 0)
    CHECK (rc == -EPERM || rc == -ENOMEM);
  printf ("limits: pool_lock_memory returned %d\n", rc);
  for (unsigned i = 0; i < 2000; i++) {
    content_page (page, CONTENT_HEAP, i);
    CHECK_RC (volume_write (volume, page, PAGE, i * PAGE), 0);
  }
  CHECK_RC (volume_read (volume, back, PAGE, 1999 * PAGE), 0);
  CHECK (memcmp (page, back, PAGE) == 0);
  CHECK_LE (test_rss_shmem (), before + 16 * MIB);
  CHECK_RC (volume_trim (volume, GIB, 0), 0);
  CHECK_RC (pool_compact (pool), 0); /* locked memory goes back, too */
  CHECK_LE (test_rss_shmem (), before + 5 * MIB);
  pool_destroy (pool);
}

int
main (void)
{
  struct pool *pool;

  content_init (11);
  test_config ();
  test_codecs ();
  pool = new_pool (64 * MIB, NULL);
  test_names (pool);
  test_sizes (pool);
  test_ranges (pool, PAGE);
  test_ranges (pool, 3 * MIB);
  test_ranges (pool, VOLUME_MAX_SIZE);
  test_zero_length (pool);
  test_empty (pool);
  test_extents (pool);
  test_far_end (pool);
  test_reuse (pool);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
  test_many ();
  test_codec_none ();
  test_steward ();
  test_lock_memory ();
  return 0;
}
