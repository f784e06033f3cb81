// SPDX-License-Identifier: BSD-3-Clause
/* guest SOCKET: a guest that does what it is told, one line at a time on
 * stdin, and answers with one line:
 *
 *   write PAGE VALUE    posts a page of that value: ok, or an error
 *   read PAGE           the value, or an error
 *   free PAGE COUNT     ok
 *   drain               ok, once nothing is open
 *   state               the host's state, and how many posts are open
 *   detach              ok
 *   poke_size PAGES     ok: what the header tells as the device's size
 *
 * At the end of its input it is gone, as a QEMU that was killed.  Exit status
 * 3: the server gave it no region. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

static struct driver driver;

static void
fill (uint8_t *data, uint64_t value)
{
  for (unsigned i = 0; i < PAGE; i += sizeof value) {
    memcpy (data + i, &value, sizeof value);
    value += UINT64_C (0x100000001);
  }
}

static void
answer (int r)
{
  puts (r == 0 ? "ok" : strerror (-r));
}

static void
read_page (uint64_t page)
{
  uint8_t data[PAGE], right[PAGE];
  uint64_t value;
  const int r = driver_read (&driver, page, data, NULL);

  if (r != 0) {
    answer (r);
    return;
  }
  memcpy (&value, data, sizeof value);
  fill (right, value);
  if (memcmp (data, right, PAGE) == 0)
    printf ("%" PRIu64 "\n", value);
  else {
    memset (right, 0, PAGE);
    puts (memcmp (data, right, PAGE) == 0 ? "zeroes" : "torn");
  }
}

static void
obey (const char *line)
{
  uint64_t page, value;
  uint8_t data[PAGE];

  if (sscanf (line, "write %" SCNu64 " %" SCNu64, &page, &value) == 2) {
    fill (data, value);
    answer (driver_write (&driver, page, data));
  }
  else if (sscanf (line, "read %" SCNu64, &page) == 1)
    read_page (page);
  else if (sscanf (line, "free %" SCNu64 " %" SCNu64, &page, &value) == 2)
    answer (driver_free (&driver, page, (uint32_t) value));
  else if (strcmp (line, "drain\n") == 0) {
    driver_drain (&driver);
    answer (0);
  }
  else if (strcmp (line, "state\n") == 0)
    printf ("%u %u\n", ACQUIRE (&driver.header->host_state),
            driver.post_head - ACQUIRE (&driver.header->post_tail));
  else if (sscanf (line, "poke_size %" SCNu64, &page) == 1) {
    __atomic_store_n (&driver.header->device_pages, page, __ATOMIC_RELAXED);
    answer (0);
  }
  else if (strcmp (line, "detach\n") == 0) {
    driver_detach (&driver);
    answer (0);
  }
  else
    driver_die (&driver, "what is %s", line);
  fflush (stdout);
}

int
main (int argc, char *argv[])
{
  char line[128];
  int r;

  if (argc != 2)
    return 2;
  alarm (200); /* a test that hangs ends */
  r = driver_connect (&driver, argv[1]);
  if (r != 0) {
    answer (r);
    return 3;
  }
  answer (driver_start (&driver, VMSWAP_RING_FEATURES, 10000));
  fflush (stdout);
  while (fgets (line, sizeof line, stdin))
    obey (line);
  return 0;
}
