// SPDX-License-Identifier: BSD-3-Clause
/* What keeps a server of swap from waiting for swap itself.
 *
 * The pool is locked into memory, page by page as it fills.  And the process
 * is marked as one that other tasks' memory reclaim may depend on: its own
 * allocations then never wait for file systems or swap.  Locks are lost by
 * fork; the second mark is inherited, by threads too.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "hostmem.h"
#include "human.h"
#include "pool.h"

#ifndef PR_SET_IO_FLUSHER /* Linux 5.6 */
#define PR_SET_IO_FLUSHER 57
#endif

static void
warn_if_larger_than_host (uint64_t bytes)
{
  const uint64_t ram =
      (uint64_t) sysconf (_SC_PHYS_PAGES) * sysconf (_SC_PAGESIZE);
  struct human pool_size, ram_size;

  if (bytes > ram)
    nbdkit_error ("warning: the pool may grow to %s, but the host has only "
                  "%s of memory: give a smaller pool=",
                  human_size (&pool_size, bytes), human_size (&ram_size, ram));
}

bool
hostmem_protect (struct pool *pool)
{
  struct pool_stats stats;
  int r;

  pool_get_stats (pool, &stats);
  warn_if_larger_than_host (stats.limit);
  if (prctl (PR_SET_IO_FLUSHER, 1, 0, 0, 0) == -1)
    nbdkit_debug ("PR_SET_IO_FLUSHER: %m (it takes CAP_SYS_RESOURCE)");

  r = pool_lock_memory (pool);
  if (r < 0)
    nbdkit_error ("warning: the pool is not locked in memory and the host "
                  "may swap it out (%s): allow %" PRIu64 " bytes with "
                  "RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK= in a systemd "
                  "unit), or give CAP_IPC_LOCK",
                  strerror (-r), pool_lockable_bytes (pool));
  return r == 0;
}
