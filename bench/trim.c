// SPDX-License-Identifier: BSD-3-Clause
/* trim: how soon does the host have its memory back?
 *
 * A pool is filled until its live blobs are 95 % of what it can hold, comes to
 * rest, and loses half of its pages: whole runs of 2 MiB, or single pages, at
 * random.  The finding is the time from the end of the last trim until the
 * kernel counts (RssShmem of this process, in which there is no other shared
 * memory) no more than 1.05 times what the remaining pages need (blobs with
 * headers and padding, page tables) and 4 MiB.
 *
 * Runs leave segments that are empty or nearly so.  Single pages leave half of
 * every segment, and nothing can be given back before the cleaner has moved
 * the rest together: what that takes at least is measured beside, by
 * pool_compact on the same state.
 *
 * "beside a writer": meanwhile another thread overwrites 16 MiB/s elsewhere, so
 * that the steward is never idle. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store.h"

#define FILL 0.95 /* of the capacity */
#define RUN 512   /* pages: 2 MiB */
#define SETTLE_SECONDS 30
#define PATIENCE 6           /* seconds, for memory to come back */
#define OTHER_PAGES 2048     /* of the other writer: 8 MiB */
#define OTHER_PER_SLICE 4096 /* bytes, each 250 us */

struct other {
  pthread_t thread;
  struct volume *volume;
  const struct sample *sample;
  atomic_bool over;
};

struct result {
  double seconds; /* not a number: it did not come back */
  double trim_seconds;
  uint64_t before, need, bound, at_2s, rest, moved;
};

/* ---- The writer beside */

static void *
write_beside (void *opaque)
{
  const struct timespec slice = { .tv_nsec = 250 * 1000 };
  struct other *other = opaque;

  for (size_t n = 0; !atomic_load (&other->over); n++) {
    const uint8_t *page = sample_page (other->sample, n % other->sample->count);
    const int r = volume_write (other->volume, page, OTHER_PER_SLICE,
                                (uint64_t) (n % OTHER_PAGES) * PAGE);

    if (r < 0)
      fail ("volume_write, beside: %s", strerror (-r));
    nanosleep (&slice, NULL);
  }
  return NULL;
}

static void
other_start (struct other *other, const struct store *store)
{
  int r;

  *other = (struct other){ .sample = store->sample };
  r = volume_open (store->pool, "beside", OTHER_PAGES * PAGE, &other->volume,
                   NULL);
  if (r < 0)
    fail ("volume_open: %s", strerror (-r));
  if (pthread_create (&other->thread, NULL, write_beside, other) != 0)
    fail ("cannot start a thread");
}

static void
other_stop (struct other *other)
{
  atomic_store (&other->over, true);
  pthread_join (other->thread, NULL);
}

/* ---- The measurement */

/* RssShmem of this process. */
static uint64_t
shared_bytes (void)
{
  FILE *fp = fopen ("/proc/self/status", "re");
  char line[256];
  uint64_t kib = UINT64_MAX;

  if (!fp)
    fail ("/proc/self/status: %s", strerror (errno));
  while (fgets (line, sizeof line, fp))
    if (sscanf (line, "RssShmem: %" SCNu64, &kib) == 1)
      break;
  fclose (fp);
  if (kib == UINT64_MAX)
    fail ("/proc/self/status has no RssShmem");
  return kib << 10;
}

/* Half of all runs, drawn at random. */
static void
trim_half (struct store *store, size_t filled, size_t run)
{
  size_t runs = filled / run, wanted = runs / 2;
  struct dice dice;

  dice_init (&dice, 77 + run);
  for (size_t i = 0; runs > 0; i++, runs--)
    if (dice_roll (&dice, runs) < wanted) {
      store_trim (store, i * run, run);
      wanted--;
    }
}

/* What the pages need now: the writer beside adds to it. */
static void
set_bound (struct pool *pool, struct result *result)
{
  struct pool_stats stats;

  pool_get_stats (pool, &stats);
  result->need = stats.blob_bytes + stats.table_bytes;
  result->bound = result->need + result->need / 20 + (4 << 20);
}

/* Waits until no more than the bound is resident. */
static void
wait_for_memory (struct pool *pool, struct result *result)
{
  const struct timespec slice = { .tv_nsec = 2 * 1000 * 1000 };
  const uint64_t start = wall_ns ();
  double seconds = 0;

  result->seconds = NAN;
  while (seconds < PATIENCE) {
    const uint64_t now = shared_bytes ();

    set_bound (pool, result);
    seconds = (double) (wall_ns () - start) / 1e9;
    if (isnan (result->seconds) && now <= result->bound)
      result->seconds = seconds;
    if (seconds <= 2)
      result->at_2s = now;
    else if (!isnan (result->seconds))
      break;
    nanosleep (&slice, NULL);
  }
}

