// SPDX-License-Identifier: BSD-3-Clause
/* The n-th acquisition of memory fails, for every n.
 *
 * One script uses the pool in every way.  It is run again and again; each time
 * the hook of the pool denies another acquisition:
 *
 *   once     the n-th alone.  A call that failed succeeds when it is repeated.
 *   onwards  the n-th and all later ones; then the hook lets go, and
 *            everything works again.
 *
 * In between, every call either works or fails with -ENOMEM or -ENOSPC and
 * changes nothing, the pool passes its check after each call, and the shadow
 * says what every byte must be.  The runs end when one is not denied anything.
 *
 *   nth [--stride N] [--steward] */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <string.h>

#include "content.h"
#include "test.h"

#define VOLUMES 3u
#define SIZE (8 * MIB)

enum mode { ONCE, ONWARDS };

struct nth {
  enum mode mode;
  bool steward;
  uint64_t n;             /* which acquisition fails first */
  _Atomic uint64_t asked; /* acquisitions so far */
  _Atomic uint64_t denied;
  _Atomic bool armed;
  uint64_t failures; /* calls that failed */
  struct pool *pool;
  struct volume *volumes[VOLUMES];
  uint8_t *shadow[VOLUMES]; /* NULL: that volume could not be opened */
  struct rng rng;
  uint8_t *buf;
  uint8_t *probe;
};

static bool
deny (void *opaque)
{
  struct nth *t = opaque;
  const uint64_t i = atomic_fetch_add (&t->asked, 1) + 1;

  if (!atomic_load (&t->armed) || i < t->n || (t->mode == ONCE && i > t->n))
    return false;
  atomic_fetch_add (&t->denied, 1);
  return true;
}

/* A call that may fail, and did.  True: repeat it now. */
static bool
failed (struct nth *t, const char *what, int rc, unsigned tries)
{
  if (!test_refused (rc))
    FAIL ("%s returned %d", what, rc);
  if (atomic_load (&t->denied) == 0)
    FAIL ("%s returned %d though nothing was denied", what, rc);
  /* The steward may be the one who was denied just now: try again then. */
  if (t->mode == ONCE && tries > (t->steward ? 100u : 1u))
    FAIL ("%s returned %d again, one denial later", what, rc);
  t->failures++;
  return t->mode == ONCE;
}

static void
verify_range (struct nth *t, unsigned v, uint64_t length, uint64_t offset)
{
  CHECK_RC (volume_read (t->volumes[v], t->probe, length, offset), 0);
  if (memcmp (t->probe, t->shadow[v] + offset, length) != 0) {
    test_hexdump_diff (t->shadow[v] + offset, t->probe, length, offset);
    FAIL ("volume %u: wrong content", v);
  }
}

static void
verify_all (struct nth *t, bool verify)
{
  for (unsigned v = 0; v < VOLUMES; v++)
    if (t->shadow[v])
      verify_range (t, v, SIZE, 0);
  POOL_CHECK (t->pool, verify);
}

/* After a failed request: page by page the old or the new content. */
static void
learn (struct nth *t, unsigned v, const uint8_t *new, uint64_t length,
       uint64_t offset)
{
  while (length > 0) {
    const uint64_t room = POOL_PAGE_SIZE - offset % POOL_PAGE_SIZE;
    const uint64_t n = length < room ? length : room;

    CHECK_RC (volume_read (t->volumes[v], t->probe, n, offset), 0);
    if (memcmp (t->probe, new, n) == 0)
      memcpy (t->shadow[v] + offset, new, n);
    else
      verify_range (t, v, n, offset);
    new += n;
    offset += n;
    length -= n;
  }
}

static void
do_write (struct nth *t, unsigned v, uint64_t length, uint64_t offset)
{
  int rc;

  if (!t->shadow[v])
    return;
  content_make (&t->rng, t->buf, length, offset);
  for (unsigned tries = 1;; tries++) {
    rc = volume_write (t->volumes[v], t->buf, length, offset);
    POOL_CHECK (t->pool, false);
    if (rc == 0)
      break;
    learn (t, v, t->buf, length, offset);
    if (!failed (t, "volume_write", rc, tries))
      return;
  }
  memcpy (t->shadow[v] + offset, t->buf, length);
  verify_range (t, v, length, offset);
}

