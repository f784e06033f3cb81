// SPDX-License-Identifier: BSD-3-Clause
/* Limits of volumes: a quota is kept to the page and refuses nothing else; a
 * reserve is there whatever the others do; waiters wake for their own room
 * alone; limits that cannot be are refused and change nothing.
 *
 *   quota [--pool SIZE] [--seed N] */

#include <config.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "content.h"
#include "test.h"

#define PAGE POOL_PAGE_SIZE
#define BLOB (PAGE + 12) /* an incompressible page in the arena */
#define SIZE GIB
#define PAGES (SIZE / PAGE)
#define FRAMES_OF_REQUEST (3 * PAGE)

static uint64_t limit = 32 * MIB;
static uint64_t seed = 1;

struct guest {
  struct pool *pool;
  struct volume *volume;
  uint32_t *versions; /* of its pages; 0: empty */
};

static struct pool *
make_pool (void)
{
  const struct pool_config config = { .limit = limit };
  struct pool *pool;

  CHECK_RC (pool_create (&config, &pool), 0);
  return pool;
}

static struct guest
make_guest (struct pool *pool, const char *name)
{
  struct guest g = { .pool = pool };

  CHECK_RC (volume_open (pool, name, SIZE, &g.volume, NULL), 0);
  g.versions = test_alloc (PAGES * sizeof *g.versions);
  return g;
}

static struct volume_stats
stats_of (const struct guest *g)
{
  struct volume_stats s;

  volume_get_stats (g->volume, &s);
  CHECK_EQ (s.charged, s.blob_bytes + s.table_bytes);
  return s;
}

static struct pool_stats
pool_stats_of (const struct guest *g)
{
  struct pool_stats s;

  pool_get_stats (g->pool, &s);
  return s;
}

static void
page_of (const struct guest *g, uint64_t page, uint32_t version, uint8_t *buf)
{
  if (version == 0)
    memset (buf, 0, PAGE);
  else
    content_page (buf, CONTENT_RANDOM,
                  (uint64_t) (uintptr_t) g->versions ^ page << 24 ^ version);
}

static void
verify (struct guest *g)
{
  uint8_t expected[PAGE], actual[PAGE];

  for (uint64_t page = 0; page < PAGES; page++) {
    if (g->versions[page] == 0 && page % 64 != 0)
      continue;
    page_of (g, page, g->versions[page], expected);
    CHECK_RC (volume_read (g->volume, actual, PAGE, page * PAGE), 0);
    if (memcmp (expected, actual, PAGE) != 0)
      FAIL ("%s: page %" PRIu64 " is wrong", volume_name (g->volume), page);
  }
  POOL_CHECK (g->pool, false);
}

/* A new version of a page. */
static int
write_page (struct guest *g, uint64_t page)
{
  uint8_t buf[PAGE];
  int rc;

  page_of (g, page, g->versions[page] + 1, buf);
  rc = volume_write (g->volume, buf, PAGE, page * PAGE);
  if (rc == 0)
    g->versions[page]++;
  return rc;
}

/* Writes empty pages from page on, until one is refused with rc; returns it. */
static uint64_t
fill (struct guest *g, uint64_t page, int rc)
{
  for (; page < PAGES; page++) {
    if (g->versions[page])
      continue;
    const int err = write_page (g, page);

    if (err == rc)
      return page;
    CHECK_RC (err, 0);
  }
  FAIL ("%s: nothing was refused", volume_name (g->volume));
}

static void
trim (struct guest *g, uint64_t page, uint64_t n)
{
  CHECK_RC (volume_trim (g->volume, n * PAGE, page * PAGE), 0);
  memset (g->versions + page, 0, n * sizeof *g->versions);
}

static void
drop (struct guest *g)
{
  free (g->versions);
}

