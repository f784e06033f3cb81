// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl check: is the pool in a state directory sound?
 *
 * The image is adopted in private memory (look_only), so nothing in the
 * directory changes.  Then all CPUs read all pages of all volumes, each taking
 * the next piece, and at the end the invariants of the pool are checked. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "human.h"
#include "image.h"
#include "lowest.h"
#include "options.h"
#include "pool.h"

/* What a thread takes at a time.  A multiple of what a leaf of a page table
 * covers (2 MiB), and long enough to skip what is empty. */
#define PIECE (UINT64_C (16) << 20)
#define MAX_THREADS 32

struct verdict {
  struct volume *volume;
  struct lowest damaged; /* page numbers */
};

struct check {
  struct pool *pool;
  struct verdict *verdict;
  unsigned nr_volumes;
  double seconds;
  unsigned nr_threads;

  pthread_mutex_t lock; /* what the threads share, from here on */
  unsigned volume;      /* the next piece is of this one */
  uint64_t offset;      /* and starts here */
};

/* A thread, and the volume it reads at the moment. */
struct reader {
  struct check *check;
  struct verdict *verdict;
};

static int
add_volume (struct volume *volume, void *opaque)
{
  struct check *check = opaque;

  check->verdict[check->nr_volumes++].volume = volume;
  return 0;
}

static int
note_damage (void *opaque, uint64_t page)
{
  struct reader *reader = opaque;

  pthread_mutex_lock (&reader->check->lock);
  lowest_add (&reader->verdict->damaged, page);
  pthread_mutex_unlock (&reader->check->lock);
  return 0;
}

/* The next piece to read.  NULL: there is none. */
static struct verdict *
take_piece (struct check *check, uint64_t *offset, uint64_t *length)
{
  struct verdict *verdict = NULL;

  pthread_mutex_lock (&check->lock);
  if (check->volume < check->nr_volumes) {
    verdict = &check->verdict[check->volume];
    const uint64_t left = volume_size (verdict->volume) - check->offset;

    *offset = check->offset;
    *length = left < PIECE ? left : PIECE;
    check->offset += *length;
    if (*length == left) {
      check->volume++;
      check->offset = 0;
    }
  }
  pthread_mutex_unlock (&check->lock);
  return verdict;
}

static void *
read_pieces (void *opaque)
{
  struct reader reader = { .check = opaque };
  uint64_t offset, length;

  while ((reader.verdict = take_piece (reader.check, &offset, &length)) != NULL)
    volume_verify (reader.verdict->volume, length, offset, note_damage,
                   &reader);
  return NULL;
}

static double
now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static void
read_all (struct check *check)
{
  const long cpus = sysconf (_SC_NPROCESSORS_ONLN);
  pthread_t thread[MAX_THREADS];
  const double start = now ();
  unsigned n = 0;

  while (n + 1 < cpus && n < MAX_THREADS &&
         pthread_create (&thread[n], NULL, read_pieces, check) == 0)
    n++;
  read_pieces (check);
  check->nr_threads = n + 1;
  while (n > 0)
    pthread_join (thread[--n], NULL);
  check->seconds = now () - start;
}

static void
print_row (const char *name, const struct volume_stats *stats, uint64_t damaged)
{
  struct human size, blobs;

  printf ("%-20s %8s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64
          " %8s %10" PRIu64 " %10" PRIu64 "\n",
          name, human_size (&size, stats->size), stats->blob_pages,
          stats->cold_pages, stats->shared_pages, stats->fill_pages,
          human_size (&blobs, stats->blob_bytes), stats->lost_pages, damaged);
}

static void
print_listed (const struct lowest *damaged)
{
  if (damaged->count == 0)
    return;
  printf ("  damaged pages:");
  for (unsigned i = 0; i < lowest_kept (damaged); ++i)
    printf (" %" PRIu64, damaged->kept[i]);
  puts (damaged->count > lowest_kept (damaged) ? " ..." : "");
}

