// SPDX-License-Identifier: BSD-3-Clause
/* Volumes: their counters, to the page, and opening, finding, listing and
 * deleting them from many threads at once.
 *
 * volume_delete asks that nobody uses the volume; so threads delete only
 * volumes of their own, and hold the lock `listing` against those who are
 * inside volume_each, where every volume may be looked at. */

#include <config.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "test.h"

#define PAGE ((uint64_t) POOL_PAGE_SIZE)
#define THREADS 8u
#define ROUNDS 60u
#define NAMES 100u

static void
put (struct volume *volume, enum content_kind kind, uint64_t page,
     uint64_t count)
{
  uint8_t buf[PAGE];

  for (uint64_t i = 0; i < count; i++) {
    content_page (buf, kind, page + i + 1000);
    CHECK_RC (volume_write (volume, buf, PAGE, (page + i) * PAGE), 0);
  }
}

static void
check_counts (struct volume *volume, uint64_t blob, uint64_t raw, uint64_t fill)
{
  struct volume_stats s;

  volume_get_stats (volume, &s);
  CHECK_EQ (s.blob_pages, blob);
  CHECK_EQ (s.raw_pages, raw);
  CHECK_EQ (s.fill_pages, fill);
  CHECK ((s.blob_bytes == 0) == (blob == 0));
  CHECK_LE (s.data_bytes, s.blob_bytes);
  CHECK_LE (raw * PAGE, s.data_bytes);
}

static void
check_sums (struct pool *pool, struct volume *a, struct volume *b)
{
  struct volume_stats sa, sb;
  struct pool_stats s;

  volume_get_stats (a, &sa);
  volume_get_stats (b, &sb);
  pool_get_stats (pool, &s);
  CHECK_EQ (s.blob_pages, sa.blob_pages + sb.blob_pages);
  CHECK_EQ (s.raw_pages, sa.raw_pages + sb.raw_pages);
  CHECK_EQ (s.fill_pages, sa.fill_pages + sb.fill_pages);
  CHECK_EQ (s.blob_bytes, sa.blob_bytes + sb.blob_bytes);
  CHECK_EQ (s.data_bytes, sa.data_bytes + sb.data_bytes);
  CHECK_EQ (s.pages_written, sa.pages_written + sb.pages_written);
  CHECK_EQ (s.pages_read, sa.pages_read + sb.pages_read);
  CHECK_EQ (s.pages_trimmed, sa.pages_trimmed + sb.pages_trimmed);
  CHECK_EQ (s.writes_refused + s.bad_pages + s.segments_rescued, 0);
  CHECK_EQ (s.volumes, 2);
}

/* Counters of two volumes in one pool, step by step. */
static void
test_stats (void)
{
  const struct pool_config config = { .limit = 64 * MIB };
  struct pool *pool;
  struct volume *a, *b;
  struct volume_stats s;
  uint8_t *buf = test_alloc (64 * PAGE);

  CHECK_RC (pool_create (&config, &pool), 0);
  CHECK_RC (volume_open (pool, "a", 16 * MIB, &a, NULL), 0);
  CHECK_RC (volume_open (pool, "b", 16 * MIB, &b, NULL), 0);
  check_counts (a, 0, 0, 0);
  put (a, CONTENT_TEXT, 0, 40);
  put (a, CONTENT_RANDOM, 40, 30);
  put (a, CONTENT_FILL8, 1000, 20);
  check_counts (a, 70, 30, 20);
  check_counts (b, 0, 0, 0);
  put (b, CONTENT_FILL32, 600, 5);
  check_counts (b, 0, 0, 5);
  check_sums (pool, a, b);

  put (a, CONTENT_RANDOM, 0, 10); /* text becomes incompressible */
  put (a, CONTENT_FILL16, 45, 5); /* incompressible becomes fill */
  put (a, CONTENT_TEXT, 1000, 2); /* fill becomes text */
  check_counts (a, 67, 35, 23);
  volume_get_stats (a, &s);
  CHECK_EQ (s.pages_written, 107);
  CHECK_EQ (s.pages_read, 0);
  CHECK_EQ (s.pages_trimmed, 0);
  CHECK_RC (volume_read (a, buf, 64 * PAGE, 0), 0);
  CHECK_RC (volume_read (a, buf, 8 * PAGE, 2000 * PAGE), 0);
  volume_get_stats (a, &s);
  CHECK_EQ (s.pages_read, 72);

  CHECK_RC (volume_trim (a, 20 * PAGE, 0), 0);
  CHECK_RC (volume_trim (a, 20 * PAGE, 0), 0); /* nothing there any more */
  check_counts (a, 47, 25, 23);
  volume_get_stats (a, &s);
  CHECK_EQ (s.pages_trimmed, 20);
  check_sums (pool, a, b);
  POOL_CHECK (pool, true);
  CHECK_RC (volume_trim (a, 16 * MIB, 0), 0);
  check_counts (a, 0, 0, 0);
  check_counts (b, 0, 0, 5);
  check_sums (pool, a, b);
  volume_get_stats (a, &s);
  CHECK_EQ (s.pages_trimmed, 90);
  volume_delete (a);
  volume_delete (b);
  POOL_CHECK (pool, true);
  pool_destroy (pool);
  free (buf);
}

struct shared {
  struct pool *pool;
  pthread_barrier_t barrier;
  pthread_rwlock_t listing;
  _Atomic uint64_t created;
  struct volume *_Atomic seen[NAMES];
  _Atomic unsigned looks;
};

struct worker {
  struct shared *shared;
  unsigned id;
  pthread_t handle;
};

