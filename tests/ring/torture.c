// SPDX-License-Identifier: BSD-3-Clause
/* Random operations of several threads through the ring, against a shadow.
 *
 *   torture SOCKET [threads=N] [ms=N] [seed=N] [pages=N] [features=N] [full=1]
 *           [sessions=N] [spin=NS]
 *
 * Each thread has pages of its own, spread over the volume, its first and last
 * ones included.  full=1: the pool is too small, so writes may be refused, and
 * must be now and then.  Prints what happened, and at the end reads everything
 * once more, in each of so many sessions. */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define MAX_THREADS 16u
#define ROW 32u

/* A page's content follows from this: 0 is zeroes, UINT64_MAX unknown (it was
 * freed with others, or refused half way). */
static uint64_t *shadow;
static uint64_t nr_pages, stride;

static struct {
  uint64_t threads, ms, seed, pages, features, full, sessions, spin;
} option = { .threads = 4,
             .ms = 1500,
             .seed = 1,
             .pages = 3000,
             .features = VMSWAP_RING_FEATURES,
             .sessions = 2 };

static struct driver driver;
static uint64_t end_ns;
static bool was_full;

struct thread {
  pthread_t thread;
  unsigned n;
  uint64_t random;
  uint64_t ops, refused;
};

/* One in four is a fill page, one does not compress, two do. */
static void
make_content (uint64_t value, uint8_t *data)
{
  uint64_t state = value, word = driver_random (&state);

  if (value == 0)
    word = 0;
  if (value % 4 == 0)
    word = (uint32_t) word * UINT64_C (0x100000001);
  for (unsigned i = 0; i < PAGE; i += sizeof word) {
    memcpy (data + i, &word, sizeof word);
    if (value % 4 == 1 || (value % 4 != 0 && i % 128 == 0))
      word = driver_random (&state);
  }
}

/* The page in the volume of page n of the test: rows of ROW neighbours, spread
 * over all of it, and the last. */
static uint64_t
place_of (uint64_t n)
{
  return n == nr_pages - 1 ? driver.device_pages - 1
                           : n / ROW * ROW * stride + n % ROW;
}

/* The n-th page of thread t. */
static uint64_t
own_page (const struct thread *t, uint64_t n)
{
  return (n / ROW * option.threads + t->n) * ROW + n % ROW;
}

static void
check (uint64_t n, const uint8_t *data, int r, enum driver_source from)
{
  static const char *const sources[] = { "a post", "the cache", "the pool" };
  uint8_t wanted[PAGE];

  if (r != 0)
    driver_die (&driver, "page %llu from %s: %s",
                (unsigned long long) place_of (n), sources[from],
                strerror (-r));
  make_content (shadow[n], wanted);
  if (memcmp (data, wanted, PAGE) != 0)
    driver_die (&driver, "page %llu from %s is not what was written",
                (unsigned long long) place_of (n), sources[from]);
}

static void
read_one (uint64_t n)
{
  enum driver_source from;
  uint8_t data[PAGE];
  const int r = driver_read (&driver, place_of (n), data, &from);

  check (n, data, r, from);
}

static void
write_one (struct thread *t, uint64_t n, bool slowly)
{
  const uint64_t value =
      driver_random (&t->random) | 1u << (driver_random (&t->random) % 3);
  uint8_t data[PAGE];
  int r;

  make_content (value, data);
  r = slowly ? driver_write_slowly (&driver, place_of (n), data)
             : driver_write (&driver, place_of (n), data);
  if (r == 0)
    shadow[n] = value;
  else if (r == -ENOSPC && option.full) {
    t->refused++;
    SET (&was_full, true);
  }
  else
    driver_die (&driver, "a write: %s", strerror (-r));
}

static void
drop_one (uint64_t n, bool slowly)
{
  const int r = slowly ? driver_discard (&driver, place_of (n), 1)
                       : driver_free (&driver, place_of (n), 1);

  if (r != 0)
    driver_die (&driver, "a free: %s", strerror (-r));
  shadow[n] = 0;
}

/* A row, as swap-in of a whole process has it. */
static void
read_row (struct thread *t, uint64_t n)
{
  for (unsigned i = 0; i < ROW; ++i)
    read_one (own_page (t, n / ROW * ROW + i));
  t->ops += ROW;
}

/* A pool that is to be full gets the time it takes. */
static bool
goes_on (void)
{
  const uint64_t now = driver_now_ns ();

  return now < end_ns || (option.full && !RELAXED (&was_full) &&
                          now < end_ns + UINT64_C (60000000000));
}

