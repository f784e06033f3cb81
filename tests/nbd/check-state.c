// SPDX-License-Identifier: BSD-3-Clause
/* Adopts the pool that a server left in a directory, and checks every
 * invariant and every page of it.
 *
 *     check-state DIR POOL-MIB
 */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"

int
main (int argc, char *argv[])
{
  char report[512] = "";
  struct pool_stats stats;
  struct pool *pool;
  int err;

  if (argc != 3) {
    fprintf (stderr, "usage: check-state DIR POOL-MIB\n");
    return EXIT_FAILURE;
  }
  const struct pool_config config = {
    .limit = strtoull (argv[2], NULL, 0) << 20,
    .state = argv[1],
    .reason = report,
    .reason_size = sizeof report,
  };
  err = pool_create (&config, &pool);
  if (err == 0) {
    if (!pool_was_adopted (pool)) {
      fprintf (stderr, "check-state: %s holds no pool\n", argv[1]);
      return EXIT_FAILURE;
    }
    err = pool_check (pool, true, report, sizeof report);
  }
  if (err) {
    fprintf (stderr, "check-state: %s: %s\n", strerror (-err), report);
    return EXIT_FAILURE;
  }
  pool_get_stats (pool, &stats);
  printf ("check-state: %" PRIu64 " volumes, %" PRIu64 " pages in blobs, "
          "%" PRIu64 " fill pages, %" PRIu64 " lost, %" PRIu64 " MiB used\n",
          stats.volumes, stats.blob_pages, stats.fill_pages, stats.lost_pages,
          stats.used >> 20);
  pool_destroy (pool);
  return stats.lost_pages ? EXIT_FAILURE : EXIT_SUCCESS;
}
