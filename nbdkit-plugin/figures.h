// SPDX-License-Identifier: BSD-3-Clause
/* Figures: what the server tells of itself.
 *
 * figures.def is the table of them; every view of the server is made from it.
 * Functions return 0 or -errno and log nothing.
 */

#ifndef VMSWAP_FIGURES_H
#define VMSWAP_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exports.h"
#include "peer.h"
#include "pool.h"

enum figure_kind { FIGURE_COUNTER, FIGURE_GAUGE };

/* TIME: seconds since 1970.  COUNT: of things other than pages.  FLAG: 0 or
 * 1. */
enum figure_unit {
  FIGURE_BYTES,
  FIGURE_PAGES,
  FIGURE_SECONDS,
  FIGURE_TIME,
  FIGURE_RATIO,
  FIGURE_COUNT,
  FIGURE_FLAG,
};

/* Both are set; figure_is_real says which is meant. */
struct figure_value {
  uint64_t whole;
  double real;
};

struct figure {
  const char *name;
  enum figure_kind kind;
  enum figure_unit unit;
  const char *meaning;
  struct figure_value (*get) (const void *source);
};

/* What the figures of the pool are taken from. */
struct figures_pool {
  struct pool_stats stats;
  uint64_t connections;
  uint64_t region_bytes; /* of all guests; not in the pool */
  bool keeper_gone;
};

/* And those of one guest. */
struct figures_guest {
  char name[VOLUME_NAME_MAX + 1]; /* any bytes but control characters */
  struct volume_stats stats;
  uint64_t connections;
  bool claimed;
  bool lost;
  uint64_t region_bytes;   /* that it shares with the server */
  bool closed;             /* it may post no writes to its ring */
  uint64_t closed_seconds; /* for so long */
  uint64_t open_bytes;     /* and until so much is free */
  struct peer_text holder; /* while claimed */
  struct traffic_sum traffic;
};

/* Everything at one moment; each guest by itself is consistent when it is
 * quiet. */
struct figures {
  uint64_t clock_ns; /* monotonic, for rates */
  int64_t time;      /* seconds since 1970 */
  struct figures_pool pool;
  struct figures_guest *guests; /* in the order of the exports */
  size_t nr_guests;
};

extern const struct figure figures_of_pool[];
extern const size_t nr_figures_of_pool;
extern const struct figure figures_of_guest[];
extern const size_t nr_figures_of_guest;

static inline bool
figure_is_real (const struct figure *figure)
{
  return figure->unit == FIGURE_RATIO || figure->unit == FIGURE_SECONDS;
}

extern const char *figure_kind_name (enum figure_kind kind);
extern const char *figure_unit_name (enum figure_unit unit);

/* How well all that is compressed is, cold pages too: what every look has as
 * compression_ratio.  0: there is nothing. */
extern double figures_compression (const struct pool_stats *stats);

/* Looks at the pool and at every export.  The caller frees it with
 * figures_free.  -ENOMEM. */
extern int figures_take (struct pool *pool, struct figures *ret);
extern void figures_free (struct figures *figures);

#endif /* VMSWAP_FIGURES_H */
