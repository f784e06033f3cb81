// SPDX-License-Identifier: BSD-3-Clause
/* Limits that change while the threads of model-shadow.c work, and who may be
 * refused under them.
 *
 * What a volume holds is bounded by the pages that may hold something in the
 * shadows of all threads (a page that two threads share counts twice), at the
 * size of an incompressible one, and by the page table of the whole volume.  A
 * thread adds to that bound before a request, and takes back afterwards what
 * the request has not filled.  So
 *   - without a quota, or while the bound is below it, -EDQUOT is wrong;
 *   - while the bound is below the reserve, -ENOSPC is wrong.
 * "While" is from before the request until after it: whoever takes the bound
 * over a limit, or changes one, moves a serial number on.  A reserve counts
 * once the pool has said that nothing is missing to it. */

#include <config.h>

#include <inttypes.h>
#include <pthread.h>

#include "model.h"

#define BLOB (POOL_PAGE_SIZE + 12) /* an incompressible page in the arena */
#define LEAF (2 * MIB)             /* that a frame of a page table covers */

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

static uint64_t
bound_bytes (const struct model *m, uint64_t pages)
{
  const uint64_t frames = 3 + m->opt.size / LEAF;

  return pages * BLOB + frames * POOL_PAGE_SIZE;
}

/* Pages of the request that hold something, in the shadow of its thread. */
static uint64_t
held_pages (const struct model_thread *t, const struct request *r)
{
  const struct model *m = t->model;
  const uint64_t start = model_range_start (m, r->volume, t->id);
  const uint64_t end = model_range_start (m, r->volume, t->id + 1);
  const uint8_t *shadow = m->volumes[r->volume].shadow;
  uint64_t at = r->offset & -(uint64_t) POOL_PAGE_SIZE, held = 0;

  for (; at < r->offset + r->length; at += POOL_PAGE_SIZE) {
    const uint64_t from = at < start ? start : at;
    const uint64_t to = at + POOL_PAGE_SIZE < end ? at + POOL_PAGE_SIZE : end;

    held += !content_is_zero (shadow + from, to - from);
  }
  return held;
}

static uint64_t
touched_pages (const struct request *r)
{
  return (r->offset + r->length - 1) / POOL_PAGE_SIZE -
         r->offset / POOL_PAGE_SIZE + 1;
}

struct ticket
model_limits_begin (struct model_thread *t, const struct request *r)
{
  struct model_volume *v = &t->model->volumes[r->volume];
  struct ticket ticket = { .added = touched_pages (r) - held_pages (t, r) };
  uint64_t bound;

  if (!t->model->opt.limits)
    return ticket;
  ticket.serial = atomic_load (&v->limits_serial);
  ticket.quota = atomic_load (&v->quota);
  ticket.reserve = atomic_load (&v->reserve);
  ticket.granted = atomic_load (&v->granted) == ticket.serial;
  bound = bound_bytes (t->model, atomic_fetch_add (&v->pages, ticket.added) +
                                     ticket.added);
  if (bound > atomic_load (&v->quota))
    atomic_fetch_add (&v->over_quota, 1);
  if (bound > atomic_load (&v->reserve))
    atomic_fetch_add (&v->over_reserve, 1);
  ticket.below_quota = ticket.quota == 0 || bound <= ticket.quota;
  ticket.below_reserve = bound <= ticket.reserve;
  ticket.over_quota = atomic_load (&v->over_quota);
  ticket.over_reserve = atomic_load (&v->over_reserve);
  return ticket;
}

