// SPDX-License-Identifier: BSD-3-Clause
/* A pool that is full, over and over: filled until it refuses, overwritten,
 * trimmed in patterns that leave holes everywhere, filled again.  Whatever was
 * acknowledged reads right at every stage, refused writes change nothing, and
 * trimmed room can be used again.
 *
 *   full [--pool SIZE] [--rounds N] [--seed N]
 *
 * What page p holds follows from versions[p]: 0 for nothing, else the content
 * of page_key (p, version).  One thread works, the sampler watches. */

#include <config.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "content.h"
#include "sampler.h"
#include "test.h"

struct full {
  struct pool *pool;
  struct volume *volume;
  uint64_t pages; /* of the volume, more than the pool can take */
  uint32_t *versions;
  uint64_t live;
  uint64_t refused; /* overwrites that found no room */
  struct rng rng;
};

static uint64_t limit;
static uint64_t rounds = 20;
static uint64_t seed = 1;

static void
page_of (uint64_t page, uint32_t version, uint8_t *buf)
{
  if (version == 0)
    memset (buf, 0, POOL_PAGE_SIZE);
  else
    content_page (buf, CONTENT_RANDOM, page << 24 ^ version);
}

static void
verify_page (struct full *f, uint64_t page)
{
  uint8_t expected[POOL_PAGE_SIZE], actual[POOL_PAGE_SIZE];

  page_of (page, f->versions[page], expected);
  CHECK_RC (
      volume_read (f->volume, actual, sizeof actual, page * POOL_PAGE_SIZE), 0);
  if (memcmp (expected, actual, sizeof actual) != 0) {
    test_hexdump_diff (expected, actual, sizeof actual, page * POOL_PAGE_SIZE);
    FAIL ("page %" PRIu64 " is wrong", page);
  }
}

static void
verify_all (struct full *f)
{
  for (uint64_t page = 0; page < f->pages; page++)
    verify_page (f, page);
  POOL_CHECK (f->pool, false);
}

/* A new version of a page.  A refused write leaves the old one. */
static bool
write_page (struct full *f, uint64_t page)
{
  uint8_t buf[POOL_PAGE_SIZE];
  int rc;

  page_of (page, f->versions[page] + 1, buf);
  rc = volume_write (f->volume, buf, sizeof buf, page * POOL_PAGE_SIZE);
  if (rc != 0) {
    if (!test_refused (rc))
      FAIL ("volume_write of page %" PRIu64 " returned %d", page, rc);
    verify_page (f, page);
    return false;
  }
  f->live += f->versions[page] == 0;
  f->versions[page]++;
  return true;
}

static void
trim_page (struct full *f, uint64_t page)
{
  CHECK_RC (volume_trim (f->volume, POOL_PAGE_SIZE, page * POOL_PAGE_SIZE), 0);
  f->live -= f->versions[page] != 0;
  f->versions[page] = 0;
}

/* Writes pages that are empty, until refused.  Then a few more tries, which
 * must be refused as well: full is full. */
static void
fill (struct full *f)
{
  uint64_t after = 0, accepted = 0;

  for (uint64_t page = 0; page < f->pages && after < 64; page++) {
    if (f->versions[page])
      continue;
    if (after == 0)
      after += !write_page (f, page);
    else {
      accepted += write_page (f, page);
      after++;
    }
  }
  if (after == 0)
    FAIL ("%" PRIu64 " pages went into a pool of %" PRIu64 "K", f->live,
          limit >> 10);
  CHECK_LE (accepted, 32);
}

/* In a full pool: every page in random order gets a new version or keeps the
 * old one. */
static void
overwrite (struct full *f)
{
  for (uint64_t i = 0; i < f->pages; i++) {
    const uint64_t page = rng_below (&f->rng, f->pages);

    if (f->versions[page])
      f->refused += !write_page (f, page);
  }
}

/* Which pages to drop.  All patterns but the stripes leave no segment whole,
 * so that only cleaning can make room. */