static void
do_zero (struct nth *t, unsigned v, uint64_t length, uint64_t offset)
{
  int rc;

  if (!t->shadow[v])
    return;
  memset (t->buf, 0, length);
  for (unsigned tries = 1;; tries++) {
    rc = volume_zero (t->volumes[v], length, offset);
    POOL_CHECK (t->pool, false);
    if (rc == 0)
      break;
    learn (t, v, t->buf, length, offset);
    if (!failed (t, "volume_zero", rc, tries))
      return;
  }
  memset (t->shadow[v] + offset, 0, length);
}

/* A trim never fails, but may leave the parts of pages at its edges. */
static void
do_trim (struct nth *t, unsigned v, uint64_t length, uint64_t offset)
{
  const uint64_t page = POOL_PAGE_SIZE;
  const uint64_t first = (offset + page - 1) / page * page;
  const uint64_t last = (offset + length) / page * page;

  if (!t->shadow[v])
    return;
  CHECK_RC (volume_trim (t->volumes[v], length, offset), 0);
  POOL_CHECK (t->pool, false);
  if (first < last)
    memset (t->shadow[v] + first, 0, last - first);
  memset (t->buf, 0, length);
  learn (t, v, t->buf, length, offset);
}

static void
do_open (struct nth *t, unsigned v)
{
  char name[16];
  bool created;
  int rc;

  snprintf (name, sizeof name, "v%u", v);
  for (unsigned tries = 1;; tries++) {
    rc = volume_open (t->pool, name, SIZE, &t->volumes[v], &created);
    POOL_CHECK (t->pool, false);
    if (rc == 0)
      break;
    CHECK (volume_find (t->pool, name) == NULL);
    if (!failed (t, "volume_open", rc, tries))
      return;
  }
  CHECK (created && volume_find (t->pool, name) == t->volumes[v]);
  t->shadow[v] = test_alloc (SIZE);
}

static void
do_delete (struct nth *t, unsigned v)
{
  if (!t->shadow[v])
    return;
  volume_delete (t->volumes[v]);
  free (t->shadow[v]);
  t->shadow[v] = NULL;
  POOL_CHECK (t->pool, false);
}

static void
do_compact (struct nth *t)
{
  const int rc = pool_compact (t->pool);

  if (rc != 0 && !test_refused (rc))
    FAIL ("pool_compact returned %d", rc);
  verify_all (t, false);
}

/* Limits that are never reached: what they make the pool count must be right
 * when a write fails half way. */
static void
do_limits (struct nth *t, unsigned v, uint64_t quota, uint64_t reserve)
{
  if (t->shadow[v])
    CHECK_RC (volume_set_limits (t->volumes[v], quota, reserve), 0);
  POOL_CHECK (t->pool, false);
}

/* Several leaves (2 MiB of a volume each) and segments (1 MiB of blobs). */
static void
script (struct nth *t)
{
  for (unsigned v = 0; v < VOLUMES; v++)
    do_open (t, v);
  for (uint64_t at = 0; at < SIZE; at += 256 << 10)
    do_write (t, 0, 192 << 10, at);
  do_write (t, 1, 3000, 5 * MIB + 1000);
  do_write (t, 1, 300 << 10, 2 * MIB - 150000);
  for (uint64_t at = 0; at < SIZE; at += 512 << 10)
    do_write (t, 0, 64 << 10, at + 1234);
  for (uint64_t at = 0; at < SIZE; at += MIB)
    do_trim (t, 0, 300 << 10, at + 777);
  do_zero (t, 0, 2 * MIB + 5000, MIB + 100);
  do_compact (t);
  do_limits (t, 0, 60 * MIB, 5 * MIB);
  do_limits (t, 1, 0, 30 * MIB);
  for (unsigned i = 0; i < 24; i++)
    do_write (t, rng_below (&t->rng, VOLUMES),
              1 + rng_below (&t->rng, 200 << 10),
              rng_below (&t->rng, SIZE - (200 << 10)));
  do_trim (t, 1, SIZE, 0);
  do_write (t, 1, 1 << 20, 4 * MIB);
  do_delete (t, 2);
  do_open (t, 2);
  do_limits (t, 1, 0, 0);
  do_limits (t, 2, 40 * MIB, 0);
  do_write (t, 2, 100, 4095);
  do_compact (t);
  verify_all (t, true);
}

