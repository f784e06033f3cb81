// SPDX-License-Identifier: BSD-3-Clause
/* Owns the page tables of volumes.
 *
 * Invariants
 *  1. frames.words of a leaf is the number of its words that are not empty;
 *     a leaf without any is freed at once.
 *  2. A frame is zeroed before the entry that names it is stored.
 *
 * Lock: the stripes, by leaf; see table.h. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "table.h"

#define LEAF(page) ((page) / VMSWAP_LEAF_WORDS)
#define ROOT_INDEX(page)                                                      \
  (LEAF (page) / (VMSWAP_DIRECTORY_ENTRIES * VMSWAP_DIRECTORY_ENTRIES))
#define DIRECTORY_INDEX(page)                                                 \
  (LEAF (page) / VMSWAP_DIRECTORY_ENTRIES % VMSWAP_DIRECTORY_ENTRIES)
#define LEAF_INDEX(page) (LEAF (page) % VMSWAP_DIRECTORY_ENTRIES)
#define WORD_INDEX(page) ((page) % VMSWAP_LEAF_WORDS)

/* Pages that a directory and a root entry cover. */
#define DIRECTORY_PAGES                                                       \
  ((uint64_t) VMSWAP_LEAF_WORDS * VMSWAP_DIRECTORY_ENTRIES)
#define ROOT_PAGES (DIRECTORY_PAGES * VMSWAP_DIRECTORY_ENTRIES)

struct lock *
table_stripe (struct volume *volume, uint32_t page)
{
  const uint32_t hash = LEAF (page) + volume->id * 0x9e3779b1u;

  return &volume->pool->stripe[hash % NR_STRIPES].lock;
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

/* The directory entry that names the leaf of the page; NULL: no directory. */
static uint32_t *
find_entry (struct volume *volume, uint64_t page)
{
  uint32_t frame = entry_load (&volume->image->root[ROOT_INDEX (page)]);

  if (frame == 0)
    return NULL;
  frame = entry_load (&frame_entries (volume, frame)[DIRECTORY_INDEX (page)]);
  if (frame == 0)
    return NULL;
  return &frame_entries (volume, frame)[LEAF_INDEX (page)];
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
  uint32_t frame =
      upper_frame (volume, &volume->image->root[ROOT_INDEX (page)]);
  uint32_t *entry;

  if (frame == 0)
    return NULL;
  frame = upper_frame (
      volume, &frame_entries (volume, frame)[DIRECTORY_INDEX (page)]);
  if (frame == 0)
    return NULL;

  entry = &frame_entries (volume, frame)[LEAF_INDEX (page)];
  frame = frame_take (&volume->pool->frames);
  if (frame == 0)
    return NULL;
  volume->pool->frames.words[frame] = 0;
  atomic_fetch_add (&volume->frames, 1);
  __atomic_store_n (entry, frame, __ATOMIC_RELEASE);
  return arena_frame (&volume->pool->arena, frame);
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

void
table_emptied_locked (struct volume *volume, uint32_t page, unsigned n)
{
  struct frames *frames = &volume->pool->frames;
  uint32_t *entry = find_entry (volume, page);
  const uint32_t frame = entry_load (entry);

  frames->words[frame] -= n;
  if (frames->words[frame] == 0) {
    __atomic_store_n (entry, 0, __ATOMIC_RELEASE);
    atomic_fetch_sub (&volume->frames, 1);
    frame_drop (frames, frame);
  }
}

uint64_t
table_skip_holes (struct volume *volume, uint64_t page, uint64_t end)
{
  while (page < end) {
    uint32_t frame = entry_load (&volume->image->root[ROOT_INDEX (page)]);

    if (frame == 0) {
      page = (page / ROOT_PAGES + 1) * ROOT_PAGES;
      continue;
    }
    frame =
        entry_load (&frame_entries (volume, frame)[DIRECTORY_INDEX (page)]);
    if (frame == 0) {
      page = (page / DIRECTORY_PAGES + 1) * DIRECTORY_PAGES;
      continue;
    }
    if (entry_load (&frame_entries (volume, frame)[LEAF_INDEX (page)]))
      return page;
    page = (page / VMSWAP_LEAF_WORDS + 1) * VMSWAP_LEAF_WORDS;
  }
  return end;
}

void
table_destroy (struct volume *volume)
{
  struct frames *frames = &volume->pool->frames;

  for (unsigned r = 0; r < VMSWAP_VOLUME_ROOTS; ++r) {
    const uint32_t root = volume->image->root[r];

    if (root == 0)
      continue;
    for (unsigned d = 0; d < VMSWAP_DIRECTORY_ENTRIES; ++d)
      if (frame_entries (volume, root)[d])
        frame_drop (frames, frame_entries (volume, root)[d]);
    volume->image->root[r] = 0;
    frame_drop (frames, root);
  }
}
