// SPDX-License-Identifier: BSD-3-Clause
/* Owns the signal that ends calls which must not block, and its handler.
 *
 * A watch is a timer of its thread.  It has gone off at most once: while the
 * signal waits to be taken, the kernel does not wind the timer up again, so a
 * thread that does not ring is not woken. */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bell.h"

#define SIGNAL (SIGRTMIN + 3)

/* Older headers have no name for it. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void
wake (int signal)
{
  (void) signal;
}

/* Without SA_RESTART: the call is to end. */
static int
handle (void)
{
  struct sigaction action = { .sa_handler = wake };

  sigemptyset (&action.sa_mask);
  return sigaction (SIGNAL, &action, NULL);
}

static void
set_blocked (bool blocked)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGNAL);
  pthread_sigmask (blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

int
bell_watch (struct bell_watch *watch)
{
  const struct timespec period = { .tv_nsec = BELL_MS * 1000000L };
  const struct itimerspec when = { .it_interval = period, .it_value = period };
  struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
                            .sigev_signo = SIGNAL };

  pthread_sigmask (SIG_SETMASK, NULL, &watch->before);
  set_blocked (true);
  event.sigev_notify_thread_id = (pid_t) syscall (SYS_gettid);
  if (handle () == -1 ||
      timer_create (CLOCK_MONOTONIC, &event, &watch->timer) == -1) {
    const int err = errno;

    pthread_sigmask (SIG_SETMASK, &watch->before, NULL);
    return -err;
  }
  timer_settime (watch->timer, 0, &when, NULL);
  return 0;
}

void
bell_unwatch (struct bell_watch *watch)
{
  timer_delete (watch->timer);
  pthread_sigmask (SIG_SETMASK, &watch->before, NULL);
}

int
bell_ring (int fd)
{
  const uint64_t one = 1;
  ssize_t n;
  int err;

  set_blocked (false);
  n = write (fd, &one, sizeof one);
  err = errno;
  set_blocked (true);
  return n == -1 && err == EINTR ? -EINTR : 0;
}

bool
bell_hear (int fd)
{
  uint64_t rings;
  ssize_t n;

  set_blocked (false);
  n = read (fd, &rings, sizeof rings);
  set_blocked (true);
  return n == sizeof rings;
}
