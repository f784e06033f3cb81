// SPDX-License-Identifier: BSD-3-Clause
/* paced SOCKET: a guest that asks for something, is busy for a while, and asks
 * again: sooner than a server that looks for work goes to sleep, and later than
 * one that does not look.  Prints
 *
 *   paced REQUESTS RINGS    how often it had to ring */

#include <config.h>

#include <stdio.h>

#include "driver.h"

#define CHECK(condition) DRIVER_CHECK (&driver, condition)

#define REQUESTS 2000u
#define PACE_NS 80000 /* less than WINDOW_MAX_NS of ivshmem-guest.c */

static struct driver driver;

/* It keeps its CPU, or the server would have that. */
static void
be_busy (void)
{
  const uint64_t until = driver_now_ns () + PACE_NS;

  while (driver_now_ns () < until)
    ;
}

int
main (int argc, char *argv[])
{
  static const uint8_t data[PAGE] = { 1 };

  CHECK (argc == 2);
  CHECK (driver_connect (&driver, argv[1]) == 0);
  CHECK (driver_start (&driver, VMSWAP_RING_FEATURES, 10000) == 0);
  for (unsigned i = 0; i < REQUESTS; ++i) {
    CHECK (driver_write_slowly (&driver, 7, data) == 0);
    be_busy ();
  }
  printf ("paced %u %llu\n", REQUESTS, (unsigned long long) driver.rings);
  driver_detach (&driver);
  driver_close (&driver);
  return 0;
}