/* With every volume gone, nothing is left: no denial made the pool lose
 * count of memory. */
static void
check_leaks (struct nth *t)
{
  struct pool_stats s;

  for (unsigned v = 0; v < VOLUMES; v++)
    do_delete (t, v);
  CHECK_RC (pool_compact (t->pool), 0);
  pool_get_stats (t->pool, &s);
  CHECK_EQ (s.blob_bytes, 0);
  CHECK_LE (s.table_bytes, TABLE_SLACK (0));
  CHECK_LE (s.segment_bytes, 3 * POOL_SEGMENT_SIZE);
  CHECK_EQ (s.used, s.fixed_bytes + s.table_bytes + s.segment_bytes);
}

/* The host has memory again: everything works. */
static void
after (struct nth *t)
{
  atomic_store (&t->armed, false);
  for (unsigned v = 0; v < VOLUMES; v++) {
    if (!t->shadow[v])
      do_open (t, v);
    do_write (t, v, MIB, v * MIB + 300);
  }
  CHECK_RC (pool_compact (t->pool), 0);
  verify_all (t, true);
}

static int
create (struct nth *t)
{
  const struct pool_config config = { .limit = 64 * MIB,
                                      .cold = { .on = true, .level = 1 },
                                      .deny = deny,
                                      .deny_opaque = t };
  int rc;

  t->pool = NULL;
  while ((rc = pool_create (&config, &t->pool)) != 0) {
    CHECK_RC (rc, -ENOMEM);
    CHECK (atomic_load (&t->denied) > 0);
    if (t->mode == ONWARDS)
      return rc;
    CHECK (t->failures++ == 0);
  }
  if (t->steward && (rc = pool_start_steward (t->pool)) != 0) {
    CHECK_RC (rc, -ENOMEM);
    t->failures++;
    if (t->mode == ONCE)
      CHECK_RC (pool_start_steward (t->pool), 0);
  }
  return 0;
}

/* Returns how many acquisitions were denied. */
static uint64_t
run (struct nth *t)
{
  snprintf (test_context, sizeof test_context, "acquisition %" PRIu64 " %s%s",
            t->n, t->mode == ONCE ? "fails" : "and later ones fail",
            t->steward ? ", steward" : "");
  t->rng.state = 7;
  t->failures = 0;
  atomic_store (&t->asked, 0);
  atomic_store (&t->denied, 0);
  atomic_store (&t->armed, true);
  if (create (t) != 0)
    return atomic_load (&t->denied);
  script (t);
  after (t);
  if (t->steward)
    pool_stop_steward (t->pool);
  check_leaks (t);
  pool_destroy (t->pool);
  return atomic_load (&t->denied);
}

int
main (int argc, char **argv)
{
  static struct nth t;
  uint64_t stride = 1;

  for (int i = 1; i < argc; i++) {
    if (strcmp (argv[i], "--stride") == 0 && i + 1 < argc)
      stride = test_size (argv[i], argv[i + 1]), i++;
    else if (strcmp (argv[i], "--steward") == 0)
      t.steward = true;
    else
      FAIL ("unknown argument '%s'", argv[i]);
  }
  content_init (3);
  t.buf = test_alloc (SIZE);
  t.probe = test_alloc (SIZE);
  for (t.mode = ONCE; t.mode <= ONWARDS; t.mode++) {
    uint64_t runs = 0, failures = 0;

    for (t.n = 1; run (&t) > 0; t.n += stride, runs++)
      failures += t.failures;
    printf ("nth: %s: %" PRIu64 " runs, %" PRIu64 " failed calls\n",
            t.mode == ONCE ? "once" : "onwards", runs, failures);
    if (runs == 0 || (stride == 1 && failures < 10))
      FAIL ("hardly anything was denied: the hook is not called");
  }
  free (t.buf);
  free (t.probe);
  return 0;
}
