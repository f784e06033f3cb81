// SPDX-License-Identifier: BSD-3-Clause
/* hostile SOCKET HOW MS SEED [DIE]: a guest that lies, and is killed after DIE
 * milliseconds (less than 1000), wherever it is then.
 *
 *   lies      honest posts and requests, and another thread that changes every
 *             word of the guest's, slots and pages too, also after they were
 *             looked at
 *   scribble  any word of the whole region, the host's too
 *   flood     doorbells, sessions, hints, frees of everything, and posts and
 *             requests as fast as they go, all well-formed
 *   garbage   words on the socket, which only the server may write to
 *   comings   connects and goes, at any moment
 *   block     makes its eventfds block whoever rings or hears them
 *
 * It ends without a goodbye.  Nothing is checked here: the server and its other
 * guests are what is looked at.  Exit status 0: it was served to the end. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driver.h"

static struct driver driver;
static const char *path;
static uint64_t end_ns, state;

static bool
is_over (void)
{
  return driver_now_ns () >= end_ns;
}

/* A value that is nearly right, or at an edge, or anything. */
static uint64_t
lie (uint64_t *s, uint64_t about)
{
  static const uint64_t edges[] = { 0,          1,          2,
                                    UINT32_MAX, 0x7fffffff, 0x80000000,
                                    UINT64_MAX, 1u << 20,   4096 };

  switch (driver_random (s) % 4) {
  case 0:
    return about + driver_random (s) % 5 - 2;
  case 1:
    return edges[driver_random (s) % (sizeof edges / sizeof edges[0])];
  case 2:
    return driver_random (s) % (2 * driver.device_pages);
  default:
    return driver_random (s);
  }
}

/* Somewhere in a part. */
static void
lie_in (uint64_t *s, unsigned part)
{
  const uint64_t bytes =
      vmswap_ring_part_size (part, driver.geometry.parts[part].count);
  uint32_t *word = (uint32_t *) driver_part (&driver, part) +
                   driver_random (s) % (bytes / 4);

  SET (word, (uint32_t) lie (s, RELAXED (word)));
}

static void
lie_in_header (uint64_t *s)
{
  struct vmswap_ring_header *h = driver.header;
  uint32_t *const words[] = {
    &h->post_head,  &h->submit_head,    &h->hint_head,
    &h->tail_event, &h->complete_event, &h->guest_state,
  };
  uint32_t *word = words[driver_random (s) % (sizeof words / sizeof words[0])];

  SET (word, (uint32_t) lie (s, RELAXED (word)));
  if (driver_random (s) % 64 == 0)
    SET (&h->session, (uint32_t) lie (s, h->session_ack));
  if (driver_random (s) % 64 == 0)
    SET (&h->guest_features, lie (s, VMSWAP_RING_FEATURES));
}

/* Changes what another thread has just published. */
static void *
change (void *opaque)
{
  uint64_t s = (uint64_t) (uintptr_t) opaque;
  static const unsigned parts[] = { VMSWAP_RING_POSTS,     VMSWAP_RING_SUBMITS,
                                    VMSWAP_RING_REQUESTS,  VMSWAP_RING_SLOTS,
                                    VMSWAP_RING_TAG_PAGES, VMSWAP_RING_HINTS };

  while (!is_over ()) {
    for (unsigned i = 0; i < 64; ++i)
      lie_in (&s, parts[driver_random (&s) % (sizeof parts / sizeof parts[0])]);
    if (driver_random (&s) % 256 == 0)
      lie_in_header (&s);
  }
  return NULL;
}

static void
post_raw (uint64_t *s)
{
  struct vmswap_ring_header *h = driver.header;
  struct vmswap_ring_post *posts = driver_part (&driver, VMSWAP_RING_POSTS);
  uint32_t head = RELAXED (&h->post_head);
  const uint32_t tail = RELAXED (&h->post_tail);

  if (head - tail >= DRIVER_COUNT (&driver, POSTS)) {
    if (head - tail > DRIVER_COUNT (&driver, POSTS))
      SET (&h->post_head, tail);
    return;
  }
  posts[head % DRIVER_COUNT (&driver, POSTS)] = (struct vmswap_ring_post){
    .page = driver_random (s) % driver.device_pages,
    .arg = (uint32_t) (driver_random (s) % DRIVER_COUNT (&driver, SLOTS)) + 1,
    .op = (uint8_t) (driver_random (s) % 3 + 1),
  };
  RELEASE (&h->post_head, head + 1);
}

static void
submit_raw (uint64_t *s)
{
  struct vmswap_ring_header *h = driver.header;
  struct vmswap_ring_request *requests =
      driver_part (&driver, VMSWAP_RING_REQUESTS);
  vmswap_le32 *submits = driver_part (&driver, VMSWAP_RING_SUBMITS);
  const uint32_t tag = driver_random (s) % DRIVER_COUNT (&driver, REQUESTS);
  const uint32_t head = RELAXED (&h->submit_head);

  requests[tag].page = driver_random (s) % driver.device_pages;
  requests[tag].op = (uint8_t) (driver_random (s) % 3 + 1);
  requests[tag].count = requests[tag].op == VMSWAP_REQUEST_DISCARD
                            ? (uint32_t) driver_random (s)
                            : 1;
  requests[tag].after = RELAXED (&h->post_tail);
  RELEASE (&requests[tag].serial, requests[tag].serial + 1);
  SET (&submits[head % DRIVER_COUNT (&driver, SUBMITS)], tag);
  RELEASE (&h->submit_head, head + 1);
}

