// SPDX-License-Identifier: BSD-3-Clause
/* A pool that is as full as it gets can be adopted under its own limit, however
 * it got there: filled, overwritten by what compresses worse, with page tables
 * that grew since.  And then it works: a trim makes room.
 *
 *   full-restart [--seed N] [--rounds N] */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "content.h"
#include "test.h"

#define PAGE ((uint64_t) POOL_PAGE_SIZE)

static struct rng rng;
static struct pool *pool;
static struct volume *volume;
static struct pool_config config;
static uint64_t pages; /* of the volume: many more than fit */
static uint64_t used;  /* the first of them were written */

static void
start (void)
{
  pool = test_create (&config);
  CHECK_RC (volume_open (pool, "v", pages * PAGE, &volume, NULL), 0);
}

/* Once in a while, as if killed: what is open stays open. */
static void
restart (void)
{
  pool_destroy (pool);
  start ();
  POOL_CHECK (pool, false);
}

static int
put (uint64_t page, enum content_kind kind)
{
  uint8_t buf[PAGE];

  content_page (buf, kind, rng_next (&rng));
  const int rc = volume_write (volume, buf, PAGE, page * PAGE);

  if (rc != 0 && !test_refused (rc))
    FAIL ("write: %d", rc);
  return rc;
}

static void
fill (void)
{
  for (used = 0; used < pages / 2; ++used)
    if (put (used, CONTENT_TEXT + rng_below (&rng, 2)) != 0)
      break;
  restart ();
}

/* Pages that have a blob may use up the slack. */
static void
overwrite (void)
{
  for (unsigned refused = 0; refused < 20;)
    refused += put (rng_below (&rng, used), CONTENT_RANDOM) != 0;
  restart ();
}

/* Leaves, one page each, for as long as there is room. */
static void
grow_tables (void)
{
  for (uint64_t page = pages / 2; page < pages; page += 512)
    if (put (page, CONTENT_FILL8) != 0)
      break;
  restart ();
}

/* A little room, again and again, for tables to grow into. */
static void
nibble (void)
{
  for (unsigned i = 0; i < 30; ++i) {
    const uint64_t at = rng_below (&rng, used);

    CHECK_RC (volume_trim (volume, PAGE, at * PAGE), 0);
    put (pages / 2 + rng_below (&rng, pages / 2 - 1), CONTENT_FILL8);
    put (rng_below (&rng, used), CONTENT_RANDOM);
  }
  restart ();
}

static void
round_of (uint64_t limit)
{
  config.limit = limit;
  pages = 32 * limit / PAGE;
  start ();
  fill ();
  for (unsigned i = 0; i < 6; ++i)
    switch (rng_below (&rng, 3)) {
    case 0:
      overwrite ();
      break;
    case 1:
      grow_tables ();
      break;
    case 2:
      nibble ();
      break;
    }
  POOL_CHECK (pool, true);
  CHECK_RC (volume_trim (volume, used / 2 * PAGE, 0), 0);
  CHECK_RC (pool_compact (pool), 0);
  CHECK_RC (put (0, CONTENT_RANDOM), 0);
  pool_destroy (pool);
}

int
main (int argc, char *argv[])
{
  static const unsigned limits[] = { 16, 17, 20, 24, 48 };
  uint64_t seed = time (NULL), rounds = 4;
  struct test_state state;

  test_seed_and_count (argc, argv, "rounds", &seed, &rounds);
  rng.state = seed;
  content_init (seed);
  if (!test_state_make (&state)) {
    printf ("skipped: no tmpfs at /dev/shm\n");
    return 77;
  }
  config.state = state.dir;
  for (uint64_t i = 0; i < rounds; ++i)
    for (unsigned l = 0; l < sizeof limits / sizeof limits[0]; ++l) {
      round_of (limits[l] * MIB);
      remove (state.image);
    }
  test_state_remove (&state);
  printf ("full pools adopted: %s: ok\n", test_context);
  return 0;
}
