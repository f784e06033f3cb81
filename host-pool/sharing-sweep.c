// SPDX-License-Identifier: BSD-3-Clause
/* What the steward does for sharing: whether it pays, and pages that are alike
 * but were written before anybody looked.
 *
 * Owns the place of the sweep, and the mode of the index.
 *
 * Lock: the cleaner's; so volumes stay while they are looked at. */

#include <config.h>

#include "cleanup.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"
#include "word.h"

/* Look-ups before a judgement; in the sample they stand for INDEX_SAMPLE times
 * as many pages. */
#define JUDGE_SAMPLE 128
#define JUDGE_ALL 8192

/* It pays from one page in 50 on, and not any more below one in 100: looking up
 * each page costs some 3 % of a write, a page that is found saves all of its
 * compression and of its memory. */
#define PAYS_FROM 50
#define PAYS_BELOW 100

/* From the first page of the first volume. */
static void
sweep_again (struct pool *pool)
{
  struct sharing *sharing = &pool->sharing;

  sharing->sweeping = index_mode (&pool->index) == INDEX_ALL;
  sharing->sweep_volume = 0;
  sharing->sweep_page = 0;
}

static void
set_mode (struct pool *pool, enum index_mode mode)
{
  if (index_mode (&pool->index) == mode)
    return;
  index_set_mode (&pool->index, mode);
  pool_weigh (pool);
  sweep_again (pool);
}

/* The index grows with the pages; it forgets them then. */
static void
fit_index (struct pool *pool, const struct pool_stats *stats)
{
  if (index_fit (&pool->index, stats->blob_pages + stats->cold_pages +
                                     stats->shared_blobs) != 1)
    return;
  /* What others were promised comes first. */
  if (reserve_missing (pool)) {
    index_set_mode (&pool->index, INDEX_SAMPLED);
    index_set_mode (&pool->index, INDEX_ALL);
  }
  pool_weigh (pool);
  sweep_again (pool);
}

/* Does it pay, by what was looked up since the last judgement? */
static enum index_mode
judge (struct sharing *sharing, enum index_mode mode,
       const struct pool_stats *stats)
{
  const uint64_t looked = stats->share_lookups - sharing->lookups;
  const uint64_t found = stats->share_hits - sharing->hits;

  if (sharing->wanted == POOL_SHARING_ALWAYS)
    return INDEX_ALL;
  if (looked < (mode == INDEX_ALL ? JUDGE_ALL : JUDGE_SAMPLE))
    return mode;
  sharing->lookups = stats->share_lookups;
  sharing->hits = stats->share_hits;
  if (mode == INDEX_SAMPLED)
    return found * PAYS_FROM >= looked ? INDEX_ALL : INDEX_SAMPLED;
  return found * PAYS_BELOW < looked ? INDEX_SAMPLED : INDEX_ALL;
}

void
sharing_weigh (struct pool *pool)
{
  const enum index_mode mode = index_mode (&pool->index);
  struct pool_stats stats;

  if (mode == INDEX_NONE)
    return;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->cleaner.lock);
  pool_get_stats (pool, &stats);
  set_mode (pool, judge (&pool->sharing, mode, &stats));
  fit_index (pool, &stats);
}

/* What a page is, as the index would name it, and its fingerprint, told by the
 * header of its blob alone.  False: it has none. */
static bool
identify (struct volume *volume, uint32_t page, struct target *self,
          uint64_t *print)
{
  struct pool *pool = volume->pool;
  uint64_t word;

  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    word = table_get_locked (volume, page);
  }
  *self = (struct target){ .volume = volume->id, .page = page };
  if (word_has_place (word))
    return blob_print (volume, page, word, print);
  if (!word_is_shared (word))
    return false;
  *self = (struct target){ .shared = true, .page = word_entry (word) };
  word = share_place (pool, word);
  return word_has_place (word) &&
         blob_print (&pool->sharing.blobs, self->page, word, print);
}

/* Is another page like this one known?  Else this one is, from now on. */
static bool
may_be_shared (struct volume *volume, struct worker *worker, uint32_t page)
{
  struct target self, other;
  uint64_t print;
  bool known = false;

  worker_enter (&volume->pool->workers, worker);
  if (identify (volume, page, &self, &print)) {
    known = share_known (volume, print, &other);
    if (!known)
      share_note (volume, self, print);
    else
      known = !self.shared && (other.shared || other.volume != volume->id ||
                               other.page != page);
  }
  worker_leave (worker);
  return known;
}

static void
sweep_leaf (struct volume *volume, struct worker *worker, uint32_t first)
{
  struct tally tally = { 0 };

  for (unsigned i = 0; i < VMSWAP_LEAF_WORDS; ++i)
    if (may_be_shared (volume, worker, first + i))
      page_share (volume, worker, &tally, first + i);
  /* These look-ups say nothing about what guests write. */
  tally.share_lookups = tally.share_hits = 0;
  tally_apply (volume, &tally, worker->shard);
}

static bool
sweep (struct pool *pool, struct worker *worker)
{
  struct sharing *sharing = &pool->sharing;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->cleaner.lock);
  while (sharing->sweeping && sharing->sweep_volume < POOL_MAX_VOLUMES) {
    struct volume *volume = volume_of_blob (pool, sharing->sweep_volume);
    const uint64_t end = volume ? volume->size / POOL_PAGE_SIZE : 0;
    uint64_t page = sharing->sweep_page;

    if (page < end)
      page = table_skip_holes (volume, page, end);
    if (page < end) {
      page -= page % VMSWAP_LEAF_WORDS;
      sweep_leaf (volume, worker, page);
      sharing->sweep_page = page + VMSWAP_LEAF_WORDS;
      return true;
    }
    sharing->sweep_volume++;
    sharing->sweep_page = 0;
  }
  sharing->sweeping = false;
  return false;
}

bool
sharing_sweep (struct pool *pool)
{
  /* Before the lock: those who hold workers may wait for it. */
  struct worker *worker = worker_get (&pool->workers);
  const bool more = sweep (pool, worker);

  worker_put (&pool->workers, worker);
  return more;
}