/* A session that is begun as it should be, however the last one ended. */
static void
begin (void)
{
  struct vmswap_ring_header *h = driver.header;
  const uint64_t until = driver_now_ns () + UINT64_C (3000000000);

  SET (&h->guest_state, VMSWAP_GUEST_STARTING);
  SET (&h->guest_features, VMSWAP_RING_FEATURES);
  RELEASE (&h->session, h->session + 1);
  while (ACQUIRE (&h->session_ack) != h->session && driver_now_ns () < until) {
    driver_ring (&driver);
    usleep (1000);
  }
  RELEASE (&h->guest_state, VMSWAP_GUEST_LIVE);
}

static void
lies (void)
{
  pthread_t thread;

  begin ();
  if (pthread_create (&thread, NULL, change,
                      (void *) (uintptr_t) driver_random (&state)) != 0)
    exit (2);
  for (unsigned i = 0; !is_over (); ++i) {
    post_raw (&state);
    submit_raw (&state);
    if (i % 16 == 0)
      driver_ring (&driver);
    if (ACQUIRE (&driver.header->host_state) == VMSWAP_HOST_DEAD ||
        driver_random (&state) % 20000 == 0)
      begin ();
  }
  pthread_join (thread, NULL);
}

static void
scribble (void)
{
  begin ();
  while (!is_over ()) {
    uint32_t *word = (uint32_t *) driver.region +
                     driver_random (&state) %
                         (driver_random (&state) % 2 ? 1024 : driver.size / 4);

    SET (word, (uint32_t) lie (&state, RELAXED (word)));
    if (driver_random (&state) % 64 == 0)
      driver_ring (&driver);
    if (driver_random (&state) % 4096 == 0)
      begin ();
  }
}

static void
flood (void)
{
  struct vmswap_ring_header *h = driver.header;
  struct vmswap_ring_post *posts = driver_part (&driver, VMSWAP_RING_POSTS);

  begin ();
  while (!is_over ()) {
    driver_ring (&driver);
    post_raw (&state);
    submit_raw (&state);
    SET (&h->hint_head,
         h->hint_head + (uint32_t) driver_random (&state) % 3000);
    if (driver_random (&state) % 16 == 0) {
      post_raw (&state);
      posts[(h->post_head - 1) % DRIVER_COUNT (&driver, POSTS)] =
          (struct vmswap_ring_post){ .op = VMSWAP_POST_FREE,
                                     .arg = (uint32_t) driver.device_pages };
    }
    if (driver_random (&state) % 1024 == 0)
      SET (&h->session, h->session + 1);
    SET (&h->tail_event, h->post_tail);
    SET (&h->complete_event, h->complete_head);
  }
}

static void
garbage (void)
{
  uint8_t words[64];

  do {
    for (unsigned i = 0; i < sizeof words; ++i)
      words[i] = (uint8_t) driver_random (&state);
    if (send (driver.socket, words, 1 + driver_random (&state) % sizeof words,
              MSG_NOSIGNAL) == -1 &&
        errno != EPIPE && errno != ECONNRESET)
      exit (2);
    driver_close (&driver);
    while (driver_connect (&driver, path) != 0 && !is_over ())
      usleep (1000);
  } while (!is_over ());
}

/* At any moment: now and then in a session, with work at hand. */
static void
comings (void)
{
  do {
    const uint64_t n = driver_random (&state) % 200;

    if (driver_random (&state) % 2)
      begin ();
    for (uint64_t i = 0; i < n; ++i)
      post_raw (&state);
    driver_ring (&driver);
    driver_close (&driver);
    while (driver_connect (&driver, path) != 0 && !is_over ())
      usleep (100);
  } while (!is_over ());
}

/* O_NONBLOCK is of what is open, so it is the server's, too. */
static void
block (void)
{
  struct vmswap_ring_header *h = driver.header;
  const uint64_t full = UINT64_MAX - 1;
  uint64_t rings;

  begin ();
  while (!is_over ()) {
    fcntl (driver.interrupt, F_SETFL, O_NONBLOCK);
    while (write (driver.interrupt, &full, sizeof full) != sizeof full)
      if (read (driver.interrupt, &rings, sizeof rings) != sizeof rings)
        exit (2);
    fcntl (driver.interrupt, F_SETFL, 0);
    post_raw (&state);
    SET (&h->session, h->session + 1);
    SET (&h->tail_event, h->post_tail);
    driver_ring (&driver);
    /* It was told, and there is nothing to hear. */
    fcntl (driver.doorbell, F_SETFL, O_NONBLOCK);
    while (read (driver.doorbell, &rings, sizeof rings) == sizeof rings)
      continue;
    fcntl (driver.doorbell, F_SETFL, 0);
  }
}

int
main (int argc, char *argv[])
{
  static const struct {
    const char *name;
    void (*run) (void);
  } ways[] = { { "lies", lies },
               { "scribble", scribble },
               { "flood", flood },
               { "garbage", garbage },
               { "comings", comings },
               { "block", block } };

  if (argc != 5 && argc != 6)
    return 2;
  path = argv[1];
  state = strtoull (argv[4], NULL, 0);
  if (driver_connect (&driver, path) != 0)
    return 3;
  end_ns = driver_now_ns () + strtoull (argv[3], NULL, 0) * 1000000;
  if (argc == 6)
    ualarm ((unsigned) strtoul (argv[5], NULL, 0) * 1000, 0);
  for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; ++i)
    if (strcmp (argv[2], ways[i].name) == 0)
      ways[i].run ();
  return 0;
}
