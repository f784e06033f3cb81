// SPDX-License-Identifier: BSD-3-Clause
/* The sharing table of an adopted image: counts follow from the page words of
 * all volumes, scopes from the groups of those volumes.
 *
 * Owns nothing; runs before anybody else is inside. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"
#include "word.h"

struct recount {
  struct pool *pool;
  int err;
};

/* The page names no blob: it is lost. */
static void
lose_page (struct volume *volume, uint32_t page)
{
  struct tally tally = { .shared_pages = -1, .lost_pages = 1 };
  uint64_t old;

  /* Who only looks wants to know a damaged word from a lost page. */
  if (volume->pool->arena.look_only)
    return;
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    table_set_locked (volume, page, VMSWAP_WORD_LOST, &old);
  }
  tally_apply (volume, &tally, 0);
}

/* What the page takes alone: of a cold one, only a guess is to be had without
 * a look at it. */
static uint32_t
bytes_alone (uint64_t place)
{
  return word_is_cold (place) ? word_size (place) / VMSWAP_GROUP_PAGES
                              : word_size (place);
}

/* One more word names the entry. */
static struct entry
counted (struct entry entry, const struct volume *volume, uint64_t place)
{
  if (entry.count == 0)
    return (struct entry){
      .count = 1,
      .scope = sharing_scope (volume),
      .units = bytes_alone (place) / VMSWAP_BLOB_ALIGN,
    };
  entry.count++;
  if (entry.scope != sharing_scope (volume))
    entry.scope = SCOPE_CLOSED; /* a volume has changed its group */
  return entry;
}

static int
count_entry (struct volume *volume, uint32_t at, uint64_t place)
{
  struct pool *pool = volume->pool;
  struct tally tally = { 0 };
  struct entry entry;
  int err;

  do {
    {
      ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, at));
      entry = counted (sharing_entry_locked (pool, at), volume, place);
      err = sharing_set_entry_locked (pool, at, entry);
    }
    if (err == -EAGAIN) {
      err = frames_prepare (&pool->frames);
      if (err)
        return err;
      err = -EAGAIN;
    }
  } while (err == -EAGAIN);
  if (entry.count == 1)
    atomic_fetch_add (&pool->sharing.entries, 1);
  tally.shared_bytes = entry_bytes (entry);
  tally_apply (volume, &tally, 0);
  return err;
}

static void
count_word (struct volume *volume, uint32_t page, uint64_t word, void *opaque)
{
  struct recount *recount = opaque;
  uint64_t place;

  if (recount->err || !word_is_shared (word))
    return;
  place = share_place (volume->pool, word);
  if (word_has_place (place))
    recount->err = count_entry (volume, word_entry (word), place);
  else
    lose_page (volume, page);
}

/* The process died before a page named the entry, or after the last did. */
static void
drop_unnamed (struct volume *blobs, uint32_t at, uint64_t word, void *opaque)
{
  struct pool *pool = blobs->pool;
  struct tally tally = { 0 };
  uint64_t old;

  (void) opaque;
  if (pool->arena.look_only)
    return;
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, at));
    if (sharing_entry_locked (pool, at).count)
      return;
    table_set_locked (blobs, at, 0, &old);
    page_release_locked (blobs, at, &tally, word);
  }
  tally_apply (blobs, &tally, 0);
}

int
sharing_adopt (struct pool *pool)
{
  struct recount recount = { .pool = pool };

  pool->frames.adopting = true;
  for (unsigned i = 0; i < POOL_MAX_VOLUMES && !recount.err; ++i)
    if (pool->volume[i])
      table_each_word (pool->volume[i], count_word, &recount);
  pool->frames.adopting = false;
  if (!recount.err)
    table_each_word (&pool->sharing.blobs, drop_unnamed, NULL);
  return recount.err;
}