/* All threads open the same names: one of them makes each, all get it. */
static void
open_same (struct worker *w)
{
  struct shared *sh = w->shared;

  for (unsigned i = 0; i < NAMES; i++) {
    const unsigned n = (i + w->id * 5) % NAMES;
    struct volume *volume, *none = NULL;
    char name[16];
    bool created;

    snprintf (name, sizeof name, "same%u", n);
    CHECK_RC (volume_open (sh->pool, name, (n + 1) * PAGE, &volume, &created),
              0);
    sh->created += created;
    if (!atomic_compare_exchange_strong (&sh->seen[n], &none, volume))
      CHECK (none == volume);
    CHECK (volume_find (sh->pool, name) == volume);
    CHECK (volume_size (volume) == (n + 1) * PAGE);
  }
}

static int
count_same (struct volume *volume, void *opaque)
{
  uint8_t *count = opaque;
  struct volume_stats s;
  unsigned n;

  volume_get_stats (volume, &s);
  CHECK (s.size == volume_size (volume));
  if (sscanf (volume_name (volume), "same%u", &n) == 1)
    count[n]++;
  return 0;
}

static int
stop_at_third (struct volume *volume, void *opaque)
{
  return ++*(unsigned *) opaque == 3 ? -42 : 0;
}

/* Each of the lasting volumes is listed once, whatever comes and goes. */
static void
list_all (struct shared *sh)
{
  uint8_t count[NAMES] = { 0 };
  unsigned calls = 0;

  CHECK (pthread_rwlock_rdlock (&sh->listing) == 0);
  CHECK_RC (volume_each (sh->pool, count_same, count), 0);
  CHECK_RC (volume_each (sh->pool, stop_at_third, &calls), -42);
  CHECK (pthread_rwlock_unlock (&sh->listing) == 0);
  CHECK_EQ (calls, 3);
  for (unsigned n = 0; n < NAMES; n++)
    CHECK_EQ (count[n], 1);
  atomic_fetch_add (&sh->looks, 1);
}

/* A volume of this thread: made, used, deleted, gone. */
static void
come_and_go (struct worker *w, unsigned round)
{
  struct shared *sh = w->shared;
  uint8_t page[PAGE], back[PAGE];
  struct volume *volume;
  struct volume_stats s;
  char name[32];
  bool created;

  snprintf (name, sizeof name, "own%u-%u", w->id, round % 3);
  CHECK_RC (volume_open (sh->pool, name, 8 * MIB, &volume, &created), 0);
  CHECK (created);
  for (unsigned i = 0; i < 8; i++) {
    content_page (page, CONTENT_TEXT, w->id * 1000 + round * 8 + i);
    CHECK_RC (volume_write (volume, page, PAGE, i * MIB), 0);
  }
  for (unsigned i = 0; i < 8; i++) {
    content_page (page, CONTENT_TEXT, w->id * 1000 + round * 8 + i);
    CHECK_RC (volume_read (volume, back, PAGE, i * MIB), 0);
    CHECK (memcmp (page, back, PAGE) == 0);
  }
  volume_get_stats (volume, &s);
  CHECK_EQ (s.blob_pages, 8);
  CHECK_EQ (s.pages_written, 8);
  CHECK (volume_find (sh->pool, name) == volume);
  CHECK (pthread_rwlock_wrlock (&sh->listing) == 0);
  volume_delete (volume);
  CHECK (volume_find (sh->pool, name) == NULL);
  CHECK (pthread_rwlock_unlock (&sh->listing) == 0);
}

static void *
worker_thread (void *arg)
{
  struct worker *w = arg;
  struct shared *sh = w->shared;

  pthread_barrier_wait (&sh->barrier);
  open_same (w);
  pthread_barrier_wait (&sh->barrier);
  for (unsigned round = 0; round < ROUNDS; round++) {
    if ((round + w->id) % 3 == 0)
      list_all (sh);
    else
      come_and_go (w, round);
    open_same (w);
    if (w->id == 0 && round % 16 == 0)
      POOL_CHECK (sh->pool, false);
  }
  return NULL;
}

static void
test_threads (bool steward)
{
  const struct pool_config config = { .limit = 64 * MIB };
  static struct shared sh;
  struct worker workers[THREADS];
  struct pool_stats s;

  memset (&sh, 0, sizeof sh);
  CHECK_RC (pool_create (&config, &sh.pool), 0);
  if (steward)
    CHECK_RC (pool_start_steward (sh.pool), 0);
  CHECK (pthread_barrier_init (&sh.barrier, NULL, THREADS) == 0);
  CHECK (pthread_rwlock_init (&sh.listing, NULL) == 0);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){ .shared = &sh, .id = i };
    CHECK (pthread_create (&workers[i].handle, NULL, worker_thread,
                           &workers[i]) == 0);
  }
  for (unsigned i = 0; i < THREADS; i++)
    CHECK (pthread_join (workers[i].handle, NULL) == 0);
  CHECK_EQ (sh.created, NAMES);
  CHECK (sh.looks > 0);
  pool_get_stats (sh.pool, &s);
  CHECK_EQ (s.volumes, NAMES);
  CHECK_EQ (s.blob_pages, 0);
  POOL_CHECK (sh.pool, true);
  if (steward)
    pool_stop_steward (sh.pool);
  pool_destroy (sh.pool);
  pthread_rwlock_destroy (&sh.listing);
  pthread_barrier_destroy (&sh.barrier);
}

int
main (void)
{
  content_init (5);
  test_stats ();
  test_threads (false);
  test_threads (true);
  return 0;
}
