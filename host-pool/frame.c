// SPDX-License-Identifier: BSD-3-Clause
/* Owns the bitmaps of frames.
 *
 *                backed 0      backed 1
 *    taken 0     bare          ready       (nr_ready counts these)
 *    taken 1     being backed  in use, or being punched
 *
 * Invariants
 *  1. Every backed frame is charged.
 *  2. A frame in a transition is marked taken, so nobody else picks it while
 *     the lock is not held.
 *
 * Lock: frames->lock, never held over a system call. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "frame.h"

#define WORD_BITS 64

int
frames_create (struct frames *frames, struct arena *arena)
{
  const uint64_t bitmap = (uint64_t) (arena->nr_frames + 63) / 64 * 8;

  *frames = (struct frames){ .arena = arena, .nr = arena->nr_frames };
  lock_init (&frames->lock, LOCK_FRAMES);
  frames->taken = arena_alloc (arena, bitmap);
  frames->backed = arena_alloc (arena, bitmap);
  frames->words = arena_alloc (arena, (uint64_t) arena->nr_frames * 2);
  if (!frames->taken || !frames->backed || !frames->words)
    return -ENOMEM;

  frames->taken[0] = 1; /* frame 0 means "none" */
  for (uint32_t i = frames->nr; i % WORD_BITS != 0; ++i)
    frames->taken[i / WORD_BITS] |= UINT64_C (1) << i % WORD_BITS;
  return 0;
}

void
frames_destroy (struct frames *frames)
{
  lock_destroy (&frames->lock);
}

static void
set_bits (uint64_t *bitmap, uint32_t first, unsigned n)
{
  for (uint32_t i = first; i < first + n; ++i)
    bitmap[i / WORD_BITS] |= UINT64_C (1) << i % WORD_BITS;
}

static void
clear_bits (uint64_t *bitmap, uint32_t first, unsigned n)
{
  for (uint32_t i = first; i < first + n; ++i)
    bitmap[i / WORD_BITS] &= ~(UINT64_C (1) << i % WORD_BITS);
}

/* The first run of up to FRAMES_BATCH bits that are set in the word. */
static unsigned
first_run (uint64_t bits, unsigned *start)
{
  const unsigned first = __builtin_ctzll (bits);
  const uint64_t rest = ~(bits >> first);
  /* The bits shifted in count as not set; 64 of 64 set leave no rest. */
  const unsigned n = rest ? __builtin_ctzll (rest) : WORD_BITS;

  *start = first;
  return n < FRAMES_BATCH ? n : FRAMES_BATCH;
}

/* Finds a run of bare frames and marks it taken.  Returns its length, 0 if
 * there is none. */
static unsigned
claim_bare (struct frames *frames, uint32_t *first)
{
  for (uint32_t w = frames->hint_bare; w * WORD_BITS < frames->nr; ++w) {
    const uint64_t bare = ~(frames->taken[w] | frames->backed[w]);
    unsigned start, n;

    if (bare == 0)
      continue;
    frames->hint_bare = w;
    n = first_run (bare, &start);
    *first = w * WORD_BITS + start;
    set_bits (frames->taken, *first, n);
    return n;
  }
  return 0;
}

/* Backs a run of frames that the caller has claimed. */
static int
back_run (struct frames *frames, uint32_t first, unsigned n)
{
  struct arena *arena = frames->arena;
  const uint64_t bytes = (uint64_t) n * POOL_PAGE_SIZE;
  int err;

  if (frames->adopting)
    arena_charge_anyway (arena, bytes);
  else if (!arena_charge (arena, bytes))
    return -ENOSPC;
  err = arena_populate (arena, arena_frame (arena, first), bytes);
  if (err)
    arena_uncharge (arena, bytes);
  return err;
}

/* The end of a transition: the run is not taken any more; backed says what it
 * is now. */
