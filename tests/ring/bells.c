// SPDX-License-Identifier: BSD-3-Clause
/* bells SOCKET: a guest that posts a page, does something else for a while, and
 * posts the next one, so that the server sleeps in between.  Prints
 *
 *   bells POSTS RINGS    rings that the posts took
 *   lone POSTS           pages posted to a server that sleeps, one at a time,
 *                        and waited for
 *   slots POSTS          pages posted at once, more than there are slots
 *
 * Fails when a page was waited for until one of the two looked, as each does
 * once a second: nothing would have ended that wait in time. */

#include <config.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "driver.h"

#define CHECK(condition) DRIVER_CHECK (&driver, condition)

#define BELLS 400u
#define PACE_NS 700000 /* longer than the server ever looks for work */
#define LONE 5u

static struct driver driver;

static void
post (uint64_t page)
{
  uint8_t data[PAGE];

  memset (data, 0, sizeof data);
  memcpy (data, &page, sizeof page);
  CHECK (driver_write (&driver, page % driver.device_pages, data) == 0);
}

static void
pass_time (long ns)
{
  const struct timespec while_away = { .tv_nsec = ns };

  nanosleep (&while_away, NULL);
}

static void
bells (void)
{
  const uint64_t before = driver.rings;

  for (uint64_t page = 0; page < BELLS; ++page) {
    post (page);
    pass_time (PACE_NS);
  }
  printf ("bells %u %llu\n", BELLS,
          (unsigned long long) (driver.rings - before));
  driver_drain (&driver);
}

/* The server has not slept through two of its looks, so that it waits for one
 * post. */
static void
lone (void)
{
  for (uint64_t page = 0; page < LONE; ++page) {
    pass_time (100000000);
    post (page);
    driver_drain (&driver);
  }
  printf ("lone %u\n", LONE);
}

static void
slots (void)
{
  const uint32_t posts = 3 * DRIVER_COUNT (&driver, SLOTS);

  for (uint64_t page = 0; page < posts; ++page)
    post (page);
  driver_drain (&driver);
  printf ("slots %u\n", posts);
}

int
main (int argc, char *argv[])
{
  CHECK (argc == 2);
  CHECK (driver_connect (&driver, argv[1]) == 0);
  CHECK (driver_start (&driver, VMSWAP_RING_FEATURES, 10000) == 0);
  bells ();
  lone ();
  slots ();
  CHECK (driver.late == 0);
  driver_detach (&driver);
  driver_close (&driver);
  return 0;
}
