// SPDX-License-Identifier: BSD-3-Clause
/* Room: FULL is set before a post can be refused, while all slots of the region
 * would still find room, stored as they are.
 *
 * Owns host_flags.  What others take meanwhile is not seen at once; a post
 * that is refused in spite of all this is kept (ring-stuck.c). */

#include <config.h>

#include "ring.h"

/* A page as it is, its header, and its share of a page table. */
#define PAGE_WITH_ALL (POOL_PAGE_SIZE + 64u)

#define LOOK_NS UINT64_C (100000000)

/* All slots, stored as they are. */
static uint64_t
room_needed (uint32_t slots)
{
  return (uint64_t) slots * PAGE_WITH_ALL;
}

uint64_t
ring_room_to_open (uint64_t region_size)
{
  struct vmswap_ring_geometry geometry;
  uint64_t needed;

  if (vmswap_ring_geometry_for_size (region_size, &geometry) == -1)
    return UINT64_MAX;
  needed = room_needed (geometry.parts[VMSWAP_RING_SLOTS].count);
  return needed + needed / 4;
}

/* For those who look from outside. */
static void
tell (const struct ring *ring)
{
  struct conn *conn = ring->conn;
  const bool closed = (ring->host_flags & VMSWAP_HOST_FULL) != 0;

  atomic_store_explicit (&conn->region_bytes, ring->region.size,
                         memory_order_relaxed);
  if (!closed)
    atomic_store_explicit (&conn->closed_ns, 0, memory_order_relaxed);
  else if (atomic_load_explicit (&conn->closed_ns, memory_order_relaxed) == 0)
    atomic_store_explicit (&conn->closed_ns, ring->now_ns,
                           memory_order_relaxed);
}

/* What the guest can still store. */
static uint64_t
room_of (const struct ring *ring)
{
  struct pool_stats pool;
  struct volume_stats volume;
  uint64_t room, own, kept;

  pool_get_stats (ring->conn->pool, &pool);
  volume_get_stats (ring->conn->volume, &volume);
  own = volume.charged < volume.reserve ? volume.reserve - volume.charged : 0;
  kept = pool.unfilled > own ? pool.unfilled - own : 0;
  room = pool.capacity > pool.blob_bytes + kept
             ? pool.capacity - pool.blob_bytes - kept
             : 0;
  if (room < own)
    room = own;
  if (volume.quota != 0 && volume.quota < volume.charged + room)
    room = volume.quota > volume.charged ? volume.quota - volume.charged : 0;
  return room;
}

void
ring_room_set (struct ring *ring, bool full)
{
  const uint32_t flags = full ? VMSWAP_HOST_FULL : 0;

  if (ring->host_flags == flags)
    return;
  ring->host_flags = flags;
  RING_RELEASE (&ring->region.header->host_flags, flags);
  tell (ring);
  if (!full)
    ring_interrupt (ring);
}

void
ring_room_turn (struct ring *ring)
{
  const uint32_t slots = RING_COUNT (ring, SLOTS);
  const uint64_t needed = room_needed (slots);
  uint64_t room;

  if (ring->now_ns < ring->room_ns && ring->room_written < slots / 4)
    return;
  ring->room_ns = ring->now_ns + LOOK_NS;
  ring->room_written = 0;
  room = room_of (ring);
  if (room < needed)
    ring_room_set (ring, true);
  else if (room >= needed + needed / 4 && !ring->stuck.is)
    ring_room_set (ring, false);
  tell (ring);
}
