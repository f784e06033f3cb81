// SPDX-License-Identifier: BSD-3-Clause
/* Owns the wait of writers for room: in the pool, or below the quota of their
 * volume.  Each has a space of its own, so that what others free wakes nobody
 * who waits for his quota.
 *
 * Invariant: a write that was refused began when serial was at most refused;
 * so once serial is above it, something came free after that write had looked.
 *
 * A later refusal of another writer counts for all: it proves that what came
 * free before it was not enough or is gone again.
 *
 * Lock: space->lock, for the wait alone.  Almost all others may be
 * held by whoever notifies. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "internal.h"

void
space_create (struct space *space)
{
  lock_init (&space->lock, LOCK_SPACE);
  lock_cond_init (&space->cond);
}

void
space_destroy (struct space *space)
{
  pthread_cond_destroy (&space->cond);
  lock_destroy (&space->lock);
}

uint64_t
space_serial (struct space *space)
{
  return atomic_load (&space->serial);
}

void
space_refused (struct space *space, uint64_t serial)
{
  uint64_t last = atomic_load (&space->refused);

  while (last < serial &&
         !atomic_compare_exchange_weak (&space->refused, &last, serial))
    ;
}

void
space_notify (struct space *space)
{
  atomic_fetch_add (&space->serial, 1);
  if (atomic_load (&space->waiting) == 0)
    return;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&space->lock);
  pthread_cond_broadcast (&space->cond);
}

static int
wait_space (struct space *space, unsigned milliseconds)
{
  bool in_time = true;

  /* A timed wait sleeps, even if its time is over. */
  if (milliseconds == 0)
    return atomic_load (&space->serial) > atomic_load (&space->refused)
               ? 0
               : -ETIMEDOUT;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&space->lock);
  atomic_fetch_add (&space->waiting, 1);
  while (in_time &&
         atomic_load (&space->serial) <= atomic_load (&space->refused))
    in_time = lock_wait (&space->lock, &space->cond, milliseconds);
  atomic_fetch_sub (&space->waiting, 1);
  return in_time ? 0 : -ETIMEDOUT;
}

int
pool_wait_space (struct pool *pool, unsigned milliseconds)
{
  return wait_space (&pool->space, milliseconds);
}

int
volume_wait_space (struct volume *volume, unsigned milliseconds)
{
  return wait_space (&volume->space, milliseconds);
}
