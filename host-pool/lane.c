// SPDX-License-Identifier: BSD-3-Clause
/* Owns the open segments.
 *
 * Invariants
 *  1. A segment is OPEN exactly while a lane (or a thread between
 *     segment_take and installing it) holds it.
 *  2. Bytes below head are given out, each once.
 *
 * Lock: one per lane, held for a few instructions; blobs are copied in
 * without it. */

#include <config.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "lane.h"

static void
lane_create (struct lane *lane)
{
  lock_init (&lane->lock, LOCK_LANE);
  lane->segment = SEGMENT_NONE;
  lane->head = 0;
}

void
lanes_create (struct lanes *lanes, struct segments *segments)
{
  const long cpus = sysconf (_SC_NPROCESSORS_ONLN);
  const uint64_t affordable = segments->arena->limit / POOL_SEGMENT_SIZE / 16;

  lanes->segments = segments;
  lanes->nr = cpus < 1 ? 1 : cpus > MAX_LANES ? MAX_LANES : cpus;
  if (lanes->nr > affordable)
    lanes->nr = affordable ? affordable : 1;
  for (unsigned i = 0; i < lanes->nr; ++i)
    lane_create (&lanes->lane[i]);
  lane_create (&lanes->survivors);
}

void
lanes_destroy (struct lanes *lanes)
{
  for (unsigned i = 0; i < lanes->nr; ++i)
    lock_destroy (&lanes->lane[i].lock);
  lock_destroy (&lanes->survivors.lock);
}

/* Locks a lane, if possible one that nobody else holds. */
static struct lane *
lane_pick (struct lanes *lanes)
{
  const int cpu = sched_getcpu ();
  const unsigned first = cpu < 0 ? 0 : (unsigned) cpu % lanes->nr;

  for (unsigned i = 0; i < lanes->nr; ++i) {
    struct lane *lane = &lanes->lane[(first + i) % lanes->nr];

    if (lock_try (&lane->lock))
      return lane;
  }
  lock_acquire (&lanes->lane[first].lock);
  return &lanes->lane[first];
}

static bool
has_room (const struct lane *lane, uint32_t bytes)
{
  return lane->segment != SEGMENT_NONE &&
         bytes <= POOL_SEGMENT_SIZE - lane->head;
}

static bool
reserve_locked (struct lanes *lanes, struct lane *lane, uint32_t bytes,
                struct place *ret)
{
  if (!has_room (lane, bytes))
    return false;
  *ret = (struct place){ .segment = lane->segment, .offset = lane->head };
  lane->head += bytes;
  atomic_store_explicit (
      &lane->appended,
      atomic_load_explicit (&lane->appended, memory_order_relaxed) + bytes,
      memory_order_relaxed);
  segment_credit (lanes->segments, ret->segment, bytes);
  return true;
}

/* Takes what another lane has left, when there is no new segment. */
static bool
reserve_anywhere (struct lanes *lanes, uint32_t bytes, struct place *ret)
{
  for (unsigned i = 0; i < lanes->nr; ++i) {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&lanes->lane[i].lock);
    if (reserve_locked (lanes, &lanes->lane[i], bytes, ret))
      return true;
  }
  return false;
}

/* The lane goes on in a fresh segment; unless another thread was faster. */
static void
install_locked (struct lanes *lanes, struct lane *lane, uint32_t fresh,
                uint32_t bytes)
{
  struct segments *segments = lanes->segments;

  if (has_room (lane, bytes)) {
    segment_untake (segments, fresh);
    return;
  }
  if (lane->segment != SEGMENT_NONE)
    segment_seal (segments, lane->segment, lane->head);
  lane->segment = fresh;
  lane->head = 0;
  segment_installed (segments);
}

int
lane_prepare (struct lanes *lanes, uint32_t bytes)
{
  struct lane *lane = lane_pick (lanes);
  uint32_t fresh;
  int err = 0;

  if (!has_room (lane, bytes)) {
    lock_release (&lane->lock);
    err = segment_take (lanes->segments, SEGMENT_FOR_WRITER, &fresh);
    lock_acquire (&lane->lock);
    if (!err)
      install_locked (lanes, lane, fresh, bytes);
  }
  lock_release (&lane->lock);
  return err;
}

bool
lane_try (struct lanes *lanes, uint32_t bytes, struct place *ret)
{
  return reserve_anywhere (lanes, bytes, ret);
}

int
lane_reserve (struct lanes *lanes, enum segment_user user, uint32_t bytes,
              struct place *ret)
{
  struct segments *segments = lanes->segments;
  uint32_t fresh;
  struct lane *lane;
  int err;

  if (user == SEGMENT_FOR_WRITER)
    lane = lane_pick (lanes);
  else
    lane = &lanes->survivors, lock_acquire (&lane->lock);

  while (!reserve_locked (lanes, lane, bytes, ret)) {
    lock_release (&lane->lock);
    err = segment_take (segments, user, &fresh);
    if (err) {
      if (user == SEGMENT_FOR_WRITER && reserve_anywhere (lanes, bytes, ret))
        return 0;
      return err;
    }

    lock_acquire (&lane->lock);
    install_locked (lanes, lane, fresh, bytes);
  }
  lock_release (&lane->lock);
  return 0;
}

static void
lane_seal (struct lanes *lanes, struct lane *lane)
{
  struct arena *arena = lanes->segments->arena;
  uint32_t segment, used, tail;

  lock_acquire (&lane->lock);
  segment = lane->segment;
  used = lane->head;
  lane->segment = SEGMENT_NONE;
  lock_release (&lane->lock);
  if (segment == SEGMENT_NONE)
    return;

  /* Before it is sealed: nobody can free it and use it again meanwhile. */
  tail = (used + POOL_PAGE_SIZE - 1) & ~(POOL_PAGE_SIZE - 1);
  if (tail < POOL_SEGMENT_SIZE)
    arena_punch (arena, arena_segment (arena, segment) + tail,
                 POOL_SEGMENT_SIZE - tail);
  segment_seal (lanes->segments, segment, used);
}

void
lanes_seal (struct lanes *lanes)
{
  for (unsigned i = 0; i < lanes->nr; ++i)
    lane_seal (lanes, &lanes->lane[i]);
  lane_seal (lanes, &lanes->survivors);
}

uint64_t
lanes_appended (struct lanes *lanes)
{
  uint64_t sum = 0;

  for (unsigned i = 0; i < lanes->nr; ++i)
    sum +=
        atomic_load_explicit (&lanes->lane[i].appended, memory_order_relaxed);
  return sum;
}

uint64_t
lanes_survived (struct lanes *lanes)
{
  return atomic_load_explicit (&lanes->survivors.appended,
                               memory_order_relaxed);
}

void
lanes_lock_all (struct lanes *lanes)
{
  for (unsigned i = 0; i < lanes->nr; ++i)
    lock_acquire_same_rank (&lanes->lane[i].lock);
  lock_acquire_same_rank (&lanes->survivors.lock);
}

void
lanes_unlock_all (struct lanes *lanes)
{
  for (unsigned i = 0; i < lanes->nr; ++i)
    lock_release (&lanes->lane[i].lock);
  lock_release (&lanes->survivors.lock);
}
