// SPDX-License-Identifier: BSD-3-Clause
/* The threads that own byte ranges.  A thread alone reads and changes the
 * shadow of its range, so the shadow is exact and needs no lock.
 *
 * In a pool that is full, a refused write leaves every page of the request
 * as it was or as it should be.  The thread reads back which, page by page,
 * and takes that over into the shadow; anything else ends the test. */

#include <config.h>

#include <inttypes.h>
#include <string.h>

#include "model.h"

#define CLUSTER (2 * MIB) /* what a guest discards at once */

uint64_t
model_range_start (const struct model *m, unsigned volume, unsigned thread)
{
  const uint64_t page = m->opt.size / m->opt.threads * thread / POOL_PAGE_SIZE;

  if (thread == 0)
    return 0;
  if (thread == m->opt.threads)
    return m->opt.size;
  return page * POOL_PAGE_SIZE + 1 +
         test_mix (m->opt.seed + 64 * volume + thread) % (POOL_PAGE_SIZE - 1);
}

static uint64_t
pick_length (struct rng *rng)
{
  const unsigned dice = rng_below (rng, 100);

  if (dice < 45)
    return POOL_PAGE_SIZE;
  if (dice < 58)
    return 1 + rng_below (rng, POOL_PAGE_SIZE);
  if (dice < 60)
    return 1;
  if (dice < 85)
    return POOL_PAGE_SIZE * (2 + rng_below (rng, 7));
  if (dice < 93)
    return POOL_PAGE_SIZE * (8 + rng_below (rng, 24));
  if (dice < 95)
    return POOL_PAGE_SIZE * (32 + rng_below (rng, 33));
  return 1 + rng_below (rng, 64 << 10);
}

/* A request inside the range of the thread: often on page borders, often in
 * the same eighth of the range, sometimes at its very ends, where it shares
 * a page with the neighbour. */
static struct request
pick_request (struct model_thread *t)
{
  const struct model *m = t->model;
  struct request r = { .volume = rng_below (&t->rng, m->opt.volumes) };
  const uint64_t start = model_range_start (m, r.volume, t->id);
  const uint64_t end = model_range_start (m, r.volume, t->id + 1);
  const unsigned dice = rng_below (&t->rng, 100);

  r.length = pick_length (&t->rng);
  if (m->opt.limits && r.volume % 2) {
    /* Small enough to fit into a reserve. */
    r.offset = start + rng_below (&t->rng, (end - start) / 16);
    if (dice % 2)
      r.offset += -r.offset % POOL_PAGE_SIZE;
  }
  else if (dice < 3) {
    r.offset = start;
  }
  else if (dice < 6) {
    r.offset = end - start > r.length ? end - r.length : start;
  }
  else {
    const uint64_t span = dice < 50 ? (end - start) / 8 + 1 : end - start;

    r.offset = start + rng_below (&t->rng, span);
    if (r.length % POOL_PAGE_SIZE == 0 && dice % 8 != 0)
      r.offset -= r.offset % POOL_PAGE_SIZE;
    if (r.offset < start)
      r.offset = start;
  }
  if (r.length > end - r.offset)
    r.length = end - r.offset;
  return r;
}

static void
do_read (struct model_thread *t, const struct request *r)
{
  const struct model_volume *v = &t->model->volumes[r->volume];
  const int rc = volume_read (v->volume, t->probe, r->length, r->offset);

  if (rc != 0)
    FAIL ("volume_read of %" PRIu64 " bytes at %" PRIu64 " returned %d",
          r->length, r->offset, rc);
  if (memcmp (t->probe, v->shadow + r->offset, r->length) != 0) {
    test_hexdump_diff (v->shadow + r->offset, t->probe, r->length, r->offset);
    FAIL ("%s: wrong content, thread %u", volume_name (v->volume), t->id);
  }
}

/* Takes over what a request did to the pages it may or may not have changed.
 * wanted is what the request would have made of them; NULL means zeroes. */
static void
learn (struct model_thread *t, const struct request *r, const uint8_t *wanted)
{
  static const uint8_t zeroes[POOL_PAGE_SIZE];
  const struct model_volume *v = &t->model->volumes[r->volume];
  uint64_t at = r->offset;
  const uint64_t end = r->offset + r->length;

  while (at < end) {
    const uint64_t room = POOL_PAGE_SIZE - at % POOL_PAGE_SIZE;
    const uint64_t n = end - at < room ? end - at : room;
    const uint8_t *new = wanted ? wanted + (at - r->offset) : zeroes;

    CHECK_RC (volume_read (v->volume, t->probe, n, at), 0);
    if (memcmp (t->probe, new, n) == 0) {
      memcpy (v->shadow + at, new, n);
      t->counts.learned_new++;
    }
    else if (memcmp (t->probe, v->shadow + at, n) != 0) {
      test_hexdump_diff (v->shadow + at, t->probe, n, at);
      test_hexdump_diff (new, t->probe, n, at);
      FAIL ("%s: after a refused request a page is neither old nor new%s",
            volume_name (v->volume),
            content_is_zero (t->probe, n) ? ", but zero" : "");
    }
    at += n;
  }
}

/* The request ended with rc: bring the shadow up to date. */
static void
settle (struct model_thread *t, const struct request *r, int rc,
        const uint8_t *wanted, const char *what)
{
  uint8_t *shadow = t->model->volumes[r->volume].shadow + r->offset;

  if (rc == 0) {
    if (wanted)
      memcpy (shadow, wanted, r->length);
    else
      memset (shadow, 0, r->length);
    return;
  }
  if (!t->model->opt.full ||
      (!test_refused (rc) && !(t->model->opt.limits && rc == -EDQUOT)))
    FAIL ("%s of %" PRIu64 " bytes at %" PRIu64 " returned %d", what, r->length,
          r->offset, rc);
  t->counts.refused++;
  learn (t, r, wanted);
}

