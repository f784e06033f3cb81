// SPDX-License-Identifier: BSD-3-Clause
/* Owns the thread that samples.  Its figures are read after it was joined. */

#include <config.h>

#include <time.h>

#include "sampler.h"

/* The kernel counts RSS in batches for each thread: a few hundred KiB. */
#define RSS_SLACK MIB

static void
sample (struct sampler *s)
{
  struct pool_stats stats;
  uint64_t rss = test_rss_shmem ();

  rss = rss > s->rss_before ? rss - s->rss_before : 0;
  pool_get_stats (s->pool, &stats);
  CHECK_LE (stats.used, stats.limit);
  CHECK_LE (rss, stats.limit + RSS_SLACK);
  s->max_used = stats.used > s->max_used ? stats.used : s->max_used;
  s->max_rss = rss > s->max_rss ? rss : s->max_rss;
  s->samples++;
}

void
sampler_check_now (struct sampler *s)
{
  const uint64_t rss = test_rss_shmem ();
  struct pool_stats stats;

  pool_get_stats (s->pool, &stats);
  CHECK_LE (rss, s->rss_before + stats.used + RSS_SLACK);
}

static void *
sampler_thread (void *arg)
{
  struct sampler *s = arg;
  const struct timespec pause = { .tv_nsec = 1000000 };

  while (!atomic_load (&s->stop)) {
    sample (s);
    nanosleep (&pause, NULL);
  }
  return NULL;
}

void
sampler_prepare (struct sampler *s)
{
  *s = (struct sampler){ .rss_before = test_rss_shmem () };
}

void
sampler_start (struct sampler *s, struct pool *pool)
{
  s->pool = pool;
  CHECK (pthread_create (&s->thread, NULL, sampler_thread, s) == 0);
}

void
sampler_stop (struct sampler *s)
{
  atomic_store (&s->stop, true);
  CHECK (pthread_join (s->thread, NULL) == 0);
  sample (s);
}
