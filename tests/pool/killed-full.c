// SPDX-License-Identifier: BSD-3-Clause
/* A pool that has grown as far as its image allows, and is full, is killed in
 * the middle of cleaning, again and again, before it has got anywhere: the next
 * process can always adopt it, and what it is above its limit does not pile up.
 *
 *   killed-full [--seed N] [--rounds N] */

#include <config.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "content.h"
#include "test.h"

#define PAGE ((uint64_t) POOL_PAGE_SIZE)
#define FIRST_LIMIT (16 * MIB)
#define LIMIT (4 * FIRST_LIMIT)
#define PAGES (3 * LIMIT / PAGE) /* of the volume: more than fit */
#define WRITERS 6u
#define ALIVE_MS 7u /* at the most */

/* The reserve, which a process that is killed may have used up. */
#define MOST_ABOVE (2 * MIB)

static struct pool *pool;
static struct volume *volume;
static struct pool_config config;

static void
start (void)
{
  struct pool_stats stats;

  pool = test_create (&config);
  CHECK_RC (volume_open (pool, "v", PAGES * PAGE, &volume, NULL), 0);
  pool_get_stats (pool, &stats);
  CHECK_LE (stats.used, config.limit + MOST_ABOVE);
}

/* Until the end. */
static void *
write_on (void *opaque)
{
  struct rng rng = { .state = *(const uint64_t *) opaque };
  uint8_t buf[PAGE];

  for (;;) {
    const uint64_t page = rng_below (&rng, PAGES - 1);
    const bool dense = rng_below (&rng, 3) == 0;

    content_page (buf, dense ? CONTENT_RANDOM : CONTENT_TEXT, rng_next (&rng));
    volume_write (volume, buf, PAGE, page * PAGE);
    if (rng_below (&rng, 40) == 0)
      volume_trim (volume, 2 * PAGE, page * PAGE);
  }
  return NULL;
}

static void
fill (void)
{
  uint8_t buf[PAGE];
  int rc = 0;

  for (uint64_t page = 0; page < PAGES && rc == 0; ++page) {
    content_page (buf, CONTENT_TEXT, page);
    rc = volume_write (volume, buf, PAGE, page * PAGE);
  }
  CHECK (test_refused (rc));
}

static void *
compact_on (void *opaque)
{
  for (;;)
    pool_compact (pool);
  return opaque;
}

static void
begin (void *(*main) (void *), void *opaque)
{
  pthread_t thread;

  CHECK_RC (pthread_create (&thread, NULL, main, opaque), 0);
}

/* A process that is killed.  Says when it begins to write. */
static void __attribute__ ((noreturn)) serve (unsigned round, int ready)
{
  static uint64_t seeds[WRITERS];
  struct rng rng = { .state = test_mix (round) };

  start ();
  if (round % 4 == 3)
    POOL_CHECK (pool, false);
  CHECK (write (ready, "x", 1) == 1);
  if (round % 3)
    CHECK_RC (pool_start_steward (pool), 0);
  for (unsigned i = 0; i < WRITERS; ++i) {
    seeds[i] = rng_next (&rng);
    begin (write_on, &seeds[i]);
  }
  if (round % 2)
    begin (compact_on, NULL);
  for (;;)
    pause ();
}

static void
round_of (unsigned round, struct rng *rng)
{
  const struct timespec alive = { .tv_nsec = (long) rng_below (
                                      rng, ALIVE_MS * 1000000) };
  int ready[2], status;
  char byte;

  CHECK (pipe (ready) == 0);
  const pid_t pid = fork ();
  CHECK (pid != -1);
  if (pid == 0) {
    close (ready[0]);
    serve (round, ready[1]);
  }
  close (ready[1]);
  const bool served = read (ready[0], &byte, 1) == 1;
  close (ready[0]);
  if (served)
    nanosleep (&alive, NULL);
  kill (pid, SIGKILL);
  CHECK (waitpid (pid, &status, 0) == pid);
  if (!served || !WIFSIGNALED (status) || WTERMSIG (status) != SIGKILL)
    FAIL ("round %u: status %x", round, status);
}

/* And then it works. */
static void
look (void)
{
  uint8_t buf[PAGE];
  struct pool_stats stats;

  start ();
  POOL_CHECK (pool, true);
  CHECK_RC (volume_trim (volume, PAGES / 3 * PAGE, 0), 0);
  content_page (buf, CONTENT_RANDOM, 1);
  CHECK_RC (volume_write (volume, buf, PAGE, 0), 0);
  CHECK_RC (pool_compact (pool), 0);
  pool_get_stats (pool, &stats);
  CHECK_LE (stats.used, config.limit);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
}

int
main (int argc, char *argv[])
{
  uint64_t seed = time (NULL), rounds = 300;
  struct test_state state;
  struct rng rng;

  test_seed_and_count (argc, argv, "rounds", &seed, &rounds);
  rng.state = seed;
  content_init (seed);
  if (!test_state_make (&state)) {
    printf ("skipped: no tmpfs at /dev/shm\n");
    return 77;
  }
  config =
      (struct pool_config){ .limit = FIRST_LIMIT,
                            .state = state.dir,
                            .cold = { .on = true, .cpu = 100, .level = 1 } };
  start ();
  pool_destroy (pool);
  config.limit = LIMIT;
  start ();
  fill ();
  pool_destroy (pool);
  for (unsigned round = 0; round < rounds; ++round)
    round_of (round, &rng);
  look ();
  test_state_remove (&state);
  printf ("full pools killed in a row: %s: ok\n", test_context);
  return 0;
}
