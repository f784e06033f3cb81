// SPDX-License-Identifier: BSD-3-Clause
/* Overwrites without end in a pool that is nearly full: the cleaner works all
 * the time, under the hands of writers and readers.  No write is refused as
 * long as live data stays below capacity, everything reads right, and when
 * the pool was compacted it holds little more than its live data.
 *
 *   churn [--pool SIZE] [--times N] [--fill PERCENT] [--seed N]
 *
 * What page p holds follows from versions[p].  A thread changes and reads the
 * pages whose number leaves its own rest; the versions need no lock. */

#include <config.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "sampler.h"
#include "test.h"

#define THREADS 3u

enum pattern { UNIFORM, RUNS };

struct churn {
  struct pool *pool;
  struct volume *volume;
  enum pattern pattern;
  uint64_t pages;
  uint64_t overwrites; /* of each thread */
  uint32_t *versions;
};

struct churner {
  struct churn *churn;
  unsigned id;
  struct rng rng;
  pthread_t handle;
};

static uint64_t limit = 48 * MIB;
static uint64_t times = 10;
static uint64_t percent = 88;
static uint64_t seed = 1;

/* A page keeps its kind, so that live data stays about the same. */
static void
page_of (uint64_t page, uint32_t version, uint8_t *buf)
{
  static const enum content_kind kinds[8] = {
    CONTENT_TEXT, CONTENT_HEAP, CONTENT_TEXT, CONTENT_RANDOM,
    CONTENT_HEAP, CONTENT_TEXT, CONTENT_HEAP, CONTENT_FILL32,
  };

  if (version == 0)
    memset (buf, 0, POOL_PAGE_SIZE);
  else
    content_page (buf, kinds[test_mix (page) % 8], page << 26 ^ version);
}

static void
verify_page (struct churn *c, uint64_t page)
{
  uint8_t expected[POOL_PAGE_SIZE], actual[POOL_PAGE_SIZE];

  page_of (page, c->versions[page], expected);
  CHECK_RC (
      volume_read (c->volume, actual, sizeof actual, page * POOL_PAGE_SIZE), 0);
  if (memcmp (expected, actual, sizeof actual) != 0) {
    test_hexdump_diff (expected, actual, sizeof actual, page * POOL_PAGE_SIZE);
    FAIL ("page %" PRIu64 " version %u is wrong", page, c->versions[page]);
  }
}

static void
verify_all (struct churn *c, bool verify)
{
  for (uint64_t page = 0; page < c->pages; page++)
    verify_page (c, page);
  POOL_CHECK (c->pool, verify);
}

static void
write_page (struct churn *c, uint64_t page)
{
  uint8_t buf[POOL_PAGE_SIZE];
  int rc;

  page_of (page, c->versions[page] + 1, buf);
  rc = volume_write (c->volume, buf, sizeof buf, page * POOL_PAGE_SIZE);
  if (rc != 0) {
    struct pool_stats s;

    pool_get_stats (c->pool, &s);
    FAIL ("a write returned %d with %" PRIu64 "K live, capacity %" PRIu64
          "K, used %" PRIu64 "K of %" PRIu64 "K",
          rc, s.blob_bytes >> 10, s.capacity >> 10, s.used >> 10,
          s.limit >> 10);
  }
  c->versions[page]++;
}

/* Swap frees and writes in runs of clusters; the worst case for a cleaner is
 * a page here and a page there. */
static uint64_t
pick_page (struct churner *t, uint64_t i)
{
  const struct churn *c = t->churn;
  const uint64_t own = c->pages / THREADS;

  if (c->pattern == UNIFORM || i % 128 == 0)
    t->rng.state = test_mix (t->rng.state + i);
  return (c->pattern == UNIFORM ? t->rng.state % own
                                : (t->rng.state + i % 128) % own) *
             THREADS +
         t->id;
}

static void *
churner_thread (void *arg)
{
  struct churner *t = arg;
  struct churn *c = t->churn;

  for (uint64_t i = 0; i < c->overwrites; i++) {
    const uint64_t page = pick_page (t, i);

    if (i % 50 == 7) {
      CHECK_RC (volume_trim (c->volume, POOL_PAGE_SIZE, page * POOL_PAGE_SIZE),
                0);
      c->versions[page] = 0;
      verify_page (c, page);
    }
    write_page (c, page);
    if (i % 8 == 0)
      verify_page (c, pick_page (t, i + 1));
    if (t->id == 0 && i % (c->overwrites / 4 + 1) == 0)
      POOL_CHECK (c->pool, false);
  }
  return NULL;
}

