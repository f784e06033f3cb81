// SPDX-License-Identifier: BSD-3-Clause
/* engine: time per page of the pool against the yardstick (bare.h) on the same
 * pages, one thread.
 *
 * A round makes a fresh pool with its steward and goes over the sample four
 * times: write, read, overwrite with other content, read again.  Each pass is
 * cut into chunks of 1 MiB, and the sides take turns chunk by chunk, in an
 * order that changes every time; the yardstick works half a sample ahead, so
 * that neither side finds the pages warm from the other.  The time of a chunk
 * is its median over the rounds in which this thread did not wait for a CPU,
 * the time of a pass the sum over its chunks: other work on the machine
 * disturbs little here.
 *
 * With -s DIR the other side is a pool with state=DIR: what it costs that a
 * server can be restarted.  With -c PAGES nothing is timed: so many pages are
 * written, fresh and again, without a steward, into the pool with state=DIR if
 * -s is given and else into the other; for a count of system calls. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bare.h"
#include "measure.h"
#include "pool.h"
#include "sample.h"

#define CHUNK 256  /* pages */
#define DELAY 0.02 /* of a chunk's time: more waiting than that disturbs */
#define MOSTLY 50  /* percent of a side's chunks */

enum pass { WRITE, READ, OVERWRITE, REREAD, NR_PASSES };
enum side { POOL, BARE, BARE_COPY, STATE, NR_SIDES };

/* Who is compared with whom; writes need no third side. */
static const enum side yardsticks[] = { POOL, BARE, BARE_COPY };
static const enum side pools[] = { POOL, STATE };
enum order { SEQUENTIAL, RANDOM };

static const char *const pass_names[NR_PASSES] = { "write fresh", "read",
                                                   "overwrite",
                                                   "read after overwrite" };

/* Rows of the request sizes, in pages. */
static const struct {
  size_t pages;
  const char *name;
} requests[] = { { 1, "4 KiB" }, { 8, "32 KiB" }, { 32, "128 KiB" } };

struct bench {
  const struct sample *sample;
  size_t chunks, rounds;
  size_t request; /* pages */
  size_t *order;  /* the page that is n-th in line */

  const char *state; /* the folder of -s, or NULL */
  struct pool *pool[NR_SIDES];
  struct volume *volume[NR_SIDES];
  struct bare *bare;
  struct bare_worker *worker;
  uint8_t *buffer;

  /* [pass][side][chunk * rounds + round], nanoseconds; negative: disturbed */
  double *wall[NR_PASSES][NR_SIDES];
  double *cpu[NR_PASSES][NR_SIDES];
  /* [pass][round]: CPU of the pool's side and of the steward meanwhile. */
  double *whole[NR_PASSES];
};

static bool
is_write (enum pass pass)
{
  return pass == WRITE || pass == OVERWRITE;
}

/* What page i holds after a pass: an overwritten page holds the content of one
 * half a sample away. */
static size_t
content (const struct bench *b, enum pass pass, size_t i)
{
  const size_t shift = pass >= OVERWRITE ? b->chunks / 2 * CHUNK : 0;

  return (i + shift) % (b->chunks * CHUNK);
}

static void
pool_chunk (struct bench *b, enum pass pass, enum side side, size_t chunk)
{
  const size_t length = b->request * PAGE;

  for (size_t n = chunk * CHUNK; n < (chunk + 1) * CHUNK; n += b->request) {
    const size_t i = b->order[n];
    const uint64_t offset = (uint64_t) i * PAGE;
    const int r =
        is_write (pass)
            ? volume_write (b->volume[side],
                            sample_page (b->sample, content (b, pass, i)),
                            length, offset)
            : volume_read (b->volume[side], b->buffer, length, offset);

    if (r < 0)
      fail ("%s of page %zu of sample %s: %s", pass_names[pass], i,
            b->sample->name, strerror (-r));
  }
}

static void
bare_chunk (struct bench *b, enum pass pass, size_t chunk, bool copy)
{
  for (size_t n = chunk * CHUNK; n < (chunk + 1) * CHUNK; n += b->request) {
    const size_t i = b->order[n];

    for (size_t k = 0; k < b->request; k++) {
      if (is_write (pass))
        bare_write (b->worker, i + k,
                    sample_page (b->sample, content (b, pass, i + k)));
      else
        bare_read (b->worker, i + k, b->buffer + k * PAGE, copy);
    }
  }
}

