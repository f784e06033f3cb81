// SPDX-License-Identifier: BSD-3-Clause
/* Trend: by how much most of the last reads of a stream were apart.
 *
 * Majority votes over windows that double: Maruf and Chowdhury, "Effectively
 * Prefetching Remote Memory with Leap", USENIX ATC'20, section on the majority
 * trend.  The vote is Boyer and Moore's, "MJRTY", 1981, with the count that
 * proves its candidate.  Unlike Leap's, a trend is never 0, and only deltas
 * that were logged take part.
 *
 * No lock: with its owner. */

#ifndef VMSWAP_PREFETCH_TREND_H
#define VMSWAP_PREFETCH_TREND_H

#include <stdbool.h>
#include <stdint.h>

#define TREND_RING 32    /* deltas that are kept */
#define TREND_FEWEST 3   /* equal deltas that make the first trend */
#define TREND_SHORTEST 8 /* deltas of the smallest window */

struct trend {
  int32_t delta;            /* the trend; 0: there is none */
  uint32_t logged;          /* in all: may wrap, see trend_log */
  int32_t ring[TREND_RING]; /* the newest is at logged - 1 */
};

/* Logs a delta, in pages, and returns the trend.  A delta that does not fit
 * counts as one of 0. */
extern int32_t trend_log (struct trend *trend, int64_t delta);

/* Are three quarters of the last 16 deltas the trend? */
extern bool trend_regular (const struct trend *trend);

/* Deltas in the ring. */
static inline unsigned
trend_length (const struct trend *trend)
{
  return trend->logged < TREND_RING ? trend->logged : TREND_RING;
}

#endif /* VMSWAP_PREFETCH_TREND_H */
