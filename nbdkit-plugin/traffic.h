// SPDX-License-Identifier: BSD-3-Clause
/* What the requests of a connection cost: how many there were, how large, how
 * long they took and how they failed.
 *
 * A connection counts for itself, so that those who count do not wait for each
 * other; who wants to know adds the connections up.  Times are in nanoseconds.
 *
 * Histograms are log-linear: eight buckets for each power of two, so a time is
 * known to an eighth.  Bucket i holds times of more than
 * traffic_bound (i - 1) and at most traffic_bound (i). */

#ifndef VMSWAP_TRAFFIC_H
#define VMSWAP_TRAFFIC_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

enum traffic_op {
  TRAFFIC_READ,
  TRAFFIC_WRITE,
  TRAFFIC_ZERO,
  TRAFFIC_TRIM,
  TRAFFIC_OPS
};

/* Up to 137 s; the last bucket has what took longer. */
#define TRAFFIC_BUCKETS 232u

/* Errors by what an operator would do about them. */
enum traffic_error {
  TRAFFIC_FULL,   /* no room in the pool or in a quota, no memory */
  TRAFFIC_IO,     /* a page is lost or damaged, or the registry's disk fails */
  TRAFFIC_OTHERS, /* another peer's export, a shutdown */
  TRAFFIC_ERRORS
};

/* What goes on in a ring, beside these requests. */
enum traffic_ring {
  TRAFFIC_RING_POSTS,
  TRAFFIC_RING_REQUESTS,
  TRAFFIC_RING_READS,      /* of these: reads, which no cache had */
  TRAFFIC_RING_MISSES,     /* of these: reads that it waited for */
  TRAFFIC_RING_HITS,       /* pages that the guest had from the cache */
  TRAFFIC_RING_AHEAD,      /* pages that were brought there */
  TRAFFIC_RING_WASTED,     /* of these: gone without having been read */
  TRAFFIC_RING_DOORBELLS,  /* the guest woke the server */
  TRAFFIC_RING_INTERRUPTS, /* the server woke the guest */
  TRAFFIC_RING_BAD,        /* posts and requests that are impossible */
  TRAFFIC_RING_LOST,       /* posts that could not be stored */
  TRAFFIC_RINGS
};

struct traffic_op_counts {
  _Atomic uint64_t bytes;  /* that requests covered */
  _Atomic uint64_t small;  /* requests of less than a page */
  _Atomic uint64_t sum_ns; /* of all times */
  _Atomic uint64_t max_ns;
  _Atomic uint64_t bucket[TRAFFIC_BUCKETS];
};

/* Of one connection; all zero at its beginning.  Where pages come from (hot,
 * cold, spilled) would be a second index of op. */
struct traffic {
  struct traffic_op_counts op[TRAFFIC_OPS];
  _Atomic uint64_t errors[TRAFFIC_ERRORS];
  _Atomic uint64_t ring[TRAFFIC_RINGS];
  _Atomic int64_t last_error_time; /* seconds since 1970; 0: never */
  _Atomic int last_error;          /* an errno */
};

/* Of any number of connections. */
struct traffic_op_sum {
  uint64_t requests;
  uint64_t bytes;
  uint64_t small;
  uint64_t sum_ns;
  uint64_t max_ns;
  uint64_t bucket[TRAFFIC_BUCKETS];
};

struct traffic_sum {
  struct traffic_op_sum op[TRAFFIC_OPS];
  uint64_t errors[TRAFFIC_ERRORS];
  uint64_t ring[TRAFFIC_RINGS];
  int64_t last_error_time;
  int last_error;
};

static inline uint64_t
traffic_clock (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * UINT64_C (1000000000) + ts.tv_nsec;
}

/* A request that began at start (traffic_clock) has ended now. */
extern void traffic_count (struct traffic *traffic, enum traffic_op op,
                           uint32_t bytes, uint64_t start);

static inline void
traffic_count_ring (struct traffic *traffic, enum traffic_ring what, uint64_t n)
{
  atomic_fetch_add_explicit (&traffic->ring[what], n, memory_order_relaxed);
}

/* A request failed. */
extern void traffic_fail (struct traffic *traffic, int err);

extern void traffic_add (struct traffic_sum *sum,
                         const struct traffic *traffic);
extern void traffic_merge (struct traffic_sum *sum,
                           const struct traffic_sum *other);

extern uint64_t traffic_bound (unsigned bucket);

/* The time that a share of the requests (0.99, say) did not exceed; 0: there
 * were none. */
extern double traffic_quantile (const struct traffic_op_sum *sum, double share);

extern const char *traffic_op_name (enum traffic_op op);

#endif /* VMSWAP_TRAFFIC_H */