static void
time_chunk (struct bench *b, enum pass pass, enum side side, size_t chunk,
            size_t round)
{
  const uint64_t delay = run_delay_ns (), cpu = thread_cpu_ns ();
  const uint64_t start = wall_ns ();

  if (side == POOL || side == STATE)
    pool_chunk (b, pass, side, chunk);
  else
    bare_chunk (b, pass, chunk, side == BARE_COPY);

  const double wall = (double) (wall_ns () - start);
  const size_t at = chunk * b->rounds + round;
  b->cpu[pass][side][at] = (double) (thread_cpu_ns () - cpu);
  const bool disturbed = (double) (run_delay_ns () - delay) > DELAY * wall;
  b->wall[pass][side][at] = disturbed ? -wall : wall;
}

static void
run_pass (struct bench *b, enum pass pass, size_t round)
{
  const enum side *sides = b->state ? pools : yardsticks;
  const size_t nr_sides = b->state || is_write (pass) ? 2 : 3;
  const uint64_t process = process_cpu_ns (), thread = thread_cpu_ns ();
  double pool = 0;

  if (is_write (pass))
    bare_worker_rewind (b->worker);
  for (size_t c = 0; c < b->chunks; c++) {
    const size_t ahead = (c + b->chunks / 2) % b->chunks;

    for (size_t k = 0; k < nr_sides; k++) {
      const enum side side = sides[(k + c + round) % nr_sides];

      time_chunk (b, pass, side, side == POOL ? c : ahead, round);
    }
    pool += b->cpu[pass][POOL][c * b->rounds + round];
  }
  const uint64_t others =
      (process_cpu_ns () - process) - (thread_cpu_ns () - thread);
  b->whole[pass][round] = pool + (double) others;
}

/* Every page of the volume must be what was written last. */
static void
verify (struct bench *b, enum side side)
{
  for (size_t i = 0; i < b->chunks * CHUNK; i++) {
    int r = volume_read (b->volume[side], b->buffer, PAGE, (uint64_t) i * PAGE);

    if (r < 0 ||
        memcmp (b->buffer, sample_page (b->sample, content (b, REREAD, i)),
                PAGE) != 0)
      fail ("sample %s: page %zu reads wrong after the overwrite (%s)",
            b->sample->name, i, strerror (-r));
  }
}

static void
open_pool (struct bench *b, enum side side, bool steward)
{
  const uint64_t bytes = (uint64_t) b->chunks * CHUNK * PAGE;
  char reason[256] = "";
  const struct pool_config config = {
    .limit = 2 * bytes + (64 << 20),
    .state = side == STATE ? b->state : NULL,
    .reason = reason,
    .reason_size = sizeof reason,
  };
  int r = pool_create (&config, &b->pool[side]);

  if (r < 0)
    fail ("pool_create: %s %s", strerror (-r), reason);
  if (pool_was_adopted (b->pool[side]))
    fail ("%s holds a pool already: give an empty folder", b->state);
  if (steward)
    r = pool_start_steward (b->pool[side]);
  if (r < 0)
    fail ("pool_start_steward: %s", strerror (-r));
  r = volume_open (b->pool[side], "bench", bytes, &b->volume[side], NULL);
  if (r < 0)
    fail ("volume_open: %s", strerror (-r));
}

static void
close_pool (struct bench *b, enum side side)
{
  char path[4096];

  pool_stop_steward (b->pool[side]);
  pool_destroy (b->pool[side]);
  if (side != STATE)
    return;
  snprintf (path, sizeof path, "%s/pool.vmswap", b->state);
  if (unlink (path) == -1)
    fail ("%s: %s", path, strerror (errno));
}

static double *
get_values (size_t n)
{
  double *values = calloc (n, sizeof *values);

  if (!values)
    fail ("no memory");
  return values;
}

/* The median of the positive values; without any, the least disturbed one. */
static double
chunk_time (const double *values, size_t n, double *scratch)
{
  double least = INFINITY;
  size_t quiet = 0;

  for (size_t i = 0; i < n; i++) {
    if (values[i] >= 0)
      scratch[quiet++] = values[i];
    if (fabs (values[i]) < least)
      least = fabs (values[i]);
  }
  return quiet > 0 ? median (scratch, quiet) : least;
}

/* The sum over the chunks, per page. */
static double
per_page (const struct bench *b, const double *values)
{
  double sum = 0;
  double *scratch = get_values (b->rounds);

  for (size_t c = 0; c < b->chunks; c++)
    sum += chunk_time (values + c * b->rounds, b->rounds, scratch);
  free (scratch);
  return sum / (double) (b->chunks * CHUNK);
}

