// SPDX-License-Identifier: BSD-3-Clause
/* Release by scope: the compiler calls the matching function when the
 * variable goes out of scope, on every path. */

#ifndef VMSWAP_CLEANUP_H
#define VMSWAP_CLEANUP_H

#include <stdlib.h>

#include "lock.h"

static inline void
cleanup_lock (struct lock **lock)
{
  if (*lock)
    lock_release (*lock);
}

#define CLEANUP_CAT_(a, b) a##b
#define CLEANUP_CAT(a, b) CLEANUP_CAT_ (a, b)

/* Takes the lock here and gives it back where the enclosing block ends. */
#define ACQUIRE_LOCK_FOR_CURRENT_SCOPE(l)                                      \
  __attribute__ ((cleanup (cleanup_lock))) struct lock *CLEANUP_CAT (          \
      scope_lock_, __COUNTER__) = lock_acquire (l)

#endif /* VMSWAP_CLEANUP_H */
