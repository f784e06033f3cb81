// SPDX-License-Identifier: BSD-3-Clause
/* Figures: taken from the pool and the exports, and the table of them.  Owns
 * nothing; the lock of the exports is held while they are looked at. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "figures.h"
#include "keep.h"
#include "ring.h"

/* What is left of a sum whose parts were counted a moment apart. */
static uint64_t
figure_rest (uint64_t sum, uint64_t part)
{
  return sum > part ? sum - part : 0;
}

static double
figure_ratio (uint64_t of, uint64_t by)
{
  return by == 0 ? 0 : (double) of / by;
}

double
figures_compression (const struct pool_stats *stats)
{
  const uint64_t pages =
      stats->blob_pages + stats->cold_pages + stats->shared_blobs;

  return figure_ratio (pages * POOL_PAGE_SIZE, stats->data_bytes);
}

static const struct traffic_op_sum *
op_of (const struct figures_guest *guest, enum traffic_op op)
{
  return &guest->traffic.op[op];
}

static double
quantile (const struct figures_guest *guest, enum traffic_op op, double share)
{
  return traffic_quantile (op_of (guest, op), share);
}

#define VALUE(expression)                                                      \
  (struct figure_value)                                                        \
  {                                                                            \
    .whole = (expression), .real = (expression)                                \
  }

#define POOL(name, kind, unit, meaning, expression)                            \
  static struct figure_value pool_##name (const void *source)                  \
  {                                                                            \
    const struct figures_pool *p = source;                                     \
    const struct pool_stats *s = &p->stats;                                    \
                                                                               \
    (void) s;                                                                  \
    return VALUE (expression);                                                 \
  }
#define GUEST(name, kind, unit, meaning, expression)                           \
  static struct figure_value guest_##name (const void *source)                 \
  {                                                                            \
    const struct figures_guest *g = source;                                    \
    const struct volume_stats *s = &g->stats;                                  \
                                                                               \
    (void) s;                                                                  \
    return VALUE (expression);                                                 \
  }
#include "figures.def"
#undef POOL
#undef GUEST

#define POOL(name, kind, unit, meaning, expression)                            \
  { #name, FIGURE_##kind, FIGURE_##unit, meaning, pool_##name },
#define GUEST(name, kind, unit, meaning, expression)
const struct figure figures_of_pool[] = {
#include "figures.def"
};
const size_t nr_figures_of_pool =
    sizeof figures_of_pool / sizeof figures_of_pool[0];
#undef POOL
#undef GUEST

#define POOL(name, kind, unit, meaning, expression)
#define GUEST(name, kind, unit, meaning, expression)                           \
  { #name, FIGURE_##kind, FIGURE_##unit, meaning, guest_##name },
const struct figure figures_of_guest[] = {
#include "figures.def"
};
const size_t nr_figures_of_guest =
    sizeof figures_of_guest / sizeof figures_of_guest[0];
#undef POOL
#undef GUEST

const char *
figure_kind_name (enum figure_kind kind)
{
  return kind == FIGURE_COUNTER ? "counter" : "gauge";
}

const char *
figure_unit_name (enum figure_unit unit)
{
  static const char *const names[] = {
    [FIGURE_BYTES] = "bytes",     [FIGURE_PAGES] = "pages",
    [FIGURE_SECONDS] = "seconds", [FIGURE_RATIO] = "ratio",
    [FIGURE_TIME] = "time",       [FIGURE_COUNT] = "count",
    [FIGURE_FLAG] = "flag",
  };

  return names[unit];
}

static int
take_guest (const struct export_view *view, void *opaque)
{
  struct figures *figures = opaque;
  struct figures_guest *guest = &figures->guests[figures->nr_guests++];

  strcpy (guest->name, volume_name (view->volume));
  volume_get_stats (view->volume, &guest->stats);
  guest->connections = view->connections;
  guest->claimed = view->holder != NULL;
  guest->lost = volume_is_lost (view->volume);
  guest->region_bytes = view->region_bytes;
  guest->closed = view->closed_ns != 0;
  guest->open_bytes = ring_room_to_open (view->region_bytes);
  if (guest->closed && figures->clock_ns > view->closed_ns)
    guest->closed_seconds =
        (figures->clock_ns - view->closed_ns) / UINT64_C (1000000000);
  guest->traffic = *view->traffic;
  if (view->holder != NULL)
    peer_describe (view->holder, &guest->holder);
  figures->pool.connections += guest->connections;
  figures->pool.region_bytes += guest->region_bytes;
  return 0;
}

int
figures_take (struct pool *pool, struct figures *ret)
{
  struct timespec monotonic, real;

  memset (ret, 0, sizeof *ret);
  /* There are never more, and what is not touched costs nothing. */
  ret->guests = calloc (POOL_MAX_VOLUMES, sizeof *ret->guests);
  if (ret->guests == NULL)
    return -ENOMEM;
  clock_gettime (CLOCK_MONOTONIC, &monotonic);
  clock_gettime (CLOCK_REALTIME, &real);
  ret->clock_ns = monotonic.tv_sec * UINT64_C (1000000000) + monotonic.tv_nsec;
  ret->time = real.tv_sec;
  pool_get_stats (pool, &ret->pool.stats);
  ret->pool.keeper_gone = keep_is_gone ();
  exports_view (take_guest, ret);
  return 0;
}

void
figures_free (struct figures *figures)
{
  free (figures->guests);
  figures->guests = NULL;
}
