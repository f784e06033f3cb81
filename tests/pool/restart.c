// SPDX-License-Identifier: BSD-3-Clause
/* A pool with state= survives SIGKILL: a child process works on it with
 * several threads and is killed at a random moment, again and again.  What it
 * was told is stored must be there afterwards; what it was being told may be
 * there or not, but never half.
 *
 *   restart [--cycles N] [--threads N] [--pages N] [--pool MIB] [--seed N]
 *
 * Every page has one writer and a sequence number.  The child notes "started"
 * before and "done" after each step, in memory that the parent shares; step n
 * of a page has a content that follows from page and n alone. */

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pool.h"

struct shared {
  _Atomic uint32_t ready;
  _Atomic uint64_t steps;
  struct page_log {
    _Atomic uint32_t started, done;
  } log[];
};

#define MAX_THREADS 16

static struct shared *shared;
static struct pool *pool_of_child;
static unsigned nr_pages = 6000, nr_threads = 3, cycles = 40, pool_mib = 32;
static unsigned seed = 1;
static char state[] = "/dev/shm/vmswap-restart-XXXXXX";

static pid_t parent; /* the process that made state, and removes it */

static void
clean_up (void)
{
  char path[100];

  if (getpid () != parent)
    return;
  snprintf (path, sizeof path, "%s/pool.vmswap", state);
  unlink (path);
  rmdir (state);
}

static void __attribute__ ((noreturn, format (printf, 1, 2)))
fail (const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
  fprintf (stderr, " (seed %u)\n", seed);
  exit (1);
}

static uint32_t
next_random (uint32_t *x)
{
  *x = *x * 1664525u + 1013904223u;
  return *x >> 8;
}

enum step { WRITE, TRIM, PART, FILL, RAW, ALIKE };

static enum step
step_of (uint32_t n)
{
  switch (n % 8) {
  case 2:
    return PART;
  case 3:
    return ALIKE;
  case 4:
    return TRIM;
  case 5:
    return FILL;
  case 7:
    return RAW;
  default:
    return WRITE;
  }
}

#define PART_OFFSET 100
#define PART_LENGTH 2345

static void
pattern (uint8_t *to, unsigned length, uint32_t page, uint32_t n)
{
  uint32_t x = page * 2654435761u ^ n * 40503u;

  for (unsigned i = 0; i < length; ++i)
    to[i] = i % 3 || step_of (n) == RAW ? next_random (&x) >> 4 : n;
}

/* What the page holds after step n. */
static void
content (uint8_t *to, uint32_t page, uint32_t n)
{
  uint32_t value = page << 12 ^ n;

  memset (to, 0, POOL_PAGE_SIZE);
  if (n == 0)
    return;
  switch (step_of (n)) {
  case TRIM:
    return;
  case FILL:
    for (unsigned i = 0; i < POOL_PAGE_SIZE; i += sizeof value)
      memcpy (to + i, &value, sizeof value);
    return;
  case PART:
    content (to, page, n - 1);
    pattern (to + PART_OFFSET, PART_LENGTH, page, n);
    return;
  case ALIKE: /* as other pages are, that have come about as far */
    pattern (to, POOL_PAGE_SIZE, page % 32, n - n % 64);
    return;
  case WRITE:
  case RAW:
    pattern (to, POOL_PAGE_SIZE, page, n);
  }
}

static int
do_step (struct volume *volume, uint32_t page, uint32_t n)
{
  const uint64_t offset = (uint64_t) page * POOL_PAGE_SIZE;
  uint8_t data[POOL_PAGE_SIZE];

  switch (step_of (n)) {
  case TRIM:
    return volume_trim (volume, POOL_PAGE_SIZE, offset);
  case PART:
    pattern (data, PART_LENGTH, page, n);
    return volume_write (volume, data, PART_LENGTH, offset + PART_OFFSET);
  default:
    content (data, page, n);
    return volume_write (volume, data, POOL_PAGE_SIZE, offset);
  }
}

struct job {
  struct volume *volume;
  unsigned index;
  uint32_t random;
};

static void *
work (void *arg)
{
  struct job *job = arg;

  for (;;) {
    uint32_t page =
        next_random (&job->random) % (nr_pages / nr_threads) * nr_threads +
        job->index;
    /* Runs of neighbours, as swap makes them. */
    for (unsigned i = 0; i < 8 && page < nr_pages; ++i, page += nr_threads) {
      struct page_log *log = &shared->log[page];
      const uint32_t n = atomic_load (&log->done) + 1;

      atomic_store (&log->started, n);
      int err;

      /* Full: others trim, in time. */
      while ((err = do_step (job->volume, page, n)) == -ENOSPC)
        pool_wait_space (pool_of_child, 10);
      if (err)
        fail ("step %u of page %u: %s", n, page, strerror (-err));
      atomic_store (&log->done, n);
      atomic_fetch_add (&shared->steps, 1);
    }
  }
  return NULL;
}

