// SPDX-License-Identifier: BSD-3-Clause
/* ring-load: a guest on a ring (tests/ring/driver.h) for ring-bench, which
 * feeds it lines on stdin; each answers with one line of JSON on stdout:
 *
 *   fill           writes the whole span once
 *   post MS        posted writes, in bursts that fit into the region; the time
 *                  between bursts, in which the server stores them, is not told
 *   sustained MS   posted writes, one after the other, as fast as they go
 *   staging MS     reads of pages that were posted just before
 *   cache MS       reads in a row, those that the cache had
 *   row MS         the same, all of them
 *   pool MS        reads at random, one after the other
 *   asleep MS      the same, each after a pause in which the server sleeps
 *   deep MS        reads at random, 16 at once
 *   verify         reads the whole span and compares
 *
 * Content is as in nbd-load: samples mixed, and every read is compared, outside
 * of what is timed. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "measure.h"
#include "sample.h"

#include "../tests/ring/driver.h"

#define SPAN ((96u << 20) / PAGE)
#define SAMPLE_PAGES 4096 /* of each sample */
#define MAX_TIMES (4u << 20)
#define DEEP 16u
#define SPIN_NS 50000u
#define PAUSE_NS 3000000 /* longer than the server ever looks for work */

static struct driver driver;
static struct sample sample;
static struct dice dice;
static uint32_t content[SPAN]; /* which page of the sample */
static double *times;
static size_t nr_times;
static uint64_t done, timed_ns, end;

static bool
goes_on (void)
{
  return wall_ns () < end;
}

static void
note_time (uint64_t start)
{
  const uint64_t ns = wall_ns () - start;

  timed_ns += ns;
  done++;
  if (nr_times < MAX_TIMES)
    times[nr_times++] = (double) ns;
}

static void
compare (size_t page, const uint8_t *data)
{
  if (memcmp (data, sample_page (&sample, content[page]), PAGE) != 0)
    fail ("page %zu reads wrong", page);
}

static void
write_one (size_t page)
{
  const size_t from = dice_roll (&dice, sample.count);
  const uint64_t start = wall_ns ();

  if (driver_write (&driver, page, sample_page (&sample, from)) != 0)
    fail ("a write failed");
  note_time (start);
  content[page] = (uint32_t) from;
}

/* Counts only what came from there; POOL counts everything. */
static void
read_one (size_t page, enum driver_source wanted)
{
  uint8_t data[PAGE];
  enum driver_source from = FROM_POOL;
  const uint64_t start = wall_ns ();

  if (driver_read (&driver, page, data, &from) != 0)
    fail ("a read failed");
  if (from == wanted || wanted == FROM_POOL)
    note_time (start);
  compare (page, data);
}

static void
fill (void)
{
  for (size_t page = 0; page < SPAN; page++)
    write_one (page);
  driver_drain (&driver);
}

static void
post (void)
{
  const unsigned burst = DRIVER_COUNT (&driver, SLOTS) / 4;

  while (goes_on ()) {
    for (unsigned i = 0; i < burst; i++)
      write_one (dice_roll (&dice, SPAN));
    driver_drain (&driver);
  }
}

static void
sustained (void)
{
  while (goes_on ())
    write_one (dice_roll (&dice, SPAN));
  driver_drain (&driver);
}

/* Reads of what is still posted: the newest of a burst. */
static void
staging (void)
{
  const unsigned burst = DRIVER_COUNT (&driver, SLOTS) / 4;
  size_t pages[16];

  while (goes_on ()) {
    const size_t times_before = nr_times;
    const uint64_t done_before = done, ns_before = timed_ns;

    for (unsigned i = 0; i < burst; i++)
      write_one (pages[i % 16] = dice_roll (&dice, SPAN));
    nr_times = times_before;
    done = done_before;
    timed_ns = ns_before;
    for (unsigned i = 16; i-- > 0;)
      read_one (pages[i], FROM_POST);
    driver_drain (&driver);
  }
}

