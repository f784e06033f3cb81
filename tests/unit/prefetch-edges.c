// SPDX-License-Identifier: BSD-3-Clause
/* No proposal lies outside of the volume, is made twice while open, or breaks
 * the promise about pages brought in vain; whatever the caller says, also where
 * counters wrap. */

#include <config.h>

#include "prefetch-model.h"

static struct prefetch p;
static uint64_t proposals[PREFETCH_WINDOW_MAX];

static unsigned
read_page (uint64_t page, uint64_t count)
{
  return prefetch_read (&p, page, count, 0, proposals, PREFETCH_WINDOW_MAX);
}

/* Up to the last page, and down to page 0. */
static void
check_ends (void)
{
  unsigned n = 0;
  bool last = false, first = false;

  prefetch_init (&p, 1000, 256);
  for (uint64_t page = 900; page < 1000; ++page) {
    n = read_page (page, 1);
    for (unsigned i = 0; i < n; ++i) {
      CHECK (proposals[i] > page && proposals[i] < 1000);
      last |= proposals[i] == 999;
    }
  }
  CHECK (last && n == 0);
  for (uint64_t page = 100; page-- > 0;) {
    n = read_page (page, 1);
    for (unsigned i = 0; i < n; ++i) {
      CHECK (proposals[i] < page);
      first |= proposals[i] == 0;
    }
  }
  CHECK (first && n == 0);
}

/* Of none, one, two and three pages, read over and over. */
static void
check_small_volumes (void)
{
  for (uint64_t pages = 0; pages <= 3; ++pages) {
    prefetch_init (&p, pages, 256);
    for (unsigned i = 0; i < 1000; ++i)
      for (uint64_t page = 0; page <= pages; ++page)
        for (unsigned n = read_page (page, 1); n-- > 0;)
          CHECK (proposals[n] < pages && proposals[n] != page);
    CHECK (p.stats.reads == pages * 1000);
    CHECK (p.stats.proposed == 0 || pages > 1);
  }
}

/* What does not lie in the volume is ignored, all of it. */
static void
check_nonsense (void)
{
  static const uint64_t odd[] = {
    0, 1, 999, 1000, UINT32_MAX, INT64_MAX, UINT64_MAX, UINT64_MAX - 999
  };

  prefetch_init (&p, 1000, 256);
  for (unsigned i = 0; i < 8; ++i)
    for (unsigned j = 0; j < 8; ++j)
      if (odd[i] >= 1000 || odd[j] == 0 || odd[j] > 1000 - odd[i])
        CHECK (read_page (odd[i], odd[j]) == 0);
  CHECK (p.stats.reads == 0);
  for (unsigned i = 0; i < 8; ++i) {
    prefetch_waste (&p, odd[i]);
    prefetch_refuse (&p, odd[i]);
  }
  CHECK (p.stats.wasted == 8 && p.stats.refused == 8);
  CHECK (p.credit == PREFETCH_START * PREFETCH_COST);
  /* More hits than pages. */
  prefetch_read (&p, 5, 2, 100, proposals, PREFETCH_WINDOW_MAX);
  CHECK (p.stats.hits == 2 && p.stats.misses == 0);
}

/* Little room, or none in the caller's array. */
static void
check_room (void)
{
  for (unsigned room = 0; room < 4; ++room) {
    prefetch_init (&p, 100000, room);
    for (uint64_t page = 0; page < 5000; ++page)
      CHECK (read_page (page, 1) == 0);
  }
  prefetch_init (&p, 100000, 256);
  for (uint64_t page = 0; page < 5000; ++page)
    CHECK (prefetch_read (&p, page, 1, 0, NULL, 0) == 0);
  CHECK (p.stats.proposed == 0);
  for (uint64_t page = 5000; page < 5100; ++page)
    CHECK (prefetch_read (&p, page, 1, 0, proposals, 1) <= 1);
  CHECK (p.stats.proposed > 0);
}

/* A page is proposed once until it is read, wasted or refused; again then. */
static void
check_open (void)
{
  uint64_t page = 0;

  prefetch_init (&p, 100000, 256);
  while (read_page (page, 1) == 0)
    page++;
  const uint64_t proposed = proposals[0];

  CHECK (proposed == page + 1);
  CHECK (p.stats.proposed > 1);
  /* Another stream that comes from the other side. */
  for (uint64_t down = page + 60; down > proposed + 2; --down)
    for (unsigned n = read_page (down, 1); n-- > 0;)
      CHECK (proposals[n] != proposed);
  prefetch_forget (&p);
  for (page = 0; read_page (page, 1) == 0;)
    page++;
  CHECK (proposals[0] == proposed);
  CHECK (p.streams.hops.logged == 0);
}

