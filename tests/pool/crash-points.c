// SPDX-License-Identifier: BSD-3-Clause
/* Kills a pool with state= at every point where dying could matter (see
 * host-pool/crash-point.h), the first few times it comes there and some later
 * ones, and looks at what the next process finds: every acknowledged step, no
 * half of any.
 *
 *   crash-points [--hits N]      how many hits of each point to try (6)
 *
 * The script is run once to learn the points and how often each is passed;
 * then once for each death. */

#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash-point.h"
#include "pool.h"

#define MAX_POINTS 64
#define PAGES 6000u
#define STEPS 4u

struct shared {
  unsigned nr_points;
  struct {
    char name[40];
    unsigned passed;
  } point[MAX_POINTS];
  char kill_at[40];
  unsigned kill_hit;
  unsigned started[PAGES], done[PAGES];
};

static struct shared *shared;
static char state[] = "/dev/shm/vmswap-crash-XXXXXX";

static void
remove_state (void)
{
  char path[100];

  snprintf (path, sizeof path, "%s/pool.vmswap", state);
  unlink (path);
}

static pid_t parent; /* the process that made state, and removes it */

static void
clean_up (void)
{
  if (getpid () != parent)
    return;
  remove_state ();
  rmdir (state);
}

static void __attribute__ ((noreturn, format (printf, 1, 2)))
fail (const char *fmt, ...)
{
  va_list args;

  fprintf (stderr, "killed at \"%s\", hit %u: ", shared->kill_at,
           shared->kill_hit);
  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
  fputc ('\n', stderr);
  exit (1);
}

void
crash_point (const char *name)
{
  unsigned i = 0;

  while (i < shared->nr_points && strcmp (shared->point[i].name, name) != 0)
    i++;
  if (i == MAX_POINTS)
    abort ();
  if (i == shared->nr_points) {
    snprintf (shared->point[i].name, sizeof shared->point[i].name, "%s", name);
    shared->nr_points++;
  }
  shared->point[i].passed++;
  if (strcmp (name, shared->kill_at) == 0 &&
      shared->point[i].passed == shared->kill_hit)
    kill (getpid (), SIGKILL);
}

/* What a page holds after a step; step 0 and trims: zeroes.  After step 2, four
 * neighbours are alike. */
static void
content (uint8_t *to, unsigned page, unsigned step)
{
  const unsigned like = step == 2 ? page - page % 4 : page;
  uint32_t x = like * 2654435761u + step * 97u;

  memset (to, 0, POOL_PAGE_SIZE);
  if (step == 0 || (step == 3 && page % 3))
    return;
  for (unsigned i = 0; i < POOL_PAGE_SIZE; ++i) {
    x = x * 1664525u + 1013904223u;
    to[i] = i % 2 ? x >> 24 : step;
  }
}

static void
do_step (struct volume *volume, unsigned page, unsigned step)
{
  const uint64_t offset = (uint64_t) page * POOL_PAGE_SIZE;
  uint8_t data[POOL_PAGE_SIZE];
  int err;

  shared->started[page] = step;
  content (data, page, step);
  if (step == 3 && page % 3)
    err = volume_trim (volume, POOL_PAGE_SIZE, offset);
  else
    err = volume_write (volume, data, POOL_PAGE_SIZE, offset);
  if (err)
    fail ("step %u of page %u: %s", step, page, strerror (-err));
  shared->done[page] = step;
}

static struct pool *
open_pool (struct volume **volume)
{
  char reason[256] = "";
  const struct pool_config config = {
    .limit = 48u << 20,
    .sharing = POOL_SHARING_ALWAYS,
    .cold = { .on = true, .level = 1 },
    .state = state,
    .reason = reason,
    .reason_size = sizeof reason,
  };
  struct pool *pool;
  int err = pool_create (&config, &pool);

  if (!err)
    err = volume_open (pool, "guest", (uint64_t) PAGES * POOL_PAGE_SIZE, volume,
                       NULL);
  if (err)
    fail ("cannot open the pool: %s: %s", strerror (-err), reason);
  return pool;
}

/* Some groups are read, and single pages again when the pool is tidied up. */
static void
read_some (struct volume *volume)
{
  uint8_t data[POOL_PAGE_SIZE];

  for (unsigned page = 0; page < PAGES; page += 37)
    if (volume_read (volume, data, sizeof data,
                     (uint64_t) page * POOL_PAGE_SIZE))
      fail ("page %u cannot be read", page);
}

/* A whole run: fill, overwrite some, trim, clean, make cold, give back, a
 * volume that comes and goes, and a second run on what the first left. */
