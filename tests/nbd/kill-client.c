// SPDX-License-Identifier: BSD-3-Clause
/* Proves that no acknowledged page is lost while a server with state= is
 * killed and started again.
 *
 *     kill-client SOCKET SEED EXPORT:MIB:CONNECTIONS...
 *
 * Every connection has a thread, a range of its export, and up to 64 requests
 * under way: writes of all kinds of pages, reads that are compared with a
 * shadow copy, zeroes, trims.  When the connection dies the thread connects
 * again as soon as somebody listens, reads back what was under way (each page
 * must be old or new), reads a sample, and goes on.  All exports must be blank
 * to begin with.
 *
 * Says "answer NANOSECONDS" (monotonic clock) at the first read of each
 * connection.  SIGTERM: it finishes what is under way, reads everything, prints
 * the counts and ends.  SIGUSR1: it prints the counts.
 *
 * Exit status: 0; 1: something was wrong; 2: nothing moved for STUCK_SECONDS
 * (from the environment; 60); 3: it could not do its work.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

#include "content.h"
#include "kill-client.h"

#define MAX_WORKERS 64

_Atomic bool stopping;

static struct worker workers[MAX_WORKERS];
static unsigned nr_workers;
static pthread_mutex_t report_lock = PTHREAD_MUTEX_INITIALIZER;

static void __attribute__ ((noreturn, format (printf, 1, 2)))
give_up (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  fprintf (stderr, "kill-client: ");
  vfprintf (stderr, format, args);
  fprintf (stderr, "\n");
  va_end (args);
  exit (3);
}

static void
report (unsigned wrong)
{
  uint64_t requests = 0, pages = 0, refused = 0, reconnects = 0;
  uint64_t unacknowledged = 0, verifies = 0, shutdowns = 0;

  for (unsigned i = 0; i < nr_workers; ++i) {
    requests += atomic_load (&workers[i].requests);
    pages += atomic_load (&workers[i].pages);
    refused += atomic_load (&workers[i].refused);
    reconnects += atomic_load (&workers[i].reconnects);
    unacknowledged += atomic_load (&workers[i].unacknowledged);
    verifies += atomic_load (&workers[i].verifies);
    shutdowns += atomic_load (&workers[i].shutdowns);
  }
  printf ("requests %" PRIu64 " pages %" PRIu64 " refused %" PRIu64
          " reconnects %" PRIu64 " unacknowledged %" PRIu64
          " ESHUTDOWN %" PRIu64 " verifies %" PRIu64 " wrong %u\n",
          requests, pages, refused, reconnects, unacknowledged, shutdowns,
          verifies, wrong);
  fflush (stdout);
}

void
report_wrong (unsigned pages, const char *format, ...)
{
  va_list args;

  pthread_mutex_lock (&report_lock); /* the first one ends the program */
  va_start (args, format);
  fprintf (stderr, "kill-client: ");
  vfprintf (stderr, format, args);
  fprintf (stderr, "\n");
  va_end (args);
  report (pages);
  _exit (1);
}

/* SPEC: EXPORT:MIB:CONNECTIONS.  The workers of one export divide it, all but
 * its first page, at odd bytes: they meet in the middle of pages. */
static void
add_export (const char *socket, char *spec, uint64_t seed)
{
  const char *name = strtok (spec, ":");
  const char *mib = strtok (NULL, ":"), *conns = strtok (NULL, ":");
  uint64_t size;
  unsigned n;

  if (name == NULL || mib == NULL || conns == NULL)
    give_up ("'%s' is not EXPORT:MIB:CONNECTIONS", spec);
  size = strtoull (mib, NULL, 0) * MIB;
  n = strtoul (conns, NULL, 0);
  if (size == 0 || size > GIB || n == 0 || nr_workers + n > MAX_WORKERS)
    give_up ("1 to 1024 MiB, and 1 to %d connections in all", MAX_WORKERS);
  for (unsigned i = 0; i < n; ++i) {
    struct worker *w = &workers[nr_workers];
    const uint64_t start = i == 0 ? PAGE : size / n * i / 1001 * 1001;
    const uint64_t end = i + 1 == n ? size : size / n * (i + 1) / 1001 * 1001;

    w->socket = socket;
    w->export = name;
    w->export_size = size;
    w->owns_export = n == 1;
    w->rng = (struct rng){ test_mix (seed * MAX_WORKERS + nr_workers) };
    w->nr_slots = 16 << nr_workers % 3;
    w->shadow = (struct shadow){ start, end - start, calloc (1, end - start) };
    if (w->shadow.data == NULL)
      give_up ("no memory");
    nr_workers++;
  }
}

/* Nobody has got an answer for too long, or one whose connection is up. */
static void
watch (unsigned stuck_seconds)
{
  static uint64_t last[MAX_WORKERS];
  static unsigned idle[MAX_WORKERS];
  unsigned least_idle = stuck_seconds;

  for (unsigned i = 0; i < nr_workers; ++i) {
    const uint64_t now = atomic_load (&workers[i].progress);
    const bool finished = atomic_load (&workers[i].finished);

    idle[i] = now == last[i] && !finished ? idle[i] + 1 : 0;
    last[i] = now;
    if (idle[i] < least_idle)
      least_idle = idle[i];
    if (idle[i] < stuck_seconds || !atomic_load (&workers[i].connected))
      continue;
    fprintf (stderr,
             "kill-client: export '%s', connection %u: no answer for "
             "%u s\n",
             workers[i].export, i, stuck_seconds);
    report (0);
    exit (2);
  }
  if (least_idle < stuck_seconds)
    return;
  fprintf (stderr, "kill-client: no server for %u s\n", stuck_seconds);
  report (0);
  exit (2);
}

static bool
all_finished (void)
{
  for (unsigned i = 0; i < nr_workers; ++i)
    if (!atomic_load (&workers[i].finished))
      return false;
  return true;
}

int
main (int argc, char *argv[])
{
  const char *env = getenv ("STUCK_SECONDS");
  const struct timespec second = { .tv_sec = 1 };
  sigset_t signals;

  if (argc < 4)
    give_up ("usage: kill-client SOCKET SEED EXPORT:MIB:CONNECTIONS...");
  content_init (strtoull (argv[2], NULL, 0));
  for (int i = 3; i < argc; ++i)
    add_export (argv[1], argv[i], strtoull (argv[2], NULL, 0));

  sigemptyset (&signals);
  sigaddset (&signals, SIGTERM);
  sigaddset (&signals, SIGUSR1);
  pthread_sigmask (SIG_BLOCK, &signals, NULL);
  signal (SIGPIPE, SIG_IGN);
  for (unsigned i = 0; i < nr_workers; ++i)
    if (pthread_create (&workers[i].thread, NULL, worker_run, &workers[i]))
      give_up ("cannot start a thread");
  while (!all_finished ()) {
    const int signal = sigtimedwait (&signals, NULL, &second);

    if (signal == SIGTERM)
      atomic_store (&stopping, true);
    else if (signal == SIGUSR1)
      report (0);
    else
      watch (env ? strtoul (env, NULL, 0) : 60);
  }
  for (unsigned i = 0; i < nr_workers; ++i)
    pthread_join (workers[i].thread, NULL);
  report (0);
  return EXIT_SUCCESS;
}
