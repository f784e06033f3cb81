// SPDX-License-Identifier: BSD-3-Clause
/* Which pages of a volume are damaged, and how many are lost.  Owns nothing. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "internal.h"
#include "table.h"
#include "word.h"

#define RUN 64 /* page words looked up under one lock; one bit each */

/* Up to the next multiple of RUN, so that a run stays in its leaf. */
static unsigned
run_length (uint64_t page, uint64_t end)
{
  const uint64_t n = RUN - page % RUN;

  return n < end - page ? n : end - page;
}

/* Looks at n pages of one leaf; sets a bit for each that is damaged. */
static uint64_t
verify_run (struct volume *volume, struct worker *worker, uint32_t page,
            unsigned n)
{
  uint64_t words[RUN], places[RUN] = { 0 };
  uint64_t damaged = 0;

  worker_enter (&volume->pool->workers, worker);
  page_look_run (volume, page, n, words, places);
  for (unsigned i = 0; i < n; ++i)
    if (words[i] != VMSWAP_WORD_EMPTY && words[i] != VMSWAP_WORD_LOST &&
        page_decode (volume, page + i, words[i], places[i], worker->page) != 0)
      damaged |= UINT64_C (1) << i;
  worker_leave (worker);
  return damaged;
}

static int
verify_pages (struct volume *volume, struct worker *worker, uint64_t page,
              uint64_t end, volume_damage_fn *fn, void *opaque)
{
  int r = 0;

  while (r == 0 && (page = table_skip_holes (volume, page, end)) < end) {
    const unsigned n = run_length (page, end);
    uint64_t damaged = verify_run (volume, worker, page, n);

    for (; damaged && r == 0; damaged &= damaged - 1)
      r = fn (opaque, page + __builtin_ctzll (damaged));
    page += n;
  }
  return r;
}

int
volume_verify (struct volume *volume, uint64_t length, uint64_t offset,
               volume_damage_fn *fn, void *opaque)
{
  struct workers *workers = &volume->pool->workers;
  int r;

  if (offset % POOL_PAGE_SIZE || length % POOL_PAGE_SIZE ||
      offset > volume->size || length > volume->size - offset)
    return -EINVAL;
  struct worker *worker = worker_get (workers);
  r = verify_pages (volume, worker, offset / POOL_PAGE_SIZE,
                    (offset + length) / POOL_PAGE_SIZE, fn, opaque);
  worker_put (workers, worker);
  return r;
}

/* Words that are not empty, of the pages from this one to end. */
static uint64_t
count_words (struct volume *volume, uint64_t page, uint64_t end)
{
  uint64_t words[RUN];
  uint64_t sum = 0;

  while ((page = table_skip_holes (volume, page, end)) < end) {
    const unsigned n = run_length (page, end);

    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    table_get_run_locked (volume, page, n, words);
    for (unsigned i = 0; i < n; ++i)
      sum += words[i] != VMSWAP_WORD_EMPTY;
    page += n;
  }
  return sum;
}

uint64_t
volume_count_lost (struct volume *volume)
{
  uint64_t first = 0, end = volume->size / POOL_PAGE_SIZE;
  struct volume_stats stats;

  volume_get_stats (volume, &stats);
  if (!loss_overlap (volume, &first, &end))
    return stats.lost_pages;
  return stats.lost_pages + end - first - count_words (volume, first, end);
}
