// SPDX-License-Identifier: BSD-3-Clause
/* edges SOCKET: what lies at and beyond the edges of a volume, of its rings and
 * of the protocol is served, dropped or refused, each as PROTOCOL.md says, and
 * no other page notices. */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "driver.h"

#define CHECK(condition) DRIVER_CHECK (&driver, condition)

static struct driver driver;
static uint8_t data[PAGE], zeroes[PAGE];

static bool
reads_as (uint64_t page, const uint8_t *wanted)
{
  uint8_t got[PAGE];

  return driver_read (&driver, page, got, NULL) == 0 &&
         memcmp (got, wanted, PAGE) == 0;
}

/* A request as it is, with `after` that far from post_head. */
static int
ask (uint8_t op, uint64_t page, uint32_t count, uint32_t after, uint8_t flags)
{
  struct vmswap_ring_request *request =
      (struct vmswap_ring_request *) driver_part (&driver,
                                                  VMSWAP_RING_REQUESTS);
  struct vmswap_ring_result *result =
      (struct vmswap_ring_result *) driver_part (&driver, VMSWAP_RING_RESULTS);
  vmswap_le32 *submits = driver_part (&driver, VMSWAP_RING_SUBMITS);
  const uint64_t until = driver_now_ns () + UINT64_C (10000000000);

  pthread_mutex_lock (&driver.lock);
  request->page = page;
  request->count = count;
  request->after = driver.post_head + after;
  request->op = op;
  request->flags = flags;
  RELEASE (&request->serial, ++driver.serial[0]);
  submits[driver.submit_head % DRIVER_COUNT (&driver, SUBMITS)] = 0;
  RELEASE (&driver.header->submit_head, ++driver.submit_head);
  driver_ring (&driver);
  pthread_mutex_unlock (&driver.lock);
  while (ACQUIRE (&result->serial) != driver.serial[0])
    CHECK (driver_now_ns () < until);
  return (int) result->status;
}

static void
check_requests (void)
{
  const uint64_t n = driver.device_pages;
  const uint32_t posts = DRIVER_COUNT (&driver, POSTS);

  CHECK (ask (VMSWAP_REQUEST_READ, n - 1, 1, 0, 0) == VMSWAP_STATUS_OK);
  CHECK (ask (VMSWAP_REQUEST_READ, 7, 1, 12345, 0) == VMSWAP_STATUS_OK);
  CHECK (ask (VMSWAP_REQUEST_READ, 7, 1, 0, VMSWAP_REQUEST_AHEAD) ==
         VMSWAP_STATUS_OK);
  CHECK (ask (VMSWAP_REQUEST_READ, n, 1, 0, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_READ, UINT64_MAX, 1, 0, 0) ==
         VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_READ, 7, 0, 0, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_READ, 7, 2, 0, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_READ, 7, 1, 0, 2) == VMSWAP_STATUS_INVALID);
  CHECK (ask (0, 7, 1, 0, 0) == VMSWAP_STATUS_UNKNOWN_OP);
  CHECK (ask (4, 7, 1, 0, 0) == VMSWAP_STATUS_UNKNOWN_OP);
  CHECK (ask (VMSWAP_REQUEST_WRITE, n - 1, 2, 0, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_WRITE, n, 1, 0, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_WRITE, 7, 1, 1, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_WRITE, 7, 1, 0u - posts - 1, 0) ==
         VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_WRITE, 7, 1, 1u << 31, 0) ==
         VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_WRITE, 7, 1, 0u - posts, 0) == VMSWAP_STATUS_OK);
  CHECK (ask (VMSWAP_REQUEST_DISCARD, n - 1, 2, 0, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_DISCARD, 0, 0, 0, 0) == VMSWAP_STATUS_INVALID);
  CHECK (ask (VMSWAP_REQUEST_DISCARD, UINT64_MAX - 1, 4, 0, 0) ==
         VMSWAP_STATUS_INVALID);
}

/* Posts as they are.  The slot is never one of the driver's own. */
static void
post (uint64_t page, uint8_t op, uint32_t arg, uint8_t flags)
{
  struct vmswap_ring_post *posts = driver_part (&driver, VMSWAP_RING_POSTS);
  uint32_t at;

  pthread_mutex_lock (&driver.lock);
  at = driver.post_head % DRIVER_COUNT (&driver, POSTS);
  posts[at] = (struct vmswap_ring_post){
    .page = page, .arg = arg, .op = op, .flags = flags
  };
  driver.slot_of[at] = NO_SLOT;
  RELEASE (&driver.header->post_head, ++driver.post_head);
  driver_ring (&driver);
  pthread_mutex_unlock (&driver.lock);
}

