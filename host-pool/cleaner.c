// SPDX-License-Identifier: BSD-3-Clause
/* The cleaner: moves the live blobs out of a sparse segment to the end of the
 * survivors' lane, so that the segment comes free.
 *
 * Choice by cost-benefit, (1 - u) / (1 + u) * age with u the live share
 * (Rosenblum and Ousterhout, "Log-Structured File System", section 3.6): an
 * old segment is worth cleaning at a higher u than a young one, whose blobs
 * are still dying by themselves.  See score_of for what differs.
 *
 * Invariants
 *  1. A blob is live exactly if the page word of its owner names this very
 *     place; headers alone decide nothing.
 *  2. A blob is copied before the word is swapped; the old bytes stay until
 *     the segment is reaped, so readers never notice.
 *  3. A segment whose headers make no sense (damage, or places that a killed
 *     process gave out and never filled) is emptied by way of the page tables
 *     instead: slower, but no page depends on another's header.
 *  4. A step needs one segment of the reserve at the most: what lives in the
 *     victim fits in one, and goes to one lane, since a segment holds single
 *     blobs or groups.  The victim makes up for that once it is reaped
 *     (put_free_locked).  So there always is one to begin with, or one on its
 *     way.  Lanes are sealed between two steps, never in the middle of one: it
 *     would need a second one then, and could leave none.
 *
 * Lock: cleaner->lock: one cleaner at a time. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "crash-point.h"
#include "internal.h"
#include "table.h"
#include "word.h"

#define VICTIMS 64 /* picked per scan of the segment table */

/* A segment and what cleaning it is worth. */
struct candidate {
  uint32_t segment;
  float score;
};

/* What a scan found. */
struct scan {
  struct candidate best[VICTIMS]; /* a heap, worst first */
  unsigned nr;
  unsigned sealed_segments;
  uint64_t live; /* bytes of live blobs in them */
  uint64_t dead; /* … of dead blobs */
};

/* What a cleaning is for. */
enum clean_goal {
  GOAL_NONE,
  GOAL_DEAD,    /* bytes of dead blobs */
  GOAL_ROOM,    /* whole segments: dead bytes and unused ends count alike */
  GOAL_ROOM_NOW /* … at any price */
};

struct cleaner_memory {
  struct scan scan;
  uint32_t victims[VICTIMS];
};

int
cleaner_create (struct pool *pool)
{
  struct cleaner *cleaner = &pool->cleaner;

  lock_init (&cleaner->lock, LOCK_CLEANER);
  cleaner->memory = arena_alloc (&pool->arena, sizeof (struct cleaner_memory));
  return cleaner->memory ? 0 : -ENOMEM;
}

void
cleaner_destroy (struct pool *pool)
{
  lock_destroy (&pool->cleaner.lock);
}

