// SPDX-License-Identifier: BSD-3-Clause
/* churn: several writers overwrite a nearly full pool at random, and each write
 * is timed.
 *
 * A pool is filled until its live blobs are 95 % of what it can hold
 * (pool_stats.capacity), then every page is overwritten ten times on average,
 * while its steward runs.  In a row, *arena in use* is the segments that hold
 * memory and are not free (segment_bytes - free_bytes); *live* are the blobs
 * with headers and padding (blob_bytes).
 *
 * A write's time is parted in three: CPU of its thread, waiting for a CPU
 * (schedstat), and the rest: waiting for somebody, a lock or a sleep.  What is
 * not waiting for a CPU is *its own*, and judged.  A thread of the yardstick
 * (bare.h), which needs nobody, is timed beside the writers: what it suffers is
 * the machine's.
 *
 * Threads: each writer has pages of its own, so `content` of the store needs no
 * lock. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bare.h"
#include "store.h"

#define FILL 0.95 /* of the capacity */
#define PASSES 10
#define MAX_WRITERS 16
#define RUN 512              /* pages: 2 MiB */
#define SLOW 5e6             /* ns */
#define BARE_PAGES 4096      /* of the yardstick */
#define MAX_TIMES (4u << 20) /* of the yardstick */
#define SETTLE_SECONDS 30
#define QUIET 0.10 /* share of all CPUs that others may use, for a verdict */

/* What a thread measured of each of its writes, in nanoseconds. */
struct times {
  float *wall, *cpu, *own;
  size_t n, max;
  int schedstat;
  uint64_t delay; /* at the end of the last write */
};

struct writer {
  struct churn *churn;
  pthread_t thread;
  struct dice dice;
  unsigned number;
  size_t refused_tight, refused_early, no_memory;
  uint64_t cpu;
  struct times times;
};

struct churn {
  struct store store;
  size_t filled, run, nr_writers;
  struct writer writers[MAX_WRITERS];
  pthread_barrier_t barrier;
  _Atomic size_t done;    /* writes, of all */
  _Atomic int64_t growth; /* of the live bytes, since the pool was filled */
  atomic_bool over;

  double others; /* share of all CPUs that other processes used */

  struct bare_worker *worker; /* the yardstick */
  struct times bare;
  uint64_t bare_cpu;
};

/* Of live / arena in use. */
struct shares {
  double sum, least;
  size_t n;
};

/* ---- Times */

static void
times_init (struct times *times, size_t max)
{
  *times = (struct times){
    .wall = calloc (max, sizeof (float)),
    .cpu = calloc (max, sizeof (float)),
    .own = calloc (max, sizeof (float)),
    .max = max,
  };
  if (!times->wall || !times->cpu || !times->own)
    fail ("no memory for %zu times", max);
}

static void
times_free (struct times *times)
{
  free (times->wall);
  free (times->cpu);
  free (times->own);
}

/* Nanoseconds that the calling thread has waited for a CPU. */
static uint64_t
delay_now (const struct times *times)
{
  char text[96];
  const ssize_t n = pread (times->schedstat, text, sizeof text - 1, 0);
  const char *second;

  if (n <= 0)
    fail ("/proc/thread-self/schedstat: %s", strerror (errno));
  text[n] = '\0';
  second = strchr (text, ' ');
  return second ? strtoull (second, NULL, 10) : 0;
}