/* A page that was refused is passed over, also where the caller's array ends in
 * the middle of a block: blocks of 8 pages, of a stream that hit before. */
static void
check_refused (void)
{
  static bool seen[100000];

  prefetch_init (&p, 100000, 256);
  for (uint64_t page = 0; page + 8 <= 100000; page += 32) {
    const unsigned max = page < 10000 ? PREFETCH_WINDOW_MAX : 5;

    for (unsigned n = prefetch_read (&p, page, 8, 8, proposals, max);
         n-- > 0;) {
      CHECK (!seen[proposals[n]]);
      seen[proposals[n]] = true;
      if (page >= 10000)
        prefetch_refuse (&p, proposals[n]);
    }
  }
  CHECK (p.stats.foretold > 1000 && p.stats.refused > 10000);
}

/* Proposals come in batches: most reads of a steady stream bring none. */
static void
check_batches (void)
{
  static struct model m;
  unsigned batches = 0;

  model_init (&m, 100000);
  for (uint64_t page = 0; page < 5000; ++page) {
    const uint64_t before = m.prefetch.stats.proposed;

    model_read (&m, page, 1);
    batches += page >= 1000 && m.prefetch.stats.proposed > before;
  }
  CHECK (batches > 0 && batches <= 4000 / (PREFETCH_WINDOW_HIT / 2) + 1);
}

/* A waste halves the window, and is not paid back; a refusal is. */
static void
check_reports (void)
{
  struct prefetch_stream *stream;
  int32_t credit;
  unsigned n;

  static struct model m;

  model_init (&m, 100000);
  for (uint64_t page = 0; page < 500; ++page)
    model_read (&m, page, 1);
  stream = &m.prefetch.streams.stream[0];
  while (stream->trend.delta != 1)
    stream++;
  CHECK (stream->window > 8);
  n = stream->window;
  credit = stream->credit;
  model_write (&m, m.cache[m.n - 1].page, 1);
  CHECK (stream->window == n / 2 && stream->credit == credit);
  CHECK (m.prefetch.stats.wasted == 1);
  stream->credit = 0;
  credit = m.prefetch.credit + stream->loan * PREFETCH_COST;
  prefetch_refuse (&m.prefetch, m.cache[m.n - 1].page);
  CHECK (stream->credit == PREFETCH_COST || m.prefetch.credit > credit);
}

static void
check_wrap (void)
{
  static struct model m;

  model_init (&m, 1u << 20);
  m.prefetch.streams.clock = UINT32_MAX - 700;
  m.prefetch.streams.trail.head = UINT32_MAX - 700;
  m.prefetch.stats.reads = UINT64_MAX - 100;
  m.prefetch.stats.hits = UINT64_MAX - 50;
  const struct prefetch_stats before = m.prefetch.stats;

  for (uint64_t page = 0; page < 3000; ++page) {
    model_read (&m, page, 1);
    model_read (&m, 500000 - page * 3, 1);
    for (unsigned i = 0; i < PREFETCH_STREAMS; ++i)
      if (page == 100)
        m.prefetch.streams.stream[i].trend.logged += UINT32_MAX - 200;
  }
  CHECK (m.prefetch.stats.reads == 6000 - 101);
  CHECK (model_hit_rate (&m, &before) > 0.9);
}

static uint64_t
roll (uint64_t bound)
{
  static uint64_t x = 1;

  x = x * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
  return (x >> 33) % bound;
}

/* A guest that does what it can to have pages brought in vain. */
static void
check_hostile (void)
{
  static struct model m;
  int64_t page = 0, step = 1;
  const uint64_t pages = roll (2) ? 1u << 20 : 1 + roll (3000);

  model_init (&m, pages);
  m.late = roll (4);
  for (unsigned i = 0; i < 30000; ++i) {
    const uint64_t count = roll (10) ? 1 : 1 + roll (roll (100) ? 16 : 2000);

    if (roll (6) == 0)
      page = roll (pages);
    if (roll (30) == 0)
      step = (int64_t) roll (roll (3) ? 8 : 600) - (roll (2) ? 4 : 300);
    if (page >= 0 && page + count <= pages)
      model_read (&m, page, count);
    page += step;
    if (roll (50) == 0)
      model_write (&m, roll (pages), 100);
  }
  model_end (&m);
  model_check (&m);
  CHECK (m.prefetch.credit >= 0);
}

int
main (void)
{
  check_ends ();
  check_small_volumes ();
  check_nonsense ();
  check_room ();
  check_open ();
  check_refused ();
  check_batches ();
  check_reports ();
  check_wrap ();
  for (unsigned round = 0; round < 50; ++round)
    check_hostile ();
  return 0;
}
