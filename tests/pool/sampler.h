// SPDX-License-Identifier: BSD-3-Clause
/* A thread that looks at the pool all the time while a test works on it: the
 * pool never uses more than its limit, by its own account and by that of the
 * kernel (RssShmem). */

#ifndef VMSWAP_TEST_SAMPLER_H
#define VMSWAP_TEST_SAMPLER_H

#include <pthread.h>
#include <stdatomic.h>

#include "test.h"

struct sampler {
  pthread_t thread;
  struct pool *pool;
  uint64_t rss_before; /* shared memory in use before the pool was made */
  _Atomic bool stop;
  uint64_t samples;
  uint64_t max_used;
  uint64_t max_rss;
};

/* Call sampler_prepare before pool_create. */
extern void sampler_prepare (struct sampler *s);
extern void sampler_start (struct sampler *s, struct pool *pool);
extern void sampler_stop (struct sampler *s);

/* With nobody else in the pool: what it does not use, the host has back. */
extern void sampler_check_now (struct sampler *s);

#endif /* VMSWAP_TEST_SAMPLER_H */
