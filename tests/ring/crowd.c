// SPDX-License-Identifier: BSD-3-Clause
/* A server learns that more tasks want a CPU than there are, and is not misled
 * by a /proc/loadavg that is not as it should be, or not there. */

#include <config.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "../unit/unit-check.h"
#include "crowd.h"

static atomic_bool over;

static void *
want_a_cpu (void *opaque)
{
  while (!atomic_load (&over))
    ;
  return opaque;
}

/* Ends as soon as it is noticed; if never, by the alarm. */
static void
test_of_this_host (void)
{
  const long n = sysconf (_SC_NPROCESSORS_ONLN) + 1;
  pthread_t *threads = calloc ((size_t) n, sizeof *threads);

  CHECK (threads != NULL);
  CHECK (!crowd_is ()); /* not asked yet */
  crowd_begin ();
  for (long i = 0; i < n; ++i)
    CHECK (pthread_create (&threads[i], NULL, want_a_cpu, NULL) == 0);
  while (!crowd_is ())
    ;
  atomic_store (&over, true);
  for (long i = 0; i < n; ++i)
    pthread_join (threads[i], NULL);
  crowd_end ();
  CHECK (!crowd_is ());
  free (threads);
}

int
main (void)
{
  alarm (60);
  CHECK (!crowd_of ("0.00 0.01 0.05 0/120 4711", 1));
  CHECK (!crowd_of ("0.00 0.01 0.05 2/120 4711\n", 2));
  CHECK (crowd_of ("0.00 0.01 0.05 3/120 4711\n", 2));
  CHECK (!crowd_of ("100.00 10.01 1.05 128/4711 1\n", 128));
  CHECK (crowd_of ("100.00 10.01 1.05 129/4711 1\n", 128));
  CHECK (!crowd_of ("", 0));
  CHECK (!crowd_of ("9.00 9.01 9.05", 0));
  CHECK (!crowd_of ("9.00 9.01 9.05 ", 0));
  CHECK (!crowd_of ("9.00 9.01 9.05 /120 4711", 0));
  CHECK (!crowd_of ("9.00 9.01 9.05 3 120 4711", 0));
  CHECK (!crowd_of ("9.00 9.01 9.05 -3/120 4711", 0));
  test_of_this_host ();
  return 0;
}
