// SPDX-License-Identifier: BSD-3-Clause
/* Makes pools in state directories, and damages them, for the tests of
 * vmswapctl.
 *
 *   image-tool WHAT STATE [ARGUMENT...]
 *
 *   empty    a pool without volumes
 *   fill     volumes web1 and web2; see below
 *   cold     the same, and all of it that compresses is cold
 *   full     one volume, until no page fits any more
 *   lose     volume gone: pages 1, 600, 3000 are written, the others from 3 on
 *            are lost
 *   hold     serve it: print "ready", wait for stdin
 *   load     print "ready", overwrite and trim for ever
 *   verify   adopt the pool of fill or cold; every page must read as written
 *   damage   KIND VOLUME PAGE: KIND is data, group and frame-of-group (of a
 *            cold page: a byte of data, what zstd begins with), header, word,
 *            outside (a word that names no place), fill, frame (the directory
 *            names a frame that is not there), lost, super, version (PAGE is it)
 *   scramble SEED: nonsense in its tables */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../pool/content.h"
#include "../pool/image-edit.h"
#include "../pool/test.h"
#include "word.h"

#define LIMIT (16 * MIB)

/* In a group, a place behind all that comes before zstd's frame, and before its
 * data. */
#define GROUP_DATA                                                             \
  (VMSWAP_BLOB_HEADER_SIZE + VMSWAP_GROUP_PAGES * VMSWAP_GROUP_PRINT_SIZE)

/* web1 has pages of all kinds; web2 few, far apart. */
#define WEB1_PAGES 2000u
#define WEB2_PAGES 40u
#define WEB2_STEP 997u

static struct pool_cold cold;

static struct pool *
open_pool (const char *state)
{
  char reason[512] = "";
  const struct pool_config config = {
    .limit = LIMIT,
    .cold = cold,
    .state = state,
    .reason = reason,
    .reason_size = sizeof reason,
  };
  struct pool *pool;

  if (pool_create (&config, &pool) != 0)
    FAIL ("%s: %s", state, reason);
  return pool;
}

static struct volume *
open_volume (struct pool *pool, const char *name, uint64_t size)
{
  struct volume *volume;

  CHECK_RC (volume_open (pool, name, size, &volume, NULL), 0);
  return volume;
}

static int
write_page (struct volume *volume, uint64_t page, enum content_kind kind,
            uint64_t key)
{
  uint8_t data[POOL_PAGE_SIZE];

  content_page (data, kind, key);
  return volume_write (volume, data, sizeof data, page * POOL_PAGE_SIZE);
}

/* 0 text, 1 noise, 2 one repeated value, 3 heap, 4 empty, and so on. */
static enum content_kind
kind_of (uint64_t page)
{
  static const enum content_kind kinds[] = { CONTENT_TEXT, CONTENT_RANDOM,
                                             CONTENT_FILL32, CONTENT_HEAP,
                                             CONTENT_ZERO };

  return kinds[page % 5];
}

static void
fill (const char *state)
{
  struct pool *pool = open_pool (state);
  struct volume *web1 = open_volume (pool, "web1", GIB);
  struct volume *web2 = open_volume (pool, "web2", 3 * TIB);

  for (uint64_t page = 0; page < WEB1_PAGES; ++page)
    CHECK_RC (write_page (web1, page, kind_of (page), page), 0);
  for (uint64_t i = 0; i < WEB2_PAGES; ++i)
    CHECK_RC (write_page (web2, i * WEB2_STEP * 20000, CONTENT_TEXT, i), 0);
  if (cold.on)
    CHECK_RC (pool_compact (pool), 0);
  pool_destroy (pool);
}

static void
verify (const char *state)
{
  uint8_t expected[POOL_PAGE_SIZE], actual[POOL_PAGE_SIZE];
  struct pool *pool = open_pool (state);
  struct volume *web1 = open_volume (pool, "web1", GIB);

  for (uint64_t page = 0; page < WEB1_PAGES; ++page) {
    content_page (expected, kind_of (page), page);
    CHECK_RC (volume_read (web1, actual, sizeof actual, page * POOL_PAGE_SIZE),
              0);
    CHECK (memcmp (expected, actual, sizeof actual) == 0);
  }
  pool_destroy (pool);
}

static void
lose (const char *state)
{
  struct pool *pool = open_pool (state);
  struct volume *volume = open_volume (pool, "gone", 16 * MIB);

  CHECK_RC (write_page (volume, 1, CONTENT_TEXT, 1), 0);
  CHECK_RC (write_page (volume, 600, CONTENT_TEXT, 2), 0);
  volume_lose (volume, 3 * POOL_PAGE_SIZE);
  CHECK_RC (write_page (volume, 3000, CONTENT_FILL32, 3), 0);
  pool_destroy (pool);
}

static void
full (const char *state)
{
  struct pool *pool = open_pool (state);
  struct volume *volume = open_volume (pool, "full", GIB);
  uint64_t page = 0;
  int rc;

  while ((rc = write_page (volume, page, CONTENT_TEXT, page)) == 0)
    page++;
  CHECK_RC (rc, -ENOSPC);
  pool_destroy (pool);
}

static void
ready (void)
{
  puts ("ready");
  fflush (stdout);
}