static bool
in_pattern (struct full *f, unsigned round, uint64_t page)
{
  switch (round % 5) {
  case 0:
    return page % 2 == 1;
  case 1:
    return page / 64 % 3 == 1;
  case 2:
    return rng_below (&f->rng, 10) < 3;
  case 3:
    return page % 16 != 0;
  default:
    return page / 1024 % 2 == 0;
  }
}

static uint64_t
trim_pattern (struct full *f, unsigned round)
{
  uint64_t dropped = 0;

  for (uint64_t page = 0; page < f->pages; page++)
    if (f->versions[page] && in_pattern (f, round, page)) {
      trim_page (f, page);
      dropped++;
    }
  return dropped;
}

/* A writer that found the pool full waits, and is woken when pages are
 * trimmed: once, so a wake-up that is lost is not made up for.  The trim comes
 * while it waits, or at any moment of its write, or after the refusal and
 * before the wait. */

#define STALLS 300
#define STALL_PAGES 64

struct staller {
  struct full *full;
  pthread_barrier_t barrier;
  uint64_t first; /* of the pages to trim */
};

static void *
trim_later (void *arg)
{
  struct staller *s = arg;
  struct full *f = s->full;

  for (unsigned i = 0; i < STALLS; i++) {
    pthread_barrier_wait (&s->barrier);
    if (i % 3 == 0) /* some time for the writer to fall asleep */
      nanosleep (&(struct timespec){ .tv_nsec = 300000 }, NULL);
    CHECK_RC (volume_trim (f->volume, STALL_PAGES * POOL_PAGE_SIZE,
                           s->first * POOL_PAGE_SIZE),
              0);
    pthread_barrier_wait (&s->barrier);
  }
  return NULL;
}

/* The next run of pages that all hold data. */
static uint64_t
next_run (struct full *f, uint64_t from)
{
  uint64_t length = 0;

  for (uint64_t i = 0; i < 2 * f->pages; i++) {
    const uint64_t page = (from + i) % f->pages;

    length = f->versions[page] && page > 0 ? length + 1 : 0;
    if (length == STALL_PAGES)
      return page + 1 - STALL_PAGES;
  }
  FAIL ("no %d pages in a row hold data", STALL_PAGES);
}

/* What full=stall does with a write. */
static void
write_stalling (struct full *f, uint64_t page)
{
  const double start = test_seconds ();
  uint8_t buf[POOL_PAGE_SIZE];
  int rc;

  page_of (page, f->versions[page] + 1, buf);
  while ((rc = volume_write (f->volume, buf, sizeof buf,
                             page * POOL_PAGE_SIZE)) != 0) {
    CHECK (test_refused (rc));
    rc = pool_wait_space (f->pool, 20000);
    CHECK (rc == 0 || rc == -ETIMEDOUT);
    if (test_seconds () - start > 10)
      FAIL ("pool_wait_space slept through a trim");
  }
  f->live += f->versions[page] == 0;
  f->versions[page]++;
}

/* In a full pool where nothing is trimmed, a wait ends by the clock. */
static void
test_wait_time_out (struct full *f)
{
  int rc = 0;

  for (int tries = 0; tries < 64 && rc != -ETIMEDOUT; tries++) {
    CHECK (!write_page (f, f->pages - 1));
    rc = pool_wait_space (f->pool, 20);
    CHECK (rc == 0 || rc == -ETIMEDOUT);
  }
  CHECK_RC (rc, -ETIMEDOUT);
}

static void
test_wait_space (struct full *f)
{
  struct staller s = { .full = f };
  pthread_t thread;

  CHECK (f->versions[f->pages - 1] == 0);
  test_wait_time_out (f);
  CHECK (pthread_barrier_init (&s.barrier, NULL, 2) == 0);
  CHECK (pthread_create (&thread, NULL, trim_later, &s) == 0);
  for (unsigned i = 0; i < STALLS; i++) {
    s.first = next_run (f, s.first + STALL_PAGES);
    f->live -= STALL_PAGES;
    memset (f->versions + s.first, 0, STALL_PAGES * sizeof *f->versions);
    if (i % 3 == 2) {
      CHECK (!write_page (f, f->pages - 1));
      pthread_barrier_wait (&s.barrier);
      pthread_barrier_wait (&s.barrier);
      CHECK_RC (pool_wait_space (f->pool, 10000), 0);
      write_stalling (f, f->pages - 1);
    }
    else {
      pthread_barrier_wait (&s.barrier);
      write_stalling (f, f->pages - 1);
      pthread_barrier_wait (&s.barrier);
    }
    trim_page (f, f->pages - 1);
    fill (f);
  }
  CHECK (pthread_join (thread, NULL) == 0);
  pthread_barrier_destroy (&s.barrier);
  verify_all (f);
  CHECK_RC (volume_trim (f->volume, f->pages * POOL_PAGE_SIZE, 0), 0);
}

