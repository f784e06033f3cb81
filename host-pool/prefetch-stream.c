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

#include "prefetch-stream.h"

#define NEAR 32       /* pages beside the one expected */
#define REGION 1024   /* pages, 4 MiB: between reads of a young stream */
#define YOUNG 6       /* deltas */
#define SKIP_STEPS 8  /* of a trend that the guest may leave out */
#define KNOWN_AGE 256 /* requests: how long one is an example to others */

/* Where a stream goes on in another run. */
#define HOP_AGE 64  /* requests that it waits at the border */
#define HOP_STEPS 2 /* and pages that may be missing on both sides */
#define HOP_OFF 8
#define HOP_STEP_MAX (PREFETCH_RUN / 4)

#define RUN_LAST (PREFETCH_RUN - 1)
#define FAR INT64_MAX

#define STRAY PREFETCH_STREAMS /* the stream of reads that belong to none */

/* A request: its pages, both ends included. */
struct request {
  int64_t first, last;
};

static int64_t
distance (int64_t a, int64_t b)
{
  return a > b ? a - b : b - a;
}

static int64_t
run_of (int64_t page)
{
  return page >> 9;
}

static int64_t
in_run (int64_t page)
{
  return page & RUN_LAST;
}

_Static_assert(PREFETCH_RUN == 1 << 9, "the shift of run_of");

static bool
is_unused (const struct prefetch_stream *stream)
{
  return stream->first > stream->last;
}

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

/* The end of a request that meets a stream first. */
static int64_t
near_end (const struct prefetch_stream *stream, const struct request *request)
{
  return stream->trend.delta < 0 ? request->last : request->first;
}

/* Does a stream near the border of its run go on with a request in another?
 * Then what it had left of the one and what it leaves out of the other are a
 * step together, or a few. */
static bool
is_hop (const struct prefetch_streams *streams,
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

/* How far from where the stream expects it the request is. */
static int64_t
deviation (const struct prefetch_streams *streams,
           const struct prefetch_stream *stream, const struct request *request)
{
  const int64_t trend = stream->trend.delta;
  const int64_t step = trend < 0 ? -trend : trend;
  int64_t off;

  if (is_unused (stream))
    return FAR;
  if (trend == 0)
    return distance (delta_of (stream, request), 0);
  off = distance (near_end (stream, request), stream_edge (stream) + trend);
  if (off <= NEAR)
    return off;
  if (off <= SKIP_STEPS * step && off % step == 0)
    return NEAR;
  return is_hop (streams, stream, request) ? NEAR : off;
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
  for (unsigned i = 0; i <= STRAY; ++i)
    stream_begin (&streams->stream[i]);
}

/* By how many runs a stream will hop, in its direction; 0: nobody knows. */
static int64_t
hop_expected (const struct prefetch_streams *streams)
{
  /* In order, until it is known better. */
  return trend_length (&streams->hops) < TREND_FEWEST ? 1 : streams->hops.delta;
}

/* Follows a stream over the border of its run. */
static void
stream_hop (struct prefetch_streams *streams, struct prefetch_stream *stream,
            const struct request *request)
{
  const int64_t sign = stream->trend.delta < 0 ? -1 : 1;
  const int64_t runs =
      run_of (near_end (stream, request)) - run_of (stream_edge (stream));
  const int64_t further = runs - sign;

  /* Then what was proposed lies elsewhere. */
  if (hop_expected (streams) != runs * sign)
    stream->frontier = stream_edge (stream);
  trend_log (&streams->hops, runs * sign);
  /* As if it had come from the run before this one. */
  stream->frontier += further * PREFETCH_RUN;
  stream->first += further * PREFETCH_RUN;
  stream->last += further * PREFETCH_RUN;
}

/* Is this the trend of another stream, which still follows it? */
static bool
is_known (const struct prefetch_streams *streams, int64_t delta)
{
  for (unsigned i = 0; i < PREFETCH_STREAMS; ++i)
    if (streams->stream[i].trend.delta == delta &&
        streams->stream[i].on_track &&
        streams->clock - streams->stream[i].touched <= KNOWN_AGE)
      return true;
  return false;
}

/* Logs a request.  What a process reads lies in pieces here and there, so a new
 * stream that begins as another goes on has its trend at once. */
static void
stream_log (const struct prefetch_streams *streams,
            struct prefetch_stream *stream, const struct request *request)
{
  const int32_t trend = stream->trend.delta;
  const int64_t delta = delta_of (stream, request);

  if (!is_unused (stream)) {
    stream->on_track = trend != 0 && delta == trend;
    trend_log (&stream->trend, delta);
    if (stream->trend.delta == 0 && delta != 0 && is_known (streams, delta))
      stream->trend.delta = delta;
    if (stream->trend.delta != trend)
      stream->leads = false;
  }
  stream->first = request->first;
  stream->last = request->last;
  /* Out of step: what was proposed lies beside the way. */
  if (stream->leads && delta % trend != 0)
    stream->frontier = stream_edge (stream);
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
    if (choice.young == STRAY) {
      stream = &streams->stream[choice.oldest];
      stream_begin (stream);
    }
  }
  else if (stream->trend.delta != 0 && is_hop (streams, stream, &request))
    stream_hop (streams, stream, &request);
  stream_log (streams, stream, &request);
  stream->touched = streams->clock;
  return stream;
}

int64_t
streams_cross (const struct prefetch_streams *streams,
               const struct prefetch_stream *stream, int64_t page)
{
  const int64_t trend = stream->trend.delta;
  const int64_t borders = run_of (page) - run_of (stream_edge (stream));
  const int64_t hop = hop_expected (streams);

  if (borders == 0 || distance (trend, 0) > HOP_STEP_MAX || page < 0)
    return page;
  return hop == 0 ? -1 : page + borders * (hop - 1) * PREFETCH_RUN;
}
