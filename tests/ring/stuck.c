// SPDX-License-Identifier: BSD-3-Clause
/* stuck SOCKET HOW [PID]: a guest that posts on although the pool is full.
 *
 * What the pool refuses stays posted, in order, while reads go on and WRITE
 * requests are refused.  Then, by HOW:
 *
 *   free      pages are freed by a post: all that was posted is stored
 *   discard   the same by a request, with no place in posts
 *   covered   a free covers the posts themselves: they are skipped
 *   wait      somebody else makes room (a line on stdin when he has)
 *   reboot    a new session begins: posted pages read as errors, never as what
 *             they were before
 *   back      post_head goes back behind posts that were looked at, which ends
 *             the session
 *
 *   gone      the same while the server (PID) is stopped, and then the guest is
 *             killed */

#include <config.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"

#define CHECK(condition) DRIVER_CHECK (&driver, condition)

static struct driver driver;
static pid_t server;
static uint64_t stored; /* pages that were stored before it was full */

/* A page that does not compress. */
static void
make (uint64_t page, uint64_t round, uint8_t *data)
{
  uint64_t state = page * 16 + round;

  for (unsigned i = 0; i < PAGE; i += sizeof state) {
    state = state * UINT64_C (6364136223846793005) + 1442695040888963407u;
    memcpy (data + i, &state, sizeof state);
  }
}

static void
check_page (uint64_t page, uint64_t round, enum driver_source wanted)
{
  uint8_t got[PAGE], right[PAGE];
  enum driver_source from;

  make (page, round, right);
  CHECK (driver_read (&driver, page, got, &from) == 0);
  CHECK (memcmp (got, right, PAGE) == 0);
  CHECK (from == wanted || (wanted == FROM_POOL && from == FROM_CACHE));
}

/* Posts a page whatever host_flags says. */
static void
force (uint64_t page, uint64_t round)
{
  struct vmswap_ring_post *posts = driver_part (&driver, VMSWAP_RING_POSTS);
  uint32_t slot, at;

  pthread_mutex_lock (&driver.lock);
  driver_look_locked (&driver);
  CHECK (driver.nr_free > 0);
  slot = driver.free_slots[--driver.nr_free];
  make (page, round, driver_page (&driver, VMSWAP_RING_SLOTS, slot));
  at = driver.post_head % DRIVER_COUNT (&driver, POSTS);
  posts[at] = (struct vmswap_ring_post){ .page = page,
                                         .arg = slot,
                                         .op = VMSWAP_POST_WRITE };
  driver.slot_of[at] = slot;
  driver.newest[page] = driver.post_head;
  driver.posted[page] = 1;
  RELEASE (&driver.header->post_head, ++driver.post_head);
  driver_ring (&driver);
  pthread_mutex_unlock (&driver.lock);
}

/* Until the pool takes no more, one page at a time. */
static void
fill (void)
{
  uint8_t data[PAGE];
  int r = 0;

  for (stored = 1; r == 0; ++stored) {
    CHECK (stored < driver.device_pages - 200);
    make (stored, 0, data);
    r = driver_write_slowly (&driver, stored, data);
  }
  CHECK (r == -ENOSPC);
  stored--; /* that one was refused */
  CHECK ((driver.header->host_flags & VMSWAP_HOST_FULL) != 0);
}

/* Some pages that the pool does not have, one twice. */
#define MORE 40u
static void
post_more (void)
{
  for (unsigned i = 0; i < MORE; ++i)
    force (stored + i, 1);
  force (stored + 3, 2);
}

static void
check_stuck (void)
{
  const uint64_t later = driver_now_ns () + UINT64_C (300000000);
  uint8_t data[PAGE];

  while (driver_now_ns () < later)
    check_page (1 + driver_now_ns () % (stored - 1), 0, FROM_POOL);
  CHECK (driver.post_tail != driver.post_head);
  check_page (stored + MORE - 1, 1, FROM_POST);
  check_page (stored + 3, 2, FROM_POST);
  make (9, 5, data);
  CHECK (driver_write_slowly (&driver, stored + 100, data) == -ENOSPC);
}

static void
check_all (uint64_t from)
{
  driver_drain (&driver);
  for (uint64_t page = from; page < stored + MORE; ++page)
    check_page (page,
                page < stored        ? 0
                : page == stored + 3 ? 2
                                     : 1,
                FROM_POOL);
  CHECK (RELAXED (&driver.header->lost_posts) == 0);
}

