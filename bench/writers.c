// SPDX-License-Identifier: BSD-3-Clause
/* writers: two writer threads against one, in the same pool.
 *
 * The work is the same for all: the whole sample once, in requests of 4 KiB
 * into a fresh pool with its steward.  Rounds take turns between one thread,
 * two threads on volumes of their own, two threads on halves of one volume,
 * and the yardstick (bare.h) with one thread and with two: what two threads
 * of the yardstick reach is all that the machine has to give.
 *
 * A run in which the writers waited for a CPU for longer than the pool's own
 * steward can have kept it was disturbed by other work, and does not count. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bare.h"
#include "measure.h"
#include "pool.h"
#include "sample.h"

#define MAX_ROUNDS 60
#define MIN_QUIET 3  /* runs of each way, to judge */
#define SECONDS 7    /* for a sample, looking for quiet runs */
#define TWO_CPUS 1.8 /* the yardstick's speed-up where there are two */
#define DELAY 0.03   /* of a run's time: more waiting than that disturbs */

enum way { ONE, TWO_VOLUMES, ONE_VOLUME, BARE_ONE, BARE_TWO, NR_WAYS };

struct job {
  const struct sample *sample;
  size_t first, end; /* pages of the sample */
  struct volume *volume;
  uint64_t offset; /* of page `first` in the volume */
  struct bare_worker *worker;
  pthread_barrier_t *barrier;
  uint64_t done_at, cpu, delay;
};

/* The runs of one way: all, and those that count. */
struct runs {
  double all[MAX_ROUNDS], quiet[MAX_ROUNDS];
  size_t nr, nr_quiet;
};

/* Writes the job's pages, to the yardstick if it names a worker of it. */
static void *
run_job (void *opaque)
{
  struct job *job = opaque;

  pthread_barrier_wait (job->barrier);
  const uint64_t cpu = thread_cpu_ns (), delay = run_delay_ns ();
  for (size_t i = job->first; i < job->end; i++) {
    const uint8_t *page = sample_page (job->sample, i);

    if (job->worker) {
      bare_write (job->worker, i, page);
      continue;
    }
    int r = volume_write (job->volume, page, PAGE,
                          job->offset + (uint64_t) (i - job->first) * PAGE);
    if (r < 0)
      fail ("volume_write: %s", strerror (-r));
  }
  job->done_at = wall_ns ();
  job->cpu = thread_cpu_ns () - cpu;
  job->delay = run_delay_ns () - delay;
  return NULL;
}

/* Runs the jobs at once, and notes the time from the start to the end of the
 * last. */
static void
run_jobs (struct job *jobs, unsigned n, struct runs *runs)
{
  const uint64_t process = process_cpu_ns ();
  uint64_t last = 0, cpu = 0, delay = 0;
  pthread_t threads[2];
  pthread_barrier_t barrier;

  pthread_barrier_init (&barrier, NULL, n + 1);
  for (unsigned i = 0; i < n; i++) {
    jobs[i].barrier = &barrier;
    if (pthread_create (&threads[i], NULL, run_job, &jobs[i]) != 0)
      fail ("cannot start a thread");
  }
  /* Read before the barrier: afterwards a writer may run first. */
  const uint64_t start = wall_ns ();
  pthread_barrier_wait (&barrier);
  for (unsigned i = 0; i < n; i++) {
    pthread_join (threads[i], NULL);
    last = jobs[i].done_at > last ? jobs[i].done_at : last;
    cpu += jobs[i].cpu;
    delay += jobs[i].delay;
  }
  pthread_barrier_destroy (&barrier);

  const double ns = (double) (last - start);
  const double steward = (double) (process_cpu_ns () - process - cpu);
  runs->all[runs->nr++] = ns;
  if ((double) delay <= steward + DELAY * ns)
    runs->quiet[runs->nr_quiet++] = ns;
}

static struct volume *
open_volume (struct pool *pool, const char *name, uint64_t size)
{
  struct volume *volume;
  const int r = volume_open (pool, name, size, &volume, NULL);

  if (r < 0)
    fail ("volume_open: %s", strerror (-r));
  return volume;
}

