// SPDX-License-Identifier: BSD-3-Clause
/* bare-cost: CPU time a page of the yardstick on the samples mixed, for
 * nbd-bench, which runs it on the server's CPU in every round. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "bare.h"
#include "measure.h"
#include "sample.h"

#define PAGES 1024 /* of each sample */
#define ROUNDS 5

int
main (int argc, char *argv[])
{
  double write[ROUNDS], read[ROUNDS], read_copy[ROUNDS];
  uint8_t page[PAGE];
  struct sample sample;

  if (argc < 2)
    fail ("usage: bare-cost SAMPLE...");
  sample_load_mix (&sample, argv + 1, (size_t) argc - 1, PAGES,
                   SAMPLE_DROP_FILL);
  struct bare *bare = bare_create (sample.count);
  struct bare_worker *worker = bare_worker_create (bare, 0);
  const double n = (double) sample.count;

  for (unsigned round = 0; round < ROUNDS; round++) {
    const uint64_t start = thread_cpu_ns ();
    bare_worker_rewind (worker);
    for (size_t i = 0; i < sample.count; i++)
      bare_write (worker, i, sample_page (&sample, i));
    const uint64_t written = thread_cpu_ns ();
    for (size_t i = 0; i < sample.count; i++)
      bare_read (worker, i, page, false);
    const uint64_t read_at = thread_cpu_ns ();
    for (size_t i = 0; i < sample.count; i++)
      bare_read (worker, i, page, true);
    write[round] = (double) (written - start) / n;
    read[round] = (double) (read_at - written) / n;
    read_copy[round] = (double) (thread_cpu_ns () - read_at) / n;
  }
  printf ("{\"write_ns\":%.1f,\"read_ns\":%.1f,\"read_copy_ns\":%.1f}\n",
          median (write, ROUNDS), median (read, ROUNDS),
          median (read_copy, ROUNDS));
  return EXIT_SUCCESS;
}
