// SPDX-License-Identifier: BSD-3-Clause
/* Owns the stream of all requests of a volume, and how far it is to be trusted.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include "prefetch-trail.h"

#define TRUSTED 11 /* of the last 16 times that it or the stream was right */

#define LOST 16 /* wrong in a row: nobody goes that way any more */

/* Keeps where the trail went from that page, and does so for the page from
 * which a reader comes that begins a page further on. */
static void
trail_learn (struct prefetch_streams *streams, int64_t page, int32_t trend,
             int64_t delta)
{
  jumps_set (&streams->jumps, JUMP_TRAIL, page, trend, delta);
  jumps_set (&streams->jumps, JUMP_TRAIL, page + (trend < 0 ? -1 : 1), trend,
             delta);
}

/* Goes on with the request. */
static void
trail_go (struct prefetch_streams *streams, struct prefetch_stream *trail,
          const struct request *request)
{
  const int32_t trend = trail->trend.delta;
  const int64_t edge = stream_edge (trail);
  const int64_t page = near_end (trail, request);
  const int64_t delta = page - edge;

  trail->on_track = page == trail->next;
  if (delta == 0)
    return;
  trail_learn (streams, edge, trend, delta == trend ? 0 : delta);
  way_move (trail, delta - trend);
  if (!trail->on_track)
    way_stray (trail);
}

/* A reader with another step. */
static void
trail_turn (struct prefetch_stream *trail, int32_t trend)
{
  trail->trend.delta = trend;
  trail->leads = false;
}

/* Counts for the one that was right when the other was not. */
static void
trail_judge (struct prefetch_streams *streams, bool trail, bool stream)
{
  if (trail != stream)
    streams->trusted = (uint16_t) (streams->trusted << 1 | trail);
  streams->astray = trail ? 0 : streams->astray + (streams->astray < LOST);
  if (streams->astray == LOST)
    streams->trusted = 0;
}

bool
trail_follow (struct prefetch_streams *streams,
              const struct prefetch_stream *found,
              const struct request *request)
{
  struct prefetch_stream *trail = &streams->stream[PREFETCH_TRAIL];
  const int32_t trend = found->trend.delta;

  if (!is_unused (trail) && trail->trend.delta != 0)
    trail_go (streams, trail, request);
  trail_judge (streams, trail->on_track, found->on_track);
  if (trend != trail->trend.delta && found->on_track &&
      distance (trend, 0) >= JUMP_STEP)
    trail_turn (trail, trend);
  trail->reads++;
  trail->first = request->first;
  trail->last = request->last;
  if (trail->trend.delta == 0)
    return false;
  trail->next = streams_next (streams, trail, stream_edge (trail));
  return __builtin_popcount (streams->trusted) >= TRUSTED;
}