/* Fills to the given percentage of capacity. */
static void
fill (struct churn *c)
{
  struct pool_stats s;

  do {
    pool_get_stats (c->pool, &s);
    for (unsigned i = 0; i < 16 * THREADS; i++)
      write_page (c, c->pages++);
  } while (s.blob_bytes < s.capacity * percent / 100);
}

/* Compacted, the pool holds its live data and an eighth, no more; and a few
 * segments: those in reserve, and those that are partly filled. */
static void
check_density (struct churn *c, struct sampler *sampler)
{
  struct pool_stats s;

  CHECK_RC (pool_compact (c->pool), 0);
  verify_all (c, true);
  pool_get_stats (c->pool, &s);
  printf ("churn: %s: %" PRIu64 " pages, live %" PRIu64 "K, used %" PRIu64
          "K: %.3f times live, %.3f times compressed data, limit %" PRIu64
          "K; tables %.1f and fixed %.1f bytes a page; cleaned %" PRIu64
          " segments, moved %.2f times what was written\n",
          c->pattern == UNIFORM ? "uniform" : "runs", c->pages,
          s.blob_bytes >> 10, s.used >> 10, (double) s.used / s.blob_bytes,
          (double) s.used / s.data_bytes, s.limit >> 10,
          (double) s.table_bytes / c->pages, (double) s.fixed_bytes / c->pages,
          s.segments_cleaned,
          (double) s.bytes_moved /
              ((double) s.blob_bytes / c->pages * s.pages_written));
  CHECK_LE (s.used, s.blob_bytes * 112 / 100 + s.fixed_bytes + s.table_bytes +
                        4 * POOL_SEGMENT_SIZE);
  sampler_check_now (sampler);
  if (s.segments_cleaned == 0)
    FAIL ("nothing was cleaned: too little churn");
}

static void
run (enum pattern pattern)
{
  const struct pool_config config = { .limit = limit };
  struct churn c = { .pattern = pattern };
  struct churner threads[THREADS];
  struct sampler sampler;

  sampler_prepare (&sampler);
  CHECK_RC (pool_create (&config, &c.pool), 0);
  CHECK_RC (volume_open (c.pool, "guest", 16 * limit, &c.volume, NULL), 0);
  sampler_start (&sampler, c.pool);
  c.versions = test_alloc (16 * limit / POOL_PAGE_SIZE * sizeof *c.versions);
  fill (&c);
  verify_all (&c, false);
  CHECK_RC (pool_start_steward (c.pool), 0);
  c.overwrites = c.pages / THREADS * times;
  for (unsigned i = 0; i < THREADS; i++) {
    threads[i] = (struct churner){ &c, i, { test_mix (seed * 8 + i) }, 0 };
    CHECK (pthread_create (&threads[i].handle, NULL, churner_thread,
                           &threads[i]) == 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    CHECK (pthread_join (threads[i].handle, NULL) == 0);
  verify_all (&c, true);
  check_density (&c, &sampler);
  pool_stop_steward (c.pool);
  check_density (&c, &sampler);
  sampler_stop (&sampler);
  pool_destroy (c.pool);
  free (c.versions);
}

int
main (int argc, char **argv)
{
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp (argv[i], "--pool") == 0)
      limit = test_size (argv[i], argv[i + 1]);
    else if (strcmp (argv[i], "--times") == 0)
      times = test_size (argv[i], argv[i + 1]);
    else if (strcmp (argv[i], "--fill") == 0)
      percent = test_size (argv[i], argv[i + 1]);
    else if (strcmp (argv[i], "--seed") == 0)
      seed = test_size (argv[i], argv[i + 1]);
    else
      FAIL ("unknown argument '%s'", argv[i]);
  }
  snprintf (test_context, sizeof test_context, "seed %" PRIu64, seed);
  content_init (seed);
  run (UNIFORM);
  run (RUNS);
  return 0;
}
