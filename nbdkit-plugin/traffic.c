// SPDX-License-Identifier: BSD-3-Clause
/* What the requests of a connection cost.  Owns nothing, takes no lock: the
 * counters are relaxed atomics, exact when no request is under way. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "pool.h"
#include "traffic.h"

/* Times are counted in units of 128 ns, and those in powers of two of which
 * each has eight buckets; below eight units a unit is a bucket. */
#define UNIT_SHIFT 7
#define SUB_BITS 3
#define SUBS (1u << SUB_BITS)

static void
add (_Atomic uint64_t *counter, uint64_t n)
{
  atomic_fetch_add_explicit (counter, n, memory_order_relaxed);
}

static uint64_t
load (const _Atomic uint64_t *counter)
{
  return atomic_load_explicit (counter, memory_order_relaxed);
}

static unsigned
bucket_of (uint64_t ns)
{
  const uint64_t units = ns == 0 ? 0 : (ns - 1) >> UNIT_SHIFT;
  unsigned shift, bucket;

  if (units < SUBS)
    return units;
  shift = 63 - __builtin_clzll (units) - SUB_BITS;
  bucket = (shift + 1) * SUBS + ((units >> shift) & (SUBS - 1));
  return bucket < TRAFFIC_BUCKETS ? bucket : TRAFFIC_BUCKETS - 1;
}

uint64_t
traffic_bound (unsigned bucket)
{
  const unsigned row = bucket / SUBS, sub = bucket % SUBS;
  const uint64_t units =
      row == 0 ? sub + 1 : (uint64_t) (SUBS + sub + 1) << (row - 1);

  return units << UNIT_SHIFT;
}

static void
raise_max (_Atomic uint64_t *max, uint64_t ns)
{
  uint64_t seen = load (max);

  while (ns > seen &&
         !atomic_compare_exchange_weak_explicit (
             max, &seen, ns, memory_order_relaxed, memory_order_relaxed))
    ;
}

void
traffic_count (struct traffic *traffic, enum traffic_op op, uint32_t bytes,
               uint64_t start)
{
  struct traffic_op_counts *counts = &traffic->op[op];
  const uint64_t ns = traffic_clock () - start;

  add (&counts->bytes, bytes);
  if (bytes < POOL_PAGE_SIZE)
    add (&counts->small, 1);
  add (&counts->sum_ns, ns);
  raise_max (&counts->max_ns, ns);
  add (&counts->bucket[bucket_of (ns)], 1);
}

static enum traffic_error
class_of (int err)
{
  switch (err) {
  case ENOSPC:
  case EDQUOT:
  case ENOMEM:
    return TRAFFIC_FULL;
  case EIO:
    return TRAFFIC_IO;
  default:
    return TRAFFIC_OTHERS;
  }
}

/* Rare: a clock may be asked. */
void
traffic_fail (struct traffic *traffic, int err)
{
  add (&traffic->errors[class_of (err)], 1);
  atomic_store_explicit (&traffic->last_error, err, memory_order_relaxed);
  atomic_store_explicit (&traffic->last_error_time, time (NULL),
                         memory_order_relaxed);
}

static void
note_error (struct traffic_sum *sum, int64_t when, int err)
{
  if (when == 0 || when < sum->last_error_time)
    return;
  sum->last_error_time = when;
  sum->last_error = err;
}

static void
add_op (struct traffic_op_sum *sum, const struct traffic_op_counts *counts)
{
  const uint64_t max_ns = load (&counts->max_ns);

  sum->bytes += load (&counts->bytes);
  sum->small += load (&counts->small);
  sum->sum_ns += load (&counts->sum_ns);
  if (max_ns > sum->max_ns)
    sum->max_ns = max_ns;
  for (unsigned i = 0; i < TRAFFIC_BUCKETS; ++i) {
    const uint64_t n = load (&counts->bucket[i]);

    sum->bucket[i] += n;
    sum->requests += n;
  }
}

void
traffic_add (struct traffic_sum *sum, const struct traffic *traffic)
{
  for (unsigned op = 0; op < TRAFFIC_OPS; ++op)
    add_op (&sum->op[op], &traffic->op[op]);
  for (unsigned i = 0; i < TRAFFIC_ERRORS; ++i)
    sum->errors[i] += load (&traffic->errors[i]);
  for (unsigned i = 0; i < TRAFFIC_RINGS; ++i)
    sum->ring[i] += load (&traffic->ring[i]);
  note_error (sum, atomic_load (&traffic->last_error_time),
              atomic_load (&traffic->last_error));
}

static void
merge_op (struct traffic_op_sum *sum, const struct traffic_op_sum *other)
{
  sum->requests += other->requests;
  sum->bytes += other->bytes;
  sum->small += other->small;
  sum->sum_ns += other->sum_ns;
  if (other->max_ns > sum->max_ns)
    sum->max_ns = other->max_ns;
  for (unsigned i = 0; i < TRAFFIC_BUCKETS; ++i)
    sum->bucket[i] += other->bucket[i];
}

void
traffic_merge (struct traffic_sum *sum, const struct traffic_sum *other)
{
  for (unsigned op = 0; op < TRAFFIC_OPS; ++op)
    merge_op (&sum->op[op], &other->op[op]);
  for (unsigned i = 0; i < TRAFFIC_ERRORS; ++i)
    sum->errors[i] += other->errors[i];
  for (unsigned i = 0; i < TRAFFIC_RINGS; ++i)
    sum->ring[i] += other->ring[i];
  note_error (sum, other->last_error_time, other->last_error);
}

double
traffic_quantile (const struct traffic_op_sum *sum, double share)
{
  const double wanted = share * sum->requests;
  uint64_t seen = 0, ns = 0;

  for (unsigned i = 0; i < TRAFFIC_BUCKETS && sum->requests > 0; ++i) {
    seen += sum->bucket[i];
    if (sum->bucket[i] > 0 && seen >= wanted) {
      ns = traffic_bound (i);
      break;
    }
  }
  return (ns < sum->max_ns ? ns : sum->max_ns) / 1e9;
}

const char *
traffic_op_name (enum traffic_op op)
{
  static const char *const names[] = { "read", "write", "zero", "trim" };

  return names[op];
}
