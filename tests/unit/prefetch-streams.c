// SPDX-License-Identifier: BSD-3-Clause
/* Streams that go on as they began are brought ahead: of the pages of
 * sequential ones 90 % are there when they are read, of strided and of four
 * interleaved ones 80 %. */

#include <config.h>

#include <inttypes.h>

#include "prefetch-model.h"

#define PAGES (1u << 20)

/* One process: reads that are a step apart. */
struct walk {
  int64_t page, step;
  unsigned count; /* pages of a request */
};

static const struct prefetch_stats none;

/* Interleaves walks for so many requests each.  order: 0, in turns; else by
 * chance. */
static void
run (struct model *m, struct walk *walks, unsigned n, unsigned requests,
     uint64_t order)
{
  for (unsigned i = 0; i < requests * n; ++i) {
    struct walk *walk = &walks[order ? (order >> 33) % n : i % n];

    if (order)
      order = order * UINT64_C (6364136223846793005) + 1;
    if (walk->page >= 0 && walk->page + walk->count <= PAGES)
      model_read (m, walk->page, walk->count);
    walk->page += walk->step;
  }
}

static void
expect (struct model *m, const char *name, double least)
{
  const double hits = model_hit_rate (m, &none);
  const double wasted = model_waste_rate (m, &none);

  model_end (m);
  model_check (m);
  CHECK (m->repeated == 0);
  printf ("%-28s hits=%5.1f%% wasted/read=%.4f\n", name, hits * 100, wasted);
  CHECK (hits >= least);
}

static void
check_walks (const char *name, const struct walk *walks, unsigned n,
             double least)
{
  static struct model m;
  struct walk copy[8];

  for (uint64_t order = 0; order < 2; ++order) {
    memcpy (copy, walks, n * sizeof *walks);
    model_init (&m, PAGES);
    run (&m, copy, n, 2000, order * 0x9e3779b97f4a7c15);
    expect (&m, name, least);
  }
}

static void
check_sequential (void)
{
  check_walks ("sequential", &(struct walk){ 5000, 1, 1 }, 1, 0.9);
  check_walks ("sequential by 8", &(struct walk){ 5000, 8, 8 }, 1, 0.9);
  check_walks ("backward", &(struct walk){ 900000, -1, 1 }, 1, 0.9);
  check_walks ("backward by 8", &(struct walk){ 900000, -8, 8 }, 1, 0.9);
}

static void
check_strided (void)
{
  static const int steps[] = { 2,   3,  5,   7,    16,  40,   100,
                               400, -3, -16, -100, 511, -400, 3000 };
  char name[32];

  for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; ++i) {
    const struct walk walk = { steps[i] > 0 ? 100 : PAGES - 100, steps[i], 1 };
    static struct model m;
    struct walk copy = walk;

    snprintf (name, sizeof name, "stride %d", steps[i]);
    model_init (&m, PAGES);
    run (&m, &copy, 1, steps[i] == 3000 ? 300 : 2000, 0);
    expect (&m, name, 0.8);
  }
  check_walks ("stride 32, 8 at a time", &(struct walk){ 0, 32, 8 }, 1, 0.8);
  check_walks ("stride -32, 8 at a time", &(struct walk){ 900000, -32, 8 }, 1,
               0.8);
}

static void
check_interleaved (void)
{
  static const struct walk far[] = {
    { 1000, 1, 1 }, { 500000, -1, 1 }, { 600000, 16, 1 }, { 300000, -7, 1 }
  };
  static const struct walk readahead[] = {
    { 1000, 8, 8 }, { 500000, -8, 8 }, { 600000, 16, 1 }, { 300000, 7, 1 }
  };
  /* All begin within the 4 MiB of each other's. */
  static const struct walk close[] = {
    { 100000, 1, 1 }, { 100200, 1, 1 }, { 100500, 1, 1 }, { 100900, 1, 1 }
  };
  static const struct walk eight[] = { { 10000, 1, 1 },   { 110000, 2, 1 },
                                       { 210000, 3, 1 },  { 310000, -1, 1 },
                                       { 410000, 5, 1 },  { 510000, -4, 1 },
                                       { 610000, 30, 1 }, { 710000, 1, 1 } };

  check_walks ("four, far apart", far, 4, 0.8);
  check_walks ("four, with readahead", readahead, 4, 0.8);
  check_walks ("four, close", close, 4, 0.8);
  check_walks ("eight", eight, 8, 0.8);
}

/* Two that take turns are as far apart as the reads of a stride before: they do
 * not keep its trend alive. */
static void
check_false_trend (void)
{
  static const struct walk pair[] = { { 100000, 1, 1 }, { 100200, 1, 1 } };
  static struct model m;
  struct walk walks[2] = { { 500000, 200, 1 } };

  model_init (&m, PAGES);
  run (&m, walks, 1, 40, 0);
  memcpy (walks, pair, sizeof pair);
  run (&m, walks, 2, 2000, 0);
  expect (&m, "two, after a stride", 0.8);
}

