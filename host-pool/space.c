// SPDX-License-Identifier: BSD-3-Clause
/* Owns the wait of writers for room.  Lock: space->lock, which is the last of
 * all, so that anyone may notify. */

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

void
space_notify (struct space *space)
{
  if (atomic_load (&space->waiting) == 0)
    return;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&space->lock);
  space->serial++;
  pthread_cond_broadcast (&space->cond);
}

int
pool_wait_space (struct pool *pool, unsigned milliseconds)
{
  struct space *space = &pool->space;
  bool in_time = true;
  uint64_t serial;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&space->lock);
  atomic_fetch_add (&space->waiting, 1);
  serial = space->serial;
  while (in_time && serial == space->serial)
    in_time = lock_wait (&space->lock, &space->cond, milliseconds);
  atomic_fetch_sub (&space->waiting, 1);
  return in_time ? 0 : -ETIMEDOUT;
}
