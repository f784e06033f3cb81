// SPDX-License-Identifier: BSD-3-Clause
/* density: memory that the pool really takes, against the sum of the
 * compressed sizes of the pages in it.
 *
 * Memory is what the kernel counts for this process (RssAnon + RssShmem over
 * what it was before the pool was made) and what the pool says (used); the
 * worse of the two is the finding.  Everything else this program needs is
 * touched before the pool is made.
 *
 * The targets are set for all samples in one pool: a few MiB that do not grow
 * with the pages are most of the overhead of a pool of 25 MiB.
 *
 * Three moments of each state: at once, after the steward came to rest by
 * itself, and after pool_compact.  The finding is that of the steward. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"

#define RUN 512    /* pages: 2 MiB, a cluster of the guest's swap */
#define REQUEST 32 /* pages: 128 KiB */
#define SETTLE_SECONDS 20

struct shape {
  const char *name;
  size_t run; /* pages that are overwritten or trimmed together */
};

static const struct shape shapes[] = { { "single pages", 1 },
                                       { "2 MiB runs", RUN } };

struct moment {
  struct pool_stats stats;
  uint64_t rss;
  double ratio; /* the worse of the two */
};

static struct moment
look (struct store *store)
{
  struct moment m;
  const uint64_t held = held_bytes ();

  pool_get_stats (store->pool, &m.stats);
  m.rss = held > store->base_rss ? held - store->base_rss : 0;
  const uint64_t worse = m.rss > m.stats.used ? m.rss : m.stats.used;
  m.ratio = (double) worse / (double) store->live_bytes;
  return m;
}

static void
state_fields (const struct store *store, const struct moment *m)
{
  const struct pool_stats *s = &m->stats;
  const double pages = (double) store->live_pages;

  finding_number ("rss", (double) m->rss);
  finding_number ("used", (double) s->used);
  finding_number ("lz4_bytes", (double) store->live_bytes);
  finding_number ("stored_pages", pages);
  finding_number ("rss_ratio", (double) m->rss / (double) store->live_bytes);
  finding_number ("used_ratio", (double) s->used / (double) store->live_bytes);
  finding_number ("data_bytes", (double) s->data_bytes);
  finding_number ("blob_bytes", (double) s->blob_bytes);
  finding_number ("fixed_bytes", (double) s->fixed_bytes);
  finding_number ("table_bytes", (double) s->table_bytes);
  finding_number ("segment_bytes", (double) s->segment_bytes);
  finding_number ("free_bytes", (double) s->free_bytes);
  finding_number ("limit", (double) s->limit);
  finding_number ("moved_bytes", (double) s->bytes_moved);
}

/* What the pool counts and what was put in must be the same pages. */
static void
check_counts (const struct store *store, const struct pool_stats *stats)
{
  if (stats->blob_pages != store->live_pages)
    fail ("sample %s: the pool holds %llu blobs, %llu were written",
          store->sample->name, (unsigned long long) stats->blob_pages,
          (unsigned long long) store->live_pages);
}

/* Looks at a state in its three moments and reports it.  target 0: none. */
static void
report_state (struct store *store, const char *row, double target)
{
  const char *sense = target > 0 ? "<=" : NULL;
  const char *name = store->sample->name;
  const struct moment at_once = look (store);
  const double seconds = store_settle (store, SETTLE_SECONDS);
  const struct moment settled = look (store);
  int r = pool_compact (store->pool);

  if (r < 0)
    fail ("pool_compact: %s", strerror (-r));
  const struct moment compacted = look (store);
  store_verify (store);
  check_counts (store, &compacted.stats);

  finding_begin ("density", row, name, settled.ratio, "x", sense, target);
  finding_number ("at_once", at_once.ratio);
  finding_number ("compacted", compacted.ratio);
  finding_number ("settle_seconds", seconds);
  state_fields (store, &settled);
  finding_end ();
}

/* Metadata grows with the pages: headers, padding, page tables.  What does
 * not (fixed, and segments that are not full) is in every density above, and
 * beside the finding here. */
static void
report_metadata (struct store *store, bool judge)
{
  const struct moment m = look (store);
  const double pages = (double) store->live_pages;
  const struct pool_stats *s = &m.stats;
  const uint64_t metadata = s->blob_bytes - s->data_bytes + s->table_bytes;

  finding_begin ("density", "metadata per stored page", store->sample->name,
                 (double) metadata / pages, "B", judge ? "<=" : NULL, 24);
  finding_number ("header_and_padding",
                  (double) (s->blob_bytes - s->data_bytes) / pages);
  finding_number ("tables", (double) s->table_bytes / pages);
  finding_number ("tables_for_fill_pages_too",
                  (double) s->table_bytes / (double) store->pages);
  finding_number ("everything_but_data",
                  (double) (s->used - s->data_bytes) / pages);
  finding_number ("fixed", (double) s->fixed_bytes / pages);
  finding_number ("unfilled_segments",
                  (double) (s->segment_bytes - s->blob_bytes) / pages);
  finding_end ();
}

static uint64_t
roomy_limit (const struct sample *sample)
{
  return 2 * (uint64_t) sample->count * PAGE + (64 << 20);
}

static void
fill (struct store *store)
{
  for (size_t i = 0; i < store->pages; i += REQUEST) {
    const size_t left = store->pages - i;

    if (store_write (store, i, left < REQUEST ? left : REQUEST, i) < 0)
      fail ("the pool is full at page %zu of %s", i, store->sample->name);
  }
}