static void
time_pool (const struct sample *sample, enum way way, struct runs *runs)
{
  const uint64_t bytes = (uint64_t) sample->count * PAGE;
  const struct pool_config config = { .limit = 2 * bytes + (64 << 20) };
  const size_t half = sample->count / 2;
  struct pool *pool;
  int r = pool_create (&config, &pool);

  if (r < 0)
    fail ("pool_create: %s", strerror (-r));
  r = pool_start_steward (pool);
  if (r < 0)
    fail ("pool_start_steward: %s", strerror (-r));

  struct volume *first = open_volume (pool, "first", bytes);
  struct volume *second = open_volume (pool, "second", bytes);
  struct job jobs[2] = {
    { .sample = sample,
      .end = way == ONE ? sample->count : half,
      .volume = first },
    { .sample = sample,
      .first = half,
      .end = sample->count,
      .volume = way == ONE_VOLUME ? first : second,
      .offset = way == ONE_VOLUME ? (uint64_t) half * PAGE : 0 },
  };
  run_jobs (jobs, way == ONE ? 1 : 2, runs);
  pool_stop_steward (pool);
  pool_destroy (pool);
}

static void
time_bare (const struct sample *sample, enum way way, struct bare *bare,
           struct runs *runs)
{
  const size_t half = sample->count / 2;
  struct job jobs[2] = {
    { .sample = sample,
      .end = way == BARE_ONE ? sample->count : half,
      .worker = bare_worker_create (bare, 0) },
    { .sample = sample,
      .first = half,
      .end = sample->count,
      .worker = bare_worker_create (bare, half) },
  };
  run_jobs (jobs, way == BARE_ONE ? 1 : 2, runs);
  bare_worker_free (jobs[0].worker);
  bare_worker_free (jobs[1].worker);
}

/* Not a number: there were too few quiet runs. */
static double
speedup (struct runs *one, struct runs *two)
{
  if (one->nr_quiet < MIN_QUIET || two->nr_quiet < MIN_QUIET)
    return NAN;
  return median (one->quiet, one->nr_quiet) /
         median (two->quiet, two->nr_quiet);
}

static void
report (const char *row, const char *name, struct runs *runs, enum way way)
{
  const double value = speedup (&runs[ONE], &runs[way]);
  const double yardstick = speedup (&runs[BARE_ONE], &runs[BARE_TWO]);
  const bool judge = !isnan (value) && yardstick >= TWO_CPUS;

  finding_begin ("engine", row, name, value, "x", judge ? ">=" : NULL, 1.7);
  finding_number ("yardstick", yardstick);
  finding_number ("disturbed", !judge);
  finding_number ("quiet_runs", (double) runs[way].nr_quiet);
  finding_number ("all_runs", (double) runs[way].nr);
  finding_number ("all_runs_ratio", median (runs[ONE].all, runs[ONE].nr) /
                                        median (runs[way].all, runs[way].nr));
  finding_end ();
}

static size_t
fewest_quiet (const struct runs *runs)
{
  size_t n = SIZE_MAX;

  for (unsigned way = 0; way < NR_WAYS; way++)
    n = runs[way].nr_quiet < n ? runs[way].nr_quiet : n;
  return n;
}

/* Goes on until every way has as many quiet runs as wanted, or the time is
 * over. */
static void
measure_sample (const struct sample *sample, size_t wanted)
{
  struct runs runs[NR_WAYS] = { 0 };
  struct bare *bare = bare_create (sample->count);
  const uint64_t until = wall_ns () + SECONDS * UINT64_C (1000000000);

  for (unsigned round = 0; round < MAX_ROUNDS; round++) {
    if (fewest_quiet (runs) >= wanted || wall_ns () > until)
      break;
    for (unsigned k = 0; k < NR_WAYS; k++) {
      const enum way way = (enum way) ((k + round) % NR_WAYS);

      if (way < BARE_ONE)
        time_pool (sample, way, &runs[way]);
      else
        time_bare (sample, way, bare, &runs[way]);
    }
  }
  bare_free (bare);

  report ("two writers, two volumes", sample->name, runs, TWO_VOLUMES);
  report ("two writers, one volume", sample->name, runs, ONE_VOLUME);
}

int
main (int argc, char *argv[])
{
  size_t rounds = 7, max_pages = 8192;
  int c;

  while ((c = getopt (argc, argv, "r:n:")) != -1) {
    if (c == 'r')
      rounds = strtoul (optarg, NULL, 0);
    else if (c == 'n')
      max_pages = strtoul (optarg, NULL, 0);
    else
      fail ("usage: writers [-r ROUNDS] [-n PAGES] SAMPLE...");
  }
  if (optind == argc || rounds == 0 || rounds > MAX_ROUNDS)
    fail ("usage: writers [-r ROUNDS (1 to 60)] [-n PAGES] SAMPLE...");
  for (int i = optind; i < argc; i++) {
    struct sample sample;

    sample_load (&sample, argv[i], max_pages, SAMPLE_DROP_FILL);
    note ("writers: %s", sample.name);
    measure_sample (&sample, rounds);
    sample_free (&sample);
  }
  return EXIT_SUCCESS;
}