static void
add_stats (struct volume_stats *sum, const struct volume_stats *stats)
{
  sum->size += stats->size;
  sum->stored_pages += stats->stored_pages;
  sum->blob_pages += stats->blob_pages;
  sum->cold_pages += stats->cold_pages;
  sum->shared_pages += stats->shared_pages;
  sum->fill_pages += stats->fill_pages;
  sum->lost_pages += stats->lost_pages;
  sum->blob_bytes += stats->blob_bytes;
}

static void
print_pool (struct pool *pool)
{
  struct pool_stats stats;
  struct human limit, used;

  pool_get_stats (pool, &stats);
  printf ("pool %016" PRIx64 ", limit %s, in use %s\n", pool_identity (pool),
          human_size (&limit, stats.limit), human_size (&used, stats.used));
}

/* Returns the number of damaged pages. */
static uint64_t
print_table (struct check *check, struct volume_stats *sum)
{
  struct pool_stats pool;
  uint64_t damaged = 0;

  printf ("%-20s %8s %10s %10s %10s %10s %8s %10s %10s\n", "volume", "size",
          "pages", "cold", "shared", "fill", "stored", "lost", "damaged");
  for (unsigned i = 0; i < check->nr_volumes; ++i) {
    const struct verdict *verdict = &check->verdict[i];
    struct volume_stats stats;

    volume_get_stats (verdict->volume, &stats);
    stats.lost_pages = volume_count_lost (verdict->volume);
    print_row (volume_name (verdict->volume), &stats, verdict->damaged.count);
    print_listed (&verdict->damaged);
    add_stats (sum, &stats);
    damaged += verdict->damaged.count;
  }
  /* What they share is no volume's own. */
  pool_get_stats (check->pool, &pool);
  sum->blob_bytes += pool.shared_blob_bytes;
  print_row ("all", sum, damaged);
  return damaged;
}

static void
print_speed (const struct check *check, uint64_t pages)
{
  struct human size;
  const double bytes = (double) pages * POOL_PAGE_SIZE;

  printf ("%s verified in %.1f s", human_size (&size, pages * POOL_PAGE_SIZE),
          check->seconds);
  if (check->seconds > 0.05)
    printf (", %.2f GiB/s", bytes / (1 << 30) / check->seconds);
  printf (", %u thread%s\n", check->nr_threads,
          check->nr_threads == 1 ? "" : "s");
}

static int
judge (struct check *check, const char *dir)
{
  struct volume_stats sum = { 0 };
  char report[256];
  int err;

  read_all (check);
  err = pool_check (check->pool, false, report, sizeof report);
  if (err == -ENOMEM) {
    complain ("%s: %s", dir, strerror (-err));
    return EXIT_CANNOT;
  }
  print_pool (check->pool);
  const uint64_t damaged = print_table (check, &sum);

  print_speed (check, sum.stored_pages);
  if (err)
    complain ("%s: %s", dir, report);
  if (damaged)
    complain ("%s: %" PRIu64 " damaged pages: a server serves the others; "
              "these read as errors until the guest writes or discards them "
              "(restart that guest, then swapoff and mkswap there)",
              dir, damaged);
  else if (err)
    complain ("%s: the pages are sound, what the pool knows of them is not: "
              "move the image away to start empty, and restart the guests",
              dir);
  else
    printf ("%s is sound\n", dir);
  return damaged || err ? EXIT_DAMAGED : EXIT_SOUND;
}

int
command_check (int argc, char **argv)
{
  struct check check = { .lock = PTHREAD_MUTEX_INITIALIZER };
  int status, err;

  if (options_none (argc, argv) != -1 || argc - optind != 1)
    return usage_of (argv[0]);
  const char *dir = argv[optind];

  err = image_look (dir, &check.pool);
  if (err)
    return err == -EUCLEAN   ? EXIT_DAMAGED
           : err == -ENODATA ? EXIT_SOUND
                             : EXIT_CANNOT;
  check.verdict = calloc (POOL_MAX_VOLUMES, sizeof *check.verdict);
  if (check.verdict) {
    volume_each (check.pool, add_volume, &check);
    status = judge (&check, dir);
    free (check.verdict);
  }
  else {
    complain ("%s", strerror (errno));
    status = EXIT_CANNOT;
  }
  pool_destroy (check.pool);
  return status;
}
