// SPDX-License-Identifier: BSD-3-Clause
/* cold: what pages take when they are cold, against LZ4 page by page, and what
 * that costs.
 *
 * Two pools get the same pages.  One of them makes them cold, by pool_compact,
 * so that no scheduler has a say in how many become so.  Then 4 KiB are read at
 * random places of both, in turns; there is no steward, so what is read stays
 * cold.  Every read is compared.
 *
 * Bytes are what blobs and groups take, headers and padding included; "used" is
 * all that the pool takes.  Pages of one repeated value are left out: they cost
 * next to nothing on both sides. */

#include <config.h>

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "pool.h"
#include "sample.h"

#define READS 20000

struct side {
  struct pool *pool;
  struct volume *volume;
  struct pool_stats stats;
  double ns[READS];
  size_t nr;
};

static uint8_t buffer[PAGE];

static void
must (int r, const char *what)
{
  if (r < 0)
    fail ("%s: %s", what, strerror (-r));
}

static void
fill (struct side *side, const struct sample *sample, int level)
{
  const struct pool_config config = {
    .limit = (uint64_t) sample->count * PAGE * 2 + (64 << 20),
    .sharing = POOL_SHARING_OFF,
    .cold = { .on = level != 0, .level = level },
  };

  must (pool_create (&config, &side->pool), "pool_create");
  must (volume_open (side->pool, "bench", (uint64_t) sample->count * PAGE,
                     &side->volume, NULL),
        "volume_open");
  for (size_t i = 0; i < sample->count; i++)
    must (volume_write (side->volume, sample_page (sample, i), PAGE,
                        (uint64_t) i * PAGE),
          "volume_write");
}

/* Returns the CPU time it took. */
static uint64_t
settle (struct side *side)
{
  const uint64_t before = process_cpu_ns ();

  must (pool_compact (side->pool), "pool_compact");
  const uint64_t after = process_cpu_ns ();
  pool_get_stats (side->pool, &side->stats);
  return after - before;
}

static void
read_once (struct side *side, const struct sample *sample, size_t page)
{
  const uint64_t before = wall_ns ();
  const int r =
      volume_read (side->volume, buffer, PAGE, (uint64_t) page * PAGE);

  side->ns[side->nr++] = (double) (wall_ns () - before);
  must (r, "volume_read");
  if (memcmp (buffer, sample_page (sample, page), PAGE) != 0)
    fail ("page %zu of %s is wrong", page, sample->name);
}

static void
report_read (const char *row, const char *name, struct side *hot,
             struct side *cold, double percent)
{
  const double before = percentile (hot->ns, READS, percent);
  const double after = percentile (cold->ns, READS, percent);

  finding_begin ("cold", row, name, after / before, "x", NULL, 0);
  finding_number ("hot_ns", before);
  finding_number ("cold_ns", after);
  finding_end ();
}

static void
report_bytes (const char *name, const struct side *hot, const struct side *cold,
              uint64_t cpu, bool judge)
{
  const struct pool_stats *a = &hot->stats, *b = &cold->stats;

  finding_begin ("cold", "bytes of cold pages over LZ4's", name,
                 (double) b->blob_bytes / (double) a->blob_bytes, "x",
                 judge ? "<=" : NULL, 0.70);
  finding_number ("used_ratio", (double) b->used / (double) a->used);
  finding_number ("hot_bytes", (double) a->blob_bytes);
  finding_number ("cold_bytes", (double) b->blob_bytes);
  finding_number ("pages", (double) b->stored_pages);
  finding_number ("cold_pages", (double) b->cold_pages);
  finding_number ("cooling_ns_a_page",
                  (double) cpu / (double) (b->pages_cooled + 1));
  finding_end ();
}

static void
measure (const struct sample *sample, int level, bool judge)
{
  static struct side hot, cold;
  struct dice dice;

  memset (&hot, 0, sizeof hot);
  memset (&cold, 0, sizeof cold);
  fill (&hot, sample, 0);
  fill (&cold, sample, level);
  settle (&hot);
  report_bytes (sample->name, &hot, &cold, settle (&cold), judge);

  dice_init (&dice, 7);
  for (size_t i = 0; i < READS; i++) {
    const size_t page = dice_roll (&dice, sample->count);

    read_once (i % 2 ? &hot : &cold, sample, page);
    read_once (i % 2 ? &cold : &hot, sample, page);
  }
  report_read ("read of a page, p50, over a hot one's", sample->name, &hot,
               &cold, 50);
  report_read ("read of a page, p99, over a hot one's", sample->name, &hot,
               &cold, 99);
  pool_destroy (hot.pool);
  pool_destroy (cold.pool);
}

int
main (int argc, char *argv[])
{
  static struct sample samples[MAX_SAMPLES], all;
  size_t max_pages = 24576, n = 0;
  int level = 3, c;

  while ((c = getopt (argc, argv, "n:l:")) != -1)
    if (c == 'n')
      max_pages = strtoul (optarg, NULL, 0);
    else if (c == 'l')
      level = atoi (optarg);
    else
      fail ("usage: cold [-n PAGES] [-l LEVEL] SAMPLE...");
  if (optind == argc || argc - optind > MAX_SAMPLES)
    fail ("usage: cold [-n PAGES] [-l LEVEL] SAMPLE... (1 to 16)");
  for (int i = optind; i < argc; i++) {
    sample_load (&samples[n], argv[i], max_pages, SAMPLE_DROP_FILL);
    note ("cold: %s", samples[n].name);
    measure (&samples[n++], level, argc - optind == 1);
  }
  if (n > 1) {
    note ("cold: all samples in one pool");
    sample_mix (&all, samples, n);
    measure (&all, level, true);
  }
  return EXIT_SUCCESS;
}