static void
settle (struct frames *frames, uint32_t first, unsigned n, bool backed)
{
  clear_bits (frames->taken, first, n);
  if (backed) {
    set_bits (frames->backed, first, n);
    frames->nr_ready += n;
    if (first / WORD_BITS < frames->hint_ready)
      frames->hint_ready = first / WORD_BITS;
  }
  else {
    clear_bits (frames->backed, first, n);
    if (first / WORD_BITS < frames->hint_bare)
      frames->hint_bare = first / WORD_BITS;
  }
}

int
frames_prepare (struct frames *frames)
{
  uint32_t first;
  unsigned n;
  int err;

  for (;;) {
    lock_acquire (&frames->lock);
    if (frames->nr_ready >= FRAMES_PER_PAGE_MAX) {
      lock_release (&frames->lock);
      return 0;
    }
    n = claim_bare (frames, &first);
    lock_release (&frames->lock);
    if (n == 0)
      return -ENOSPC;

    err = back_run (frames, first, n);
    {
      ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&frames->lock);
      settle (frames, first, n, err == 0);
    }
    if (err)
      return err;
  }
}

uint32_t
frame_take (struct frames *frames)
{
  uint32_t frame = 0;

  lock_acquire (&frames->lock);
  for (uint32_t w = frames->hint_ready; frames->nr_ready; ++w) {
    const uint64_t ready = frames->backed[w] & ~frames->taken[w];

    frames->hint_ready = w;
    if (ready) {
      frame = w * WORD_BITS + __builtin_ctzll (ready);
      set_bits (frames->taken, frame, 1);
      frames->nr_ready--;
      frames->nr_taken++;
      break;
    }
  }
  lock_release (&frames->lock);
  if (frame)
    memset (arena_frame (frames->arena, frame), 0, POOL_PAGE_SIZE);
  return frame;
}

void
frame_drop (struct frames *frames, uint32_t frame)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&frames->lock);
  frames->nr_taken--;
  settle (frames, frame, 1, true);
}

bool
frame_adopt (struct frames *frames, uint32_t frame)
{
  if (frame == 0 || frame >= frames->nr ||
      frames->taken[frame / WORD_BITS] >> frame % WORD_BITS & 1)
    return false;
  set_bits (frames->taken, frame, 1);
  set_bits (frames->backed, frame, 1);
  frames->nr_taken++;
  return true;
}

void
frames_adopt_done (struct frames *frames)
{
  struct arena *arena = frames->arena;
  uint32_t first = 0; /* of a run of bare frames */

  arena_charge_anyway (arena, (uint64_t) (frames->nr_taken + frames->nr_ready) *
                                  POOL_PAGE_SIZE);
  for (uint32_t i = 0; i <= frames->nr; ++i) {
    if (i < frames->nr && !(frames->backed[i / WORD_BITS] >> i % WORD_BITS & 1))
      continue;
    if (first < i)
      arena_punch (arena, arena_frame (arena, first),
                   (uint64_t) (i - first) * POOL_PAGE_SIZE);
    first = i + 1;
  }
}

void
frames_trim (struct frames *frames)
{
  for (uint32_t w = 0; w * WORD_BITS < frames->nr; ++w) {
    uint64_t ready;
    unsigned start, n;

    lock_acquire (&frames->lock);
    ready = frames->backed[w] & ~frames->taken[w];
    if (ready == 0 || frames->nr_ready <= FRAMES_BATCH) {
      const bool done = frames->nr_ready <= FRAMES_BATCH;

      lock_release (&frames->lock);
      if (done)
        return;
      continue;
    }
    n = first_run (ready, &start);
    set_bits (frames->taken, w * WORD_BITS + start, n);
    frames->nr_ready -= n;
    lock_release (&frames->lock);

    const uint32_t first = w * WORD_BITS + start;
    arena_punch (frames->arena, arena_frame (frames->arena, first),
                 (uint64_t) n * POOL_PAGE_SIZE);
    arena_uncharge (frames->arena, (uint64_t) n * POOL_PAGE_SIZE);
    {
      ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&frames->lock);
      settle (frames, first, n, false);
    }
    --w; /* the word may hold another run; settled frames are gone */
  }
}