static void __attribute__ ((noreturn)) script (void)
{
  struct volume *volume, *other;
  struct pool *pool = open_pool (&volume);
  uint8_t data[POOL_PAGE_SIZE];
  struct pool_stats stats;

  for (unsigned step = 1; step <= STEPS; ++step) {
    for (unsigned page = 0; page < PAGES; ++page)
      if (step == 1 || (page + step) % 3)
        do_step (volume, page, step);
    if (pool_compact (pool))
      fail ("pool_compact");
    read_some (volume);
  }
  pool_get_stats (pool, &stats);
  if (stats.cold_pages == 0 || stats.pages_warmed == 0)
    fail ("nothing became cold, or warm");
  if (volume_open (pool, "other", UINT64_C (1) << 40, &other, NULL))
    fail ("volume_open");
  content (data, 1, 1);
  for (unsigned i = 0; i < 8; ++i)
    if (volume_write (other, data, sizeof data, (uint64_t) i << 33))
      fail ("write to the other volume");
  if (volume_trim (other, volume_size (other), 0))
    fail ("trim of the other volume");
  pool_compact (pool);
  if (volume_write (other, data, sizeof data, 0))
    fail ("write to the other volume");
  volume_delete (other);
  pool_compact (pool);
  pool_destroy (pool);
  pool_destroy (open_pool (&volume));
  exit (0);
}

static void
verify (void)
{
  uint8_t data[POOL_PAGE_SIZE], expected[POOL_PAGE_SIZE];
  char report[256];
  struct volume *volume;
  struct pool *pool = open_pool (&volume);

  if (pool_check (pool, true, report, sizeof report))
    fail ("pool_check: %s", report);
  for (unsigned page = 0; page < PAGES; ++page) {
    int err = volume_read (volume, data, sizeof data,
                           (uint64_t) page * POOL_PAGE_SIZE);

    if (err)
      fail ("page %u: %s", page, strerror (-err));
    content (expected, page, shared->done[page]);
    if (memcmp (data, expected, sizeof data) == 0)
      continue;
    content (expected, page, shared->started[page]);
    if (memcmp (data, expected, sizeof data) != 0)
      fail ("page %u holds neither step %u nor step %u", page,
            shared->done[page], shared->started[page]);
  }
  /* And it goes on: all of it can be cleaned and dropped. */
  if (pool_compact (pool) || volume_trim (volume, volume_size (volume), 0) ||
      pool_compact (pool) || pool_check (pool, true, report, sizeof report))
    fail ("the adopted pool does not work: %s", report);
  pool_destroy (pool);
}

/* Runs the script up to its death.  False: it ended by itself. */
static bool
run (const char *kill_at, unsigned hit)
{
  int status;
  pid_t pid;

  remove_state ();
  for (unsigned i = 0; i < shared->nr_points; ++i)
    shared->point[i].passed = 0;
  memset (shared->started, 0, sizeof shared->started);
  memset (shared->done, 0, sizeof shared->done);
  snprintf (shared->kill_at, sizeof shared->kill_at, "%s", kill_at);
  shared->kill_hit = hit;
  pid = fork ();
  if (pid == 0)
    script ();
  if (waitpid (pid, &status, 0) != pid)
    fail ("waitpid");
  if (WIFSIGNALED (status) && WTERMSIG (status) == SIGKILL)
    return true;
  if (!WIFEXITED (status) || WEXITSTATUS (status) != 0)
    fail ("the script failed");
  return false;
}

/* The k-th hit to try of a point that is passed n times: the first ones, then
 * further and further apart, and the last. */
static unsigned
hit_to_try (unsigned k, unsigned nr, unsigned n)
{
  if (k < nr / 2 || n <= nr)
    return k + 1;
  if (k + 1 == nr)
    return n;
  return nr / 2 + (n - nr / 2) * (k - nr / 2 + 1) / (nr - nr / 2);
}

int
main (int argc, char **argv)
{
  unsigned hits = 6, deaths = 0;
  unsigned passed[MAX_POINTS];

  if (argc == 3 && strcmp (argv[1], "--hits") == 0)
    hits = strtoul (argv[2], NULL, 0);
  if (!mkdtemp (state)) {
    printf ("SKIP: no tmpfs at /dev/shm: %s\n", strerror (errno));
    return 77;
  }
  parent = getpid ();
  atexit (clean_up);
  shared = mmap (NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    return 1;

  run ("", 0);
  const unsigned nr_points = shared->nr_points;
  for (unsigned i = 0; i < nr_points; ++i)
    passed[i] = shared->point[i].passed;
  for (unsigned i = 0; i < nr_points; ++i) {
    char name[40];

    strcpy (name, shared->point[i].name);
    for (unsigned k = 0; k < hits && k < passed[i]; ++k) {
      const bool died = run (name, hit_to_try (k, hits, passed[i]));

      /* How often some points are passed depends on the scheduler. */
      if (!died && k == 0)
        fail ("\"%s\" was not reached again", name);
      shared->kill_at[0] = '\0'; /* verify passes these points, too */
      verify ();
      deaths += died;
    }
    printf ("%-28s passed %u times\n", name, passed[i]);
  }
  printf ("%u points, %u deaths, nothing lost\n", nr_points, deaths);
  return nr_points > 15 ? 0 : 1;
}