/* Runs of 4 MiB. */
static void
row (enum driver_source wanted)
{
  while (goes_on ()) {
    const size_t first = dice_roll (&dice, SPAN - 1024);

    for (size_t i = 0; i < 1024; i++)
      read_one (first + i, wanted);
  }
}

static void
pool (void)
{
  while (goes_on ())
    read_one (dice_roll (&dice, SPAN), FROM_POOL);
}

static void
asleep (void)
{
  const struct timespec pause = { .tv_nsec = PAUSE_NS };

  while (goes_on ()) {
    nanosleep (&pause, NULL);
    read_one (dice_roll (&dice, SPAN), FROM_POOL);
  }
}

static void
deep (void)
{
  static uint8_t data[DEEP * PAGE];
  uint64_t pages[DEEP];

  while (goes_on ()) {
    uint64_t start;

    for (unsigned i = 0; i < DEEP; i++)
      pages[i] = dice_roll (&dice, SPAN);
    start = wall_ns ();
    if (driver_read_many (&driver, pages, DEEP, data) != 0)
      fail ("reads failed");
    note_time (start);
    for (unsigned i = 0; i < DEEP; i++)
      compare (pages[i], data + (size_t) i * PAGE);
  }
  done *= DEEP;
}

static void
verify (void)
{
  for (size_t page = 0; page < SPAN; page++)
    read_one (page, FROM_POOL);
}

static void
row_cache (void)
{
  row (FROM_CACHE);
}

static void
row_all (void)
{
  row (FROM_POOL);
}

/* The rate is by the clock of the whole run but for what nobody waits for:
 * comparisons, pauses. */
static void
answer (uint64_t start, bool by_wall)
{
  const double seconds =
      (double) (by_wall ? wall_ns () - start : timed_ns) / 1e9;

  printf ("{\"per_second\":%.1f,\"p50_ns\":%.0f,\"p99_ns\":%.0f,"
          "\"requests\":%.0f}\n",
          (double) done / seconds,
          nr_times ? percentile (times, nr_times, 50) : 0,
          nr_times ? percentile (times, nr_times, 99) : 0, (double) done);
  fflush (stdout);
}

static void
command (const char *line)
{
  static const struct {
    const char *name;
    void (*run) (void);
    bool by_wall;
  } commands[] = {
    { "fill", fill, true },           { "post", post, false },
    { "sustained", sustained, true }, { "staging", staging, false },
    { "cache", row_cache, false },    { "row", row_all, false },
    { "pool", pool, false },          { "asleep", asleep, false },
    { "deep", deep, true },           { "verify", verify, true }
  };
  unsigned ms = 0;
  char name[16];

  if (sscanf (line, "%15s %u", name, &ms) < 1)
    fail ("an empty line");
  for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++)
    if (strcmp (name, commands[i].name) == 0) {
      const uint64_t start = wall_ns ();

      done = timed_ns = 0;
      nr_times = 0;
      end = start + ms * UINT64_C (1000000);
      commands[i].run ();
      answer (start, commands[i].by_wall);
      return;
    }
  fail ("no such command: %s", line);
}

int
main (int argc, char *argv[])
{
  char line[64];

  if (argc < 3)
    fail ("usage: ring-load SOCKET SAMPLE...");
  times = calloc (MAX_TIMES, sizeof *times);
  if (!times)
    fail ("no memory");
  memset (times, 1, MAX_TIMES * sizeof *times);
  dice_init (&dice, 10809);
  sample_load_mix (&sample, argv + 2, (size_t) (argc - 2), SAMPLE_PAGES,
                   SAMPLE_DROP_FILL);
  if (driver_connect (&driver, argv[1]) != 0 ||
      driver_start (&driver, VMSWAP_RING_FEATURES, 10000) != 0)
    fail ("%s: there is no region", argv[1]);
  if (driver.device_pages < SPAN)
    fail ("%s: the volume is too small", argv[1]);
  driver.spin_ns = SPIN_NS;
  while (fgets (line, sizeof line, stdin))
    command (line);
  driver_detach (&driver);
  driver_close (&driver);
  return EXIT_SUCCESS;
}
