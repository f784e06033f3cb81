// SPDX-License-Identifier: BSD-3-Clause
/* Owns the hops and jumps that were seen, and where streams are expected next.
 *
 * A way is kept in two numbers: the page as if the stream went straight on
 * (frontier), so that distances along it are plain differences, and how far
 * from there it really is (shift).  A stream that goes over a border or jumps
 * is moved as if it had come straight from there.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include <stddef.h>

#include "prefetch-way.h"

#define SKIP_STEPS 8 /* of a trend that the guest may leave out */

/* Where a stream goes on in another run. */
#define HOP_AGE 64  /* requests that it waits at the border */
#define HOP_STEPS 2 /* and pages that may be missing on both sides */
#define HOP_OFF 8
#define HOP_STEP_MAX (PREFETCH_RUN / 4)

/* Jumps. */
#define JUMP_STEP 4 /* streams with a smaller one leave out pages by chance */
#define JUMP_AGE 64 /* requests: how long one is under way */
#define ALIKE_AGE                                                              \
  16                 /* requests: how long a stream is another that may have   \
                      */
#define WAY_MOST 128 /* steps that a look at the way ahead takes */

/* How far from where it is expected a page is; NEAR for one that is so many
 * steps further. */
int64_t
way_off (int64_t expected, int64_t page, int64_t step)
{
  const int64_t off = distance (page, expected);

  return off > NEAR && off <= SKIP_STEPS * step && off % step == 0 ? NEAR : off;
}

/* Does a stream near the border of its run go on with a request in another?
 * Then what it had left of the one and what it leaves out of the other are a
 * step together, or a few. */
bool
way_hops (const struct prefetch_streams *streams,
          const struct prefetch_stream *stream, const struct request *request)
{
  const bool up = stream->trend.delta > 0;
  const int64_t step = distance (stream->trend.delta, 0);
  const int64_t from = stream_edge (stream), to = near_end (stream, request);
  const int64_t pages = up ? RUN_LAST - in_run (from) + in_run (to)
                           : in_run (from) + RUN_LAST - in_run (to);

  return step <= HOP_STEP_MAX && pages <= step * HOP_STEPS + HOP_OFF &&
         run_of (from) != run_of (to) &&
         streams->clock - stream->touched <= HOP_AGE;
}

/* By how many runs a stream will hop, in its direction; 0: nobody knows. */
static int64_t
hop_expected (const struct prefetch_streams *streams)
{
  /* In order, until it is known better. */
  return trend_length (&streams->hops) < TREND_FEWEST ? 1 : streams->hops.delta;
}

int64_t
streams_cross (const struct prefetch_streams *streams,
               const struct prefetch_stream *stream, int64_t page,
               int64_t delta)
{
  const int64_t to = page + delta;
  const int64_t borders = run_of (to) - run_of (page);
  const int64_t hop = hop_expected (streams);

  if (borders == 0 || distance (stream->trend.delta, 0) > HOP_STEP_MAX ||
      to < 0)
    return to;
  return hop == 0 ? -1 : to + borders * (hop - 1) * PREFETCH_RUN;
}

int64_t
streams_next (const struct prefetch_streams *streams,
              const struct prefetch_stream *stream, int64_t page)
{
  const int32_t trend = stream->trend.delta;
  const int32_t jump = jumps_find (&streams->jumps, JUMP_STREAM, page, trend);

  return jump != 0 ? page + jump : streams_cross (streams, stream, page, trend);
}

/* As if the stream had come from so much further. */
static void
stream_move (struct prefetch_stream *stream, int64_t pages)
{
  stream->first += pages;
  stream->last += pages;
  stream->frontier += pages;
  stream->shift -= pages;
}

void
way_stray (struct prefetch_stream *stream)
{
  stream->frontier = stream_edge (stream);
  stream->shift = 0;
}

/* Does the way ahead still lead to where the frontier was when it was proposed?
 * It may be known better since. */
static bool
is_on_way (const struct prefetch_streams *streams,
           const struct prefetch_stream *stream)
{
  const int64_t trend = stream->trend.delta;
  const int64_t sign = trend < 0 ? -1 : 1;
  int64_t page = stream_edge (stream), real = page;
  unsigned left = WAY_MOST;

  while (left-- > 0 && real >= 0 && (stream->frontier - page) * sign > 0) {
    real = streams_next (streams, stream, real);
    page += trend;
  }
  return (stream->frontier - page) * sign <= 0 && real >= 0 &&
         real - page == stream->shift;
}

/* The stream goes on with the request: straight, over the border of its run, or
 * where it went before. */
void
way_turn (struct prefetch_streams *streams, struct prefetch_stream *stream,
          const struct request *request)
{
  const int32_t trend = stream->trend.delta;
  const int64_t sign = trend < 0 ? -1 : 1;
  const int64_t step = trend * sign;
  const int64_t edge = stream_edge (stream);
  const int64_t page = near_end (stream, request);
  const int64_t runs = run_of (page) - run_of (edge);
  const bool hops = way_hops (streams, stream, request);
  const int64_t off_next =
      stream->next < 0 ? FAR : way_off (stream->next, page, step);
  const bool straight = page == edge + trend;
  const bool foreseen = page == stream->next;
  int64_t move = 0;

  if (off_next <= NEAR && off_next <= way_off (edge + trend, page, step))
    move = stream->next - (edge + trend);
  else if (hops)
    move = (runs - sign) * PREFETCH_RUN;
  if (!foreseen && step >= JUMP_STEP)
    jumps_set (&streams->jumps, JUMP_STREAM, edge, trend,
               straight ? 0 : page - edge);
  if (hops)
    trend_log (&streams->hops, runs * sign);
  if (straight && foreseen)
    return;
  stream_move (stream, move);
  if (stream->shift != 0 && !is_on_way (streams, stream))
    way_stray (stream);
}

/* Nobody expected the request.  If all that were read lately are alike, the one
 * that was read last has jumped there. */
void
way_learn (struct prefetch_streams *streams, const struct request *request)
{
  const struct prefetch_stream *from = &streams->stream[streams->recent];

  if (is_unused (from) || distance (from->trend.delta, 0) < JUMP_STEP)
    return;
  for (unsigned i = 0; i < PREFETCH_STREAMS; ++i)
    if (!is_unused (&streams->stream[i]) &&
        streams->clock - streams->stream[i].touched <= ALIKE_AGE &&
        streams->stream[i].trend.delta != 0 &&
        streams->stream[i].trend.delta != from->trend.delta)
      return;
  jumps_set (&streams->jumps, JUMP_STREAM, stream_edge (from),
             from->trend.delta, near_end (from, request) - stream_edge (from));
}

/* Else it is that one which went the same way, and was not read any more since
 * this stream began. */
void
way_learn_late (struct prefetch_streams *streams,
                const struct prefetch_stream *stream)
{
  const struct request begin = { stream->born_first, stream->born_last };
  const struct prefetch_stream *from = NULL;
  uint32_t least = JUMP_AGE;

  if (distance (stream->trend.delta, 0) < JUMP_STEP)
    return;
  for (unsigned i = 0; i < PREFETCH_STREAMS; ++i) {
    const struct prefetch_stream *other = &streams->stream[i];
    const uint32_t age = stream->born - other->touched;

    if (other != stream && !is_unused (other) && age <= least &&
        other->trend.delta == stream->trend.delta)
      from = other, least = age;
  }
  if (from != NULL)
    jumps_set (&streams->jumps, JUMP_STREAM, stream_edge (from),
               from->trend.delta, near_end (from, &begin) - stream_edge (from));
}
