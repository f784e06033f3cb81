// SPDX-License-Identifier: BSD-3-Clause
/* Owns the cache of the model.  No threads. */

#include <config.h>

#include <time.h>

#include "prefetch-model.h"

void
model_init (struct model *m, uint64_t pages)
{
  memset (m, 0, sizeof *m);
  prefetch_init (&m->prefetch, pages, MODEL_ROOM);
}

void
model_record (struct model *m)
{
  m->room_calls = 1u << 20;
  m->calls = calloc (m->room_calls, sizeof *m->calls);
  CHECK (m->calls != NULL);
}

static void
note (struct model *m, uint64_t page, uint64_t count, uint64_t hits)
{
  if (m->calls == NULL)
    return;
  CHECK (m->nr_calls < m->room_calls);
  m->calls[m->nr_calls++] = (struct model_call){ page, count, hits };
}

static unsigned
find (const struct model *m, uint64_t page)
{
  unsigned i = 0;

  while (i < m->n && m->cache[i].page != page)
    i++;
  return i;
}

static void
drop (struct model *m, unsigned i)
{
  memmove (&m->cache[i], &m->cache[i + 1], (--m->n - i) * sizeof m->cache[0]);
}

static void
waste (struct model *m, unsigned i)
{
  note (m, m->cache[i].page, 0, 0);
  prefetch_waste (&m->prefetch, m->cache[i].page);
  drop (m, i);
}

static void
bring (struct model *m, uint64_t page)
{
  if (page >= m->prefetch.pages)
    m->outside++;
  if (find (m, page) < m->n) {
    m->repeated++;
    return;
  }
  if (m->n == MODEL_ROOM)
    waste (m, 0);
  m->cache[m->n++] = (struct model_page){ page, m->requests + m->late };
}

void
model_read (struct model *m, uint64_t page, uint64_t count)
{
  uint64_t proposals[PREFETCH_WINDOW_MAX];
  uint64_t hits = 0;
  unsigned n;

  m->requests++;
  for (uint64_t i = 0; i < count && m->n > 0; ++i) {
    const unsigned at = find (m, page + i);

    if (at == m->n)
      continue;
    hits += m->cache[at].ready < m->requests;
    drop (m, at);
  }
  note (m, page, count, hits);
  n = prefetch_read (&m->prefetch, page, count, hits, proposals,
                     PREFETCH_WINDOW_MAX);
  CHECK (n <= PREFETCH_WINDOW_MAX);
  for (unsigned i = 0; i < n; ++i)
    bring (m, proposals[i]);
}

void
model_write (struct model *m, uint64_t page, uint64_t count)
{
  for (unsigned i = m->n; i-- > 0;)
    if (m->cache[i].page - page < count)
      waste (m, i);
}

void
model_end (struct model *m)
{
  while (m->n > 0)
    waste (m, 0);
}

double
model_hit_rate (const struct model *m, const struct prefetch_stats *before)
{
  const struct prefetch_stats *now = &m->prefetch.stats;

  return (double) (now->hits - before->hits) / (now->reads - before->reads);
}

double
model_waste_rate (const struct model *m, const struct prefetch_stats *before)
{
  const struct prefetch_stats *now = &m->prefetch.stats;

  return (double) (now->wasted - before->wasted + m->n) /
         (now->reads - before->reads);
}

void
model_check (const struct model *m)
{
  const struct prefetch_stats *s = &m->prefetch.stats;

  CHECK (m->outside == 0);
  CHECK (s->hits + s->misses == s->reads);
  CHECK (s->hits <= s->foretold + s->foretold / 20);
  /* Proposals are open, read, wasted or refused, and more seldom, forgotten. */
  CHECK (s->foretold + s->wasted + s->refused + m->n <= s->proposed);
  CHECK ((s->proposed - s->foretold - s->refused) * PREFETCH_COST <=
         PREFETCH_START * PREFETCH_COST + s->reads * PREFETCH_EARNED +
             s->foretold * PREFETCH_BONUS +
             (s->reads - s->foretold) * PREFETCH_TRUST);
}

static uint64_t
now_ns (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &ts);
  return ts.tv_sec * UINT64_C (1000000000) + ts.tv_nsec;
}

static uint64_t
replay_calls (struct prefetch *p, const struct model *m)
{
  uint64_t proposals[PREFETCH_WINDOW_MAX];
  uint64_t requests = 0;

  for (size_t i = 0; i < m->nr_calls; ++i) {
    const struct model_call *call = &m->calls[i];

    if (call->count == 0)
      prefetch_waste (p, call->page);
    else {
      requests++;
      prefetch_read (p, call->page, call->count, call->hits, proposals,
                     PREFETCH_WINDOW_MAX);
    }
  }
  return requests;
}

double
model_cost (struct model *m)
{
  static struct prefetch p;
  double least = 0;

  for (unsigned round = 0; round < 5; ++round) {
    const uint64_t start = now_ns ();
    uint64_t requests;
    double cost;

    prefetch_init (&p, m->prefetch.pages, MODEL_ROOM);
    requests = replay_calls (&p, m);
    cost = (double) (now_ns () - start) / requests;
    /* The same as the first time, or it measured something else. */
    CHECK (memcmp (&p.stats, &m->prefetch.stats, sizeof p.stats) == 0);
    if (round == 0 || cost < least)
      least = cost;
  }
  return least;
}