/* Keeps the VICTIMS best candidates: best[] is a heap with the worst on top. */
static void
consider (struct scan *scan, struct candidate candidate)
{
  struct candidate *heap = scan->best;
  unsigned i;

  if (scan->nr < VICTIMS) {
    for (i = scan->nr++; i && heap[(i - 1) / 2].score > candidate.score;
         i = (i - 1) / 2)
      heap[i] = heap[(i - 1) / 2];
    heap[i] = candidate;
    return;
  }
  if (candidate.score <= heap[0].score)
    return;
  for (i = 0;;) {
    unsigned child = 2 * i + 1;

    if (child >= VICTIMS)
      break;
    if (child + 1 < VICTIMS && heap[child + 1].score < heap[child].score)
      child++;
    if (heap[child].score >= candidate.score)
      break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = candidate;
}

/* Cost-benefit, with the age bounded: a nearly full segment does not become
 * worth copying by waiting long enough.  0: not to be cleaned for this goal.
 *
 * That is also why cleaning ends.  Survivors are packed without gaps, so for
 * GOAL_DEAD each victim takes its dead bytes out of the world, and for
 * GOAL_ROOM each victim, at most 15/16 full (63/64, at any price), takes a
 * segment out of use and adds less than one to a lane that fills completely. */
static float
score_of (enum clean_goal goal, uint32_t live, uint32_t used, float age)
{
  const float whole = goal == GOAL_DEAD ? used : POOL_SEGMENT_SIZE;
  const float u = live / whole;

  switch (goal) {
  case GOAL_DEAD:
    if (live == used)
      return 0;
    break;
  case GOAL_ROOM:
    if (live > POOL_SEGMENT_SIZE / 16 * 15)
      return 0;
    break;
  default:
    if (live > POOL_SEGMENT_SIZE / 64 * 63)
      return 0;
  }
  return (1 - u) / (1 + u) * (1 + (age < 3 ? age : 3));
}

/* Looks at the segment: false if it is no candidate for anything. */
static bool
look_at (struct pool *pool, uint32_t i, uint32_t *live, uint32_t *used,
         uint32_t *birth)
{
  const struct vmswap_image_segment *image = &pool->arena.segments[i];

  if (segment_state (&pool->segments, i) != VMSWAP_SEGMENT_SEALED)
    return false;
  *live = atomic_load (&pool->segments.segment[i].live);
  *used = __atomic_load_n (&image->used, __ATOMIC_RELAXED);
  *birth = __atomic_load_n (&image->birth, __ATOMIC_RELAXED);
  /* Else it is being retired, or was just taken again. */
  return *live != 0 && *live <= *used;
}

static void
take_stock (struct pool *pool, struct scan *scan)
{
  const uint32_t high = segments_high (&pool->segments);
  uint32_t live, used, birth;

  scan->nr = scan->sealed_segments = 0;
  scan->live = scan->dead = 0;
  for (uint32_t i = 0; i < high; ++i)
    if (look_at (pool, i, &live, &used, &birth)) {
      scan->sealed_segments++;
      scan->live += live;
      scan->dead += used - live;
    }
}

static void
find_candidates (struct pool *pool, enum clean_goal goal, struct scan *scan)
{
  const uint32_t high = segments_high (&pool->segments);
  const uint32_t now = atomic_load (&pool->segments.next_birth);
  uint32_t live, used, birth;

  for (uint32_t i = 0; i < high; ++i)
    if (look_at (pool, i, &live, &used, &birth)) {
      /* In units of a turn-over of the pool. */
      const float age = (float) (now - birth) / (1 + scan->sealed_segments);
      const float score = score_of (goal, live, used, age);

      if (score > 0)
        consider (scan, (struct candidate){ i, score });
    }
}

/* Is there enough to gain, and what?
 *
 * Idle: dead bytes are cleaned down to 1.5 % and a little, and segments are
 * merged when that saves two and 3 %: then memory is within 5 % of what is
 * live.  Steady: a twenty-fifth may be dead, which costs ten copies a write and
 * more, but of few writes.  Lazy: a fifth may be dead while guests write, which
 * costs some two copies a write at the worst.  Forced: down to half of the
 * slack, see capacity.c. */
static enum clean_goal
worthwhile (const struct pool *pool, enum clean_effort effort,
            const struct scan *scan)
{
  const uint64_t sealed = (uint64_t) scan->sealed_segments * POOL_SEGMENT_SIZE;
  const uint64_t garbage = sealed - scan->live;

  switch (effort) {
  case CLEAN_IDLE:
    if (scan->dead > scan->live / 64 + POOL_SEGMENT_SIZE / 16)
      return GOAL_DEAD;
    if (garbage > scan->live / 32 + 2 * POOL_SEGMENT_SIZE)
      return GOAL_ROOM;
    break;
  case CLEAN_STEADY:
    if (garbage > sealed / 25 + 2 * POOL_SEGMENT_SIZE)
      return GOAL_ROOM;
    break;
  case CLEAN_LAZY:
    if (garbage > sealed / 5 + 4 * POOL_SEGMENT_SIZE)
      return GOAL_ROOM;
    break;
  case CLEAN_FORCED:
    if (garbage >= pool_slack (pool) / 2)
      return GOAL_ROOM_NOW;
    break;
  }
  return GOAL_NONE;
}

static int
compare_candidates (const void *a, const void *b)
{
  const float x = ((const struct candidate *) a)->score;
  const float y = ((const struct candidate *) b)->score;

  return (x > y) - (x < y);
}

/* Claims the best victim.  The list of a scan is used up before the next
 * scan: scores change slowly. */
static int
next_victim_locked (struct pool *pool, enum clean_effort effort, uint32_t *ret)
{
  struct cleaner *cleaner = &pool->cleaner;
  struct cleaner_memory *memory = cleaner->memory;

  if (cleaner->nr_victims == 0 || effort != cleaner->effort) {
    struct scan *scan = &memory->scan;
    enum clean_goal goal;

    take_stock (pool, scan);
    cleaner->nr_victims = 0;
    goal = worthwhile (pool, effort, scan);
    if (goal != GOAL_NONE)
      find_candidates (pool, goal, scan);
    if (scan->nr == 0)
      return -ENOENT;
    qsort (scan->best, scan->nr, sizeof scan->best[0], compare_candidates);
    /* A quarter of what was found at the most: the rest would be stale. */
    const unsigned keep = scan->nr < 8 ? scan->nr : (scan->nr + 3) / 4;
    for (unsigned i = 0; i < keep; ++i)
      memory->victims[i] = scan->best[scan->nr - keep + i].segment;
    cleaner->nr_victims = keep;
    cleaner->effort = effort;
  }
  while (cleaner->nr_victims) {
    *ret = memory->victims[--cleaner->nr_victims];
    if (segment_claim (&pool->segments, *ret))
      return 0;
  }
  return -EAGAIN;
}

/* A word of the blob's owner that names this place; 0: there is none. */
static uint64_t
live_word (struct pool *pool, const struct blob *blob, struct place at,
           struct volume **volume)
{
  const unsigned n = blob_nr_owners (blob);

  *volume = volume_of_blob (pool, blob->volume);
  if (!*volume || blob->page >= (*volume)->size / POOL_PAGE_SIZE)
    return 0;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (*volume, blob->page));
  for (unsigned i = 0; i < n; ++i) {
    const uint64_t word = table_get_locked (*volume, blob->page + i);
    const struct place named = word_place (word);

    if (word_has_place (word) && named.segment == at.segment &&
        named.offset == at.offset)
      return word;
  }
  return 0;
}

