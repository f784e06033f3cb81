// SPDX-License-Identifier: BSD-3-Clause
/* Owns the reporting of failures.  The first failure wins; it ends the
 * process without running exit handlers, because other threads still use
 * the pool. */

#include <config.h>

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test.h"

char test_context[256];

void
test_fail (const char *file, int line, const char *fmt, ...)
{
  static atomic_flag failed = ATOMIC_FLAG_INIT;
  va_list args;

  if (atomic_flag_test_and_set (&failed))
    for (;;)
      pause (); /* the first failure ends the process */

  fflush (stdout);
  fprintf (stderr, "%s:%d: FAIL: ", file, line);
  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
  if (test_context[0])
    fprintf (stderr, " (%s)", test_context);
  fputc ('\n', stderr);
  if (getenv ("TEST_ABORT")) /* leave a core, or stop in the debugger */
    abort ();
  _exit (EXIT_FAILURE);
}

void
test_pool_check_at (const char *file, int line, struct pool *pool, bool verify)
{
  char report[512] = "";
  const int rc = pool_check (pool, verify, report, sizeof report);

  if (rc != 0)
    test_fail (file, line, "pool_check (verify=%d) returned %d: %s", verify, rc,
               report);
}

bool
test_state_make (struct test_state *state)
{
  snprintf (state->dir, sizeof state->dir, "/dev/shm/vmswap-test-XXXXXX");
  if (mkdtemp (state->dir) == NULL)
    return false;
  snprintf (state->image, sizeof state->image, "%s/pool.vmswap", state->dir);
  return true;
}

void
test_state_remove (struct test_state *state)
{
  remove (state->image);
  remove (state->dir);
}

struct pool *
test_create (const struct pool_config *config)
{
  struct pool_config with_reason = *config;
  char reason[256] = "";
  struct pool *pool;

  with_reason.reason = reason;
  with_reason.reason_size = sizeof reason;
  const int rc = pool_create (&with_reason, &pool);

  if (rc != 0)
    FAIL ("limit %" PRIu64 " MiB: pool_create returned %d: %s",
          config->limit / MIB, rc, reason);
  return pool;
}

void *
test_alloc (size_t size)
{
  void *p = calloc (1, size);

  if (!p)
    FAIL ("the test itself got no memory: %zu bytes", size);
  return p;
}

double
test_seconds (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

uint64_t
test_rss_shmem (void)
{
  FILE *fp = fopen ("/proc/self/status", "r");
  char line[256];
  uint64_t kib = 0;

  CHECK (fp != NULL);
  while (fgets (line, sizeof line, fp))
    if (sscanf (line, "RssShmem: %" SCNu64, &kib) == 1)
      break;
  fclose (fp);
  return kib << 10;
}

uint64_t
test_size (const char *option, const char *text)
{
  static const char units[] = "KMGT";
  char *end;
  const char *unit;
  uint64_t n = strtoull (text, &end, 0);

  if (end == text || *text == '-')
    FAIL ("%s: '%s' is no number", option, text);
  if (*end && (unit = strchr (units, *end)) && !end[1])
    n <<= 10 * (unit - units + 1);
  else if (*end)
    FAIL ("%s: '%s': after the number only K, M, G or T", option, text);
  return n;
}

static void
hexdump (const char *what, const uint8_t *p, size_t length)
{
  fprintf (stderr, "%-9s", what);
  for (size_t i = 0; i < length && i < 32; i++)
    fprintf (stderr, "%02x%s", p[i], i % 8 == 7 ? " " : "");
  fputc ('\n', stderr);
}

/* Shows the first difference. */
void
test_hexdump_diff (const uint8_t *expected, const uint8_t *actual,
                   size_t length, uint64_t offset)
{
  size_t first = 0, bad = 0;

  while (first < length && expected[first] == actual[first])
    first++;
  for (size_t i = first; i < length; i++)
    bad += expected[i] != actual[i];
  fprintf (stderr,
           "first difference at offset %" PRIu64 " (page %" PRIu64 " + %" PRIu64
           "), %zu of %zu bytes differ\n",
           offset + first, (offset + first) / POOL_PAGE_SIZE,
           (offset + first) % POOL_PAGE_SIZE, bad, length);
  hexdump ("expected", expected + first, length - first);
  hexdump ("actual", actual + first, length - first);
}

void
test_seed_and_count (int argc, char *argv[], const char *count_name,
                     uint64_t *seed, uint64_t *count)
{
  const struct option options[] = {
    { "seed", required_argument, NULL, 's' },
    { count_name, required_argument, NULL, 'c' },
    { NULL, 0, NULL, 0 },
  };
  int c;

  while ((c = getopt_long (argc, argv, "", options, NULL)) != -1)
    if (c == 's')
      *seed = strtoull (optarg, NULL, 0);
    else if (c == 'c')
      *count = strtoull (optarg, NULL, 0);
    else
      exit (2);
  snprintf (test_context, sizeof test_context,
            "--seed %" PRIu64 " --%s %" PRIu64, *seed, count_name, *count);
}
