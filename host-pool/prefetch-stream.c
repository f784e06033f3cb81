// SPDX-License-Identifier: BSD-3-Clause
/* Owns the positions and trends of the streams of a volume.
 *
 * A read goes to the stream that expected it or nearly so (NEAR pages); else to
 * one that is too young to expect anything, within REGION pages; else it begins
 * a stream.  So streams that read close to each other are told apart, and wide
 * strides found.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include <string.h>

#include "prefetch-trail.h"

#define REGION 1024          /* pages, 4 MiB: between reads of a young stream */
#define YOUNG 6              /* deltas */
#define KNOWN_AGE 1024       /* requests: how long a trend is an example */
#define REPEATS TREND_FEWEST /* equal deltas in a row that are no jumps */

#define STRAY PREFETCH_STRAY

/* From edge to edge: 1 or -1 for a request that adjoins the last one. */
static int64_t
delta_of (const struct prefetch_stream *stream, const struct request *request)
{
  if (request->first > stream->last)
    return request->first - stream->last;
  if (request->last < stream->first)
    return request->last - stream->first;
  return 0;
}

/* How far from where the stream expects it the request is. */
static int64_t
deviation (const struct prefetch_streams *streams,
           const struct prefetch_stream *stream, const struct request *request)
{
  const int64_t trend = stream->trend.delta;
  const int64_t step = trend < 0 ? -trend : trend;
  const int64_t page = near_end (stream, request);
  int64_t off, off_next;

  if (is_unused (stream))
    return FAR;
  if (trend == 0)
    return distance (delta_of (stream, request), 0);
  if (stream->lent && distance (delta_of (stream, request), 0) == 1)
    return 1; /* two streams were as far apart as the steps of another */
  off = way_off (stream_edge (stream) + trend, page, step);
  off_next = stream->next < 0 ? FAR : way_off (stream->next, page, step);
  if (off_next < off)
    off = off_next;
  if (off <= NEAR)
    return off;
  return way_hops (streams, stream, request) ? NEAR : off;
}

/* What a look at all streams finds for a request. */
struct choice {
  unsigned nearest; /* the one that expects it most */
  unsigned young;   /* the nearest of those that expect nothing yet, or STRAY */
  unsigned oldest;  /* the one to give up */
  int64_t off;      /* of the nearest: how far the request is from there */
  int64_t young_off;
  uint64_t age;
};

static bool
is_young (const struct prefetch_stream *stream)
{
  return stream->trend.delta == 0 && stream->trend.logged < YOUNG;
}

/* A stream without a trend is given up eight times as soon. */
static uint64_t
age_of (const struct prefetch_streams *streams,
        const struct prefetch_stream *stream)
{
  const uint64_t age = streams->clock - stream->touched;

  if (is_unused (stream))
    return UINT64_MAX;
  return stream->trend.delta == 0 ? age * 8 : age;
}

static void
consider (const struct prefetch_streams *streams, unsigned number,
          const struct request *request, struct choice *choice)
{
  const struct prefetch_stream *stream = &streams->stream[number];
  const int64_t off = deviation (streams, stream, request);
  const uint64_t age = age_of (streams, stream);

  if (off < choice->off)
    choice->nearest = number, choice->off = off;
  if (off < choice->young_off && is_young (stream))
    choice->young = number, choice->young_off = off;
  if (age >= choice->age)
    choice->oldest = number, choice->age = age;
}

/* Ends early when one expects exactly this: the rest is not needed then. */
static struct choice
look_around (const struct prefetch_streams *streams,
             const struct request *request)
{
  const struct prefetch_stream *stray = &streams->stream[STRAY];
  struct choice choice = { .young = STRAY,
                           .off = FAR,
                           .young_off = REGION + 1 };

  for (unsigned i = 0; i < PREFETCH_STREAMS && choice.off > 0; ++i)
    consider (streams, i, request, &choice);
  /* It has no place of its own, only what it expects. */
  if (choice.off > 0 && distance (stray->trend.delta, 0) > REGION &&
      deviation (streams, stray, request) == 0)
    choice.nearest = STRAY, choice.off = 0;
  return choice;
}

static void
stream_begin (struct prefetch_stream *stream)
{
  *stream = (struct prefetch_stream){ .first = 0,
                                      .last = -1,
                                      .generation = stream->generation + 1 };
}

