// SPDX-License-Identifier: BSD-3-Clause
/* A FREE of many pages is done in steps, a turn each, while the guest may write
 * another range into it: no page is dropped but of the range that the post
 * names then, all of that is, and it comes to an end.
 *
 * ring-posts.c is the real one; what it calls is here. */

#include <config.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "../unit/unit-check.h"
#include "pool.h"
#include "ring.h"
#include "serve.h"

#define PAGES (1u << 20)
#define POSTS 8u

static struct vmswap_ring_header header;
static struct vmswap_ring_post posts[POSTS];
static struct ring ring;
static uint8_t dropped[PAGES];
static uint64_t uncached[2]; /* the first and the end of the last step */
static unsigned steps;

void *
ring_part (const struct ring *r, unsigned part)
{
  CHECK (r == &ring && part == VMSWAP_RING_POSTS);
  return posts;
}

int
serve_try_trim (struct conn *conn, uint32_t bytes, uint64_t offset)
{
  const struct vmswap_ring_post *post = &posts[ring.post_tail % POSTS];
  const uint64_t page = offset / POOL_PAGE_SIZE;
  const uint64_t n = bytes / POOL_PAGE_SIZE;

  CHECK (conn == ring.conn);
  CHECK (n > 0 && page >= post->page && page + n <= post->page + post->arg);
  memset (dropped + page, 1, n);
  CHECK (uncached[1] == 0); /* the step before was done with */
  uncached[0] = page;
  uncached[1] = page + n;
  steps++;
  return 0;
}

void
ring_cache_drop (struct ring *r, uint64_t page, uint64_t count)
{
  CHECK (r == &ring && page == uncached[0] && page + count == uncached[1]);
  uncached[1] = 0;
}

void
ring_ahead_look (struct ring *r)
{
  (void) r;
}

bool
ring_ahead_hear (struct ring *r)
{
  (void) r;
  return false;
}

void
ring_notify (struct ring *r, const vmswap_le32 *event, uint32_t now,
             uint32_t before)
{
  CHECK (r == &ring && event == &header.tail_event && now == before + 1);
}

/* Nothing is written here, or refused. */
static void __attribute__ ((noreturn)) not_called (void)
{
  CHECK (!"called");
  abort ();
}

uint8_t *
ring_page_at (const struct ring *r, unsigned part, uint32_t n)
{
  not_called ();
}

void
ring_set_state (struct ring *r, enum vmswap_ring_host_state state,
                enum vmswap_ring_reason reason)
{
  not_called ();
}

void
ring_stuck_begin (struct ring *r, int err)
{
  not_called ();
}

enum ring_stuck_turn
ring_stuck_turn (struct ring *r, uint32_t head)
{
  not_called ();
}

int
serve_try_write (struct conn *conn, const void *buf, uint32_t bytes,
                 uint64_t offset)
{
  not_called ();
}

int
serve_fail (struct conn *conn, int err, const char *what, uint64_t offset)
{
  not_called ();
}

int
volume_lose_page (struct volume *volume, uint64_t offset)
{
  not_called ();
}

static struct vmswap_ring_post *
post_free (uint64_t page, uint32_t count)
{
  struct vmswap_ring_post *post = &posts[header.post_head % POSTS];

  *post = (struct vmswap_ring_post){ .page = page,
                                     .arg = count,
                                     .op = VMSWAP_POST_FREE };
  memset (dropped, 0, sizeof dropped);
  steps = 0;
  header.post_head++;
  return post;
}

/* Half of it, or so. */
static void
some_turns (void)
{
  for (unsigned turn = 0; turn < 3; ++turn)
    CHECK (ring_posts_turn (&ring));
  CHECK (steps == 3 && ring.post_tail != header.post_head);
}

/* All that the post names is done, in a number of turns that fits. */
static void
finish (const struct vmswap_ring_post *post)
{
  const unsigned before = steps;

  while (ring.post_tail != header.post_head)
    CHECK (ring_posts_turn (&ring));
  CHECK (header.post_tail == ring.post_tail && uncached[1] == 0);
  CHECK (steps - before <= post->arg / RING_STEP_MIN + 1);
  for (uint32_t i = 0; i < post->arg; ++i)
    CHECK (dropped[post->page + i]);
  CHECK (!ring_posts_turn (&ring));
}

static void
test_whole (void)
{
  finish (post_free (0, 1));
  finish (post_free (PAGES - 1, 1));
  finish (post_free (77, 100000));
  finish (post_free (0, PAGES));
}

/* The guest writes another range into a post that is half done. */
static void
test_changed (uint64_t page, uint32_t count)
{
  struct vmswap_ring_post *post = post_free (1000, PAGES - 1000);

  some_turns ();
  post->page = page;
  post->arg = count;
  memset (dropped, 0, sizeof dropped);
  finish (post);
  finish (post_free (1000, PAGES - 1000)); /* nothing is left of it */
}

/* … and something that is none, or nothing: the next one is done all the same.
 */
static void
test_impossible (void)
{
  struct vmswap_ring_post *post = post_free (1000, PAGES - 1000);
  const uint32_t bad = ring.bad_posts;

  some_turns ();
  post->arg = 0;
  CHECK (ring_posts_turn (&ring) && ring.bad_posts == bad + 1);
  finish (post_free (PAGES / 2, 5000));
}

int
main (void)
{
  ring.conn = calloc (1, sizeof *ring.conn);
  CHECK (ring.conn != NULL);
  ring.region.header = &header;
  ring.region.geometry.parts[VMSWAP_RING_POSTS].count = POSTS;
  ring.device_pages = PAGES;
  ring.host_state = VMSWAP_HOST_LIVE;
  alarm (60);

  test_whole ();
  test_changed (1000, 1);              /* shorter than what is done */
  test_changed (1000, 20000);          /* … or longer */
  test_changed (0, 5);                 /* another */
  test_changed (500, PAGES - 1000);    /* … as long */
  test_changed (900, PAGES - 900);     /* … that begins earlier */
  test_changed (30000, PAGES - 30000); /* … or later, amid what is done */
  test_impossible ();
  free (ring.conn);
  return 0;
}
