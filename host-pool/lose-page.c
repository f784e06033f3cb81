// SPDX-License-Identifier: BSD-3-Clause
/* Loss of one page, by order of who could not store its newest content: it
 * must not read as what it was before.
 *
 * A page that has a leaf gets the word of a lost one, which takes nothing.  One
 * that has none gets a leaf if that is allowed, as a page that is written
 * would; else it is empty, and the range in which empty pages are lost (loss.c)
 * is extended to it.  So this never fails, and a guest cannot fill the pool
 * with tables of lost pages.
 *
 * Owns nothing.  The caller is the only one that changes the volume: that is
 * why the range may grow here. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "internal.h"
#include "table.h"
#include "word.h"

/* -EAGAIN: there is no leaf for the word, and no frame is ready for one. */
static int
lose (struct volume *volume, struct tally *tally, uint32_t page)
{
  uint64_t old;
  int err = 0;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  if (volume_is_limited (volume))
    err = quota_take_locked (volume, tally, page, VMSWAP_WORD_LOST);
  if (!err)
    err = table_set_locked (volume, page, VMSWAP_WORD_LOST, &old);
  if (err)
    return err;
  page_release_locked (volume, page, tally, old);
  tally_word (tally, VMSWAP_WORD_LOST, 1);
  return 0;
}

static int
prepare (struct volume *volume, uint32_t page)
{
  struct pool *pool = volume->pool;
  int err = page_admit (volume, page, VMSWAP_WORD_LOST);

  while (!err && (err = frames_prepare (&pool->frames)) == -ENOSPC)
    err = pool_reclaim (pool, RECLAIM_FRAMES);
  return err;
}

/* lost_end last if there was no range, lost_first first if there was: what is
 * lost at any moment was lost before, or is the page's neighbour. */
static void
extend_range (struct volume *volume, uint64_t page)
{
  struct vmswap_image_volume *image = volume->image;
  const uint64_t first = __atomic_load_n (&image->lost_first, __ATOMIC_RELAXED);
  const uint64_t end = __atomic_load_n (&image->lost_end, __ATOMIC_RELAXED);
  const bool none = first >= end;

  if (none)
    __atomic_store_n (&image->lost_end, 0, __ATOMIC_RELEASE);
  if (none || page < first)
    __atomic_store_n (&image->lost_first, page, __ATOMIC_RELEASE);
  if (none || page >= end)
    __atomic_store_n (&image->lost_end, page + 1, __ATOMIC_RELEASE);
}

int
volume_lose_page (struct volume *volume, uint64_t offset)
{
  struct pool *pool = volume->pool;
  const uint64_t page = offset / POOL_PAGE_SIZE;
  struct tally tally = { 0 };
  struct worker *worker;
  int err;

  if (offset >= volume->size || offset % POOL_PAGE_SIZE)
    return -EINVAL;
  worker = worker_get (&pool->workers);
  while ((err = lose (volume, &tally, page)) == -EAGAIN) {
    err = prepare (volume, page);
    if (err)
      break;
  }
  if (err)
    extend_range (volume, page);
  tally_apply (volume, &tally, worker->shard);
  if ((int64_t) tally.blob_bytes < 0 || (int64_t) tally.shared_bytes < 0) {
    space_notify (&volume->space);
    space_notify (&pool->space);
  }
  worker_put (&pool->workers, worker);
  return 0;
}
