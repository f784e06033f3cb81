// SPDX-License-Identifier: BSD-3-Clause
/* Lost pages: a volume whose pages went with an earlier pool, under random
 * requests, against a shadow of what each page may answer.
 *
 *   loss [--seed N] [--ops N]
 *
 * Once in anonymous memory, and once in a file that is closed and adopted again
 * now and then. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "content.h"
#include "test.h"

#define PAGE ((uint64_t) POOL_PAGE_SIZE)
#define PAGES UINT64_C (3000) /* six leaves */

enum answer {
  LOST,    /* an error */
  CONTENT, /* what was written last */
  DROPPED  /* trimmed: zeroes, or still an error */
};

static struct shadow {
  enum answer answer;
  uint8_t *content; /* NULL: zeroes */
} shadow[PAGES];

static struct pool *pool;
static struct volume *volume;
static struct rng rng;
static const uint8_t zeroes[POOL_PAGE_SIZE];

static void
expect (uint64_t page, enum answer answer, const uint8_t *content)
{
  free (shadow[page].content);
  shadow[page].answer = answer;
  shadow[page].content = NULL;
  if (content && memcmp (content, zeroes, PAGE) != 0) {
    shadow[page].content = test_alloc (PAGE);
    memcpy (shadow[page].content, content, PAGE);
  }
}

static void
check_page (uint64_t page)
{
  const struct shadow *s = &shadow[page];
  uint8_t buf[PAGE];
  const int rc = volume_read (volume, buf, PAGE, page * PAGE);

  if (s->answer == LOST || (s->answer == DROPPED && rc != 0)) {
    CHECK_RC (rc, -EIO);
    return;
  }
  CHECK_RC (rc, 0);
  if (memcmp (buf, s->content ? s->content : zeroes, PAGE) != 0)
    FAIL ("page %llu is not what was written", (unsigned long long) page);
}

/* A hole reads as zeroes, all of it; lost pages are never in one. */
static int
check_extent (void *opaque, uint64_t offset, uint64_t length,
              enum volume_extent kind)
{
  uint64_t *at = opaque;

  CHECK_EQ (*at, offset);
  *at += length;
  if (kind == VOLUME_EXTENT_HOLE)
    for (uint64_t page = offset / PAGE; page * PAGE < *at; ++page)
      CHECK (shadow[page].answer != LOST && shadow[page].content == NULL);
  return 0;
}

static void
check_all (void)
{
  uint64_t at = 0;

  for (uint64_t page = 0; page < PAGES; ++page)
    check_page (page);
  CHECK_RC (volume_extents (volume, PAGES * PAGE, 0, check_extent, &at), 0);
  CHECK_EQ (at, PAGES * PAGE);
  POOL_CHECK (pool, true);
}

static void
write_pages (uint64_t first, uint64_t n)
{
  for (uint64_t page = first; page < first + n; ++page) {
    uint8_t buf[PAGE];

    content_page (buf, rng_below (&rng, CONTENT_KINDS), rng_next (&rng));
    if (rng_below (&rng, 4) == 0)
      memset (buf, 0, PAGE);
    CHECK_RC (volume_write (volume, buf, PAGE, page * PAGE), 0);
    expect (page, CONTENT, buf);
  }
}

static void
zero_pages (uint64_t first, uint64_t n)
{
  CHECK_RC (volume_zero (volume, n * PAGE, first * PAGE), 0);
  for (uint64_t page = first; page < first + n; ++page)
    expect (page, CONTENT, NULL);
}

static void
trim_pages (uint64_t first, uint64_t n)
{
  CHECK_RC (volume_trim (volume, n * PAGE, first * PAGE), 0);
  for (uint64_t page = first; page < first + n; ++page)
    expect (page, DROPPED, NULL);
}

/* Where what is lost begins or ends: only there does a trim mend it. */
static void
trim_at_an_end (uint64_t n)
{
  uint64_t first = 0, last = PAGES - 1;

  while (first < PAGES && shadow[first].answer != LOST)
    first++;
  while (last > first && shadow[last].answer != LOST)
    last--;
  if (last < first + 1000) /* the rest is for the end of the test */
    return;
  if (rng_below (&rng, 2))
    trim_pages (first > 3 ? first - 3 : 0, n);
  else
    trim_pages (last - n, n + 1);
}

/* Half a page: there must be a whole one to put it into. */
static void
write_part (uint64_t page)
{
  struct shadow *s = &shadow[page];
  uint8_t part[PAGE / 2], whole[PAGE];
  const int rc = (memset (part, 7, sizeof part),
                  volume_write (volume, part, sizeof part, page * PAGE));

  if (s->answer == LOST || (s->answer == DROPPED && rc != 0)) {
    CHECK_RC (rc, -EIO);
    return;
  }
  CHECK_RC (rc, 0);
  memcpy (whole, s->content ? s->content : zeroes, PAGE);
  memcpy (whole, part, sizeof part);
  expect (page, CONTENT, whole);
}