static void
make_room (void)
{
  CHECK (driver_free (&driver, 1, 1000) == 0);
  check_all (1001);
}

/* posts is filled with frees of a page that is empty. */
static void
discard (void)
{
  pthread_mutex_lock (&driver.lock);
  driver_look_locked (&driver);
  pthread_mutex_unlock (&driver.lock);
  while (driver.post_head - driver.post_tail < DRIVER_COUNT (&driver, POSTS))
    CHECK (driver_free (&driver, driver.device_pages - 1, 1) == 0);
  CHECK (driver_discard (&driver, 1, 1000) == 0);
  check_all (1001);
}

static void
covered (void)
{
  uint8_t data[PAGE], zeroes[PAGE] = { 0 };

  CHECK (driver_free (&driver, stored, MORE) == 0);
  driver_drain (&driver);
  for (uint64_t page = stored; page < stored + MORE; ++page) {
    CHECK (driver_read (&driver, page, data, NULL) == 0);
    CHECK (memcmp (data, zeroes, PAGE) == 0);
  }
  for (uint64_t page = 1; page < stored; ++page)
    check_page (page, 0, FROM_POOL);
}

static void
wait (void)
{
  puts ("stuck");
  fflush (stdout);
  CHECK (getchar () != EOF);
  check_all (1);
}

static void
reboot (void)
{
  uint8_t data[PAGE];
  uint64_t lost = 0;

  driver_forget (&driver);
  CHECK (driver_start (&driver, VMSWAP_RING_FEATURES, 10000) == 0);
  for (uint64_t page = 1; page < stored; ++page)
    check_page (page, 0, FROM_POOL);
  for (uint64_t page = stored; page < stored + MORE; ++page) {
    const int r = driver_read (&driver, page, data, NULL);

    CHECK (r == 0 || r == -EIO);
    lost += r == -EIO;
    if (r == 0)
      check_page (page, page == stored + 3 ? 2 : 1, FROM_POOL);
  }
  CHECK (lost > 0 && lost <= RELAXED (&driver.header->lost_posts));
}

/* Frees of a page that is empty, which the server does early. */
static void
free_nothing (void)
{
  const uint64_t later = driver_now_ns () + UINT64_C (300000000);

  for (unsigned i = 0; i < 8; ++i)
    CHECK (driver_free (&driver, driver.device_pages - 1, 1) == 0);
  while (driver_now_ns () < later)
    check_page (1, 0, FROM_POOL);
}

static void
move_back (uint32_t by)
{
  RELEASE (&driver.header->post_head, driver.post_head - by);
  driver_ring (&driver);
}

/* It has no session any more. */
static void
leave (void)
{
  fflush (stdout);
  _exit (0);
}

static void
back (void)
{
  const uint64_t until = driver_now_ns () + UINT64_C (10000000000);

  free_nothing ();
  move_back (1);
  while (ACQUIRE (&driver.header->host_state) != VMSWAP_HOST_DEAD)
    CHECK (driver_now_ns () < until);
  CHECK (RELAXED (&driver.header->host_reason) == VMSWAP_REASON_BROKEN);
  leave ();
}

static void
gone (void)
{
  free_nothing ();
  CHECK (kill (server, SIGSTOP) == 0);
  move_back (3);
  leave ();
}

int
main (int argc, char *argv[])
{
  static const struct {
    const char *name;
    void (*run) (void);
  } ways[] = { { "free", make_room },  { "discard", discard },
               { "covered", covered }, { "wait", wait },
               { "reboot", reboot },   { "back", back },
               { "gone", gone } };

  if (argc < 3 || driver_connect (&driver, argv[1]) != 0) {
    fprintf (stderr, "usage: stuck SOCKET HOW [PID]\n");
    return 2;
  }
  server = argc > 3 ? atoi (argv[3]) : 0;
  CHECK (server > 0 || strcmp (argv[2], "gone") != 0);
  CHECK (driver_start (&driver, VMSWAP_RING_FEATURES, 10000) == 0);
  fill ();
  post_more ();
  check_stuck ();
  for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; ++i)
    if (strcmp (argv[2], ways[i].name) == 0)
      ways[i].run ();
  driver_detach (&driver);
  driver_close (&driver);
  return 0;
}
