// SPDX-License-Identifier: BSD-3-Clause
/* restart SOCKET MIN_RESYNCS [SEED]: posts, reads, frees and requests of four
 * threads, against a shadow, while the server is killed and started again by
 * somebody else, until it has been MIN_RESYNCS times (or it takes five
 * minutes), and then a look at everything.
 *
 * The guest knows nothing of a restart but what the region says. */

#include <config.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

#define THREADS 4u
#define PAGES 6000u /* not all of them fit into the slots */
#define PATIENCE_NS (UINT64_C (300) * 1000000000)

static struct driver driver;
static uint64_t shadow[PAGES], min_resyncs, end_ns;

static void
make (uint64_t value, uint8_t *data)
{
  uint64_t s = value;

  memset (data, 0, PAGE);
  for (unsigned i = 0; value != 0 && i < PAGE; i += sizeof s) {
    const uint64_t word = value % 3 ? driver_random (&s) : value;

    memcpy (data + i, &word, sizeof word);
  }
}

static void
check (uint64_t page)
{
  uint8_t data[PAGE], wanted[PAGE];
  enum driver_source from = FROM_POOL;
  const int r = driver_read (&driver, page, data, &from);

  make (shadow[page], wanted);
  if (r != 0 || memcmp (data, wanted, PAGE) != 0)
    driver_die (&driver, "page %llu from %d: %s", (unsigned long long) page,
                (int) from, r ? strerror (-r) : "it is not what was written");
}

static void
change (uint64_t page, uint64_t what, uint64_t value)
{
  uint8_t data[PAGE];
  int r;

  make (value, data);
  if (what < 60)
    r = driver_write (&driver, page, data);
  else if (what < 65)
    r = driver_write_slowly (&driver, page, data);
  else {
    value = 0;
    r = what < 72 ? driver_free (&driver, page, 1)
                  : driver_discard (&driver, page, 1);
  }
  if (r != 0)
    driver_die (&driver, "a change: %s", strerror (-r));
  shadow[page] = value;
}

static bool
goes_on (void)
{
  const uint64_t now = driver_now_ns ();

  if (now > end_ns)
    driver_die (&driver, "only %llu servers came in time",
                (unsigned long long) driver.resyncs);
  return RELAXED (&driver.resyncs) < min_resyncs;
}

static void *
run (void *opaque)
{
  uint64_t s = (uint64_t) (uintptr_t) opaque;
  const uint64_t n = s % THREADS;

  while (goes_on ()) {
    const uint64_t page = driver_random (&s) % (PAGES / THREADS) * THREADS + n;
    const uint64_t what = driver_random (&s) % 100;

    if (what < 75)
      change (page, what, driver_random (&s) | 1);
    else
      check (page);
  }
  return NULL;
}

int
main (int argc, char *argv[])
{
  const uint64_t seed = argc > 3 ? strtoull (argv[3], NULL, 0) : 1;
  pthread_t threads[THREADS];

  if (argc < 3 || driver_connect (&driver, argv[1]) != 0 ||
      driver_start (&driver, VMSWAP_RING_FEATURES, 10000) != 0)
    return 3;
  /* The swap header, too. */
  if (driver_free (&driver, 0, (uint32_t) driver.device_pages) != 0)
    return 2;
  min_resyncs = strtoull (argv[2], NULL, 0);
  end_ns = driver_now_ns () + PATIENCE_NS;
  for (unsigned i = 0; i < THREADS; ++i)
    if (pthread_create (&threads[i], NULL, run,
                        (void *) (uintptr_t) (seed * THREADS + i)) != 0)
      return 2;
  for (unsigned i = 0; i < THREADS; ++i)
    pthread_join (threads[i], NULL);
  driver_drain (&driver);
  for (uint64_t page = 0; page < PAGES; ++page)
    check (page);
  printf ("%llu servers, %llu posts, %llu requests, quiesced %llu times\n",
          (unsigned long long) driver.resyncs + 1,
          (unsigned long long) driver.posts,
          (unsigned long long) driver.requests,
          (unsigned long long) driver.quiesces);
  if (driver.header->bad_posts != 0 || driver.header->lost_posts != 0)
    driver_die (&driver, "posts were dropped, or lost");
  driver_detach (&driver);
  driver_close (&driver);
  return 0;
}
