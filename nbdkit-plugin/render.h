// SPDX-License-Identifier: BSD-3-Clause
/* Figures as text for programs: JSON and Prometheus' exposition format.
 *
 * docs/CONTROL.md describes both.  The last line's end is the caller's to
 * add.  Functions return 0 or -ENOMEM.
 */

#ifndef VMSWAP_RENDER_H
#define VMSWAP_RENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "figures.h"

struct evbuffer;
struct trend;

/* What does not change while the server lives, but for the trend. */
struct render_server {
  const struct settings *settings;
  int64_t start_time;        /* seconds since 1970 */
  bool locked;               /* the pool is locked in memory */
  bool registry;             /* lost pages would be noticed */
  const struct trend *trend; /* of the compression, up to now */
};

typedef int render_fn (const struct figures *figures,
                       const struct render_server *server,
                       struct evbuffer *out);

extern render_fn render_json, render_metrics;

/* The histograms of request times, each bucket; of the figures alone. */
extern render_fn render_latency;

/* The table itself: names, kinds, units, meanings. */
extern int render_table (struct evbuffer *out);

#endif /* VMSWAP_RENDER_H */