static void __attribute__ ((noreturn)) load (const char *state)
{
  struct pool *pool = open_pool (state);
  struct volume *volume = open_volume (pool, "load", GIB);
  struct rng rng = { 5 };

  CHECK_RC (pool_start_steward (pool), 0);
  for (uint64_t n = 0;; ++n) {
    const uint64_t page = rng_below (&rng, 4000);

    if (n == 20000)
      ready ();
    if (n % 7 == 0)
      CHECK_RC (
          volume_trim (volume, 20 * POOL_PAGE_SIZE, page * POOL_PAGE_SIZE), 0);
    else {
      const int rc = write_page (volume, page, kind_of (n), n);

      CHECK (rc == 0 || test_refused (rc));
    }
  }
}

static void
hold (const char *state)
{
  struct pool *pool = open_pool (state);

  ready ();
  (void) getchar ();
  pool_destroy (pool);
}

static void
damage (const char *state, const char *kind, const char *volume, uint64_t page)
{
  struct image_edit edit = image_edit_open (state);

  if (strcmp (kind, "data") == 0)
    image_edit_blob (&edit, volume, page)[VMSWAP_BLOB_HEADER_SIZE + 33] ^= 4;
  else if (strcmp (kind, "group") == 0)
    image_edit_group (&edit, volume, page)[GROUP_DATA + 33] ^= 4;
  else if (strcmp (kind, "frame-of-group") == 0) /* zstd's header */
    image_edit_group (&edit, volume, page)[GROUP_DATA] ^= 4;
  else if (strcmp (kind, "header") == 0)
    image_edit_blob (&edit, volume, page)[3] ^= 1; /* of another page */
  else if (strcmp (kind, "word") == 0)
    *image_edit_word (&edit, volume, page) ^= UINT64_C (1) << 45; /* length */
  else if (strcmp (kind, "outside") == 0)
    *image_edit_word (&edit, volume, page) |=
        WORD_MASK (VMSWAP_WORD_SEGMENT_BITS) << VMSWAP_WORD_SEGMENT_SHIFT;
  else if (strcmp (kind, "fill") == 0)
    *image_edit_word (&edit, volume, page) ^= UINT64_C (1) << 30; /* value */
  else if (strcmp (kind, "frame") == 0)
    *image_edit_entry (&edit, volume, page) = edit.super->frames_count;
  else if (strcmp (kind, "lost") == 0)
    *image_edit_word (&edit, volume, page) = VMSWAP_WORD_LOST;
  else if (strcmp (kind, "super") == 0) {
    edit.base[100] ^= 1;
    edit.base[POOL_PAGE_SIZE + 100] ^= 1;
  }
  else if (strcmp (kind, "version") == 0) {
    edit.super->version = page;
    image_edit_seal (&edit);
  }
  else
    FAIL ("what is %s?", kind);
  image_edit_close (&edit);
}

/* Another value for 8 bytes at that place, or some of their bits. */
static void
scramble_at (struct rng *rng, uint8_t *at)
{
  uint64_t word;

  memcpy (&word, at, sizeof word);
  switch (rng_below (rng, 4)) {
  case 0:
    word ^= UINT64_C (1) << rng_below (rng, 64);
    break;
  case 1:
    word ^= rng_next (rng);
    break;
  case 2:
    word = UINT64_MAX;
    break;
  case 3:
    word += rng_below (rng, 5) - 2;
    break;
  }
  memcpy (at, &word, sizeof word);
}

/* In entries of volumes, entries of segments, and frames in use. */
static void
scramble (const char *state, uint64_t seed)
{
  struct image_edit edit = image_edit_open (state);
  struct rng rng = { seed };
  uint8_t *frames = edit.base + edit.super->frames_offset;

  for (uint64_t left = 1 + rng_below (&rng, 4); left > 0; --left) {
    uint8_t *at = frames + 8 * rng_below (&rng, 64 * POOL_PAGE_SIZE / 8);

    if (rng_below (&rng, 4) == 0)
      at = edit.base + edit.super->volumes_offset + 8 * rng_below (&rng, 64);
    else if (rng_below (&rng, 8) == 0)
      at = edit.base + edit.super->segments_offset + 8 * rng_below (&rng, 16);
    else
      while (at > frames && *at == 0)
        at -= 8;
    scramble_at (&rng, at);
  }
  image_edit_close (&edit);
}

int
main (int argc, char **argv)
{
  const char *what = argc > 2 ? argv[1] : "";

  content_init (3);
  if (strcmp (what, "empty") == 0)
    pool_destroy (open_pool (argv[2]));
  else if (strcmp (what, "fill") == 0)
    fill (argv[2]);
  else if (strcmp (what, "cold") == 0) {
    cold.on = true;
    fill (argv[2]);
  }
  else if (strcmp (what, "verify") == 0)
    verify (argv[2]);
  else if (strcmp (what, "full") == 0)
    full (argv[2]);
  else if (strcmp (what, "lose") == 0)
    lose (argv[2]);
  else if (strcmp (what, "hold") == 0)
    hold (argv[2]);
  else if (strcmp (what, "load") == 0)
    load (argv[2]);
  else if (strcmp (what, "scramble") == 0 && argc == 4)
    scramble (argv[2], strtoull (argv[3], NULL, 0));
  else if (strcmp (what, "damage") == 0 && argc == 6)
    damage (argv[2], argv[3], argv[4], strtoull (argv[5], NULL, 0));
  else
    FAIL ("see the top of %s", __FILE__);
  return 0;
}