static void
check_emptied (struct full *f, struct sampler *sampler,
               const struct pool_stats *empty)
{
  struct pool_stats s;

  CHECK_RC (pool_compact (f->pool), 0);
  POOL_CHECK (f->pool, true);
  pool_get_stats (f->pool, &s);
  CHECK_EQ (s.blob_pages, 0);
  CHECK_EQ (s.fill_pages, 0);
  CHECK_EQ (s.blob_bytes, 0);
  CHECK_LE (s.table_bytes, empty->table_bytes + TABLE_SLACK (8));
  CHECK_LE (s.used, empty->used + 4 * POOL_SEGMENT_SIZE);
  sampler_check_now (sampler);
}

static void
open_pool (struct full *f, struct sampler *sampler, uint64_t size)
{
  const struct pool_config config = { .limit = limit };

  sampler_prepare (sampler);
  CHECK_RC (pool_create (&config, &f->pool), 0);
  CHECK_RC (volume_open (f->pool, "guest", size, &f->volume, NULL), 0);
  sampler_start (sampler, f->pool);
}

static void
close_pool (struct full *f, struct sampler *sampler, const char *what)
{
  sampler_stop (sampler);
  printf ("full: %s, %" PRIu64 "K: %" PRIu64 " samples, used <= %" PRIu64
          "K, RssShmem <= %" PRIu64 "K\n",
          what, limit >> 10, sampler->samples, sampler->max_used >> 10,
          sampler->max_rss >> 10);
  pool_destroy (f->pool);
}

/* Incompressible pages. */
static void
test_blobs (bool steward)
{
  struct full f = { .pages = limit / POOL_PAGE_SIZE * 5 / 4,
                    .rng.state = seed };
  struct sampler sampler;
  struct pool_stats empty, s;
  uint64_t first = 0, least = UINT64_MAX;

  f.versions = test_alloc (f.pages * sizeof *f.versions);
  open_pool (&f, &sampler, f.pages * POOL_PAGE_SIZE);
  pool_get_stats (f.pool, &empty);
  if (steward)
    CHECK_RC (pool_start_steward (f.pool), 0);
  for (unsigned round = 0; round < rounds; round++) {
    uint64_t dropped, before;

    fill (&f);
    first = first ? first : f.live;
    least = f.live < least ? f.live : least;
    verify_all (&f);
    overwrite (&f);
    verify_all (&f);
    before = f.live;
    dropped = trim_pattern (&f, round);
    verify_all (&f);
    /* Room for nearly all that was dropped is there again; how a log lies in
     * its segments makes a segment's difference. */
    fill (&f);
    CHECK_LE (before - dropped / 10,
              f.live + POOL_SEGMENT_SIZE / POOL_PAGE_SIZE);
    verify_all (&f);
    trim_pattern (&f, round + 2);
  }
  fill (&f);
  verify_all (&f);
  pool_get_stats (f.pool, &s);
  if (s.writes_refused < rounds)
    FAIL ("%" PRIu64 " writes refused by its own count", s.writes_refused);
  test_wait_space (&f);
  if (steward)
    pool_stop_steward (f.pool);
  check_emptied (&f, &sampler, &empty);
  printf ("full: %" PRIu64 " pages at first, %" PRIu64 " at least, = %.1f %%"
          " of the limit; %" PRIu64 " overwrites refused; cleaned %" PRIu64
          " segments\n",
          first, least, 100.0 * least * POOL_PAGE_SIZE / limit, f.refused,
          s.segments_cleaned);
  /* What the pool keeps for itself: a few segments and a sixteenth. */
  CHECK_LE (limit - limit / 16 - 5 * POOL_SEGMENT_SIZE - POOL_SEGMENT_SIZE / 2,
            least * POOL_PAGE_SIZE);
  close_pool (&f, &sampler, steward ? "blobs, steward" : "blobs");
  free (f.versions);
}