/* The shadow has been brought up to date. */
void
model_limits_end (struct model_thread *t, const struct request *r,
                  const struct ticket *ticket, int rc)
{
  struct model_volume *v = &t->model->volumes[r->volume];
  bool same;

  if (!t->model->opt.limits)
    return;
  same = ticket->serial % 2 == 0 &&
         ticket->serial == atomic_load (&v->limits_serial);
  if (same && ticket->below_quota &&
      (ticket->quota == 0 ||
       ticket->over_quota == atomic_load (&v->over_quota))) {
    t->counts.quota_proved += ticket->quota != 0;
    if (rc == -EDQUOT)
      FAIL ("%s: -EDQUOT below its quota of %" PRIu64, volume_name (v->volume),
            ticket->quota);
  }
  if (same && ticket->granted && ticket->below_reserve &&
      ticket->over_reserve == atomic_load (&v->over_reserve)) {
    t->counts.reserve_proved++;
    if (rc == -ENOSPC)
      FAIL ("%s: -ENOSPC below its reserve of %" PRIu64,
            volume_name (v->volume), ticket->reserve);
  }
  atomic_fetch_sub (&v->pages, ticket->added);
  t->counts.quota_refused += rc == -EDQUOT;
}

/* What the request has made of its pages: before is what held_pages said before
 * it. */
void
model_limits_learn (struct model_thread *t, const struct request *r,
                    uint64_t before)
{
  if (t->model->opt.limits)
    atomic_fetch_add (&t->model->volumes[r->volume].pages,
                      held_pages (t, r) - before);
}

uint64_t
model_limits_held (struct model_thread *t, const struct request *r)
{
  return t->model->opt.limits ? held_pages (t, r) : 0;
}

/* Nothing is missing: then all reserves that were set before are there. */
void
model_limits_look (struct model *m)
{
  uint64_t serials[MODEL_LIMITS_VOLUMES];
  struct pool_stats s;

  if (!m->opt.limits)
    return;
  for (unsigned i = 0; i < m->opt.volumes; i++)
    serials[i] = atomic_load (&m->volumes[i].limits_serial);
  pool_get_stats (m->pool, &s);
  CHECK_LE (s.unfilled, s.reserved + m->opt.threads * LEAF);
  CHECK_LE (s.reserved, s.reservable);
  for (unsigned i = 0; i < m->opt.volumes && s.missing == 0; i++)
    if (serials[i] % 2 == 0)
      atomic_store (&m->volumes[i].granted, serials[i]);
}

static void
set (struct model *m, struct model_volume *v, uint64_t quota, uint64_t reserve)
{
  const int rc = volume_set_limits (v->volume, quota, reserve);
  struct volume_stats s;

  if (rc == 0) {
    atomic_store (&v->quota, quota);
    atomic_store (&v->reserve, reserve);
  }
  else
    CHECK_RC (rc, quota && quota < reserve ? -EINVAL : -ENOSPC);
  volume_get_stats (v->volume, &s);
  CHECK_EQ (s.quota, atomic_load (&v->quota));
  CHECK_EQ (s.reserve, atomic_load (&v->reserve));
  if (quota && quota < reserve)
    CHECK_RC (rc, -EINVAL);
}

/* New limits for one of the volumes. */
void
model_limits_change (struct model_thread *t)
{
  struct model *m = t->model;
  struct model_volume *v = &m->volumes[rng_below (&t->rng, m->opt.volumes)];
  const unsigned dice = rng_below (&t->rng, 16);
  uint64_t quota = 0, reserve = 0;
  struct pool_stats s;

  pool_get_stats (m->pool, &s);
  if (dice < 12)
    reserve = rng_below (&t->rng, s.reservable * 2 / m->opt.volumes);
  if (dice % 2 == 0)
    quota = reserve + rng_below (&t->rng, s.reservable * 2 / m->opt.volumes);
  if (dice == 15)
    reserve = quota + 1;

  CHECK (pthread_mutex_lock (&changing) == 0);
  atomic_fetch_add (&v->limits_serial, 1);
  set (m, v, quota, reserve);
  atomic_fetch_add (&v->limits_serial, 1);
  CHECK (pthread_mutex_unlock (&changing) == 0);
  t->counts.limits_changed++;
  model_limits_look (m);
}
