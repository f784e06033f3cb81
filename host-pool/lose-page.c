// SPDX-License-Identifier: BSD-3-Clause
/* Loss of one page, by order of who could not store its newest content: it
 * must not read as what it was before.
 *
 * Owns nothing.  Invariant: the page has its old word or the word of a lost
 * one, and what the old one named is released with it. */

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
  int err;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  err = table_set_locked (volume, page, VMSWAP_WORD_LOST, &old);
  if (err)
    return err;
  page_release_locked (volume, page, tally, old);
  tally_word (tally, VMSWAP_WORD_LOST, 1);
  return 0;
}

static int
prepare (struct pool *pool)
{
  int err;

  while ((err = frames_prepare (&pool->frames)) == -ENOSPC) {
    err = pool_reclaim (pool, RECLAIM_FRAMES);
    if (err)
      break;
  }
  return err;
}

int
volume_lose_page (struct volume *volume, uint64_t offset)
{
  struct pool *pool = volume->pool;
  struct tally tally = { 0 };
  struct worker *worker;
  int err;

  if (offset >= volume->size || offset % POOL_PAGE_SIZE)
    return -EINVAL;
  worker = worker_get (&pool->workers);
  while ((err = lose (volume, &tally, offset / POOL_PAGE_SIZE)) == -EAGAIN) {
    err = prepare (pool);
    if (err)
      break;
  }
  tally_apply (volume, &tally, worker->shard);
  if ((int64_t) tally.blob_bytes < 0 || (int64_t) tally.shared_bytes < 0) {
    space_notify (&volume->space);
    space_notify (&pool->space);
  }
  worker_put (&pool->workers, worker);
  return err;
}
