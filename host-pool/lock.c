// SPDX-License-Identifier: BSD-3-Clause
/* Owns nothing.  A failure of a pthread call here is a bug of ours (a lock
 * used after its end, or released twice): carrying on would risk pages, so it
 * aborts. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "lock.h"

#ifdef ENABLE_LOCK_CHECKS
#define RANKS 16
static _Thread_local unsigned held[RANKS];

static void
note_acquired (const struct lock *lock, bool same_rank_allowed)
{
  for (unsigned r = lock->rank + !!same_rank_allowed; r < RANKS; ++r)
    if (held[r])
      abort (); /* taken out of rank */
  held[lock->rank]++;
}

static void
note_released (const struct lock *lock)
{
  if (held[lock->rank]-- == 0)
    abort ();
}

static void
note_needed (enum lock_rank rank)
{
  if (held[rank] == 0)
    abort ();
}
#else
static inline void
note_acquired (const struct lock *lock, bool same_rank_allowed)
{
  (void) lock;
  (void) same_rank_allowed;
}

static inline void
note_released (const struct lock *lock)
{
  (void) lock;
}

static inline void
note_needed (enum lock_rank rank)
{
  (void) rank;
}
#endif

static inline void
must (int err)
{
  if (err)
    abort ();
}

void
lock_init (struct lock *lock, enum lock_rank rank)
{
  pthread_mutexattr_t attr;

  /* The pool's locks are held for tens of nanoseconds: spinning a little
   * before sleeping is worth it. */
  must (pthread_mutexattr_init (&attr));
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
  must (pthread_mutexattr_settype (&attr, PTHREAD_MUTEX_ADAPTIVE_NP));
#endif
  must (pthread_mutex_init (&lock->mutex, &attr));
  pthread_mutexattr_destroy (&attr);
  lock->rank = rank;
}

void
lock_destroy (struct lock *lock)
{
  must (pthread_mutex_destroy (&lock->mutex));
}

struct lock *
lock_acquire (struct lock *lock)
{
  note_acquired (lock, false);
  must (pthread_mutex_lock (&lock->mutex));
  return lock;
}

void
lock_acquire_same_rank (struct lock *lock)
{
  note_acquired (lock, true);
  must (pthread_mutex_lock (&lock->mutex));
}

bool
lock_try (struct lock *lock)
{
  int err = pthread_mutex_trylock (&lock->mutex);

  if (err == EBUSY)
    return false;
  must (err);
  note_acquired (lock, false);
  return true;
}

void
lock_release (struct lock *lock)
{
  note_released (lock);
  must (pthread_mutex_unlock (&lock->mutex));
}

void
lock_must_be_held (enum lock_rank rank)
{
  note_needed (rank);
}

void
lock_cond_init (pthread_cond_t *cond)
{
  pthread_condattr_t attr;

  must (pthread_condattr_init (&attr));
  must (pthread_condattr_setclock (&attr, CLOCK_MONOTONIC));
  must (pthread_cond_init (cond, &attr));
  pthread_condattr_destroy (&attr);
}

bool
lock_wait (struct lock *lock, pthread_cond_t *cond, int milliseconds)
{
  struct timespec t;
  int err;

  if (milliseconds < 0) {
    must (pthread_cond_wait (cond, &lock->mutex));
    return true;
  }

  clock_gettime (CLOCK_MONOTONIC, &t);
  t.tv_sec += milliseconds / 1000;
  t.tv_nsec += milliseconds % 1000 * 1000000L;
  if (t.tv_nsec >= 1000000000L) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000L;
  }
  err = pthread_cond_timedwait (cond, &lock->mutex, &t);
  if (err == ETIMEDOUT)
    return false;
  must (err);
  return true;
}