/* Every other whole page becomes one that others write, too. */
static void
make_alike (struct model_thread *t, const struct request *r)
{
  const uint64_t end = r->offset + r->length;
  uint64_t at = (r->offset + POOL_PAGE_SIZE - 1) & -(uint64_t) POOL_PAGE_SIZE;

  for (; at + POOL_PAGE_SIZE <= end; at += POOL_PAGE_SIZE)
    if (rng_below (&t->rng, 2)) {
      const uint64_t key = rng_below (&t->rng, t->model->opt.same);

      content_page (t->buf + (at - r->offset),
                    (enum content_kind) (CONTENT_TEXT + key % 3), key);
    }
}

static void
do_write (struct model_thread *t, const struct request *r)
{
  struct volume *volume = t->model->volumes[r->volume].volume;
  const uint64_t held = model_limits_held (t, r);
  const struct ticket ticket = model_limits_begin (t, r);
  int rc;

  content_make (&t->rng, t->buf, r->length, r->offset);
  if (t->model->opt.same)
    make_alike (t, r);
  rc = volume_write (volume, t->buf, r->length, r->offset);
  settle (t, r, rc, t->buf, "volume_write");
  model_limits_learn (t, r, held);
  model_limits_end (t, r, &ticket, rc);
}

static void
do_zero (struct model_thread *t, const struct request *r)
{
  struct volume *volume = t->model->volumes[r->volume].volume;

  const uint64_t held = model_limits_held (t, r);
  const struct ticket ticket = model_limits_begin (t, r);
  const int rc = volume_zero (volume, r->length, r->offset);

  settle (t, r, rc, NULL, "volume_zero");
  model_limits_learn (t, r, held);
  model_limits_end (t, r, &ticket, rc);
}

/* The whole pages are gone; parts of pages at the edges stay when there is
 * no room for the rest of the page. */
static void
do_trim (struct model_thread *t, const struct request *r)
{
  struct model_volume *v = &t->model->volumes[r->volume];
  const uint64_t end = r->offset + r->length;
  uint64_t first =
      (r->offset + POOL_PAGE_SIZE - 1) & -(uint64_t) POOL_PAGE_SIZE;
  uint64_t last = end & -(uint64_t) POOL_PAGE_SIZE;
  const uint64_t held = model_limits_held (t, r);
  const struct ticket ticket = model_limits_begin (t, r);

  CHECK_RC (volume_trim (v->volume, r->length, r->offset), 0);
  if (first > last)
    first = last = end;
  memset (v->shadow + first, 0, last - first);
  if (!t->model->opt.full) {
    memset (v->shadow + r->offset, 0, r->length);
    return;
  }
  if (first > r->offset)
    learn (t, &(struct request){ r->volume, r->offset, first - r->offset },
           NULL);
  if (end > last && last >= first && last != end)
    learn (t, &(struct request){ r->volume, last, end - last }, NULL);
  model_limits_learn (t, r, held);
  model_limits_end (t, r, &ticket, 0);
}

/* Trims are short now and whole clusters then, as a guest's are. */
static void
stretch_trim (struct model_thread *t, struct request *r)
{
  const uint64_t end = model_range_start (t->model, r->volume, t->id + 1);

  if (rng_below (&t->rng, 64) == 0)
    r->length = end - r->offset < CLUSTER ? end - r->offset : CLUSTER;
}

/* Writes to a pool that is full half of the time: while more than half of
 * the writes are refused, trim much, else little. */
static enum model_op
pick_op (struct model_thread *t)
{
  const struct model_counts *c = &t->counts;
  const unsigned dice = rng_below (&t->rng, 1000);
  unsigned trims = 100;

  if (t->model->opt.full)
    trims = c->refused * 2 > c->ops[MODEL_WRITE] ? 250 : 10;
  if (dice < 5)
    return MODEL_EXTENTS;
  if (dice < 10)
    return MODEL_STATS;
  if (dice < 60)
    return MODEL_ZERO;
  if (dice < 60 + trims)
    return MODEL_TRIM;
  if (dice < 60 + trims + 350)
    return MODEL_READ;
  return MODEL_WRITE;
}

static void
one_op (struct model_thread *t)
{
  struct request r = pick_request (t);
  const enum model_op op = pick_op (t);

  if (op == MODEL_TRIM)
    stretch_trim (t, &r);
  t->counts.ops[op]++;
  t->counts.bytes[op] += r.length;
  switch (op) {
  case MODEL_READ:
    do_read (t, &r);
    break;
  case MODEL_WRITE:
    do_write (t, &r);
    break;
  case MODEL_ZERO:
    do_zero (t, &r);
    break;
  case MODEL_TRIM:
    do_trim (t, &r);
    break;
  case MODEL_EXTENTS:
    model_check_extents (t->model, &t->model->volumes[r.volume], r.length,
                         r.offset);
    break;
  default:
    model_limits_look (t->model);
    model_sample_stats (t->model);
    break;
  }
}

void *
model_shadow_thread (void *arg)
{
  struct model_thread *t = arg;

  do {
    one_op (t);
    if (t->model->opt.limits && rng_below (&t->rng, 500) == 0)
      model_limits_change (t);
  } while (model_tick (t->model));
  return NULL;
}
