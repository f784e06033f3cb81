// SPDX-License-Identifier: BSD-3-Clause
/* sharing: what the search for identical pages costs where there are none, and
 * what it saves where there are.
 *
 * Cost.  Pools with dedup=auto and always against one with dedup=off, one
 * thread each, in turns of 1 MiB.  Every page that is written gets a serial
 * number, so that no two are alike; what counts is the CPU time of the writer
 * from the second round on, and of the whole process, steward included.
 *
 * Saving.  Two guests swap out the same pages, all samples in turns: what one
 * group holds over what two hold; CPU time of a page that is there already over
 * one that is not. */

#include <config.h>

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "measure.h"
#include "pool.h"
#include "sample.h"

#define CHUNK 256 /* pages */
#define REQUEST 8 /* pages */

static const struct side {
  const char *name;
  enum pool_sharing sharing;
} sides[] = {
  { "off", POOL_SHARING_OFF },
  { "dedup=auto", POOL_SHARING_AUTO },
  { "dedup=always", POOL_SHARING_ALWAYS },
};
#define NR_SIDES (sizeof sides / sizeof sides[0])

static struct pool *
make_pool (const struct sample *sample, enum pool_sharing sharing, unsigned n)
{
  const struct pool_config config = {
    .limit = (uint64_t) n * sample->count * PAGE + (64u << 20),
    .sharing = sharing,
  };
  struct pool *pool;

  if (pool_create (&config, &pool) != 0 || pool_start_steward (pool) != 0)
    fail ("no memory for a pool");
  return pool;
}

static struct volume *
open_volume (struct pool *pool, const struct sample *sample, const char *name,
             const char *group)
{
  struct volume *volume;

  if (volume_open (pool, name, sample->count * PAGE, &volume, NULL) != 0 ||
      (group && volume_set_group (volume, group) != 0))
    fail ("no volume");
  return volume;
}

static void
close_pool (struct pool *pool)
{
  pool_stop_steward (pool);
  pool_destroy (pool);
}

/* Writes a chunk of the sample; serial 0: as it is.  Returns CPU time. */
static uint64_t
write_chunk (struct volume *volume, const struct sample *sample, size_t chunk,
             uint64_t *serial)
{
  static uint8_t buffer[CHUNK * PAGE];
  const size_t first = chunk * CHUNK;
  const size_t end =
      first + CHUNK < sample->count ? first + CHUNK : sample->count;
  uint64_t start;

  memcpy (buffer, sample_page (sample, first), (end - first) * PAGE);
  if (serial)
    for (size_t i = 0; i < end - first; i++, ++*serial)
      memcpy (buffer + i * PAGE + *serial % (PAGE / 8) * 8, serial,
              sizeof *serial);
  start = thread_cpu_ns ();
  for (size_t i = first; i < end; i += REQUEST) {
    const size_t n = end - i < REQUEST ? end - i : REQUEST;

    if (volume_write (volume, buffer + (i - first) * PAGE, n * PAGE,
                      i * PAGE) != 0)
      fail ("a write was refused");
  }
  return thread_cpu_ns () - start;
}

static double
per_page (double ns, const struct sample *sample)
{
  return ns / (double) sample->count;
}

/* Rounds over the sample, all sides in turns.  time[side * rounds + round]. */
static void
write_rounds (struct volume **volumes, const struct sample *sample,
              size_t rounds, double *time)
{
  const size_t chunks = (sample->count + CHUNK - 1) / CHUNK;
  uint64_t serial = 1;

  for (size_t round = 0; round < rounds; round++)
    for (size_t chunk = 0; chunk < chunks; chunk++)
      for (size_t turn = 0; turn < NR_SIDES; turn++) {
        const size_t side = (turn + chunk + round) % NR_SIDES;

        time[side * rounds + round] +=
            (double) write_chunk (volumes[side], sample, chunk, &serial);
      }
}

