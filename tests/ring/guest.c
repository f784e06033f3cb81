// SPDX-License-Identifier: BSD-3-Clause
/* guest SOCKET: a guest that does what it is told, one line at a time on
 * stdin, and answers with one line:
 *
 *   write PAGE VALUE    posts a page of that value: ok, or an error
 *   read PAGE           the value, or an error
 *   free PAGE COUNT     ok
 *   all_free COUNT      frees so many pages from page 0, again and again, until
 *                       there is no place in posts: ok
 *   fill PAGE VALUE     posts a page of that 32-bit value: ok, or an error
 *   word PAGE           the 32-bit value that it is all of, or "torn"
 *   reboot MS           its driver starts anew: ok, or an error after so long
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
fill_page (uint64_t page, uint64_t value)
{
  uint32_t data[PAGE / 4];

  for (unsigned i = 0; i < PAGE / 4; ++i)
    data[i] = (uint32_t) value;
  answer (driver_write (&driver, page, data));
}

static void
read_word (uint64_t page)
{
  uint32_t data[PAGE / 4];
  const int r = driver_read (&driver, page, data, NULL);

  if (r != 0)
    answer (r);
  else if (memcmp (data, data + 1, PAGE - 4) == 0)
    printf ("%" PRIu32 "\n", data[0]);
  else
    puts ("torn");
}

/* Past the driver, which would note each page. */
static void
free_all (uint64_t count)
{
  struct vmswap_ring_post *posts = driver_part (&driver, VMSWAP_RING_POSTS);
  const uint32_t places = DRIVER_COUNT (&driver, POSTS);

  pthread_mutex_lock (&driver.lock);
  while (driver.post_head - ACQUIRE (&driver.header->post_tail) < places) {
    posts[driver.post_head % places] =
        (struct vmswap_ring_post){ .op = VMSWAP_POST_FREE,
                                   .arg = (uint32_t) count };
    RELEASE (&driver.header->post_head, ++driver.post_head);
  }
  driver_ring (&driver);
  pthread_mutex_unlock (&driver.lock);
  answer (0);
}

static void
reboot (unsigned ms)
{
  driver_forget (&driver);
  answer (driver_start (&driver, VMSWAP_RING_FEATURES, ms));
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
  else if (sscanf (line, "all_free %" SCNu64, &value) == 1)
    free_all (value);
  else if (sscanf (line, "fill %" SCNu64 " %" SCNu64, &page, &value) == 2)
    fill_page (page, value);
  else if (sscanf (line, "word %" SCNu64, &page) == 1)
    read_word (page);
  else if (sscanf (line, "reboot %" SCNu64, &value) == 1)
    reboot ((unsigned) value);
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
