// SPDX-License-Identifier: BSD-3-Clause
/* Whenever a server dies, and whatever the next one does again, the guest reads
 * what it wrote last.
 *
 * All sequences of posts and requests of a length, over two pages, against a
 * host that does them in any way that PROTOCOL.md allows (frees early, pages
 * out of order, superseded writes not at all, requests once post_tail has come
 * to them) and dies, and is replaced, between any two of its steps, twice.
 * After every step each page reads as it was written, or is gone if it was
 * freed: from its newest open post, else from the pool.  Then each rule is
 * broken in turn, and some page must read wrong. */

#include <config.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "unit-check.h"

#define LENGTH 5
#define PAGES 2
#define CRASHES 2
#define FREED 0

enum op { WRITE0, WRITE1, FREE0, FREE1, REQUEST0, DISCARD0, DISCARD1, OPS };

enum rule {
  NONE,
  PAGE_ORDER,     /* posts of one page in any order */
  FREE_IN_PLACE,  /* a free that was done early is not done again */
  TAIL_LAST,      /* post_tail passes a post that is not done */
  TAIL_IN_REGION, /* a request waits for what only this server knows */
  GUEST_HOLDS,    /* the guest posts for a page that has an open request */
  RULES
};

/* Position i of the sequence writes the value i + 1. */
struct world {
  uint8_t published; /* of the sequence */
  uint8_t tail;      /* in the region */
  uint8_t applied;   /* by this server, a mask: forgotten when it dies */
  uint8_t open;      /* 1 + the position of the open request, or 0 */
  uint8_t pool[PAGES];
  uint8_t wanted[PAGES];
  uint8_t crashes;
  uint8_t padding[7];
};

static uint8_t sequence[LENGTH];
static enum rule broken;

/* Worlds that were seen, of this sequence. */
#define SEEN_SIZE (1u << 16)
static struct {
  struct world world;
  uint32_t serial;
} seen[SEEN_SIZE];
static uint32_t serial;

static bool
seen_add (const struct world *world)
{
  uint64_t hash = 0xcbf29ce484222325u;
  unsigned i;

  for (i = 0; i < sizeof *world; ++i)
    hash = (hash ^ ((const uint8_t *) world)[i]) * 0x100000001b3u;
  for (i = (unsigned) (hash >> 32) % SEEN_SIZE; seen[i].serial == serial;
       i = (i + 1) % SEEN_SIZE)
    if (memcmp (&seen[i].world, world, sizeof *world) == 0)
      return false;
  seen[i].world = *world;
  seen[i].serial = serial;
  return true;
}

static unsigned
page_at (unsigned i)
{
  return sequence[i] == WRITE1 || sequence[i] == FREE1 ||
         sequence[i] == DISCARD1;
}

static bool
is_request (unsigned i)
{
  return sequence[i] >= REQUEST0;
}

static uint8_t
value_at (unsigned i)
{
  return sequence[i] == WRITE0 || sequence[i] == WRITE1 ||
                 sequence[i] == REQUEST0
             ? (uint8_t) (i + 1)
             : FREED;
}

static bool
is_done (const struct world *world, unsigned i)
{
  return i < world->tail || is_request (i) || (world->applied >> i & 1);
}

static bool
reads_right (const struct world *world)
{
  for (unsigned page = 0; page < PAGES; ++page) {
    unsigned i = world->published;

    if (world->open && page_at (world->open - 1u) == page)
      continue;
    while (i > world->tail && (is_request (i - 1) || page_at (i - 1) != page))
      --i;
    if ((i > world->tail ? value_at (i - 1) : world->pool[page]) !=
        world->wanted[page])
      return false;
  }
  return true;
}

static bool explore (const struct world *world);

/* The guest's next post or request. */
static bool
guest_steps (struct world next)
{
  const unsigned i = next.published;

  if (i == LENGTH || (next.open && (is_request (i) ||
                                    (page_at (i) == page_at (next.open - 1u) &&
                                     broken != GUEST_HOLDS))))
    return true;
  next.published++;
  if (is_request (i))
    next.open = (uint8_t) (i + 1);
  else
    next.wanted[page_at (i)] = value_at (i);
  return explore (&next);
}