/* Overwrites 10 times as many pages as there are, at random places, with the
 * content of random places. */
static void
churn (struct store *store, const struct shape *shape, struct dice *dice)
{
  const size_t runs = store->pages / shape->run;

  for (size_t n = 0; n < 10 * runs; n++) {
    const size_t first = dice_roll (dice, runs) * shape->run;
    const size_t from = dice_roll (dice, store->pages - shape->run + 1);

    for (size_t done = 0; done < shape->run; done += REQUEST) {
      const size_t take = shape->run < REQUEST ? shape->run : REQUEST;
      if (store_write (store, first + done, take, from + done) < 0)
        fail ("the pool is full in the churn of %s", store->sample->name);
    }
  }
}

/* Drops 30 % of the pages at random and writes half of them again. */
static void
trim (struct store *store, const struct shape *shape, struct dice *dice)
{
  const size_t runs = store->pages / shape->run;

  for (size_t run = 0; run < runs; run++) {
    const uint64_t roll = dice_roll (dice, 100);
    const size_t first = run * shape->run;

    if (roll >= 30)
      continue;
    store_trim (store, first, shape->run);
    if (roll >= 15)
      continue;
    const size_t from = dice_roll (dice, store->pages - shape->run + 1);
    for (size_t k = 0; k < shape->run; k++)
      if (store_write (store, first + k, 1, from + k) < 0)
        fail ("the pool is full after trims of %s", store->sample->name);
  }
}

static void
measure (const struct sample *sample, bool judge)
{
  const double fresh = judge ? 1.05 : 0, churned = judge ? 1.12 : 0;

  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const struct shape *shape = &shapes[i];
    struct store store;
    struct dice dice;
    char row[96];

    dice_init (&dice, 10 + i);
    store_open (&store, sample, sample->count, roomy_limit (sample));
    fill (&store);
    if (i == 0) {
      report_state (&store, "fresh", fresh);
      report_metadata (&store, judge);
    }
    churn (&store, shape, &dice);
    snprintf (row, sizeof row, "10x overwritten, %s", shape->name);
    report_state (&store, row, churned);
    trim (&store, shape, &dice);
    snprintf (row, sizeof row, "30%% trimmed, half rewritten, %s", shape->name);
    report_state (&store, row, churned);
    store_close (&store);
  }
}

static uint64_t
used_or_held (struct pool *pool, uint64_t base, struct pool_stats *stats)
{
  const uint64_t held = held_bytes () - base;

  pool_get_stats (pool, stats);
  return held > stats->used ? held : stats->used;
}

static void
report_mib (const char *row, uint64_t bytes, double target)
{
  finding_begin ("density", row, "-", (double) bytes / (1 << 20), "MiB",
                 "<=", target);
  finding_end ();
}

/* What an export of 1 TiB costs: empty, and with 1000 pages far apart. */
static void
measure_empty (const struct sample *sample)
{
  const size_t pages = (UINT64_C (1) << 40) / PAGE, step = pages / 1000;
  const struct pool_config config = { .limit = UINT64_C (4) << 30 };
  const uint64_t base = held_bytes ();
  struct pool *pool;
  struct volume *volume;
  struct pool_stats stats;
  int r = pool_create (&config, &pool);

  if (r == 0)
    r = pool_start_steward (pool);
  if (r < 0)
    fail ("a pool of 4 GiB: %s", strerror (-r));
  const uint64_t before = used_or_held (pool, base, &stats);
  r = volume_open (pool, "bench", (uint64_t) pages * PAGE, &volume, NULL);
  if (r < 0)
    fail ("an empty volume of 1 TiB: %s", strerror (-r));
  const uint64_t empty = used_or_held (pool, base, &stats);

  report_mib ("an empty 1 TiB volume", empty - before, 4);
  report_mib ("an empty 4 GiB pool with that volume", empty, 4);
  for (size_t i = 0; i < 1000; i++) {
    r = volume_write (volume, sample_page (sample, i % sample->count), PAGE,
                      (uint64_t) i * step * PAGE);
    if (r < 0)
      fail ("volume_write: %s", strerror (-r));
  }
  used_or_held (pool, base, &stats);
  finding_begin ("density", "tables, 1000 pages all over 1 TiB", "-",
                 (double) stats.table_bytes / 1000, "B/page", NULL, 0);
  finding_end ();
  pool_stop_steward (pool);
  pool_destroy (pool);
}

int
main (int argc, char *argv[])
{
  struct sample samples[MAX_SAMPLES], all;
  size_t max_pages = 24576, n = 0;
  int c;

  while ((c = getopt (argc, argv, "n:")) != -1) {
    if (c != 'n')
      fail ("usage: density [-n PAGES] SAMPLE...");
    max_pages = strtoul (optarg, NULL, 0);
  }
  if (optind == argc || argc - optind > MAX_SAMPLES)
    fail ("usage: density [-n PAGES] SAMPLE... (1 to 16)");
  for (int i = optind; i < argc; i++)
    sample_load (&samples[n++], argv[i], max_pages, SAMPLE_KEEP_FILL);
  measure_empty (&samples[0]);
  for (size_t i = 0; i < n; i++) {
    note ("density: %s", samples[i].name);
    measure (&samples[i], n == 1);
  }
  if (n > 1) {
    note ("density: all samples in one pool");
    sample_mix (&all, samples, n);
    measure (&all, true);
  }
  return EXIT_SUCCESS;
}
