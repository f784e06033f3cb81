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
  lanes->segments = segments;
  lanes->nr = arena_nr_cpus (segments->arena, MAX_LANES);
  for (unsigned i = 0; i < lanes->nr; ++i)
    lane_create (&lanes->lane[i]);
  lane_create (&lanes->survivors);
  lane_create (&lanes->cold);
  lane_create (&lanes->cold_survivors);
}

void
lanes_destroy (struct lanes *lanes)
{
  for (unsigned i = 0; i < lanes->nr; ++i)
    lock_destroy (&lanes->lane[i].lock);
  lock_destroy (&lanes->survivors.lock);
  lock_destroy (&lanes->cold.lock);
  lock_destroy (&lanes->cold_survivors.lock);
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

bool
lanes_have_room (struct lanes *lanes, uint32_t bytes)
{
  for (unsigned i = 0; i < lanes->nr; ++i) {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&lanes->lane[i].lock);
    if (has_room (&lanes->lane[i], bytes))
      return true;
  }
  return false;
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

/* When the youngest of what is in the lane's segment was written. */
static uint32_t
lane_born (const struct lanes *lanes, const struct lane *lane)
{
  return lane == &lanes->survivors ? lane->born : segment_clock ();
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
    segment_seal (segments, lane->segment, lane->head, lane_born (lanes, lane));
  lane->segment = fresh;
  lane->head = 0;
  lane->born = 0;
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

/* Room in a lane that the caller has locked, for a blob of that age. */
static int
reserve_in (struct lanes *lanes, struct lane *lane, enum segment_user user,
            uint32_t born, uint32_t bytes, struct place *ret)
{
  uint32_t fresh;
  int err;

  while (!reserve_locked (lanes, lane, bytes, ret)) {
    lock_release (&lane->lock);
    err = segment_take (lanes->segments, user, &fresh);
    if (err)
      return err;
    lock_acquire (&lane->lock);
    install_locked (lanes, lane, fresh, bytes);
  }
  if (lane->born < born)
    lane->born = born;
  lock_release (&lane->lock);
  return 0;
}

int
lane_reserve (struct lanes *lanes, uint32_t bytes, struct place *ret)
{
  const int err =
      reserve_in (lanes, lane_pick (lanes), SEGMENT_FOR_WRITER, 0, bytes, ret);

  return err && reserve_anywhere (lanes, bytes, ret) ? 0 : err;
}

int
lane_reserve_survivor (struct lanes *lanes, bool cold, uint32_t born,
                       uint32_t bytes, struct place *ret)
{
  struct lane *lane = cold ? &lanes->cold_survivors : &lanes->survivors;

  lock_acquire (&lane->lock);
  return reserve_in (lanes, lane, SEGMENT_FOR_CLEANER, born, bytes, ret);
}

int
lane_reserve_cold (struct lanes *lanes, uint32_t bytes, struct place *ret)
{
  lock_acquire (&lanes->cold.lock);
  return reserve_in (lanes, &lanes->cold, SEGMENT_FOR_COLD, 0, bytes, ret);
}

static void
lane_seal (struct lanes *lanes, struct lane *lane)
{
  struct arena *arena = lanes->segments->arena;
  uint32_t segment, used, born, tail;

  lock_acquire (&lane->lock);
  segment = lane->segment;
  used = lane->head;
  born = lane_born (lanes, lane);
  lane->born = 0;
  lane->segment = SEGMENT_NONE;
  lock_release (&lane->lock);
  if (segment == SEGMENT_NONE)
    return;

  /* Before it is sealed: nobody can free it and use it again meanwhile. */
  tail = (used + POOL_PAGE_SIZE - 1) & ~(POOL_PAGE_SIZE - 1);
  if (tail < POOL_SEGMENT_SIZE)
    arena_punch (arena, arena_segment (arena, segment) + tail,
                 POOL_SEGMENT_SIZE - tail);
  segment_seal (lanes->segments, segment, used, born);
}

void
lanes_seal (struct lanes *lanes)
{
  lock_must_be_held (LOCK_CLEANER);
  for (unsigned i = 0; i < lanes->nr; ++i)
    lane_seal (lanes, &lanes->lane[i]);
  lane_seal (lanes, &lanes->survivors);
  lane_seal (lanes, &lanes->cold);
  lane_seal (lanes, &lanes->cold_survivors);
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
                               memory_order_relaxed) +
         atomic_load_explicit (&lanes->cold.appended, memory_order_relaxed) +
         atomic_load_explicit (&lanes->cold_survivors.appended,
                               memory_order_relaxed);
}

void
lanes_lock_all (struct lanes *lanes)
{
  for (unsigned i = 0; i < lanes->nr; ++i)
    lock_acquire_same_rank (&lanes->lane[i].lock);
  lock_acquire_same_rank (&lanes->survivors.lock);
  lock_acquire_same_rank (&lanes->cold.lock);
  lock_acquire_same_rank (&lanes->cold_survivors.lock);
}

void
lanes_unlock_all (struct lanes *lanes)
{
  for (unsigned i = 0; i < lanes->nr; ++i)
    lock_release (&lanes->lane[i].lock);
  lock_release (&lanes->survivors.lock);
  lock_release (&lanes->cold.lock);
  lock_release (&lanes->cold_survivors.lock);
}