static double
disturbed_percent (const struct bench *b, const double *values)
{
  size_t n = 0;

  for (size_t i = 0; i < b->chunks * b->rounds; i++)
    n += values[i] < 0;
  return 100 * (double) n / (double) (b->chunks * b->rounds);
}

static void
report_pass (struct bench *b, enum pass pass, const char *row)
{
  /* The target is set against the yardstick that copies the page out of a
   * buffer of its own; the stricter comparison is printed beside it. */
  const enum side yard = is_write (pass) ? BARE : BARE_COPY;
  const double pool = per_page (b, b->wall[pass][POOL]);
  const double bare = per_page (b, b->wall[pass][yard]);
  const double pool_cpu = per_page (b, b->cpu[pass][POOL]);
  const double bare_cpu = per_page (b, b->cpu[pass][yard]);
  const double whole =
      median (b->whole[pass], b->rounds) / (double) (b->chunks * CHUNK);

  finding_begin ("engine", row, b->sample->name, pool / bare, "x",
                 "<=", is_write (pass) ? 1.15 : 1.30);
  finding_number ("pool_ns", pool);
  finding_number ("bare_ns", bare);
  finding_number ("pool_cpu_ns", pool_cpu);
  finding_number ("bare_cpu_ns", bare_cpu);
  finding_number ("cpu_ratio", pool_cpu / bare_cpu);
  finding_number ("pool_and_steward_cpu_ns", whole);
  finding_number ("cpu_with_steward_ratio", whole / bare_cpu);
  if (!is_write (pass)) {
    const double strict = per_page (b, b->wall[pass][BARE]);
    finding_number ("bare_without_copy_ns", strict);
    finding_number ("ratio_without_copy", pool / strict);
  }
  finding_number ("disturbed_percent",
                  disturbed_percent (b, b->wall[pass][POOL]));
  finding_number ("pages", (double) (b->chunks * CHUNK));
  finding_number ("rounds", (double) b->rounds);
  finding_end ();
}

/* The price of state=. */
static void
report_state (struct bench *b, enum pass pass, const char *row)
{
  const double with = per_page (b, b->wall[pass][STATE]);
  const double without = per_page (b, b->wall[pass][POOL]);
  const double with_cpu = per_page (b, b->cpu[pass][STATE]);
  const double without_cpu = per_page (b, b->cpu[pass][POOL]);
  const double disturbed = disturbed_percent (b, b->wall[pass][STATE]);
  const bool judged = is_write (pass) && disturbed < MOSTLY;

  finding_begin ("restartable", row, b->sample->name, with / without, "x",
                 judged ? "<=" : NULL, 1.02);
  finding_number ("state_ns", with);
  finding_number ("memfd_ns", without);
  finding_number ("cpu_ratio", with_cpu / without_cpu);
  finding_number ("disturbed_percent", disturbed);
  if (disturbed >= MOSTLY)
    finding_number ("disturbed", 1);
  finding_number ("pages", (double) (b->chunks * CHUNK));
  finding_number ("rounds", (double) b->rounds);
  finding_end ();
}

static void
report (struct bench *b, const char *request, const char *suffix)
{
  for (enum pass pass = WRITE; pass < NR_PASSES; pass++) {
    char row[96];

    snprintf (row, sizeof row, "%s %s%s", pass_names[pass], request, suffix);
    if (b->state)
      report_state (b, pass, row);
    else
      report_pass (b, pass, row);
  }
}

static void
bench_init (struct bench *b, const struct sample *sample, const char *state,
            size_t request, size_t rounds, enum order order)
{
  struct dice dice;

  memset (b, 0, sizeof *b);
  *b = (struct bench){ .sample = sample,
                       .chunks = sample->count / CHUNK,
                       .rounds = rounds,
                       .request = request,
                       .state = state };
  if (b->chunks < 2)
    fail ("sample %s holds %zu pages; %d are the least to measure with",
          sample->name, sample->count, 2 * CHUNK);

  const size_t pages = b->chunks * CHUNK;
  b->order = calloc (pages, sizeof *b->order);
  b->buffer = aligned_alloc (PAGE, request * PAGE);
  if (!b->order || !b->buffer)
    fail ("no memory");
  dice_init (&dice, 4);
  for (size_t i = 0; i < pages; i++) {
    const size_t j = order == RANDOM ? dice_roll (&dice, i + 1) : i;
    b->order[i] = b->order[j];
    b->order[j] = i;
  }
  for (enum pass pass = WRITE; pass < NR_PASSES; pass++) {
    b->whole[pass] = get_values (rounds);
    for (enum side side = POOL; side < NR_SIDES; side++) {
      b->wall[pass][side] = get_values (b->chunks * rounds);
      b->cpu[pass][side] = get_values (b->chunks * rounds);
    }
  }
  b->bare = bare_create (pages);
  b->worker = bare_worker_create (b->bare, 0);
}