static void
test_arguments (void)
{
  struct pool *pool = make_pool ();
  struct guest a = make_guest (pool, "a"), b = make_guest (pool, "b");
  const uint64_t utmost = pool_stats_of (&a).reservable;

  CHECK_LE (limit / 4, utmost);
  CHECK_LE (utmost, limit - MIB);
  CHECK_RC (volume_set_limits (a.volume, MIB, 2 * MIB), -EINVAL);
  CHECK_RC (volume_set_limits (a.volume, 0, utmost + 1), -ENOSPC);
  CHECK_RC (volume_set_limits (a.volume, 0, UINT64_MAX), -ENOSPC);
  CHECK_EQ (pool_stats_of (&a).reserved, 0);
  CHECK_EQ (stats_of (&a).reserve, 0);
  CHECK_RC (volume_set_limits (a.volume, UINT64_MAX, utmost), 0);
  CHECK_EQ (pool_stats_of (&a).unfilled, utmost);
  CHECK_RC (volume_set_limits (b.volume, 7 * MIB, 1), -ENOSPC);
  CHECK_EQ (stats_of (&b).quota, 0);
  CHECK_RC (volume_set_limits (b.volume, 7 * MIB, 0), 0);
  CHECK_RC (volume_set_limits (a.volume, 0, utmost - MIB), 0);
  CHECK_RC (volume_set_limits (b.volume, MIB, MIB), 0);
  CHECK_EQ (stats_of (&b).quota, MIB);
  CHECK_EQ (stats_of (&b).reserve, MIB);
  CHECK_EQ (pool_stats_of (&a).reserved, utmost);
  CHECK_EQ (pool_stats_of (&a).unfilled, utmost);
  POOL_CHECK (pool, false);
  /* What a volume reserves goes with it. */
  volume_delete (a.volume);
  CHECK_EQ (pool_stats_of (&b).reserved, MIB);
  CHECK_EQ (pool_stats_of (&b).unfilled, MIB);
  CHECK_RC (volume_set_limits (b.volume, 0, utmost), 0);
  CHECK_RC (volume_set_limits (b.volume, 0, 0), 0);
  CHECK_EQ (pool_stats_of (&b).unfilled, 0);
  POOL_CHECK (pool, false);
  drop (&a);
  drop (&b);
  pool_destroy (pool);
}

static int
write_kind (struct guest *g, uint64_t page, enum content_kind kind)
{
  uint8_t buf[PAGE];

  content_page (buf, kind, page + 77);
  return volume_write (g->volume, buf, PAGE, page * PAGE);
}

/* Filled by single pages, a volume ends with its quota all but used, and what
 * makes nothing larger still passes. */
static void
test_quota (void)
{
  const uint64_t quota = 5 * MIB + 123;
  struct pool *pool = make_pool ();
  struct guest a = make_guest (pool, "a"), b = make_guest (pool, "b");
  uint64_t refused = 0, end;

  CHECK_RC (volume_set_limits (a.volume, quota, 0), 0);
  end = fill (&a, 0, -EDQUOT);
  CHECK_LE (stats_of (&a).charged, quota);
  CHECK_LE (quota - BLOB - FRAMES_OF_REQUEST, stats_of (&a).charged);
  CHECK_EQ (stats_of (&a).quota_refused, 1);
  CHECK_EQ (pool_stats_of (&a).quota_refused, 1);
  CHECK_EQ (pool_stats_of (&a).writes_refused, 0);
  CHECK_RC (write_page (&a, end), -EDQUOT);
  for (uint64_t page = 0; page < end; page++)
    CHECK_RC (write_page (&a, page), 0);
  CHECK_RC (write_page (&b, 0), 0);
  verify (&a);

  /* A page may shrink; to grow again it needs room. */
  CHECK_RC (write_kind (&a, 3, CONTENT_FILL32), 0);
  CHECK_RC (write_page (&a, end), 0);
  CHECK_RC (write_page (&a, 3), -EDQUOT);
  CHECK_RC (write_kind (&a, 3, CONTENT_FILL32), 0);
  trim (&a, end, 1);
  CHECK_RC (write_page (&a, 3), 0);

  /* A write of several pages stops where the quota ends; a partial one keeps
   * the rest of its page. */
  for (unsigned i = 0; i < 200; i++)
    refused += write_page (&a, end + i) == -EDQUOT;
  CHECK_EQ (refused, 200);
  CHECK_RC (volume_write (a.volume, "x", 1, end * PAGE + 5), 0);
  CHECK_RC (volume_trim (a.volume, PAGE, end * PAGE), 0);
  CHECK_RC (volume_zero (a.volume, 3 * PAGE, 0), 0);
  memset (a.versions, 0, 3 * sizeof *a.versions);
  CHECK_EQ (fill (&a, 0, -EDQUOT), end);
  verify (&a);

  /* Lowered below what is there: nothing goes, nothing grows. */
  CHECK_RC (volume_set_limits (a.volume, quota / 2, 0), 0);
  verify (&a);
  CHECK_RC (write_page (&a, end), -EDQUOT);
  CHECK_RC (write_page (&a, 10), 0);
  trim (&a, 0, 100);
  CHECK_RC (write_page (&a, 0), -EDQUOT);
  trim (&a, 0, end / 2 + 100);
  CHECK_RC (write_page (&a, 0), 0);
  CHECK_EQ (fill (&a, end, -EDQUOT) > end, 1);
  CHECK_LE (stats_of (&a).charged, quota / 2);
  CHECK_RC (volume_set_limits (a.volume, 0, 0), 0);
  fill (&a, 0, -ENOSPC);
  CHECK_LE (quota, stats_of (&a).charged);
  verify (&a);
  verify (&b);
  drop (&a);
  drop (&b);
  pool_destroy (pool);
}

