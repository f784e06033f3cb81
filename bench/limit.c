// SPDX-License-Identifier: BSD-3-Clause
/* limit: the bad case of every log: a pool that is nearly full of live pages
 * and is overwritten at random.
 *
 * Fills a small pool until live blobs are the wanted share of its limit (or
 * until it refuses: then that share is what it can hold), overwrites, and
 * says what a write costs and how many bytes the cleaner moved for each byte
 * written.  There is no target: the figures are to be seen. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define LIMIT (UINT64_C (96) << 20)
#define RUN 512

struct times {
  double *ns;
  size_t n, refused;
};

static double
live_share (struct store *store)
{
  struct pool_stats stats;

  pool_get_stats (store->pool, &stats);
  return (double) stats.blob_bytes / (double) stats.limit;
}

/* Returns the pages filled. */
static size_t
fill_to (struct store *store, double share)
{
  size_t i;

  for (i = 0; i < store->pages; i++) {
    if (i % 64 == 0 && live_share (store) >= share)
      break;
    if (store_write (store, i, 1, i % store->sample->count) < 0)
      break;
  }
  return i;
}

static void
timed_write (struct store *store, size_t page, size_t from, struct times *times)
{
  const uint64_t start = wall_ns ();

  if (store_write (store, page, 1, from) < 0)
    times->refused++;
  times->ns[times->n++] = (double) (wall_ns () - start);
}

/* Overwrites every page `passes` times on average, in runs.  The content comes
 * from the pages that filled the pool, so that the live bytes stay about the
 * same. */
static void
overwrite (struct store *store, size_t filled, size_t run, size_t passes,
           struct times *times)
{
  const size_t runs = filled / run;
  const size_t sources =
      filled < store->sample->count ? filled : store->sample->count;
  struct dice dice;

  dice_init (&dice, run);
  for (size_t n = 0; n < passes * runs; n++) {
    const size_t first = dice_roll (&dice, runs) * run;
    const size_t from = dice_roll (&dice, sources - run + 1);

    for (size_t k = 0; k < run; k++)
      timed_write (store, first + k, from + k, times);
  }
}

static void
measure (const struct sample *sample, double share, size_t run, size_t passes)
{
  struct store store;
  struct pool_stats before, after;
  char row[96];

  /* More pages than any such pool can hold. */
  store_open (&store, sample, LIMIT / 256, LIMIT);
  const size_t filled = fill_to (&store, share);
  const double reached = live_share (&store);
  struct times times = { .ns =
                             malloc ((passes + 1) * filled * sizeof (double)) };
  if (!times.ns)
    fail ("no memory for %zu times", (passes + 1) * filled);

  pool_get_stats (store.pool, &before);
  const uint64_t wall = wall_ns (), cpu = process_cpu_ns ();
  overwrite (&store, filled, run, passes, &times);
  const double n = (double) times.n;
  const double wall_each = (double) (wall_ns () - wall) / n;
  const double cpu_each = (double) (process_cpu_ns () - cpu) / n;
  pool_get_stats (store.pool, &after);
  store_verify (&store);

  const double mean_blob =
      (double) before.blob_bytes / (double) before.blob_pages;
  const double moved = (double) (after.bytes_moved - before.bytes_moved);
  snprintf (row, sizeof row, "filled to %.0f%% of the limit, %s", share * 100,
            run == 1 ? "single pages" : "2 MiB runs");
  finding_begin ("limit", row, sample->name, cpu_each / 1000, "CPU us/page",
                 NULL, 0);
  finding_number ("live_share_reached", reached);
  finding_number ("wall_us", wall_each / 1000);
  finding_number ("p50_us", percentile (times.ns, times.n, 50) / 1000);
  finding_number ("p99_us", percentile (times.ns, times.n, 99) / 1000);
  finding_number ("worst_us", percentile (times.ns, times.n, 100) / 1000);
  finding_number ("moved_per_byte_written",
                  moved / (mean_blob * (n - (double) times.refused)));
  finding_number ("refused", (double) times.refused);
  finding_number ("writes", n);
  finding_number ("capacity_share",
                  (double) after.capacity / (double) after.limit);
  finding_end ();
  free (times.ns);
  store_close (&store);
}

int
main (int argc, char *argv[])
{
  static const double shares[] = { 0.5, 0.8, 0.88, 0.95 };
  struct sample all;
  size_t max_pages = 24576, passes = 3;
  int c;

  while ((c = getopt (argc, argv, "n:p:")) != -1) {
    if (c == 'n')
      max_pages = strtoul (optarg, NULL, 0);
    else if (c == 'p')
      passes = strtoul (optarg, NULL, 0);
    else
      fail ("usage: limit [-n PAGES] [-p PASSES] SAMPLE...");
  }
  if (optind == argc || passes == 0)
    fail ("usage: limit [-n PAGES] [-p PASSES] SAMPLE...");
  sample_load_mix (&all, argv + optind, (size_t) (argc - optind), max_pages,
                   SAMPLE_DROP_FILL);
  for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
    note ("limit: live pages are %.0f%% of the limit", shares[i] * 100);
    measure (&all, shares[i], 1, passes);
    measure (&all, shares[i], RUN, passes);
  }
  return EXIT_SUCCESS;
}