/* Swaps the words that name the original for those that name the copy.  page:
 * of the blob, or the first of the group.  False: none does any more. */
static bool
redirect (struct volume *volume, uint32_t page, uint64_t word, struct place to)
{
  const unsigned n = word_is_cold (word) ? VMSWAP_GROUP_PAGES : 1;
  bool found = false;
  uint64_t old;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  for (unsigned i = 0; i < n; ++i) {
    const uint64_t now = table_get_locked (volume, page + i);

    if (now != word && !word_same_group (now, word))
      continue;
    table_set_locked (volume, page + i, word_moved (now, to), &old);
    CRASH_POINT ("survivor named");
    found = true;
  }
  if (found)
    segment_debit (&volume->pool->segments, word_place (word).segment,
                   word_size (word));
  return found;
}

/* … that lies at from, to the end of the log. */
static int
move_blob (struct volume *volume, uint32_t page, uint64_t word,
           const uint8_t *from)
{
  struct pool *pool = volume->pool;
  const struct segment *state =
      &pool->segments.segment[word_place (word).segment];
  const uint32_t size = word_size (word);
  struct place to;
  int err;

  err = lane_reserve_survivor (
      &pool->lanes, word_is_cold (word),
      atomic_load_explicit (&state->born, memory_order_relaxed), size, &to);
  if (err)
    return err;
  memcpy (arena_segment (&pool->arena, to.segment) + to.offset, from, size);
  CRASH_POINT ("survivor copied");
  if (redirect (volume, page, word, to))
    atomic_fetch_add_explicit (&pool->cleaner.moved, size,
                               memory_order_relaxed);
  else
    segment_debit (&pool->segments, to.segment, size); /* just overwritten */
  segment_published (&pool->segments, to.segment);
  return 0;
}

/* Moves all that lives in a claimed segment.  -EUCLEAN: a header makes no
 * sense. */
static int
empty_segment (struct pool *pool, uint32_t segment)
{
  const uint8_t *base = arena_segment (&pool->arena, segment);
  const uint32_t used = pool->arena.segments[segment].used;
  const struct segment *state = &pool->segments.segment[segment];
  struct place at = { .segment = segment };
  struct volume *volume;

  while (at.offset < used && atomic_load (&state->live)) {
    if (at.offset + VMSWAP_BLOB_HEADER_SIZE > used)
      return -EUCLEAN;
    const struct blob blob = blob_unpack (base + at.offset);
    const uint32_t size = blob_extent (&blob);

    if (size > used - at.offset)
      return -EUCLEAN;
    const uint64_t word = live_word (pool, &blob, at, &volume);
    if (word) {
      if (word_size (word) != size)
        return -EUCLEAN;
      const int err = move_blob (volume, blob.page, word, base + at.offset);
      if (err)
        return err;
    }
    at.offset += size;
  }
  /* Words name blobs here whose headers the walk did not meet. */
  return atomic_load (&state->live) ? -EUCLEAN : 0;
}