/* Page tables count, and directories that hold nothing any more do not. */
static void
test_tables (void)
{
  const uint64_t quota = 64 * PAGE, step = 2 * GIB;
  struct pool *pool = make_pool ();
  struct volume *volume;
  struct volume_stats s;
  uint8_t buf[PAGE];
  uint64_t n;
  int rc = 0;

  content_page (buf, CONTENT_FILL32, 1);
  CHECK_RC (volume_open (pool, "wide", 1000 * step, &volume, NULL), 0);
  CHECK_RC (volume_set_limits (volume, quota, 0), 0);
  for (unsigned round = 0; round < 3; round++) {
    for (n = 0; n < 1000; n++) {
      rc = volume_write (volume, buf, PAGE, n * step);
      if (rc != 0)
        break;
    }
    CHECK_RC (rc, -EDQUOT);
    CHECK_EQ (n, 31); /* a root; a directory and a leaf each */
    POOL_CHECK (pool, false);
    volume_get_stats (volume, &s);
    CHECK_EQ (s.charged, s.table_bytes);
    CHECK_EQ (s.charged, quota - PAGE);
    /* All leaves go; then the directories have to make room for others. */
    CHECK_RC (volume_trim (volume, 1000 * step, 0), 0);
    CHECK_RC (volume_write (volume, buf, PAGE, 999 * step), 0);
    CHECK_RC (volume_trim (volume, 1000 * step, 0), 0);
    for (n = 500; n < 531; n++)
      CHECK_RC (volume_write (volume, buf, PAGE, n * step), 0);
    CHECK_RC (volume_trim (volume, 1000 * step, 0), 0);
  }
  pool_destroy (pool);
}

/* A quota for exactly n far pages takes exactly n of them, whether their frames
 * are at hand or have to be made first. */
static void
test_exact (void)
{
  const uint64_t step = 2 * GIB;
  struct pool *pool = make_pool ();
  struct volume *volume;
  uint8_t buf[PAGE];

  content_page (buf, CONTENT_RANDOM, 1);
  CHECK_RC (volume_open (pool, "wide", 100 * step, &volume, NULL), 0);
  for (uint64_t n = 1; n < 40; n++) {
    CHECK_RC (volume_set_limits (volume, PAGE + n * (2 * PAGE + BLOB), 0), 0);
    for (uint64_t i = 0; i < n; i++)
      CHECK_RC (volume_write (volume, buf, PAGE, i * step), 0);
    CHECK_RC (volume_write (volume, buf, PAGE, n * step), -EDQUOT);
    CHECK_RC (volume_write (volume, buf, PAGE, PAGE), -EDQUOT);
    CHECK_RC (volume_trim (volume, 100 * step, 0), 0);
    CHECK_RC (pool_compact (pool), 0);
    POOL_CHECK (pool, false);
  }
  pool_destroy (pool);
}

