// SPDX-License-Identifier: BSD-3-Clause
/* Replays the requests of a real guest (streams/README.md), read from stdin.
 *
 *   prefetch-replay NAME PAGES LATE HITS WASTED
 *
 * PAGES: of the volume.  LATE: how many requests it takes to bring a page.
 * Fails when less than HITS of the pages read were in the cache, or when more
 * than WASTED were brought in vain per page read. */

#include <config.h>

#include <inttypes.h>

#include "prefetch-model.h"

/* One line.  next[] are the pages after the last request of each kind. */
static bool
replay_line (struct model *m, const char *line, uint64_t next[128])
{
  char op;
  int64_t distance;
  uint64_t count = 1, page;

  if (sscanf (line, "%c %" SCNd64 " %" SCNu64, &op, &distance, &count) < 2)
    return false;
  page = next[op & 127] + distance;
  next[op & 127] = page + count;
  if (page >= m->prefetch.pages || count > m->prefetch.pages - page)
    return false;
  if (op == 'r')
    model_read (m, page, count);
  else
    model_write (m, page, count);
  return true;
}

int
main (int argc, char *argv[])
{
  static struct model m;
  const struct prefetch_stats *stats = &m.prefetch.stats;
  const struct prefetch_stats none = { 0 };
  uint64_t next[128] = { 0 };
  char line[64];
  double hits, wasted;

  CHECK (argc == 6);
  model_init (&m, strtoull (argv[2], NULL, 10));
  m.late = atoi (argv[3]);
  model_record (&m);
  while (fgets (line, sizeof line, stdin))
    CHECK (replay_line (&m, line, next));
  CHECK (stats->reads > 1000);
  hits = model_hit_rate (&m, &none);
  wasted = model_waste_rate (&m, &none);
  model_end (&m);
  model_check (&m);
  printf ("%-22s late=%-2u requests=%-6" PRIu64 " pages=%-6" PRIu64
          " hits=%5.1f%% wasted/read=%.4f ns/request=%.0f\n",
          argv[1], m.late, m.requests, stats->reads, hits * 100, wasted,
          model_cost (&m));
  free (m.calls);
  return hits < atof (argv[4]) || wasted > atof (argv[5]);
}
