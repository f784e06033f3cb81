// SPDX-License-Identifier: BSD-3-Clause
/* Where reads cannot be foretold, prefetch turns itself off: at most 0.05 pages
 * a read are brought in vain; and on again, when they can.  Where they can be
 * now and then, it may bring one more in vain for each that was of use. */

#include <config.h>

#include "prefetch-model.h"

#define PAGES (1u << 18)
#define READS 20000u

static const struct prefetch_stats none;
static uint64_t state = 1;

static uint64_t
roll (uint64_t bound)
{
  state = state * UINT64_C (6364136223846793005) + 1442695040888963407u;
  return (state >> 33) % bound;
}

/* Random places, at each a request of some pages, or that many of one page. */
static void
read_random (struct model *m, uint64_t pages, unsigned count, unsigned singles)
{
  const uint64_t reads = m->prefetch.stats.reads + READS;

  while (m->prefetch.stats.reads < reads) {
    const uint64_t page = roll (pages - count * singles + 1);

    for (unsigned i = 0; i < singles; ++i)
      model_read (m, page + i * count, count);
  }
}

static void
expect_off (struct model *m, const char *name,
            const struct prefetch_stats *before)
{
  const double wasted = model_waste_rate (m, before);
  const double hits = model_hit_rate (m, before);

  printf ("%-40s hits=%4.1f%% wasted/read=%.4f\n", name, hits * 100, wasted);
  CHECK (wasted <= 0.05 + hits);
}

static double
check_random (const char *name, uint64_t pages, unsigned count,
              unsigned singles)
{
  static struct model m;

  model_init (&m, pages);
  read_random (&m, pages, count, singles);
  expect_off (&m, name, &none);
  model_end (&m);
  model_check (&m);
  return model_waste_rate (&m, &none);
}

/* Sequential until the cache is full of foretold pages, random, and sequential
 * once more: off, and within 200 reads on again. */
static void
check_on_again (const char *name, unsigned singles)
{
  static struct model m;
  struct prefetch_stats before;

  model_init (&m, PAGES);
  for (uint64_t page = 0; page < READS; ++page)
    model_read (&m, page, 1);
  CHECK (model_hit_rate (&m, &none) >= 0.9);
  before = m.prefetch.stats;
  read_random (&m, PAGES, 1, singles);
  expect_off (&m, name, &before);
  for (uint64_t page = 150000; page < 150200; ++page)
    model_read (&m, page, 1);
  before = m.prefetch.stats;
  for (uint64_t page = 150200; page < 150200 + READS; ++page)
    model_read (&m, page, 1);
  printf ("%-40s hits=%4.1f%%\n", "  then sequential",
          100 * model_hit_rate (&m, &before));
  CHECK (model_hit_rate (&m, &before) >= 0.9);
  model_end (&m);
  model_check (&m);
}

/* Nor is anything brought for who reads at random where one came again and
 * again, whose way is known. */
static void
check_known_way (void)
{
  static const int64_t steps[] = { 37, 25000, -12000, 37, 40000, -53049 };
  static struct model m;
  struct prefetch_stats before;

  model_init (&m, PAGES);
  for (unsigned round = 0; round < 8; ++round) {
    int64_t page = 100000 + round;

    for (unsigned i = 0; i < 3000; ++i) {
      model_read (&m, page, 1);
      page += i % 8 < 3 ? 37 : steps[i % 6];
    }
  }
  before = m.prefetch.stats;
  for (unsigned i = 0; i < READS; ++i)
    model_read (&m, 100000 + roll (60000), 1);
  expect_off (&m, "random, where a way is known", &before);
  CHECK (model_waste_rate (&m, &before) <= 0.02);
  model_end (&m);
  model_check (&m);
}

/* One process reads in order while others read at random. */
static void
check_mixed (void)
{
  static struct model m;
  uint64_t page = 1000, in_order = 0, hits = 0;

  model_init (&m, PAGES);
  while (m.prefetch.stats.reads < 2 * READS) {
    if (roll (2) == 0)
      model_read (&m, roll (PAGES), 1);
    else {
      const uint64_t before = m.prefetch.stats.hits;

      model_read (&m, page++, 1);
      hits += m.prefetch.stats.hits - before;
      in_order++;
    }
  }
  printf ("%-40s hits=%.1f%%\n", "the sequential half of a mix",
          100.0 * hits / in_order);
  CHECK (hits >= in_order * 9 / 10);
  expect_off (&m, "  of which the other is random", &none);
  model_end (&m);
  model_check (&m);
}

int
main (void)
{
  CHECK (check_random ("random", PAGES, 1, 1) <= 0.05);
  CHECK (check_random ("random, 8 pages a request", PAGES, 8, 1) <= 0.05);
  check_random ("random, 8 requests at a place", PAGES, 1, 8);
  check_random ("random, 5 requests at a place", PAGES, 1, 5);
  CHECK (check_random ("random, in 4 MiB", 1024, 1, 1) <= 0.05);
  CHECK (check_random ("random, in 32 pages", 32, 1, 1) <= 0.05);
  check_on_again ("random after sequential", 1);
  check_on_again ("random, 6 at a place, after sequential", 6);
  check_known_way ();
  check_mixed ();
  return 0;
}