/* Fills the pool with pages that compress, and then lets them grow: that is
 * what gets furthest into the slack. */
static void
grow_all (struct guest *g)
{
  uint64_t page = 0;

  trim (g, 0, PAGES);
  while (write_kind (g, page, CONTENT_HEAP) == 0)
    page++;
  CHECK (page > 0);
  memset (g->versions, 0, PAGES * sizeof *g->versions);
  for (uint64_t i = 0; i < page; i++) {
    const int rc = write_page (g, i);

    CHECK (rc == 0 || rc == -ENOSPC);
  }
}

/* Others fill the pool and churn in it: the volume gets its reserve, page by
 * page, drops it, and gets it again. */
static void
test_reserve (bool steward)
{
  struct pool *pool = make_pool ();
  struct guest a = make_guest (pool, "a"), b = make_guest (pool, "b"),
               c = make_guest (pool, "c");
  const uint64_t reserve = pool_stats_of (&a).reservable / 3;
  /* A root, a directory, and a leaf for each 512 pages. */
  const uint64_t pages = (reserve - (3 + reserve / BLOB / 512) * PAGE) / BLOB;
  struct rng rng = { .state = seed };
  uint64_t end, more;

  if (steward)
    CHECK_RC (pool_start_steward (pool), 0);
  CHECK_RC (volume_set_limits (a.volume, 0, reserve), 0);
  CHECK_RC (volume_set_limits (c.volume, 0, reserve), 0);
  CHECK_EQ (pool_stats_of (&a).missing, 0);
  for (unsigned round = 0; round < 4; round++) {
    end = fill (&b, 0, -ENOSPC);
    CHECK_LE (end, PAGES - 100);
    /* They try to take more, by overwriting, and by other ways to grow. */
    for (unsigned i = 0; i < 4000; i++) {
      const int rc = write_page (&b, rng_below (&rng, end + 50));

      CHECK (rc == 0 || rc == -ENOSPC);
    }
    for (uint64_t page = 0; page < end; page++)
      CHECK_RC (write_kind (&b, page, CONTENT_FILL32), 0);
    fill (&b, 0, -ENOSPC);
    for (uint64_t page = 0; page < end; page++) {
      const int rc = write_page (&b, page);

      CHECK (rc == 0 || rc == -ENOSPC);
    }
    if (round % 2)
      grow_all (&b);
    for (uint64_t page = 0; page < pages; page++)
      CHECK_RC (write_page (&a, page * 7 % pages), 0);
    CHECK_LE (stats_of (&a).charged, reserve);
    for (uint64_t i = 0; i < 3 * pages; i++) {
      const uint64_t page = rng_below (&rng, pages);

      if (rng_below (&rng, 4) == 0)
        trim (&a, page, 1);
      else
        CHECK_RC (write_page (&a, page), 0);
      if (i % 8 == 0)
        write_page (&b, rng_below (&rng, end + 50));
    }
    for (uint64_t page = 0; page < pages; page++)
      CHECK_RC (write_page (&c, page), 0);
    verify (&a);
    verify (&c);
    trim (&a, 0, pages);
    trim (&c, 0, pages);
    /* What a and c have dropped is still theirs. */
    more = stats_of (&b).charged;
    fill (&b, 0, -ENOSPC);
    CHECK_LE (stats_of (&b).charged, more + 16 * BLOB);
    POOL_CHECK (pool, false);
  }
  /* Given up, it is there for all. */
  CHECK_RC (volume_set_limits (a.volume, 0, 0), 0);
  CHECK_LE (end + pages / 2, fill (&b, end, -ENOSPC));
  /* A reserve that others hold is missing until they go. */
  CHECK_RC (volume_set_limits (a.volume, 0, reserve), 0);
  CHECK_LE (reserve / 2, pool_stats_of (&a).missing);
  trim (&b, 0, PAGES);
  CHECK_EQ (pool_stats_of (&a).missing, 0);
  fill (&b, 0, -ENOSPC);
  for (uint64_t page = 0; page < pages; page++)
    CHECK_RC (write_page (&a, page), 0);
  verify (&a);
  if (steward)
    pool_stop_steward (pool);
  POOL_CHECK (pool, true);
  drop (&a);
  drop (&b);
  drop (&c);
  pool_destroy (pool);
}