static void
bench_finish (struct bench *b)
{
  bare_worker_free (b->worker);
  bare_free (b->bare);
  for (enum pass pass = WRITE; pass < NR_PASSES; pass++) {
    free (b->whole[pass]);
    for (enum side side = POOL; side < NR_SIDES; side++) {
      free (b->wall[pass][side]);
      free (b->cpu[pass][side]);
    }
  }
  free (b->order);
  free (b->buffer);
}

static void
measure (const struct sample *sample, const char *state, size_t request,
         size_t rounds, enum order order, const char *name, const char *suffix)
{
  const enum side other = state ? STATE : POOL;
  struct bench b;

  bench_init (&b, sample, state, request, rounds, order);
  for (size_t round = 0; round < rounds; round++) {
    open_pool (&b, POOL, true);
    if (state)
      open_pool (&b, STATE, true);
    for (enum pass pass = WRITE; pass < NR_PASSES; pass++)
      run_pass (&b, pass, round);
    if (round == 0)
      verify (&b, other);
    close_pool (&b, POOL);
    if (state)
      close_pool (&b, STATE);
  }
  report (&b, name, suffix);
  bench_finish (&b);
}

static void
measure_file (const char *path, const char *state, size_t max_pages,
              size_t rounds)
{
  struct sample sample;

  sample_load (&sample, path, max_pages, SAMPLE_DROP_FILL);
  note ("engine: %s, %zu pages, LZ4 to %.0f bytes a page", sample.name,
        sample.count, (double) sample.lz4_bytes / (double) sample.count);
  for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
    measure (&sample, state, requests[i].pages, rounds, SEQUENTIAL,
             requests[i].name, "");
  measure (&sample, state, 1, rounds, RANDOM, "4 KiB", ", random order");
  sample_free (&sample);
  if (state)
    return;

  sample_load (&sample, path, max_pages, SAMPLE_KEEP_FILL);
  measure (&sample, NULL, 1, rounds, SEQUENTIAL, "4 KiB", ", fill pages too");
  sample_free (&sample);
}

/* Writes every page fresh, and overwrites it, for whoever counts the system
 * calls. */
static void
just_write (const char *path, const char *state, size_t pages)
{
  const enum side side = state ? STATE : POOL;
  struct sample sample;
  struct bench b;

  sample_load (&sample, path, pages, SAMPLE_DROP_FILL);
  bench_init (&b, &sample, state, 1, 1, SEQUENTIAL);
  open_pool (&b, side, false);
  for (size_t c = 0; c < b.chunks; c++)
    pool_chunk (&b, WRITE, side, c);
  for (size_t c = 0; c < b.chunks; c++)
    pool_chunk (&b, OVERWRITE, side, c);
  close_pool (&b, side);
  bench_finish (&b);
  sample_free (&sample);
}

static const char usage[] =
    "usage: engine [-r ROUNDS] [-n PAGES] [-s DIR] SAMPLE..., or "
    "engine -c PAGES [-s DIR] SAMPLE";

int
main (int argc, char *argv[])
{
  size_t rounds = 7, max_pages = 16384, count = 0;
  const char *state = NULL;
  int c;

  while ((c = getopt (argc, argv, "r:n:s:c:")) != -1) {
    if (c == 'r')
      rounds = strtoul (optarg, NULL, 0);
    else if (c == 'n')
      max_pages = strtoul (optarg, NULL, 0);
    else if (c == 's')
      state = optarg;
    else if (c == 'c')
      count = strtoul (optarg, NULL, 0);
    else
      fail ("%s", usage);
  }
  if (optind == argc || rounds == 0)
    fail ("%s", usage);
  for (int i = optind; i < argc; i++)
    if (count)
      just_write (argv[i], state, count);
    else
      measure_file (argv[i], state, max_pages, rounds);
  return EXIT_SUCCESS;
}