static void
check_posts (void)
{
  const uint64_t n = driver.device_pages;
  const uint32_t slots = DRIVER_COUNT (&driver, SLOTS);
  const uint32_t bad = RELAXED (&driver.header->bad_posts);

  post (n, VMSWAP_POST_WRITE, 0, 0);
  post (7, VMSWAP_POST_WRITE, slots, 0);
  post (7, VMSWAP_POST_WRITE, UINT32_MAX, 0);
  post (7, VMSWAP_POST_WRITE, 0, 1);
  post (7, 0, 0, 0);
  post (7, 4, 1, 0);
  post (7, VMSWAP_POST_FREE, 0, 0);
  post (n - 1, VMSWAP_POST_FREE, 2, 0);
  post (UINT64_MAX, VMSWAP_POST_FREE, 1, 0);
  post (UINT64_MAX, VMSWAP_POST_FILL, 1, 0);
  driver_drain (&driver);
  CHECK (RELAXED (&driver.header->bad_posts) == bad + 10);
}

/* The last page, whatever way it takes, and frees of all pages. */
static void
check_pages (void)
{
  const uint64_t last = driver.device_pages - 1;

  memset (data, 0x5a, PAGE);
  data[17] = 1;
  CHECK (driver_write (&driver, last, data) == 0 && reads_as (last, data));
  driver_drain (&driver);
  CHECK (reads_as (last, data));
  CHECK (driver_free (&driver, last, 1) == 0 && reads_as (last, zeroes));
  CHECK (driver_write_slowly (&driver, last, data) == 0);
  CHECK (reads_as (last, data));
  CHECK (driver_discard (&driver, last, 1) == 0 && reads_as (last, zeroes));
  CHECK (driver_write (&driver, 0, data) == 0);
  CHECK (driver_write (&driver, last, data) == 0);
  CHECK (driver_free (&driver, 0, (uint32_t) last + 1) == 0);
  driver_drain (&driver);
  CHECK (reads_as (0, zeroes) && reads_as (last, zeroes));
}

static void
start_again (void)
{
  driver_forget (&driver);
  CHECK (driver_start (&driver, VMSWAP_RING_FEATURES, 10000) == 0);
}

/* Indices that cannot be break the region, until a new session. */
static void
check_indices (void)
{
  const uint32_t far = DRIVER_COUNT (&driver, POSTS) + 1;
  const uint64_t until = driver_now_ns () + UINT64_C (10000000000);

  CHECK (driver_write (&driver, 5, data) == 0);
  driver_drain (&driver);
  RELEASE (&driver.header->post_head, driver.post_head + far);
  driver_ring (&driver);
  while (ACQUIRE (&driver.header->host_state) != VMSWAP_HOST_DEAD)
    CHECK (driver_now_ns () < until);
  CHECK (driver.header->host_reason == VMSWAP_REASON_BROKEN);
  start_again ();
  CHECK (driver.header->host_state == VMSWAP_HOST_LIVE && reads_as (5, data));

  driver_forget (&driver);
  CHECK (driver_start (&driver, 1u << 20, 2000) == -EPROTO);
  CHECK (driver.header->host_reason == VMSWAP_REASON_FEATURES);
  start_again ();
  CHECK (driver.header->host_state == VMSWAP_HOST_LIVE && reads_as (5, data));

  /* All tags are looked at, then; none is open. */
  driver.submit_head += 100000;
  CHECK (ask (VMSWAP_REQUEST_READ, 5, 1, 0, 0) == VMSWAP_STATUS_OK);
  CHECK (driver_free (&driver, 5, 1) == 0 && reads_as (5, zeroes));
}

int
main (int argc, char *argv[])
{
  if (argc != 2 || driver_connect (&driver, argv[1]) != 0) {
    fprintf (stderr, "usage: edges SOCKET\n");
    return 2;
  }
  CHECK (driver_start (&driver, VMSWAP_RING_FEATURES, 10000) == 0);
  check_requests ();
  check_posts ();
  check_pages ();
  check_indices ();
  driver_detach (&driver);
  driver_close (&driver);
  return 0;
}