#define WRITERS 8u

struct writer {
  struct guest *guest;
  unsigned id;
  _Atomic bool *stop;
  uint64_t over; /* the most that was held beyond the quota */
};

/* What is held beyond the quota.  Blobs and frames are read one after the other:
 * when frames have changed in between, the sum is of no moment. */
static uint64_t
beyond_quota (const struct guest *g)
{
  const uint64_t frames = stats_of (g).table_bytes;
  const struct volume_stats s = stats_of (g);

  return s.table_bytes == frames && s.charged > s.quota ? s.charged - s.quota
                                                        : 0;
}

static void *
write_much (void *arg)
{
  struct writer *w = arg;
  struct rng rng = { .state = seed * 64 + w->id };
  uint8_t *buf = test_alloc (32 * PAGE);

  for (uint64_t i = 0; !atomic_load (w->stop); i++) {
    const uint64_t page = rng_below (&rng, PAGES - 32);
    const unsigned n = 1 + rng_below (&rng, 32);
    const uint64_t over = beyond_quota (w->guest);

    if (over > w->over)
      w->over = over;
    for (unsigned k = 0; k < n; k++)
      content_page (buf + k * PAGE, CONTENT_RANDOM, rng_next (&rng));
    if (i % 4 == 3)
      CHECK_RC (volume_trim (w->guest->volume, n * PAGE, page * PAGE), 0);
    else {
      const int rc =
          volume_write (w->guest->volume, buf, n * PAGE, page * PAGE);

      CHECK (rc == 0 || rc == -EDQUOT);
    }
  }
  free (buf);
  return NULL;
}

/* Many writers at once: what they may hold beyond the quota is bounded. */
static void
test_overshoot (void)
{
  struct pool *pool = make_pool ();
  struct guest a = make_guest (pool, "a");
  struct writer writers[WRITERS];
  pthread_t threads[WRITERS];
  _Atomic bool stop = false;
  uint64_t over = 0;

  CHECK_RC (volume_set_limits (a.volume, 4 * MIB, 0), 0);
  for (unsigned i = 0; i < WRITERS; i++) {
    writers[i] = (struct writer){ .guest = &a, .id = i, .stop = &stop };
    CHECK (pthread_create (&threads[i], NULL, write_much, &writers[i]) == 0);
  }
  for (unsigned i = 0; i < 20; i++) {
    nanosleep (&(struct timespec){ .tv_nsec = 50000000 }, NULL);
    POOL_CHECK (pool, false);
  }
  atomic_store (&stop, true);
  for (unsigned i = 0; i < WRITERS; i++) {
    CHECK (pthread_join (threads[i], NULL) == 0);
    over = writers[i].over > over ? writers[i].over : over;
  }
  POOL_CHECK (pool, true);
  CHECK (stats_of (&a).quota_refused > 100);
  printf ("quota: %u writers: up to %" PRIu64 " bytes beyond it\n", WRITERS,
          over);
  CHECK_LE (over, WRITERS * FRAMES_OF_REQUEST);
  drop (&a);
  pool_destroy (pool);
}

/* What a waiter waits for. */
enum cause { CAUSE_TRIM, CAUSE_SHRINK, CAUSE_RAISED, CAUSE_GONE, NR_CAUSES };

struct waker {
  struct guest *guest;
  uint64_t quota;
  enum cause cause;
  unsigned nanoseconds;
};

static void *
wake_later (void *arg)
{
  const struct waker *w = arg;

  nanosleep (&(struct timespec){ .tv_nsec = w->nanoseconds }, NULL);
  switch (w->cause) {
  case CAUSE_TRIM:
    trim (w->guest, 0, 8);
    break;
  case CAUSE_SHRINK:
    for (uint64_t page = 0; page < 8; page++)
      CHECK_RC (write_kind (w->guest, page, CONTENT_FILL32), 0);
    break;
  case CAUSE_RAISED:
    CHECK_RC (volume_set_limits (w->guest->volume, 2 * w->quota, 0), 0);
    break;
  default:
    CHECK_RC (volume_set_limits (w->guest->volume, 0, 0), 0);
  }
  return NULL;
}