/* In the thread that is timed. */
static void
times_begin (struct times *times)
{
  times->schedstat = open ("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
  if (times->schedstat == -1)
    fail ("/proc/thread-self/schedstat: %s", strerror (errno));
  times->delay = delay_now (times);
}

/* What happens between two writes counts for the second: next to nothing. */
static void
times_add (struct times *times, uint64_t wall, uint64_t cpu)
{
  const uint64_t now_wall = wall_ns (), now_cpu = thread_cpu_ns ();
  const uint64_t delay = delay_now (times);
  const double own =
      (double) (now_wall - wall) - (double) (delay - times->delay);

  times->delay = delay;
  if (times->n == times->max)
    return;
  times->wall[times->n] = (float) (now_wall - wall);
  times->cpu[times->n] = (float) (now_cpu - cpu);
  times->own[times->n++] = own > 0 ? (float) own : 0;
}

static double *
times_of_all (const struct churn *churn, size_t offset, size_t *n)
{
  double *all;

  *n = 0;
  for (size_t i = 0; i < churn->nr_writers; i++)
    *n += churn->writers[i].times.n;
  all = calloc (*n, sizeof *all);
  if (!all)
    fail ("no memory for %zu times", *n);
  *n = 0;
  for (size_t i = 0; i < churn->nr_writers; i++) {
    const struct times *times = &churn->writers[i].times;
    float *const *values = (float *const *) ((const char *) times + offset);

    for (size_t k = 0; k < times->n; k++)
      all[(*n)++] = (double) (*values)[k];
  }
  return all;
}

/* Sorts values. */
static size_t
how_many_slow (double *values, size_t n)
{
  size_t slow = 0;

  while (slow < n && values[n - 1 - slow] > SLOW)
    slow++;
  return slow;
}

/* ---- The work */

/* Why was it refused?  That the pool is full is in order; that it did not find
 * the room it has is not. */
static void
note_refusal (struct writer *writer, int err)
{
  struct pool_stats stats;

  pool_get_stats (writer->churn->store.pool, &stats);
  if (err == -ENOMEM)
    writer->no_memory++;
  else if (stats.blob_bytes >= stats.capacity)
    writer->refused_tight++;
  else
    writer->refused_early++;
}

static int64_t
stored_bytes (const struct store *store, size_t from, size_t n)
{
  int64_t sum = 0;

  for (size_t i = 0; i < n; i++)
    sum += store->sample->stored[from + i];
  return sum;
}

static void
write_page (struct writer *writer, size_t page, size_t from)
{
  struct store *store = &writer->churn->store;
  const uint8_t *data = sample_page (store->sample, from);
  const uint64_t wall = wall_ns (), cpu = thread_cpu_ns ();
  const int r =
      volume_write (store->volume, data, PAGE, (uint64_t) page * PAGE);

  times_add (&writer->times, wall, cpu);
  atomic_fetch_add_explicit (&writer->churn->done, 1, memory_order_relaxed);
  if (r == 0) {
    atomic_fetch_add_explicit (
        &writer->churn->growth,
        stored_bytes (store, from, 1) -
            stored_bytes (store, store->content[page], 1),
        memory_order_relaxed);
    store->content[page] = (uint32_t) from;
  }
  else if (r == -ENOSPC || r == -ENOMEM)
    note_refusal (writer, r);
  else
    fail ("volume_write: %s", strerror (-r));
}

/* A run of the pages that filled the pool, and of two such the one that keeps
 * the live bytes where they were. */
static size_t
pick_source (struct writer *writer)
{
  struct churn *churn = writer->churn;
  const size_t count = churn->store.sample->count;
  const size_t sources = churn->filled < count ? churn->filled : count;
  const size_t a = dice_roll (&writer->dice, sources - churn->run + 1);
  const size_t b = dice_roll (&writer->dice, sources - churn->run + 1);
  const bool a_is_less = stored_bytes (&churn->store, a, churn->run) <
                         stored_bytes (&churn->store, b, churn->run);

  return (atomic_load (&churn->growth) > 0) == a_is_less ? a : b;
}

/* Overwrites this writer's runs (every nr_writers-th), each PASSES times on
 * average. */
static void *
write_all (void *opaque)
{
  struct writer *writer = opaque;
  struct churn *churn = writer->churn;
  const size_t run = churn->run;
  const size_t runs = churn->filled / run / churn->nr_writers;

  times_begin (&writer->times);
  pthread_barrier_wait (&churn->barrier);
  const uint64_t cpu = thread_cpu_ns ();
  for (size_t n = 0; n < PASSES * runs; n++) {
    const size_t mine = dice_roll (&writer->dice, runs);
    const size_t first = (mine * churn->nr_writers + writer->number) * run;
    const size_t from = pick_source (writer);

    for (size_t k = 0; k < run; k++)
      write_page (writer, first + k, from + k);
  }
  writer->cpu = thread_cpu_ns () - cpu;
  close (writer->times.schedstat);
  return NULL;
}

/* The yardstick works as long as the writers do. */
static void *
write_bare (void *opaque)
{
  struct churn *churn = opaque;
  const struct sample *sample = churn->store.sample;

  times_begin (&churn->bare);
  pthread_barrier_wait (&churn->barrier);
  const uint64_t cpu = thread_cpu_ns ();
  for (size_t n = 0; !atomic_load (&churn->over); n++) {
    const uint64_t wall = wall_ns (), own = thread_cpu_ns ();

    if (n % BARE_PAGES == 0)
      bare_worker_rewind (churn->worker);
    bare_write (churn->worker, n % BARE_PAGES,
                sample_page (sample, n * 7 % sample->count));
    times_add (&churn->bare, wall, own);
  }
  churn->bare_cpu = thread_cpu_ns () - cpu;
  close (churn->bare.schedstat);
  return NULL;
}

/* ---- The pool */

static double
share_of (const struct pool_stats *stats)
{
  return (double) stats->blob_bytes /
         (double) (stats->segment_bytes - stats->free_bytes);
}

/* Looks at the pool from the start of the last pass on, until all is written.
 */
static struct shares
watch (struct churn *churn, size_t writes)
{
  const struct timespec slice = { .tv_nsec = 10 * 1000 * 1000 };
  struct shares shares = { .least = 1 };
  struct pool_stats stats;
  size_t done;

  while ((done = atomic_load (&churn->done)) < writes) {
    nanosleep (&slice, NULL);
    if (done < writes / PASSES * (PASSES - 1))
      continue;
    pool_get_stats (churn->store.pool, &stats);
    const double share = share_of (&stats);
    shares.sum += share;
    shares.n++;
    if (share < shares.least)
      shares.least = share;
  }
  return shares;
}

static void
fill (struct churn *churn)
{
  const size_t n = store_fill (&churn->store, FILL);

  churn->filled = n - n % (churn->run * churn->nr_writers);
}

/* Nanoseconds that all CPUs together were not idle; a hypervisor's share, too.
 */
static double
busy_ns (void)
{
  unsigned long long user, nice, system, idle, iowait, irq, softirq, steal;
  FILE *fp = fopen ("/proc/stat", "re");

  if (!fp ||
      fscanf (fp, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
              &system, &idle, &iowait, &irq, &softirq, &steal) != 8)
    fail ("/proc/stat tells nothing");
  fclose (fp);
  return (double) (user + nice + system + irq + softirq + steal) * 1e9 /
         (double) sysconf (_SC_CLK_TCK);
}

static struct shares
work (struct churn *churn)
{
  const size_t writes = PASSES * churn->filled;
  struct shares shares;
  pthread_t bare;

  pthread_barrier_init (&churn->barrier, NULL,
                        (unsigned) churn->nr_writers + 2);
  if (pthread_create (&bare, NULL, write_bare, churn) != 0)
    fail ("cannot start a thread");
  for (unsigned i = 0; i < churn->nr_writers; i++) {
    struct writer *writer = &churn->writers[i];

    *writer = (struct writer){ .churn = churn, .number = i };
    times_init (&writer->times, writes / churn->nr_writers);
    dice_init (&writer->dice, 100 * churn->run + i);
    if (pthread_create (&writer->thread, NULL, write_all, writer) != 0)
      fail ("cannot start a thread");
  }
  pthread_barrier_wait (&churn->barrier);
  shares = watch (churn, writes);
  for (unsigned i = 0; i < churn->nr_writers; i++)
    pthread_join (churn->writers[i].thread, NULL);
  atomic_store (&churn->over, true);
  pthread_join (bare, NULL);
  pthread_barrier_destroy (&churn->barrier);
  return shares;
}

/* ---- What is told */

static void
row_begin (const struct churn *churn, const char *what, double value,
           const char *unit, const char *sense, double target)
{
  char row[96], pool[32];

  snprintf (row, sizeof row, "%s: %s",
            churn->run == 1 ? "single pages" : "2 MiB runs", what);
  snprintf (pool, sizeof pool, "%.0f MiB",
            (double) churn->store.limit / (1 << 20));
  finding_begin ("churn", row, pool, value, unit, sense, target);
}

static void
report_shares (struct churn *churn, const struct shares *shares)
{
  struct pool_stats busy, rest;

  pool_get_stats (churn->store.pool, &busy);
  const double seconds = store_settle (&churn->store, SETTLE_SECONDS);
  pool_get_stats (churn->store.pool, &rest);

  row_begin (churn, "live of the arena in use, in the last pass",
             100 * shares->sum / (double) shares->n, "%", NULL, 0);
  finding_number ("least", 100 * shares->least);
  /* If nothing but live blobs and tables were kept out of the limit. */
  finding_number ("live_of_limit",
                  100 * (double) busy.blob_bytes / (double) busy.limit);
  finding_number ("live_of_capacity",
                  100 * (double) busy.blob_bytes / (double) busy.capacity);
  finding_number ("samples", (double) shares->n);
  finding_end ();

  row_begin (churn, "live of the arena in use, at rest", 100 * share_of (&rest),
             "%", ">=", 92);
  finding_number ("settle_seconds", seconds);
  finding_number ("live_of_used",
                  100 * (double) rest.blob_bytes / (double) rest.used);
  finding_number ("blob_bytes", (double) rest.blob_bytes);
  finding_number ("segment_bytes", (double) rest.segment_bytes);
  finding_number ("free_bytes", (double) rest.free_bytes);
  finding_end ();
}

static void
report_refusals (const struct churn *churn)
{
  size_t tight = 0, early = 0, memory = 0;

  for (size_t i = 0; i < churn->nr_writers; i++) {
    tight += churn->writers[i].refused_tight;
    early += churn->writers[i].refused_early;
    memory += churn->writers[i].no_memory;
  }
  row_begin (churn, "writes refused", (double) (tight + early + memory),
             "writes", "<=", 0);
  finding_number ("refused_at_capacity", (double) tight);
  finding_number ("refused_below_capacity", (double) early);
  finding_number ("no_memory", (double) memory);
  finding_end ();
}

/* Sorts values. */
static void
percentiles (const char *prefix, double *values, size_t n)
{
  static const struct {
    const char *name;
    double percent;
  } wanted[] = {
    { "p50_us", 50 }, { "p99_us", 99 }, { "p999_us", 99.9 }, { "max_us", 100 }
  };
  char key[48];

  for (unsigned i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    snprintf (key, sizeof key, "%s_%s", prefix, wanted[i].name);
    finding_number (key, percentile (values, n, wanted[i].percent) / 1000);
  }
  snprintf (key, sizeof key, "%s_over_5_ms", prefix);
  finding_number (key, (double) how_many_slow (values, n));
}

static void
bare_percentiles (const char *prefix, const float *from, size_t n)
{
  double *values = calloc (n, sizeof *values);

  if (!values)
    fail ("no memory for %zu times", n);
  for (size_t i = 0; i < n; i++)
    values[i] = (double) from[i];
  percentiles (prefix, values, n);
  free (values);
}

static void
report_waits (const struct churn *churn)
{
  size_t n;
  double *own = times_of_all (churn, offsetof (struct times, own), &n);
  double *wall = times_of_all (churn, offsetof (struct times, wall), &n);
  double *cpu = times_of_all (churn, offsetof (struct times, cpu), &n);
  const bool quiet = churn->others < QUIET;

  row_begin (churn, "longest write, waits for a CPU left out",
             percentile (own, n, 100) / 1e6, "ms", quiet ? "<=" : NULL,
             SLOW / 1e6);
  finding_number ("disturbed", !quiet);
  finding_number ("others_percent", 100 * churn->others);
  finding_number ("writes", (double) n);
  finding_number ("writers", (double) churn->nr_writers);
  percentiles ("own", own, n);
  percentiles ("wall", wall, n);
  percentiles ("cpu", cpu, n);
  bare_percentiles ("yardstick_wall", churn->bare.wall, churn->bare.n);
  bare_percentiles ("yardstick_own", churn->bare.own, churn->bare.n);
  finding_end ();
  free (own);
  free (wall);
  free (cpu);
}

static void
report_cost (const struct churn *churn, const struct pool_stats *before,
             uint64_t cpu, uint64_t wall)
{
  const double writes = (double) (PASSES * churn->filled);
  const double blob = (double) before->blob_bytes / (double) before->blob_pages;
  struct pool_stats after;
  uint64_t writers = 0;

  for (size_t i = 0; i < churn->nr_writers; i++)
    writers += churn->writers[i].cpu;
  pool_get_stats (churn->store.pool, &after);
  row_begin (churn, "B moved a B written",
             (double) (after.bytes_moved - before->bytes_moved) /
                 (blob * writes),
             "B", NULL, 0);
  finding_number ("writers_cpu_us", (double) writers / writes / 1000);
  finding_number ("steward_cpu_us",
                  (double) (cpu - writers - churn->bare_cpu) / writes / 1000);
  finding_number ("seconds", (double) wall / 1e9);
  finding_number ("segments_rescued", (double) after.segments_rescued);
  finding_end ();
}

static void
measure (const struct sample *sample, uint64_t limit, size_t run,
         size_t nr_writers, struct bare_worker *worker)
{
  struct churn churn = { .run = run,
                         .nr_writers = nr_writers,
                         .worker = worker };
  struct pool_stats before;

  note ("churn: a pool of %.0f MiB, in %s", (double) limit / (1 << 20),
        run == 1 ? "single pages" : "runs of 2 MiB");
  /* More pages than any such pool can hold. */
  store_open (&churn.store, sample, limit / 256, limit);
  times_init (&churn.bare, MAX_TIMES);
  fill (&churn);
  pool_get_stats (churn.store.pool, &before);
  const double busy = busy_ns ();
  const uint64_t wall = wall_ns (), cpu = process_cpu_ns ();
  const struct shares shares = work (&churn);
  const uint64_t spent = process_cpu_ns () - cpu, took = wall_ns () - wall;
  churn.others = (busy_ns () - busy - (double) spent) / (double) took /
                 (double) sysconf (_SC_NPROCESSORS_ONLN);
  report_cost (&churn, &before, spent, took);
  report_shares (&churn, &shares);
  report_refusals (&churn);
  report_waits (&churn);
  store_verify (&churn.store);
  for (size_t i = 0; i < nr_writers; i++)
    times_free (&churn.writers[i].times);
  times_free (&churn.bare);
  store_close (&churn.store);
}

static void
usage (void)
{
  fail ("usage: churn [-n PAGES] [-p MIB]... [-w WRITERS (1 to %d)] SAMPLE...",
        MAX_WRITERS);
}

int
main (int argc, char *argv[])
{
  struct sample all;
  uint64_t limits[8];
  size_t nr_limits = 0, max_pages = 24576, nr_writers = 4;
  int c;

  while ((c = getopt (argc, argv, "n:p:w:")) != -1) {
    if (c == 'n')
      max_pages = strtoul (optarg, NULL, 0);
    else if (c == 'p' && nr_limits < sizeof limits / sizeof limits[0])
      limits[nr_limits++] = strtoull (optarg, NULL, 0) << 20;
    else if (c == 'w')
      nr_writers = strtoul (optarg, NULL, 0);
    else
      usage ();
  }
  if (nr_limits == 0) {
    limits[nr_limits++] = UINT64_C (96) << 20;
    limits[nr_limits++] = UINT64_C (512) << 20;
  }
  if (optind == argc || nr_writers == 0 || nr_writers > MAX_WRITERS)
    usage ();
  sample_load_mix (&all, argv + optind, (size_t) (argc - optind), max_pages,
                   SAMPLE_DROP_FILL);
  struct bare *bare = bare_create (BARE_PAGES);
  struct bare_worker *worker = bare_worker_create (bare, 0);
  for (size_t i = 0; i < nr_limits; i++) {
    measure (&all, limits[i], 1, nr_writers, worker);
    measure (&all, limits[i], RUN, nr_writers, worker);
  }
  bare_worker_free (worker);
  bare_free (bare);
  return EXIT_SUCCESS;
}