/* Will this post's page be freed by what is published and open? */
static bool
is_superseded (const struct world *world, unsigned i)
{
  for (unsigned later = i + 1; later < world->published; ++later)
    if (page_at (later) == page_at (i) && value_at (later) == FREED &&
        (is_request (later) ? world->open == later + 1
                            : !is_done (world, later)))
      return true;
  return false;
}

static bool
is_next_of_its_page (const struct world *world, unsigned i)
{
  for (unsigned earlier = world->tail; earlier < i; ++earlier)
    if (page_at (earlier) == page_at (i) && !is_done (world, earlier))
      return false;
  return true;
}

/* What the host can do with one open post. */
static bool
post_steps (const struct world *world, unsigned i)
{
  struct world next = *world;

  if (is_done (world, i))
    return true;
  next.applied |= (uint8_t) (1u << i);
  if (is_superseded (world, i) && !explore (&next))
    return false;
  next.pool[page_at (i)] = value_at (i);
  if ((is_next_of_its_page (world, i) || broken == PAGE_ORDER) &&
      !explore (&next))
    return false;
  if (value_at (i) == FREED) { /* early */
    if (broken != FREE_IN_PLACE)
      next.applied = world->applied;
    if (!explore (&next))
      return false;
  }
  return true;
}

static bool
request_steps (struct world next)
{
  const unsigned i = next.open - 1u;
  bool ready;

  if (next.open == 0)
    return true;
  ready = next.tail >= i;
  if (broken == TAIL_IN_REGION) {
    ready = true;
    for (unsigned earlier = 0; earlier < i; ++earlier)
      ready = ready && is_done (&next, earlier);
  }
  if (!ready && value_at (i) != FREED)
    return true;
  next.pool[page_at (i)] = value_at (i);
  if (!explore (&next)) /* it may die before it gives the result */
    return false;
  if (!ready)
    return true;
  if (broken != GUEST_HOLDS)
    next.wanted[page_at (i)] = value_at (i);
  next.open = 0;
  return explore (&next);
}

static bool
tail_steps (struct world next)
{
  while (next.tail < next.published &&
         (is_done (&next, next.tail) || broken == TAIL_LAST)) {
    next.tail++;
    if (!explore (&next))
      return false;
  }
  return true;
}

static bool
crash_steps (struct world next)
{
  if (next.crashes == CRASHES)
    return true;
  next.crashes++;
  next.applied = 0;
  return explore (&next);
}

/* Is every read right, from this world on? */
static bool
explore (const struct world *world)
{
  if (!seen_add (world))
    return true;
  if (!reads_right (world) || !guest_steps (*world) ||
      !request_steps (*world) || !tail_steps (*world) || !crash_steps (*world))
    return false;
  for (unsigned i = world->tail; i < world->published; ++i)
    if (!post_steps (world, i))
      return false;
  return true;
}

static bool
all_sequences_are_right (void)
{
  unsigned all = 1;

  for (unsigned i = 0; i < LENGTH; ++i)
    all *= OPS;
  for (unsigned s = 0; s < all; ++s) {
    struct world world;
    unsigned rest = s;

    for (unsigned i = 0; i < LENGTH; ++i, rest /= OPS)
      sequence[i] = (uint8_t) (rest % OPS);
    memset (&world, 0, sizeof world);
    ++serial;
    if (!explore (&world)) {
      for (unsigned i = 0; broken == NONE && i < LENGTH; ++i)
        fprintf (stderr, "%u ", sequence[i]);
      return false;
    }
  }
  return true;
}

int
main (void)
{
  CHECK (all_sequences_are_right ());
  for (broken = NONE + 1; broken < RULES; ++broken)
    if (all_sequences_are_right ()) {
      fprintf (stderr, "rule %u can be broken\n", broken);
      return 1;
    }
  return 0;
}