#define LEAF (2 * MIB) /* one page table leaf serves so much of a volume */

static void
sparse_page (uint64_t i, uint64_t round, uint8_t *buf)
{
  content_page (buf, i % 2 ? CONTENT_FILL8 : CONTENT_FILL32, i * 7 + round);
  if (content_is_zero (buf, POOL_PAGE_SIZE))
    content_page (buf, CONTENT_FILL32, i + 1);
}

static void
verify_sparse (struct full *f, uint64_t from, uint64_t to, uint64_t round)
{
  uint8_t expected[POOL_PAGE_SIZE], actual[POOL_PAGE_SIZE];

  for (uint64_t i = from; i < to; i++) {
    sparse_page (i, round, expected);
    CHECK_RC (volume_read (f->volume, actual, sizeof actual, i * LEAF), 0);
    if (memcmp (expected, actual, sizeof actual) != 0)
      FAIL ("sparse page %" PRIu64 " is wrong", i);
  }
}

/* Fill pages, one in each leaf: nothing but metadata, and still bounded. */
static void
test_sparse (void)
{
  struct full f = { .rng.state = seed };
  struct sampler sampler;
  struct pool_stats empty, s;
  uint8_t buf[POOL_PAGE_SIZE];
  uint64_t first = 0;

  open_pool (&f, &sampler, VOLUME_MAX_SIZE);
  pool_get_stats (f.pool, &empty);
  for (uint64_t round = 0; round < 3; round++) {
    uint64_t n = 0;
    int rc = 0;

    for (; n < VOLUME_MAX_SIZE / LEAF && rc == 0; n += rc == 0) {
      sparse_page (n, round, buf);
      rc = volume_write (f.volume, buf, sizeof buf, n * LEAF);
    }
    CHECK (test_refused (rc));
    pool_get_stats (f.pool, &s);
    CHECK_EQ (s.fill_pages, n);
    CHECK_LE (s.table_bytes, s.limit);
    POOL_CHECK (f.pool, false);
    verify_sparse (&f, 0, n, round);
    /* Existing pages can be changed without more metadata. */
    sparse_page (n / 2, round, buf);
    CHECK_RC (volume_write (f.volume, buf, sizeof buf, n / 2 * LEAF), 0);
    CHECK_RC (volume_trim (f.volume, n / 2 * LEAF, 0), 0);
    verify_sparse (&f, n / 2, n, round);
    /* Leaves became room for anything. */
    content_page (buf, CONTENT_RANDOM, n);
    CHECK_RC (volume_write (f.volume, buf, sizeof buf, 0), 0);
    CHECK_RC (volume_trim (f.volume, VOLUME_MAX_SIZE, 0), 0);
    check_emptied (&f, &sampler, &empty);
    first = first ? first : n;
    CHECK_LE (first - first / 50, n);
  }
  printf ("full: %" PRIu64 " sparse fill pages\n", first);
  close_pool (&f, &sampler, "sparse");
}

int
main (int argc, char **argv)
{
  uint64_t only = 0;

  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp (argv[i], "--pool") == 0)
      only = test_size (argv[i], argv[i + 1]);
    else if (strcmp (argv[i], "--rounds") == 0)
      rounds = test_size (argv[i], argv[i + 1]);
    else if (strcmp (argv[i], "--seed") == 0)
      seed = test_size (argv[i], argv[i + 1]);
    else
      FAIL ("unknown argument '%s'", argv[i]);
  }
  snprintf (test_context, sizeof test_context, "seed %" PRIu64, seed);
  content_init (seed);
  for (unsigned i = 0; i < 2; i++) {
    limit = only ? only : i ? 80 * MIB : 16 * MIB;
    test_blobs (false);
    test_blobs (true);
    test_sparse ();
    if (only)
      break;
  }
  return 0;
}
