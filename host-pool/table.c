// SPDX-License-Identifier: BSD-3-Clause
/* Owns the page tables of volumes.
 *
 * Invariants
 *  1. frames.words of a leaf is the number of its words that are not empty;
 *     a leaf without any is freed at once.  frames.words of a directory is
 *     the number of its leaves; without any it is freed when the pool is
 *     quiet.
 *  2. A frame is zeroed before the entry that names it is stored.
 *
 * Lock: the stripes, by leaf; see table.h. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "crash-point.h"
#include "sharing.h"
#include "table.h"

#define LEAF(page) ((page) / VMSWAP_LEAF_WORDS)
#define ROOT_INDEX(page)                                                       \
  (LEAF (page) / (VMSWAP_DIRECTORY_ENTRIES * VMSWAP_DIRECTORY_ENTRIES))
#define DIRECTORY_INDEX(page)                                                  \
  (LEAF (page) / VMSWAP_DIRECTORY_ENTRIES % VMSWAP_DIRECTORY_ENTRIES)
#define LEAF_INDEX(page) (LEAF (page) % VMSWAP_DIRECTORY_ENTRIES)
#define WORD_INDEX(page) ((page) % VMSWAP_LEAF_WORDS)

/* Pages that a directory and a root entry cover. */
#define DIRECTORY_PAGES                                                        \
  ((uint64_t) VMSWAP_LEAF_WORDS * VMSWAP_DIRECTORY_ENTRIES)
#define ROOT_PAGES (DIRECTORY_PAGES * VMSWAP_DIRECTORY_ENTRIES)

struct lock *
table_stripe (struct volume *volume, uint32_t page)
{
  const uint32_t hash = LEAF (page) + volume->id * 0x9e3779b1u;

  if (volume->id == VMSWAP_SHARING_VOLUME)
    return sharing_stripe (volume->pool, page);
  return &volume->pool->stripe[hash % NR_STRIPES].lock;
}

void
stripes_lock_all (struct pool *pool)
{
  for (unsigned i = 0; i < NR_STRIPES; ++i)
    lock_acquire_same_rank (&pool->stripe[i].lock);
  for (unsigned i = 0; i < NR_ENTRY_STRIPES; ++i)
    lock_acquire_same_rank (&pool->sharing.stripe[i].lock);
}

void
stripes_unlock_all (struct pool *pool)
{
  for (unsigned i = 0; i < NR_ENTRY_STRIPES; ++i)
    lock_release (&pool->sharing.stripe[i].lock);
  for (unsigned i = 0; i < NR_STRIPES; ++i)
    lock_release (&pool->stripe[i].lock);
}

static uint32_t
entry_load (const uint32_t *entry)
{
  return __atomic_load_n (entry, __ATOMIC_ACQUIRE);
}

static uint32_t *
frame_entries (struct volume *volume, uint32_t frame)
{
  return arena_frame (&volume->pool->arena, frame);
}

void
table_each_word (struct volume *volume, table_word_fn *fn, void *opaque)
{
  const uint64_t end = volume->size / POOL_PAGE_SIZE;
  uint64_t words[VMSWAP_LEAF_WORDS];
  uint64_t page = 0;

  while ((page = table_skip_holes (volume, page, end)) < end) {
    page -= page % VMSWAP_LEAF_WORDS;
    lock_acquire (table_stripe (volume, page));
    table_get_run_locked (volume, page, VMSWAP_LEAF_WORDS, words);
    lock_release (table_stripe (volume, page));
    for (unsigned i = 0; i < VMSWAP_LEAF_WORDS; ++i)
      if (words[i])
        fn (volume, page + i, words[i], opaque);
    page += VMSWAP_LEAF_WORDS;
  }
}

/* The frame of the directory of the page; 0: it has none. */
static uint32_t
find_directory (struct volume *volume, uint64_t page)
{
  const uint32_t root = entry_load (&volume->image->root[ROOT_INDEX (page)]);

  return root ? entry_load (
                    &frame_entries (volume, root)[DIRECTORY_INDEX (page)])
              : 0;
}

/* The directory entry that names the leaf of the page; NULL: no directory. */
static uint32_t *
find_entry (struct volume *volume, uint64_t page)
{
  const uint32_t directory = find_directory (volume, page);

  return directory ? &frame_entries (volume, directory)[LEAF_INDEX (page)]
                   : NULL;
}