static void
measure_cost (const struct sample *sample, size_t rounds)
{
  double *time = calloc (NR_SIDES * rounds, sizeof *time);
  struct pool *pools[NR_SIDES];
  struct volume *volumes[NR_SIDES];
  struct pool_stats stats;

  if (!time)
    fail ("no memory");
  for (size_t i = 0; i < NR_SIDES; i++) {
    pools[i] = make_pool (sample, sides[i].sharing, 2);
    volumes[i] = open_volume (pools[i], sample, "guest", NULL);
  }
  write_rounds (volumes, sample, rounds, time);
  /* The first round makes the tables and fills the caches. */
  const double off = median (time + 1, rounds - 1);
  for (size_t i = 1; i < NR_SIDES; i++) {
    const double with = median (time + i * rounds + 1, rounds - 1);

    pool_get_stats (pools[i], &stats);
    if (stats.share_hits)
      fail ("pages that differ were shared");
    finding_begin ("sharing", sides[i].name, sample->name, with / off, "x",
                   sides[i].sharing == POOL_SHARING_AUTO ? "<=" : NULL, 1.03);
    finding_number ("off_ns", per_page (off, sample));
    finding_number ("on_ns", per_page (with, sample));
    finding_number ("lookups", (double) stats.share_lookups);
    finding_end ();
  }
  for (size_t i = 0; i < NR_SIDES; i++)
    close_pool (pools[i]);
  free (time);
}

struct twins {
  double held;      /* bytes */
  double first_ns;  /* a page, of the first guest */
  double second_ns; /* of the second */
};

static double
write_all (struct volume *volume, const struct sample *sample)
{
  double sum = 0;

  for (size_t chunk = 0; chunk * CHUNK < sample->count; chunk++)
    sum += (double) write_chunk (volume, sample, chunk, NULL);
  return per_page (sum, sample);
}

static struct twins
measure_twins (const struct sample *sample, enum pool_sharing sharing,
               const char *group)
{
  struct pool *pool = make_pool (sample, sharing, 4);
  struct twins twins;
  struct pool_stats stats;

  twins.first_ns = write_all (open_volume (pool, sample, "one", group), sample);
  twins.second_ns =
      write_all (open_volume (pool, sample, "two", group), sample);
  pool_stop_steward (pool);
  if (pool_compact (pool) != 0)
    fail ("pool_compact");
  pool_get_stats (pool, &stats);
  twins.held = (double) stats.used;
  pool_destroy (pool);
  return twins;
}

static void
measure_saving (const struct sample *sample)
{
  const struct twins off = measure_twins (sample, POOL_SHARING_OFF, "group");
  const struct twins own = measure_twins (sample, POOL_SHARING_ALWAYS, NULL);
  const struct twins on = measure_twins (sample, POOL_SHARING_ALWAYS, "group");
  const struct twins found = measure_twins (sample, POOL_SHARING_AUTO, "group");

  finding_begin ("sharing", "two guests alike, one group, held", sample->name,
                 on.held / off.held, "x", "<=", 0.55);
  finding_number ("off_bytes", off.held);
  finding_number ("on_bytes", on.held);
  finding_end ();
  finding_begin ("sharing", "two guests alike, found out (auto), held",
                 sample->name, found.held / off.held, "x", "<=", 0.55);
  finding_end ();
  finding_begin ("sharing", "two guests alike, no group, held", sample->name,
                 own.held / off.held, "x", NULL, 0);
  finding_end ();
  finding_begin ("sharing", "page that is there, CPU over a new one",
                 sample->name, on.second_ns / off.second_ns, "x", NULL, 0);
  finding_number ("off_ns", off.second_ns);
  finding_number ("on_ns", on.second_ns);
  finding_end ();
}

int
main (int argc, char *argv[])
{
  size_t rounds = 7, max_pages = 16384;
  int c;

  while ((c = getopt (argc, argv, "r:n:")) != -1)
    if (c == 'r')
      rounds = strtoul (optarg, NULL, 0);
    else if (c == 'n')
      max_pages = strtoul (optarg, NULL, 0);
    else
      fail ("usage: sharing [-r ROUNDS] [-n PAGES] SAMPLE...");
  if (optind == argc || rounds < 2)
    fail ("usage: sharing [-r ROUNDS] [-n PAGES] SAMPLE...");
  struct sample sample;

  for (int i = optind; i < argc; i++) {
    sample_load (&sample, argv[i], max_pages, SAMPLE_DROP_FILL);
    measure_cost (&sample, rounds);
    sample_free (&sample);
  }
  sample_load_mix (&sample, argv + optind, argc - optind, max_pages,
                   SAMPLE_DROP_FILL);
  measure_saving (&sample);
  sample_free (&sample);
  return EXIT_SUCCESS;
}
