// SPDX-License-Identifier: BSD-3-Clause
/* How well pages compressed within the last hour.  Belongs to one thread. */

#ifndef VMSWAP_TREND_H
#define VMSWAP_TREND_H

#include <stdbool.h>
#include <stdint.h>

#define TREND_INTERVAL_SECONDS 60u
#define TREND_SAMPLES 61u /* an hour of them */

/* All zero at the beginning. */
struct trend {
  double ratio[TREND_SAMPLES]; /* a ring */
  uint64_t taken;
};

/* The compression ratio of the pool now.  pages: how many it is of; few tell
 * nothing and count as none.  Call it every TREND_INTERVAL_SECONDS. */
extern void trend_add (struct trend *trend, uint64_t pages, double ratio);

/* Did it fall by a quarter or more?  Then *from is what it was at best, and *to
 * what it is. */
extern bool trend_fell (const struct trend *trend, double *from, double *to);

#endif /* VMSWAP_TREND_H */
