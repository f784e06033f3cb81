// SPDX-License-Identifier: BSD-3-Clause
/* Owns the trail of a volume, and how far it is to be trusted.
 *
 * Invariants
 *  1. at <= front < head, if found: what is looked ahead for was read before.
 *  2. What is looked at is not yet overwritten: head - at < TRAIL_LENGTH.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include "prefetch-trail.h"

#define TRUSTED 11    /* of the last 16 times that it or the stream was right */
#define LOST 16       /* wrong in a row: nobody goes that way any more */
#define SURE 12       /* of the last 16 were right; less: is it the place? */
#define RIGHT_LEAST 4 /* … less: it is not */
#define SPARE 64      /* steps of the trail that are soon overwritten */
#define MARK_EVERY 4  /* requests: as often a place is marked */
#define MARK_TREND 16 /* places are that wide */

static int32_t *
step_at (struct prefetch_trail *trail, uint32_t number)
{
  return &trail->step[number % TRAIL_LENGTH];
}

static void
trail_log (struct prefetch_trail *trail, int64_t page)
{
  const int64_t step = page - trail->last;

  trail->head++;
  *step_at (trail, trail->head) = step == (int32_t) step ? (int32_t) step : 0;
  trail->last = page;
}

/* Some requests are marked, by their places. */
static void
trail_mark (struct prefetch_streams *streams, int64_t page)
{
  const uint32_t head = streams->trail.head;

  if (head % MARK_EVERY == 0)
    jumps_set (&streams->jumps, JUMP_TRAIL, page, MARK_TREND,
               (int32_t) (head & INT32_MAX));
}

/* Looks for where somebody was before. */
static void
trail_find (struct prefetch_streams *streams, int64_t page)
{
  struct prefetch_trail *trail = &streams->trail;
  const uint32_t mark =
      (uint32_t) jumps_find (&streams->jumps, JUMP_TRAIL, page, MARK_TREND);
  const uint32_t age = (trail->head - mark) & INT32_MAX;

  if (mark == 0 || age < MARK_EVERY || age >= TRAIL_LENGTH - SPARE)
    return;
  trail->at = trail->front = trail->head - age;
  trail->here = trail->front_page = page;
  trail->right = 0x00ff;
  trail->found = true;
}

/* Goes so many requests on. */
static void
trail_go (struct prefetch_trail *trail, unsigned requests)
{
  for (; requests > 0; --requests)
    trail->here += *step_at (trail, ++trail->at);
  if ((int32_t) (trail->front - trail->at) < 0) {
    trail->front = trail->at;
    trail->front_page = trail->here;
  }
}

/* Is the page where the trail says? */
static bool
trail_is_right (struct prefetch_trail *trail, int64_t page)
{
  const int64_t next = trail->here + *step_at (trail, trail->at + 1);
  const int64_t second = next + *step_at (trail, trail->at + 2);

  if (page != next && page == second && trail->head - trail->at > 3) {
    trail_go (trail, 2);
    return true;
  }
  trail_go (trail, 1);
  return page == next;
}

/* Counts for the one that was right when the other was not. */
static void
trail_judge (struct prefetch_trail *trail, bool right, bool stream)
{
  if (right != stream)
    trail->trusted = (uint16_t) (trail->trusted << 1 | right);
  trail->astray = right ? 0 : trail->astray + (trail->astray < LOST);
  if (trail->astray == LOST)
    trail->trusted = 0;
}

bool
trail_follow (struct prefetch_streams *streams,
              const struct prefetch_stream *found,
              const struct request *request)
{
  struct prefetch_trail *trail = &streams->trail;
  struct prefetch_stream *self = &streams->stream[PREFETCH_TRAIL];
  bool right = false, sure = false;

  trail_log (trail, request->first);
  if (trail->found) {
    right = trail_is_right (trail, request->first);
    trail->right = (uint16_t) (trail->right << 1 | right);
    trail->found = __builtin_popcount (trail->right) >= RIGHT_LEAST;
    sure = __builtin_popcount (trail->right) >= SURE;
  }
  trail_judge (trail, right, found->on_track);
  if (!trail->found || (!right && !sure))
    trail_find (streams, request->first);
  /* It may overwrite what was looked for. */
  trail_mark (streams, request->first);
  self->on_track = right;
  self->reads++;
  self->first = request->first;
  self->last = request->last;
  self->trend.delta = 1; /* it has one, whatever it is */
  return trail->found && __builtin_popcount (trail->trusted) >= TRUSTED;
}

uint32_t
trail_ahead (const struct prefetch_trail *trail)
{
  return trail->front - trail->at;
}

int64_t
trail_peek (struct prefetch_trail *trail)
{
  if (trail->head - trail->front < 2)
    return -1;
  return trail->front_page + *step_at (trail, trail->front + 1);
}

void
trail_advance (struct prefetch_trail *trail)
{
  trail->front_page = trail_peek (trail);
  trail->front++;
}
