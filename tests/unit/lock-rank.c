// SPDX-License-Identifier: BSD-3-Clause
/* In a build with --enable-lock-checks, a lock taken out of rank aborts. */

#include <config.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

int
main (void)
{
#ifndef ENABLE_LOCK_CHECKS
  printf ("SKIP: configured without --enable-lock-checks\n");
  return 77;
#else
  struct lock low, high;
  int status;

  lock_init (&low, LOCK_STRIPE);
  lock_init (&high, LOCK_LANE);
  lock_acquire (&low);
  lock_acquire (&high);
  lock_release (&high);
  lock_release (&low);

  const pid_t pid = fork ();
  if (pid == 0) {
    lock_acquire (&high);
    lock_acquire (&low);
    _exit (0);
  }
  CHECK (waitpid (pid, &status, 0) == pid);
  CHECK (WIFSIGNALED (status) && WTERMSIG (status) == SIGABRT);
  return 0;
#endif
}
