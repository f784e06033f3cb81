// SPDX-License-Identifier: BSD-3-Clause
/* How the server ends when it is told to.
 *
 * Owns what nbdkit did with the signals before.  Set while one thread runs,
 * constant while the handler is in place; the handler calls nothing that is
 * not safe in one. */

#include <config.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "exports.h"
#include "ivshmem.h"
#include "stop.h"

/* Those that nbdkit takes for "end". */
static const int signals[] = { SIGINT, SIGQUIT, SIGHUP, SIGTERM };
#define NR_SIGNALS (sizeof signals / sizeof signals[0])

static struct sigaction before[NR_SIGNALS];

static void
handle (int sig, siginfo_t *info, void *context)
{
  size_t i = 0;

  if (exports_in_use ()) {
    if (ivshmem_end_process ())
      return;
    _exit (EXIT_SUCCESS);
  }
  while (signals[i] != sig)
    i++;
  if (before[i].sa_flags & SA_SIGINFO)
    before[i].sa_sigaction (sig, info, context);
  else
    before[i].sa_handler (sig);
}

/* Only where nbdkit has a handler. */
void
stop_catch_signals (void)
{
  for (size_t i = 0; i < NR_SIGNALS; ++i)
    if (sigaction (signals[i], NULL, &before[i]) == 0 &&
        before[i].sa_handler != SIG_DFL && before[i].sa_handler != SIG_IGN) {
      struct sigaction action = before[i];

      action.sa_flags |= SA_SIGINFO;
      action.sa_sigaction = handle;
      sigaction (signals[i], &action, NULL);
    }
}

void
stop_release_signals (void)
{
  for (size_t i = 0; i < NR_SIGNALS; ++i) {
    struct sigaction now;

    if (sigaction (signals[i], NULL, &now) == 0 && now.sa_sigaction == handle)
      sigaction (signals[i], &before[i], NULL);
  }
}
