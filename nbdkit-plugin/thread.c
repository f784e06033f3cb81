// SPDX-License-Identifier: BSD-3-Clause
/* Starts threads.  Owns nothing. */

#include <config.h>

#include <errno.h>
#include <signal.h>

#include "thread.h"

int
thread_start (pthread_t *thread, size_t stack, void *(*run) (void *opaque),
              void *opaque)
{
  pthread_attr_t attr;
  sigset_t all, before;
  int err;

  pthread_attr_init (&attr);
  if (stack != 0)
    pthread_attr_setstacksize (&attr, stack);
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  err = pthread_create (thread, &attr, run, opaque);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  pthread_attr_destroy (&attr);
  errno = err;
  return err == 0 ? 0 : -1;
}
