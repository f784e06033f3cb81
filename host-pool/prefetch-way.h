// SPDX-License-Identifier: BSD-3-Clause
/* Ways: where a stream goes on, straight, over the border of its run, or as it
 * jumped before; and how that is learned.  Between prefetch-stream.c and
 * prefetch-way.c.
 *
 * No lock: with the owner of the streams. */

#ifndef VMSWAP_PREFETCH_WAY_H
#define VMSWAP_PREFETCH_WAY_H

#include "prefetch-stream.h"

#define RUN_LAST (PREFETCH_RUN - 1)
#define NEAR 32 /* pages beside the one expected */
#define FAR INT64_MAX

/* A request: its pages, both ends included. */
struct request {
  int64_t first, last;
};

static inline int64_t
distance (int64_t a, int64_t b)
{
  return a > b ? a - b : b - a;
}

static inline int64_t
run_of (int64_t page)
{
  return page >> 9;
}

static inline int64_t
in_run (int64_t page)
{
  return page & RUN_LAST;
}

_Static_assert(PREFETCH_RUN == 1 << 9, "the shift of run_of");

static inline bool
is_unused (const struct prefetch_stream *stream)
{
  return stream->first > stream->last;
}

/* The end of a request that meets a stream first. */
static inline int64_t
near_end (const struct prefetch_stream *stream, const struct request *request)
{
  return stream->trend.delta < 0 ? request->last : request->first;
}

/* How far from where it is expected a page is; NEAR for one that is a few steps
 * further. */
extern int64_t way_off (int64_t expected, int64_t page, int64_t step);

/* Does a stream near the border of its run go on with a request in another? */
extern bool way_hops (const struct prefetch_streams *streams,
                      const struct prefetch_stream *stream,
                      const struct request *request);

/* The stream, which has a trend, goes on with the request, which is not logged
 * yet. */
extern void way_turn (struct prefetch_streams *streams,
                      struct prefetch_stream *stream,
                      const struct request *request);

/* What was proposed lies beside the way. */
extern void way_stray (struct prefetch_stream *stream);

/* No stream expected the request. */
extern void way_learn (struct prefetch_streams *streams,
                       const struct request *request);

/* The stream has just got its trend. */
extern void way_learn_late (struct prefetch_streams *streams,
                            const struct prefetch_stream *stream);

#endif /* VMSWAP_PREFETCH_WAY_H */
