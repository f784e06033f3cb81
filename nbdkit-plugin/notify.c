// SPDX-License-Identifier: BSD-3-Clause
/* What a service manager is told, by sd_notify(3).
 *
 * nbdkit knows nothing of it, so the plugin speaks for the server.  Where no
 * service manager listens, or it cannot be reached, nothing happens: it is
 * no reason not to serve.  No state, no locks.
 */

#include <config.h>

#include <inttypes.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "human.h"
#include "notify.h"
#include "pool.h"

static void
check (int r)
{
  if (r < 0)
    nbdkit_debug ("sd_notify: %s", strerror (-r));
}

void
notify_ready (struct pool *pool)
{
  struct pool_stats stats;
  struct human limit, used;

  pool_get_stats (pool, &stats);
  check (sd_notifyf (0,
                     "READY=1\n"
                     "STATUS=Pool of %s; at the start %" PRIu64
                     " exports were there, in %s of memory",
                     human_size (&limit, stats.limit), stats.volumes,
                     human_size (&used, stats.used)));
}

void
notify_stopping (void)
{
  check (sd_notify (0, "STOPPING=1\nSTATUS=No more clients: ending"));
}