static void
step (void)
{
  const uint64_t first = rng_below (&rng, PAGES);
  uint64_t n = 1 + rng_below (&rng, 40);

  if (n > PAGES - first)
    n = PAGES - first;
  switch (rng_below (&rng, 7)) {
  case 0:
  case 1:
    write_pages (first, n);
    break;
  case 2:
    zero_pages (first, n);
    break;
  case 3:
    trim_pages (first, n);
    break;
  case 4:
    write_part (first);
    break;
  case 5:
    check_page (first);
    break;
  case 6:
    trim_at_an_end (1 + n % 4);
    break;
  }
}

static void
open_pool (const char *dir)
{
  const struct pool_config config = { .limit = 64 * MIB, .state = dir };

  CHECK_RC (pool_create (&config, &pool), 0);
  CHECK_RC (volume_open (pool, "v", PAGES * PAGE, &volume, NULL), 0);
}

/* From all lost, through random requests, to nothing lost by one trim. */
static void
test_random (const char *dir, uint64_t ops)
{
  open_pool (dir);
  CHECK (!volume_is_lost (volume));
  for (uint64_t page = 0; page < PAGES; ++page)
    expect (page, LOST, NULL);
  volume_lose (volume, 0);
  check_all ();
  for (uint64_t i = 1; i <= ops; ++i) {
    step ();
    if (i % (ops / 8) == 0) {
      check_all ();
      if (dir) {
        pool_destroy (pool);
        open_pool (dir);
      }
      else
        CHECK_RC (pool_compact (pool), 0);
    }
  }
  check_all ();

  /* In order, from both ends. */
  CHECK (volume_is_lost (volume));
  trim_pages (0, 1000);
  trim_pages (2000, PAGES - 2000);
  trim_pages (1000, 900);
  CHECK (volume_is_lost (volume));
  trim_pages (1900, 100);
  CHECK (!volume_is_lost (volume));
  for (uint64_t page = 0; page < PAGES; ++page)
    expect (page, CONTENT, NULL);
  check_all ();
  volume_delete (volume);
  pool_destroy (pool);
}

static void
test_forgive_and_resize (void)
{
  open_pool (NULL);
  for (uint64_t page = 0; page < PAGES; ++page)
    expect (page, page == 0 ? CONTENT : LOST, NULL);
  volume_lose (volume, PAGE);
  check_all ();
  CHECK_RC (volume_resize (volume, (PAGES - 1) * PAGE), -EBUSY);
  CHECK_RC (volume_resize (volume, PAGES * PAGE + 1), -EINVAL);
  CHECK_RC (volume_resize (volume, 0), -EINVAL);
  CHECK_RC (volume_resize (volume, (PAGES + 700) * PAGE), 0);
  CHECK_EQ (volume_size (volume), (PAGES + 700) * PAGE);

  /* What is added may have been there before it was lost. */
  uint8_t buf[PAGE];
  CHECK_RC (volume_read (volume, buf, PAGE, (PAGES + 699) * PAGE), -EIO);
  CHECK_RC (volume_write (volume, zeroes, PAGE, (PAGES + 699) * PAGE), 0);
  CHECK_RC (volume_resize (volume, PAGES * PAGE), -EBUSY);
  CHECK_RC (volume_trim (volume, 700 * PAGE, PAGES * PAGE), 0);
  CHECK_RC (volume_resize (volume, PAGES * PAGE), 0);
  check_all ();
  volume_forgive (volume);
  for (uint64_t page = 0; page < PAGES; ++page)
    expect (page, CONTENT, NULL);
  check_all ();
  CHECK_RC (volume_resize (volume, 10 * PAGE), 0);
  CHECK_RC (volume_read (volume, buf, PAGE, 10 * PAGE), -EINVAL);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

int
main (int argc, char *argv[])
{
  uint64_t seed = time (NULL), ops = 4000;
  struct test_state state;

  test_seed_and_count (argc, argv, "ops", &seed, &ops);
  rng.state = seed;
  content_init (seed);
  test_random (NULL, ops);
  test_forgive_and_resize ();
  if (!test_state_make (&state)) {
    printf ("no tmpfs at /dev/shm: only without state\n");
    return 0;
  }
  test_random (state.dir, ops);
  test_state_remove (&state);
  printf ("lost pages: %s: ok\n", test_context);
  return 0;
}