/* Who waits because of his quota is woken once there is room below it, at
 * whatever moment that comes, and by nobody else's. */
static void
test_wait (void)
{
  struct pool *pool = make_pool ();
  struct guest a = make_guest (pool, "a"), b = make_guest (pool, "b");
  struct waker waker = { .guest = &a, .quota = MIB };
  pthread_t thread;
  uint64_t end;

  for (unsigned i = 0; i < 400; i++) {
    double start;

    CHECK_RC (volume_set_limits (a.volume, waker.quota, 0), 0);
    trim (&a, 0, PAGES);
    end = fill (&a, 0, -EDQUOT);
    waker.cause = i % NR_CAUSES;
    waker.nanoseconds = i % 3 == 0 ? 200000 : 0;
    CHECK (pthread_create (&thread, NULL, wake_later, &waker) == 0);
    start = test_seconds ();
    while (write_page (&a, end) != 0) {
      volume_wait_space (a.volume, 20000);
      if (test_seconds () - start > 10)
        FAIL ("volume_wait_space slept through cause %d", (int) waker.cause);
    }
    CHECK (pthread_join (thread, NULL) == 0);
  }
  CHECK_RC (volume_set_limits (a.volume, waker.quota, 0), 0);
  trim (&a, 0, PAGES);
  end = fill (&a, 0, -EDQUOT);
  for (unsigned i = 0; i < 5; i++) {
    CHECK_RC (write_page (&a, end), -EDQUOT);
    CHECK_RC (write_page (&b, 1), 0);
    trim (&b, 0, 8);
    CHECK_RC (volume_wait_space (a.volume, 20), -ETIMEDOUT);
  }
  POOL_CHECK (pool, false);
  drop (&a);
  drop (&b);
  pool_destroy (pool);
}

/* They are parameters of a server, not of the pages. */
static void
test_not_stored (void)
{
  char state[] = "/dev/shm/vmswap-quota.XXXXXX", path[64];
  struct pool_config config = { .limit = limit, .state = state };
  struct guest a;
  uint64_t charged;

  if (!mkdtemp (state))
    FAIL ("%s: %s", state, strerror (errno));
  snprintf (path, sizeof path, "%s/pool.vmswap", state);
  CHECK_RC (pool_create (&config, &a.pool), 0);
  a = make_guest (a.pool, "a");
  CHECK_RC (volume_set_limits (a.volume, 2 * MIB, MIB), 0);
  fill (&a, 0, -EDQUOT);
  charged = stats_of (&a).charged;
  pool_destroy (a.pool);
  CHECK_RC (pool_create (&config, &a.pool), 0);
  a.volume = volume_find (a.pool, "a");
  CHECK (a.volume);
  CHECK_EQ (stats_of (&a).quota, 0);
  CHECK_EQ (stats_of (&a).reserve, 0);
  CHECK_EQ (stats_of (&a).charged, charged);
  CHECK_EQ (pool_stats_of (&a).reserved, 0);
  CHECK_RC (volume_set_limits (a.volume, 2 * MIB, 0), 0);
  verify (&a);
  fill (&a, 0, -EDQUOT);
  CHECK_LE (stats_of (&a).charged, 2 * MIB);
  pool_destroy (a.pool);
  drop (&a);
  if (unlink (path) != 0 || rmdir (state) != 0)
    FAIL ("%s: %s", path, strerror (errno));
}

int
main (int argc, char *argv[])
{
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp (argv[i], "--pool") == 0)
      limit = test_size (argv[i], argv[i + 1]);
    else if (strcmp (argv[i], "--seed") == 0)
      seed = test_size (argv[i], argv[i + 1]);
    else
      FAIL ("unknown argument '%s'", argv[i]);
  }
  snprintf (test_context, sizeof test_context, "seed %" PRIu64, seed);
  content_init (seed);
  test_arguments ();
  test_quota ();
  test_tables ();
  test_exact ();
  test_reserve (false);
  test_reserve (true);
  test_overshoot ();
  test_wait ();
  test_not_stored ();
  return 0;
}