static struct pool *
open_pool (bool expect_adopted, struct volume **volume)
{
  char reason[256] = "";
  const struct pool_config config = {
    .limit = (uint64_t) pool_mib << 20,
    .sharing = POOL_SHARING_ALWAYS,
    .cold = { .on = true, .cpu = 100, .level = 1 },
    .state = state,
    .reason = reason,
    .reason_size = sizeof reason,
  };
  struct pool *pool;
  int err = pool_create (&config, &pool);

  if (err)
    fail ("pool_create: %s: %s", strerror (-err), reason);
  if (pool_was_adopted (pool) != expect_adopted)
    fail ("adopted: %d", !expect_adopted);
  err = volume_open (pool, "guest", (uint64_t) nr_pages * POOL_PAGE_SIZE,
                     volume, NULL);
  if (err)
    fail ("volume_open: %s", strerror (-err));
  return pool;
}

static void __attribute__ ((noreturn))
child (bool expect_adopted, uint32_t random)
{
  pthread_t thread[MAX_THREADS];
  struct job job[MAX_THREADS];
  struct volume *volume;
  struct pool *pool = open_pool (expect_adopted, &volume);

  pool_of_child = pool;
  if (pool_start_steward (pool))
    fail ("no steward");
  for (unsigned i = 0; i < nr_threads; ++i) {
    job[i] = (struct job){ volume, i, random + i * 7919 };
    if (pthread_create (&thread[i], NULL, work, &job[i]))
      fail ("no thread");
  }
  atomic_store (&shared->ready, 1);
  pthread_join (thread[0], NULL);
  exit (1);
}

/* Compares every page with what it may hold, and notes what it does. */
static unsigned
verify (unsigned cycle)
{
  uint8_t data[POOL_PAGE_SIZE], expected[POOL_PAGE_SIZE];
  char report[256];
  unsigned open_steps = 0;
  struct volume *volume;
  struct pool *pool = open_pool (true, &volume);

  if (pool_check (pool, true, report, sizeof report))
    fail ("cycle %u: pool_check: %s", cycle, report);
  for (uint32_t page = 0; page < nr_pages; ++page) {
    struct page_log *log = &shared->log[page];
    const uint32_t done = atomic_load (&log->done);
    const uint32_t started = atomic_load (&log->started);
    int err = volume_read (volume, data, sizeof data,
                           (uint64_t) page * POOL_PAGE_SIZE);

    if (err)
      fail ("cycle %u: page %u: %s", cycle, page, strerror (-err));
    content (expected, page, done);
    if (memcmp (data, expected, sizeof data) == 0)
      continue;
    content (expected, page, started);
    if (started == done || memcmp (data, expected, sizeof data) != 0)
      fail ("cycle %u: page %u holds neither step %u nor step %u", cycle, page,
            done, started);
    atomic_store (&log->done, started);
    open_steps++;
  }
  pool_destroy (pool);
  return open_steps;
}

static void
run_cycle (unsigned cycle, uint32_t *random)
{
  struct timespec pause = { .tv_nsec = next_random (random) % 60000000 };
  int status;
  pid_t pid;

  atomic_store (&shared->ready, 0);
  pid = fork ();
  if (pid == 0)
    child (cycle > 0, *random);
  /* In one of eight cycles it is killed while it adopts. */
  while (next_random (random) % 8 != 0 && !atomic_load (&shared->ready)) {
    if (waitpid (pid, &status, WNOHANG) == pid)
      fail ("cycle %u: the child ended by itself", cycle);
    nanosleep (&(struct timespec){ .tv_nsec = 200000 }, NULL);
  }
  nanosleep (&pause, NULL);
  kill (pid, SIGKILL);
  if (waitpid (pid, &status, 0) != pid || !WIFSIGNALED (status))
    fail ("cycle %u: the child ended by itself", cycle);
}

static void
parse (int argc, char **argv)
{
  static const struct {
    const char *name;
    unsigned *value;
  } options[] = {
    { "--cycles", &cycles },  { "--threads", &nr_threads },
    { "--pages", &nr_pages }, { "--pool", &pool_mib },
    { "--seed", &seed },
  };

  for (int i = 1; i < argc; i += 2) {
    unsigned j = 0;

    while (j < 5 && strcmp (argv[i], options[j].name) != 0)
      j++;
    if (j == 5 || i + 1 == argc)
      fail ("usage: restart [--cycles N] [--threads N] [--pages N] "
            "[--pool MIB] [--seed N]");
    *options[j].value = strtoul (argv[i + 1], NULL, 0);
  }
  if (nr_threads == 0 || nr_threads > MAX_THREADS)
    fail ("--threads: 1 to %d", MAX_THREADS);
}

int
main (int argc, char **argv)
{
  unsigned open_steps = 0;
  struct volume *volume;
  uint32_t random;

  parse (argc, argv);
  random = seed;
  if (!mkdtemp (state)) {
    printf ("SKIP: no tmpfs at /dev/shm: %s\n", strerror (errno));
    return 77;
  }
  parent = getpid ();
  atexit (clean_up);
  shared = mmap (NULL, sizeof *shared + nr_pages * sizeof shared->log[0],
                 PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    fail ("mmap");
  pool_destroy (open_pool (false, &volume));
  for (unsigned i = 0; i < cycles; ++i) {
    run_cycle (1, &random);
    open_steps += verify (i);
  }
  printf ("%u cycles, %llu steps done, %u found done that were not "
          "acknowledged, seed %u\n",
          cycles, (unsigned long long) atomic_load (&shared->steps), open_steps,
          seed);
  return 0;
}