static void *
run (void *opaque)
{
  struct thread *t = opaque;
  const uint64_t own = nr_pages / option.threads;

  while (goes_on ()) {
    const uint64_t what = driver_random (&t->random) % 100;
    const uint64_t i = driver_random (&t->random) % own, n = own_page (t, i);

    t->ops++;
    if (what < 40)
      write_one (t, n, false);
    else if (what < 44)
      write_one (t, n, true);
    else if (what < 78)
      read_one (n);
    else if (what < 82)
      read_row (t, i);
    else if (what < 94)
      drop_one (n, false);
    else
      drop_one (n, true);
  }
  return NULL;
}

static void
parse (int argc, char *argv[])
{
  const struct {
    const char *key;
    uint64_t *value;
  } keys[] = {
    { "threads=", &option.threads },   { "ms=", &option.ms },
    { "seed=", &option.seed },         { "pages=", &option.pages },
    { "features=", &option.features }, { "full=", &option.full },
    { "sessions=", &option.sessions }, { "spin=", &option.spin },
  };

  for (int i = 2; i < argc; ++i)
    for (unsigned k = 0; k < sizeof keys / sizeof keys[0]; ++k)
      if (strncmp (argv[i], keys[k].key, strlen (keys[k].key)) == 0)
        *keys[k].value = strtoull (argv[i] + strlen (keys[k].key), NULL, 0);
  if (argc < 2 || option.threads == 0 || option.threads > MAX_THREADS) {
    fprintf (stderr, "usage: torture SOCKET [threads=N] ...\n");
    exit (2);
  }
}

static void
start (void)
{
  const int r = driver_start (&driver, option.features, 10000);

  if (r != 0)
    driver_die (&driver, "no session: %s", strerror (-r));
  driver.spin_ns = (unsigned) option.spin;
}

static void
run_threads (void)
{
  struct thread threads[MAX_THREADS] = { 0 };
  uint64_t ops = 0, refused = 0;

  end_ns = driver_now_ns () + option.ms * UINT64_C (1000000);
  for (unsigned i = 0; i < option.threads; ++i) {
    threads[i].n = i;
    threads[i].random = option.seed * 1000 + i;
    if (pthread_create (&threads[i].thread, NULL, run, &threads[i]) != 0)
      driver_die (&driver, "no thread");
  }
  for (unsigned i = 0; i < option.threads; ++i) {
    pthread_join (threads[i].thread, NULL);
    ops += threads[i].ops;
    refused += threads[i].refused;
  }
  printf ("ops %llu, refused %llu, ", (unsigned long long) ops,
          (unsigned long long) refused);
  if (option.full && refused == 0)
    driver_die (&driver, "the pool was never full");
}

static void
report (void)
{
  printf (
      "posts %llu, reads from posts %llu, cache %llu, pool %llu; rang "
      "%llu, interrupts %llu, resyncs %llu, late %llu\n",
      (unsigned long long) driver.posts,
      (unsigned long long) driver.reads[FROM_POST],
      (unsigned long long) driver.reads[FROM_CACHE],
      (unsigned long long) driver.reads[FROM_POOL],
      (unsigned long long) driver.rings, (unsigned long long) driver.interrupts,
      (unsigned long long) driver.resyncs, (unsigned long long) driver.late);
}

int
main (int argc, char *argv[])
{
  int r;

  parse (argc, argv);
  setvbuf (stdout, NULL, _IOLBF, 0);
  r = driver_connect (&driver, argv[1]);
  if (r != 0) {
    fprintf (stderr, "%s: %s\n", argv[1], strerror (-r));
    return 3;
  }
  start ();
  nr_pages = option.pages / (ROW * option.threads) * ROW * option.threads;
  stride = driver.device_pages / nr_pages;
  if (stride == 0)
    driver_die (&driver, "the volume is too small for this");
  shadow = calloc (nr_pages, sizeof *shadow);
  if (shadow == NULL)
    return 2;
  if (driver_free (&driver, 0, (uint32_t) driver.device_pages) != 0)
    driver_die (&driver, "no free of it all");
  run_threads ();
  report ();
  if (driver.late != 0)
    driver_die (&driver, "a notification was lost");
  for (uint64_t s = 0; s < option.sessions; ++s) {
    for (uint64_t n = 0; n < nr_pages; ++n)
      read_one (n);
    if (s % 2 == 0)
      driver_detach (&driver);
    else
      driver_forget (&driver);
    start ();
  }
  if (driver.header->bad_posts != 0 || driver.header->lost_posts != 0)
    driver_die (&driver, "the server dropped posts, or lost some");
  driver_detach (&driver);
  driver_close (&driver);
  free (shadow);
  return 0;
}
