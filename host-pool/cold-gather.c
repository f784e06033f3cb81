// SPDX-License-Identifier: BSD-3-Clause
/* Which pages become cold: those of sealed segments whose youngest blob is old
 * enough, the oldest segment first, in the order in which they lie there.
 *
 * Owns cold->walk.  A segment is walked once; then it is "examined" until it
 * has another life.
 *
 * Locks: cold->lock is held.  Segments are looked at in an epoch, so what is
 * read there stays in place; that they are not what they were then is noticed
 * when the group is stored. */

#include <config.h>

#include "cleanup.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"

/* In a pool that refuses pages, a fraction of the age is enough. */
#define TIGHT_FRACTION 8

/* A group must save a sixteenth of what its pages take. */
#define GAIN 16

/* Segments born up to then are old.  False: none is. */
static bool
latest_birth (struct pool *pool, uint32_t *ret)
{
  const uint32_t now = segment_clock ();
  uint32_t after = pool->cold.config.after;

  if (atomic_load_explicit (&pool->tight, memory_order_relaxed))
    after /= TIGHT_FRACTION;
  *ret = now - after;
  return now >= after;
}

static bool
is_old (const struct segments *segments, uint32_t i, uint32_t latest)
{
  return segment_state (segments, i) == VMSWAP_SEGMENT_SEALED &&
         atomic_load_explicit (&segments->segment[i].born,
                               memory_order_relaxed) <= latest;
}

static uint32_t
birth_of (const struct pool *pool, uint32_t segment)
{
  return __atomic_load_n (&pool->arena.segments[segment].birth,
                          __ATOMIC_RELAXED);
}

static void
set_examined (struct pool *pool, uint32_t segment, bool examined)
{
  atomic_store_explicit (&pool->segments.segment[segment].examined, examined,
                         memory_order_relaxed);
}

/* Begins with the oldest segment that is old and not examined yet. */
static bool
choose_segment (struct pool *pool, struct cold_walk *walk)
{
  struct segments *segments = &pool->segments;
  const uint32_t high = segments_high (segments);
  uint32_t latest, best_born = UINT32_MAX;

  walk->segment = SEGMENT_NONE;
  if (!latest_birth (pool, &latest))
    return false;
  for (uint32_t i = 0; i < high; ++i) {
    struct segment *segment = &segments->segment[i];
    const uint32_t born =
        atomic_load_explicit (&segment->born, memory_order_relaxed);

    if ((walk->segment == SEGMENT_NONE || born < best_born) &&
        birth_of (pool, i) < walk->newest && is_old (segments, i, latest) &&
        atomic_load (&segment->live) &&
        !atomic_load_explicit (&segment->examined, memory_order_relaxed)) {
      best_born = born;
      walk->segment = i;
    }
  }
  if (walk->segment == SEGMENT_NONE)
    return false;
  walk->offset = 0;
  walk->crowded = false;
  walk->birth = birth_of (pool, walk->segment);
  /* Now, because what changes from here on has to be looked at again. */
  set_examined (pool, walk->segment, true);
  return true;
}

/* Is the segment still what it was when the walk began? */
static bool
is_same_life (const struct pool *pool, const struct cold_walk *walk)
{
  return segment_state (&pool->segments, walk->segment) ==
             VMSWAP_SEGMENT_SEALED &&
         birth_of (pool, walk->segment) == walk->birth;
}

/* The next blob of the segment.  False: there is none, or the segment is not
 * what it was.  In an epoch. */
static bool
next_blob (struct pool *pool, struct cold_walk *walk, struct blob *blob)
{
  const struct vmswap_image_segment *image =
      &pool->arena.segments[walk->segment];
  const uint8_t *base = arena_segment (&pool->arena, walk->segment);

  if (!is_same_life (pool, walk))
    return false;
  const uint32_t used = __atomic_load_n (&image->used, __ATOMIC_RELAXED);

  if (walk->offset + VMSWAP_BLOB_HEADER_SIZE > used)
    return false;
  *blob = blob_unpack (base + walk->offset);
  walk->offset += blob_extent (blob);
  return walk->offset <= used;
}

/* Walks on in the segment, to the next blob that is not of the same four pages.
 * False: the segment is done. */
static bool
walk_on (struct pool *pool, struct worker *worker, struct cold_walk *walk)
{
  struct blob blob;
  bool found;

  worker_enter (&pool->workers, worker);
  do
    found = next_blob (pool, walk, &blob);
  while (found && blob.volume == walk->volume &&
         group_first (blob.page) == walk->first);
  worker_leave (worker);
  if (found) {
    walk->volume = blob.volume;
    walk->first = group_first (blob.page);
    walk->group = blob.codec == VMSWAP_CODEC_GROUP;
  }
  return found;
}