/* Leaves of different stripes share a directory, hence atomic. */
static void
count_leaf (struct volume *volume, uint32_t directory, int sign)
{
  __atomic_fetch_add (&volume->pool->frames.words[directory], sign,
                      __ATOMIC_RELAXED);
}

/* The frame that an upper-level entry names, made if there is none; 0: no
 * frame is ready. */
static uint32_t
upper_frame (struct volume *volume, uint32_t *entry)
{
  struct frames *frames = &volume->pool->frames;
  uint32_t frame = entry_load (entry), expected = 0;

  if (frame)
    return frame;
  frame = frame_take (frames);
  if (frame == 0)
    return 0;
  frames->words[frame] = 0;
  CRASH_POINT ("directory made");
  if (!__atomic_compare_exchange_n (entry, &expected, frame, false,
                                    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    frame_drop (frames, frame); /* another stripe's owner was faster */
    return expected;
  }
  atomic_fetch_add (&volume->frames, 1);
  return frame;
}

/* Makes the way to the leaf, and the leaf. */
static uint64_t *
make_leaf_locked (struct volume *volume, uint32_t page)
{
  struct frames *frames = &volume->pool->frames;
  uint32_t root, directory, leaf;

  root = upper_frame (volume, &volume->image->root[ROOT_INDEX (page)]);
  if (root == 0)
    return NULL;
  directory = upper_frame (
      volume, &frame_entries (volume, root)[DIRECTORY_INDEX (page)]);
  if (directory == 0)
    return NULL;
  leaf = frame_take (frames);
  if (leaf == 0)
    return NULL;

  frames->words[leaf] = 0;
  count_leaf (volume, directory, 1);
  atomic_fetch_add (&volume->frames, 1);
  CRASH_POINT ("leaf made");
  __atomic_store_n (&frame_entries (volume, directory)[LEAF_INDEX (page)], leaf,
                    __ATOMIC_RELEASE);
  CRASH_POINT ("leaf named");
  return arena_frame (frames->arena, leaf);
}

uint64_t *
table_leaf_locked (struct volume *volume, uint32_t page)
{
  const uint32_t *entry = find_entry (volume, page);
  const uint32_t frame = entry ? entry_load (entry) : 0;

  return frame ? arena_frame (&volume->pool->arena, frame) : NULL;
}

uint64_t
table_get_locked (struct volume *volume, uint32_t page)
{
  const uint64_t *leaf = table_leaf_locked (volume, page);

  return leaf ? leaf[WORD_INDEX (page)] : 0;
}

void
table_get_run_locked (struct volume *volume, uint32_t page, unsigned n,
                      uint64_t *words)
{
  const uint64_t *leaf = table_leaf_locked (volume, page);

  if (leaf)
    memcpy (words, leaf + WORD_INDEX (page), n * sizeof *words);
  else
    memset (words, 0, n * sizeof *words);
}

int
table_set_locked (struct volume *volume, uint32_t page, uint64_t word,
                  uint64_t *old)
{
  struct frames *frames = &volume->pool->frames;
  uint64_t *leaf = table_leaf_locked (volume, page);

  *old = 0;
  if (!leaf) {
    if (word == 0)
      return 0;
    leaf = make_leaf_locked (volume, page);
    if (!leaf)
      return -EAGAIN;
  }

  uint64_t *at = &leaf[WORD_INDEX (page)];
  *old = *at;
  /* One store, after the blob is complete: this publishes it. */
  __atomic_store_n (at, word, __ATOMIC_RELEASE);
  if (word && !*old)
    frames->words[entry_load (find_entry (volume, page))]++;
  else if (!word && *old)
    table_emptied_locked (volume, page, 1);
  return 0;
}

unsigned
table_frames_wanted_locked (struct volume *volume, uint32_t page)
{
  const uint32_t *entry = find_entry (volume, page);

  if (entry)
    return entry_load (entry) == 0;
  return entry_load (&volume->image->root[ROOT_INDEX (page)])
             ? 2
             : FRAMES_PER_PAGE_MAX;
}

void
table_emptied_locked (struct volume *volume, uint32_t page, unsigned n)
{
  struct frames *frames = &volume->pool->frames;
  uint32_t *entry = find_entry (volume, page);
  const uint32_t frame = entry_load (entry);

  frames->words[frame] -= n;
  if (frames->words[frame] == 0) {
    CRASH_POINT ("leaf emptied");
    __atomic_store_n (entry, 0, __ATOMIC_RELEASE);
    CRASH_POINT ("leaf unnamed");
    count_leaf (volume, find_directory (volume, page), -1);
    atomic_fetch_sub (&volume->frames, 1);
    frame_drop (frames, frame);
  }
}

/* To the next leaf of the same directory, or to where that ends.  True: there
 * is a leaf at *page. */
static bool
skip_in_directory_locked (struct volume *volume, uint64_t *page)
{
  const uint64_t next = (*page / DIRECTORY_PAGES + 1) * DIRECTORY_PAGES;
  const uint32_t directory = find_directory (volume, *page);
  const uint32_t *leaves;

  if (directory == 0) {
    *page = entry_load (&volume->image->root[ROOT_INDEX (*page)])
                ? next
                : (*page / ROOT_PAGES + 1) * ROOT_PAGES;
    return false;
  }
  leaves = frame_entries (volume, directory);
  while (*page < next) {
    if (entry_load (&leaves[LEAF_INDEX (*page)]))
      return true;
    *page = (*page / VMSWAP_LEAF_WORDS + 1) * VMSWAP_LEAF_WORDS;
  }
  return false;
}

uint64_t
table_skip_holes_locked (struct volume *volume, uint64_t page, uint64_t end)
{
  while (page < end)
    if (skip_in_directory_locked (volume, &page))
      return page < end ? page : end;
  return end;
}

uint64_t
table_skip_holes (struct volume *volume, uint64_t page, uint64_t end)
{
  while (page < end) {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    if (skip_in_directory_locked (volume, &page))
      return page < end ? page : end;
  }
  return end;
}

/* Calls fn for every directory entry of the roots. */
static uint32_t
each_directory (struct volume *volume,
                uint32_t (*fn) (struct volume *volume, uint32_t *entry))
{
  uint32_t r = 0;

  for (unsigned i = 0; i < VMSWAP_VOLUME_ROOTS && r == 0; ++i) {
    const uint32_t root = entry_load (&volume->image->root[i]);

    for (unsigned d = 0; root && d < VMSWAP_DIRECTORY_ENTRIES && r == 0; ++d) {
      uint32_t *entry = &frame_entries (volume, root)[d];

      if (entry_load (entry))
        r = fn (volume, entry);
    }
  }
  return r;
}

static uint32_t
miscounted (struct volume *volume, uint32_t *entry)
{
  const uint32_t *leaves = frame_entries (volume, *entry);
  unsigned n = 0;

  for (unsigned i = 0; i < VMSWAP_DIRECTORY_ENTRIES; ++i)
    n += leaves[i] != 0;
  return n == volume->pool->frames.words[*entry] ? 0 : *entry;
}

uint32_t
table_miscounted_locked (struct volume *volume)
{
  return each_directory (volume, miscounted);
}

static uint32_t
is_bare (struct volume *volume, uint32_t *entry)
{
  return __atomic_load_n (&volume->pool->frames.words[entry_load (entry)],
                          __ATOMIC_RELAXED) == 0;
}

static uint32_t
drop_if_bare (struct volume *volume, uint32_t *entry)
{
  const uint32_t directory = *entry;

  if (is_bare (volume, entry)) {
    __atomic_store_n (entry, 0, __ATOMIC_RELEASE);
    CRASH_POINT ("directory unnamed");
    atomic_fetch_sub (&volume->frames, 1);
    frame_drop (&volume->pool->frames, directory);
  }
  return 0;
}

bool
table_prune (struct volume *volume)
{
  bool bare;

  {
    /* Any stripe lock keeps the directories in place. */
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, 0));
    bare = each_directory (volume, is_bare) != 0;
  }
  if (!bare)
    return false;
  stripes_lock_all (volume->pool);
  each_directory (volume, drop_if_bare);
  stripes_unlock_all (volume->pool);
  if (volume_is_limited (volume))
    quota_refill (volume);
  return true;
}

void
table_destroy (struct volume *volume)
{
  struct frames *frames = &volume->pool->frames;

  for (unsigned r = 0; r < VMSWAP_VOLUME_ROOTS; ++r) {
    const uint32_t root = volume->image->root[r];

    if (root == 0)
      continue;
    /* Unnamed first: a dropped frame may be another's at once. */
    CRASH_POINT ("volume half gone");
    __atomic_store_n (&volume->image->root[r], 0, __ATOMIC_RELEASE);
    for (unsigned d = 0; d < VMSWAP_DIRECTORY_ENTRIES; ++d)
      if (frame_entries (volume, root)[d])
        frame_drop (frames, frame_entries (volume, root)[d]);
    frame_drop (frames, root);
  }
}