static void
trim_and_wait (struct store *store, size_t filled, size_t run,
               struct result *result)
{
  struct pool_stats before, after;

  pool_get_stats (store->pool, &before);
  result->before = shared_bytes ();
  const uint64_t start = wall_ns ();
  trim_half (store, filled, run);
  result->trim_seconds = (double) (wall_ns () - start) / 1e9;
  wait_for_memory (store->pool, result);
  pool_get_stats (store->pool, &after);
  result->moved = after.bytes_moved - before.bytes_moved;
}

static void
report (const char *shape, const char *beside, uint64_t limit, bool judge,
        const struct result *result)
{
  char row[96], pool[32];

  snprintf (row, sizeof row, "%s%s: until memory is back", shape, beside);
  snprintf (pool, sizeof pool, "%.0f MiB", (double) limit / (1 << 20));
  finding_begin ("trim", row, pool, result->seconds, "s", judge ? "<=" : NULL,
                 2);
  finding_number ("trim_seconds", result->trim_seconds);
  finding_number ("before_mib", (double) result->before / (1 << 20));
  finding_number ("needed_mib", (double) result->need / (1 << 20));
  finding_number ("bound_mib", (double) result->bound / (1 << 20));
  finding_number ("after_2_s_mib", (double) result->at_2s / (1 << 20));
  finding_number ("at_rest_mib", (double) result->rest / (1 << 20));
  finding_number ("moved_mib", (double) result->moved / (1 << 20));
  finding_end ();
}

static size_t
prepare (struct store *store, const struct sample *sample, uint64_t limit)
{
  /* More pages than any such pool can hold. */
  store_open (store, sample, limit / 256, limit);
  const size_t filled = store_fill (store, FILL);

  store_settle (store, SETTLE_SECONDS);
  return filled - filled % RUN;
}

static void
measure (const struct sample *sample, uint64_t limit, size_t run, bool busy)
{
  const char *shape = run == 1 ? "single pages" : "2 MiB runs";
  struct result result;
  struct store store;
  struct other other;
  const size_t filled = prepare (&store, sample, limit);

  note ("trim: half of a pool of %.0f MiB, %s%s", (double) limit / (1 << 20),
        shape, busy ? ", beside a writer" : "");
  if (busy)
    other_start (&other, &store);
  trim_and_wait (&store, filled, run, &result);
  if (busy)
    other_stop (&other);
  store_settle (&store, SETTLE_SECONDS);
  result.rest = shared_bytes ();
  store_verify (&store);
  store_close (&store);
  /* A busy steward leaves a fifth of the arena dead, on purpose. */
  report (shape, busy ? ", beside a writer" : "", limit, run > 1 || !busy,
          &result);
}

/* How long it takes to move the rest of half-empty segments, at the least. */
static void
measure_compact (const struct sample *sample, uint64_t limit)
{
  struct result result = { 0 };
  struct pool_stats before, after;
  struct store store;
  const size_t filled = prepare (&store, sample, limit);

  pool_stop_steward (store.pool);
  result.before = shared_bytes ();
  pool_get_stats (store.pool, &before);
  trim_half (&store, filled, 1);
  const uint64_t start = wall_ns ();
  const int r = pool_compact (store.pool);
  if (r < 0)
    fail ("pool_compact: %s", strerror (-r));
  result.seconds = (double) (wall_ns () - start) / 1e9;
  set_bound (store.pool, &result);
  pool_get_stats (store.pool, &after);
  result.moved = after.bytes_moved - before.bytes_moved;
  result.rest = result.at_2s = shared_bytes ();
  store_verify (&store);
  store_close (&store);
  report ("single pages", ", pool_compact at once", limit, false, &result);
}

int
main (int argc, char *argv[])
{
  static const uint64_t limits[] = { UINT64_C (96) << 20, UINT64_C (512)
                                                              << 20 };
  struct sample all;
  size_t max_pages = 24576;
  int c;

  while ((c = getopt (argc, argv, "n:")) != -1) {
    if (c != 'n')
      fail ("usage: trim [-n PAGES] SAMPLE...");
    max_pages = strtoul (optarg, NULL, 0);
  }
  if (optind == argc)
    fail ("usage: trim [-n PAGES] SAMPLE...");
  sample_load_mix (&all, argv + optind, (size_t) (argc - optind), max_pages,
                   SAMPLE_DROP_FILL);
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    measure (&all, limits[i], RUN, false);
    measure (&all, limits[i], 1, false);
    measure_compact (&all, limits[i]);
    measure (&all, limits[i], RUN, true);
    measure (&all, limits[i], 1, true);
  }
  return EXIT_SUCCESS;
}