/* Runs of 512 pages, each 32 runs further: a process that was swapped out onto
 * a fresh swap disk. */
static void
check_runs (const char *name, int64_t step, bool known)
{
  static struct model m;
  int64_t virtual = step > 0 ? 0 : 30 * 512 - 1;

  model_init (&m, PAGES);
  for (; virtual >= 0 && virtual < 30 * 512; virtual += step)
    model_read (&m,
                known ? virtual / 512 * 16384 + virtual % 512
                      : virtual / 512 * 7919 % 2000 * 512 + virtual % 512,
                1);
  expect (&m, name, 0.9);
  CHECK (m.prefetch.stats.wasted < m.prefetch.stats.reads / 20);
}

#define PIECED 32000u /* pages that were swapped out in pieces */

static uint64_t
chance (uint64_t *seed)
{
  *seed = *seed * UINT64_C (6364136223846793005) + 1442695040888963407u;
  return *seed >> 33;
}

/* Where they are.  Two CPUs swapped them out, by turns as it came: so many
 * pages at once, or more. */
static void
place_pieces (uint64_t *place, unsigned least, unsigned most, uint64_t seed)
{
  uint64_t next[2] = { 0, PAGES / 2 };

  for (unsigned page = 0; page < PIECED;) {
    unsigned left = least + chance (&seed) % (most - least + 1);
    uint64_t *cpu = &next[chance (&seed) % 4 == 0];

    for (; left > 0 && page < PIECED; --left)
      place[page++] = (*cpu)++;
  }
}

/* Each round begins one page further on, and reads all pieces with a stride. */
static void
read_pieces (struct model *m, const uint64_t *place, int64_t step,
             unsigned rounds)
{
  for (unsigned round = 0; round < rounds; ++round)
    for (unsigned i = round; i < PIECED; i += step < 0 ? -step : step)
      model_read (m, place[step < 0 ? PIECED - 1 - i : i], 1);
}

/* Memory that was swapped out in pieces: the second time that it is read with
 * the same stride, the way through them is known.  When they lie elsewhere, it
 * is another. */
static void
check_pieces (const char *name, int64_t step, unsigned least, unsigned most)
{
  static struct model m;
  static uint64_t place[PIECED];
  struct prefetch_stats before;

  model_init (&m, PAGES);
  place_pieces (place, least, most, 1);
  read_pieces (&m, place, step, 1);
  before = m.prefetch.stats;
  read_pieces (&m, place, step, 6);
  printf ("%-28s hits=%5.1f%% (the first time %.1f%%)\n", name,
          100 * model_hit_rate (&m, &before),
          100.0 * before.hits / before.reads);
  CHECK (model_hit_rate (&m, &before) >= 0.8);
  before = m.prefetch.stats;
  place_pieces (place, least, most, 2);
  read_pieces (&m, place, step, 6);
  CHECK (model_hit_rate (&m, &before) >= 0.8);
  model_end (&m);
  model_check (&m);
}

/* One begins where another would have gone on: it keeps its own step. */
static void
check_taken_over (void)
{
  static struct model m;
  struct walk walks[] = { { 1000, 16, 1 }, { 500000, -1, 1 } };

  model_init (&m, PAGES);
  run (&m, walks, 2, 500, 0);
  walks[0].step = 7;
  run (&m, walks, 2, 2000, 0);
  expect (&m, "one where another was", 0.95);
  CHECK (m.prefetch.stats.wasted < m.prefetch.stats.reads / 20);
}

/* A guest's readahead fills its gaps in an order of its own. */
static void
check_disorder (void)
{
  static const int order[8] = { 0, 1, 3, 2, 4, 5, 6, 7 };
  static struct model m;

  model_init (&m, PAGES);
  for (unsigned i = 0; i < 4000; ++i)
    model_read (&m, 7000 + i / 8 * 8 + order[i % 8], 1);
  expect (&m, "sequential, in disorder", 0.8);
}

int
main (void)
{
  check_sequential ();
  check_strided ();
  check_interleaved ();
  check_false_trend ();
  check_runs ("runs on a fresh disk", 1, true);
  check_runs ("runs, backward", -1, true);
  check_runs ("runs, stride 5", 5, true);
  check_runs ("runs anywhere", 1, false);
  check_taken_over ();
  check_pieces ("pieces, stride 5", 5, 32, 32);
  check_pieces ("pieces, stride 16", 16, 32, 32);
  check_pieces ("pieces, stride -40", -40, 32, 32);
  check_pieces ("crumbs, stride 16", 16, 10, 40);
  check_pieces ("crumbs, stride -40", -40, 10, 40);
  check_disorder ();
  return 0;
}