bool
cold_next (struct pool *pool, struct worker *worker)
{
  struct cold_walk *walk = &pool->cold.walk;

  for (;;) {
    if (walk->segment == SEGMENT_NONE) {
      walk->volume = UINT32_MAX;
      if (!choose_segment (pool, walk))
        return false;
    }
    if (walk_on (pool, worker, walk))
      return true;
    if (walk->crowded || !is_same_life (pool, walk))
      set_examined (pool, walk->segment, false);
    walk->segment = SEGMENT_NONE;
  }
}

/* What is known of four pages. */
struct four {
  unsigned blobs, groups; /* bits: pages with a blob of their own; cold ones */
  bool young;             /* one of the former is not old enough */
  bool apart;             /* they are not of one scope */
  uint32_t blob_bytes, group_bytes; /* what they take */
};

/* Pages that may not share are not compressed together either: one guest's
 * reads would be felt by another.  Entries of the sharing table have scopes. */
static bool
is_one_scope_locked (struct volume *volume, uint32_t first, unsigned pages)
{
  struct pool *pool = volume->pool;
  uint32_t scope = UINT32_MAX;

  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i) {
    if (volume != &pool->sharing.blobs || !(pages & 1u << i))
      continue;
    const uint32_t other = sharing_entry_locked (pool, first + i).scope;

    if (scope != UINT32_MAX && other != scope)
      return false;
    scope = other;
  }
  return true;
}

/* Looks the four pages up. */
static struct four
look_at_four (struct volume *volume, struct cold_slot *slot)
{
  struct pool *pool = volume->pool;
  const uint32_t first = slot->pages.first;
  struct four four = { 0 };
  uint64_t words[VMSWAP_GROUP_PAGES];
  uint32_t latest = 0;
  const bool any_is_old = latest_birth (pool, &latest);

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, first));
  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i) {
    page_expect_locked (volume, first + i, &slot->expected[i]);
    const uint64_t word = words[i] = slot->expected[i].word;
    const uint32_t segment = word_place (word).segment;

    if (!word_has_place (word) || segment >= pool->segments.nr)
      continue;
    if (word_is_blob (word)) {
      four.blobs |= 1u << i;
      four.blob_bytes += word_size (word);
      four.young |= !any_is_old || !is_old (&pool->segments, segment, latest);
    }
    else {
      four.groups |= 1u << i;
      if (group_is_first_named (words, i))
        four.group_bytes += word_size (word);
    }
  }
  four.apart = !is_one_scope_locked (volume, first, four.blobs | four.groups);
  return four;
}

/* Which of the four are in the group of this one. */
static unsigned
same_group (const struct cold_slot *slot, unsigned i)
{
  unsigned pages = 0;

  for (unsigned j = 0; j < VMSWAP_GROUP_PAGES; ++j)
    if (word_same_group (slot->expected[i].word, slot->expected[j].word))
      pages |= 1u << j;
  return pages;
}

/* Is a group among them that has lost a page?  In an epoch. */
static bool
is_torn (const struct volume *volume, const struct cold_slot *slot,
         const struct four *four)
{
  unsigned present;

  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i)
    if (four->groups & 1u << i &&
        group_is_sound (volume, slot->pages.first + i, slot->expected[i].word,
                        &present) &&
        present != same_group (slot, i))
      return true;
  return false;
}

/* Decodes the pages.  In an epoch. */
static bool
decode_four (const struct volume *volume, struct cold_slot *slot)
{
  struct group_pages *pages = &slot->pages;

  pages->nr = 0;
  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i)
    if (pages->present & 1u << i) {
      if (blob_decode (volume, pages->first + i, slot->expected[i].word,
                       pages->pages + pages->nr * POOL_PAGE_SIZE,
                       &pages->print[i]) != 0)
        return false;
      pages->nr++;
    }
  return true;
}

/* In an epoch. */
static bool
gather (struct volume *volume, enum cold_reason reason, struct cold_slot *slot)
{
  const struct four four = look_at_four (volume, slot);
  uint32_t bytes = four.group_bytes;

  slot->pages.present = four.groups;
  switch (reason) {
  case COLD_OLD:
    if (four.blobs == 0 || four.young || four.apart)
      return false;
    slot->pages.present |= four.blobs;
    bytes += four.blob_bytes;
    break;
  case COLD_TORN:
    if (!is_torn (volume, slot, &four))
      return false;
    break;
  case COLD_TOUCHED:
    if (four.groups == 0)
      return false;
    break;
  }
  bytes -= bytes / GAIN;
  slot->limit = bytes < GROUP_MAX_BYTES ? bytes : GROUP_MAX_BYTES;
  return decode_four (volume, slot);
}

bool
cold_gather (struct pool *pool, struct worker *worker, uint32_t id,
             uint32_t first, enum cold_reason reason, struct cold_slot *slot)
{
  struct volume *volume;
  bool done = false;

  worker_enter (&pool->workers, worker);
  volume = volume_of_blob (pool, id);
  slot->pages.volume = id;
  slot->pages.first = first;
  if (volume && first < __atomic_load_n (&volume->size, __ATOMIC_RELAXED) /
                            POOL_PAGE_SIZE)
    done = gather (volume, reason, slot);
  worker_leave (worker);
  return done;
}
