// SPDX-License-Identifier: BSD-3-Clause
/* The watch over vmswap-keep: a thread that notices at once when it ends, and
 * looks for the next one.
 *
 * Owns the thread and what ends it.  No lock of its own: the connection changes
 * in this thread alone. */

#include <config.h>

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "keep.h"
#include "thread.h"

#define AGAIN_MS 500
#define STACK_SIZE (128u << 10)

static int ending = -1;
static bool running;
static pthread_t thread;

static void *
run (void *opaque)
{
  for (;;) {
    /* An answer is not for us. */
    struct pollfd fds[] = { { .fd = ending, .events = POLLIN },
                            { .fd = keep_connection (), .events = POLLRDHUP } };
    const int n = poll (fds, 2, fds[1].fd == -1 ? AGAIN_MS : -1);

    if (n > 0 && fds[0].revents)
      return NULL;
    if (n > 0 && fds[1].revents)
      keep_end_connection ();
    else if (n == 0)
      keep_connect_again ();
  }
}

int
keep_watch_start (void)
{
  if (keep_connection () == -1)
    return 0;
  ending = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  running = ending != -1 && thread_start (&thread, STACK_SIZE, run, NULL) == 0;
  if (running)
    return 0;
  nbdkit_error ("cannot watch the keeper: %m: raise the limits of tasks or "
                "descriptors");
  return -1;
}

void
keep_watch_stop (void)
{
  const uint64_t one = 1;

  if (running && write (ending, &one, sizeof one) == sizeof one)
    pthread_join (thread, NULL);
  running = false;
  if (ending != -1)
    close (ending);
  ending = -1;
}