/* What rescue_segment looks for. */
struct rescue {
  uint32_t segment;
  int err;
};

/* The page's blob is damaged beyond use: says so in its word. */
static void
give_up (struct volume *volume, uint32_t page, uint64_t word)
{
  struct tally tally = { 0 };
  uint64_t old;

  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    if (table_get_locked (volume, page) != word)
      return;
    table_set_locked (volume, page, VMSWAP_WORD_LOST, &old);
    page_release_locked (volume, page, &tally, old);
  }
  tally_word (&tally, VMSWAP_WORD_LOST, 1);
  tally_apply (volume, &tally, 0);
}

static uint64_t
look_up (struct volume *volume, uint32_t page)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  return table_get_locked (volume, page);
}

static void
rescue_word (struct volume *volume, uint32_t page, uint64_t word, void *opaque)
{
  struct rescue *rescue = opaque;
  const struct place at = word_place (word);

  /* Of a group, the first page took the others along. */
  if (rescue->err || !word_has_place (word) || at.segment != rescue->segment ||
      at.offset + word_size (word) > POOL_SEGMENT_SIZE ||
      look_up (volume, page) != word)
    return;

  const uint8_t *from =
      arena_segment (&volume->pool->arena, at.segment) + at.offset;
  const struct blob blob = blob_unpack (from);
  const uint32_t first = word_is_cold (word) ? group_first (page) : page;

  if (blob.volume == volume->id && blob.page == first &&
      (blob.codec == VMSWAP_CODEC_GROUP) == word_is_cold (word) &&
      blob_extent (&blob) == word_size (word))
    rescue->err = move_blob (volume, first, word, from);
  else
    give_up (volume, page, word);
}

/* Empties a claimed segment by looking for the words that name it. */
static int
rescue_segment (struct pool *pool, uint32_t segment)
{
  struct rescue rescue = { .segment = segment };

  for (unsigned i = 0; i < POOL_MAX_VOLUMES && !rescue.err; ++i) {
    struct volume *volume = volume_of_blob (pool, i);

    if (volume)
      table_each_word (volume, rescue_word, &rescue);
  }
  table_each_word (&pool->sharing.blobs, rescue_word, &rescue);
  if (rescue.err == 0)
    atomic_fetch_add (&pool->cleaner.rescued, 1);
  return rescue.err;
}

static int
step_locked (struct pool *pool, enum clean_effort effort)
{
  struct cleaner *cleaner = &pool->cleaner;
  uint32_t victim;
  int err;

  err = next_victim_locked (pool, effort, &victim);
  if (err == -EAGAIN) /* the list was stale: scan again */
    err = next_victim_locked (pool, effort, &victim);
  if (err)
    return err;

  CRASH_POINT ("victim claimed");
  err = empty_segment (pool, victim);
  CRASH_POINT ("victim emptied");
  if (err == -EUCLEAN)
    err = rescue_segment (pool, victim);
  segment_unclaim (&pool->segments, victim);
  if (err == 0)
    atomic_fetch_add (&cleaner->cleaned, 1);
  return err;
}

int
cleaner_step (struct pool *pool, enum clean_effort effort)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->cleaner.lock);
  return step_locked (pool, effort);
}

int
cleaner_try (struct pool *pool, enum clean_effort effort)
{
  int err;

  if (!lock_try (&pool->cleaner.lock))
    return -EBUSY;
  err = step_locked (pool, effort);
  lock_release (&pool->cleaner.lock);
  return err;
}

void
cleaner_seal (struct pool *pool)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->cleaner.lock);
  lanes_seal (&pool->lanes);
}

bool
cleaner_try_seal (struct pool *pool)
{
  if (!lock_try (&pool->cleaner.lock))
    return false;
  lanes_seal (&pool->lanes);
  lock_release (&pool->cleaner.lock);
  return true;
}