void
streams_forget (struct prefetch_streams *streams)
{
  streams->hops = (struct trend){ 0 };
  memset (&streams->jumps, 0, sizeof streams->jumps);
  memset (&streams->known, 0, sizeof streams->known);
  memset (&streams->trail, 0, sizeof streams->trail);
  for (unsigned i = 0; i <= PREFETCH_TRAIL; ++i)
    stream_begin (&streams->stream[i]);
}

/* Has a stream followed this trend lately? */
static bool
is_known (const struct prefetch_streams *streams, int64_t delta)
{
  for (unsigned i = 0; i < PREFETCH_KNOWN; ++i)
    if (streams->known[i].delta == delta && delta != 0)
      return streams->clock - streams->known[i].seen <= KNOWN_AGE;
  return false;
}

/* A stream does. */
static void
know (struct prefetch_streams *streams, int32_t delta)
{
  unsigned oldest = 0;

  for (unsigned i = 0; i < PREFETCH_KNOWN; ++i) {
    if (streams->known[i].delta == delta) {
      streams->known[i].seen = streams->clock;
      return;
    }
    if (streams->clock - streams->known[i].seen >
        streams->clock - streams->known[oldest].seen)
      oldest = i;
  }
  streams->known[oldest] = (struct prefetch_known){ delta, streams->clock };
}

/* Logs a request.  What a process reads lies in pieces here and there, so a new
 * stream that begins as another goes on has its trend at once. */
static void
stream_log (struct prefetch_streams *streams, struct prefetch_stream *stream,
            const struct request *request)
{
  const int32_t trend = stream->trend.delta;
  const int64_t delta = delta_of (stream, request);

  if (!is_unused (stream)) {
    stream->on_track = trend != 0 && delta == trend;
    stream->lent &= !stream->on_track;
    if (stream->on_track && stream->repeat == trend)
      know (streams, trend);
    trend_log (&stream->trend, delta);
    if (stream->trend.delta == 0 && delta != 0 && is_known (streams, delta)) {
      stream->trend.delta = (int32_t) delta;
      stream->lent = true;
    }
    if (stream->trend.delta != trend)
      stream->leads = false;
    if (trend == 0 && stream->trend.delta != 0)
      way_learn_late (streams, stream);
  }
  else {
    stream->born_first = request->first;
    stream->born_last = request->last;
    stream->born = streams->clock;
  }
  stream->reads++;
  stream->first = request->first;
  stream->last = request->last;
  /* Out of step: what was proposed lies beside the way. */
  if (stream->leads && delta % trend != 0)
    way_stray (stream);
  stream->next = stream->trend.delta == 0
                     ? -1
                     : streams_next (streams, stream, stream_edge (stream));
}

/* A jump counts as a step of the trend, for after it the stream goes on as
 * before. One jump after the other, all equal, are another trend: so it is when
 * a reader comes to where a stream of another reader was expected.  True: the
 * stream has it now, with the deltas up to this request, which is not logged
 * yet. */
static bool
stream_turns (struct prefetch_stream *stream, const struct request *request)
{
  const int64_t delta = is_unused (stream) ? 0 : delta_of (stream, request);

  if (delta != stream->repeat)
    stream->repeats = 0;
  if (delta == 0 || delta != (int32_t) delta)
    return false;
  stream->repeat = (int32_t) delta;
  if (stream->repeats < REPEATS)
    stream->repeats++;
  if (stream->repeats < REPEATS || stream->trend.delta == 0 ||
      stream->trend.delta == delta)
    return false;
  stream->trend = (struct trend){ 0 };
  for (unsigned i = 1; i < REPEATS; ++i)
    trend_log (&stream->trend, delta);
  stream->leads = false;
  return true;
}

struct prefetch_stream *
streams_follow (struct prefetch_streams *streams, int64_t first, int64_t last)
{
  const struct request request = { first, last };
  struct prefetch_stream *stream;
  struct choice choice;

  streams->clock++;
  choice = look_around (streams, &request);
  stream = &streams->stream[choice.nearest];
  if (choice.off > NEAR) {
    stream_log (streams, &streams->stream[STRAY], &request);
    stream = &streams->stream[choice.young];
    way_learn (streams, &request);
    if (choice.young == STRAY) {
      stream = &streams->stream[choice.oldest];
      stream_begin (stream);
    }
  }
  else if (!stream_turns (stream, &request) && stream->trend.delta != 0)
    way_turn (streams, stream, &request);
  stream_log (streams, stream, &request);
  stream->touched = streams->clock;
  streams->recent = stream - streams->stream;
  return trail_follow (streams, stream, &request)
             ? &streams->stream[PREFETCH_TRAIL]
             : stream;
}
