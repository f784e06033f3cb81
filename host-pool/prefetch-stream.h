// SPDX-License-Identifier: BSD-3-Clause
/* Streams: which of the reads of a volume belong together.
 *
 * Runs: Linux hands out swap slots in aligned runs of 512 (a huge page's), and
 * those runs not in their order on the disk: on a fresh one the next is 64 MiB
 * further.  So what a process reads in order goes on elsewhere where a run
 * ends. A stream that has come to the border of its run and would be expected
 * on the other side follows to wherever a read has the same place in its run;
 * by how many runs most streams hopped lately tells where the next one will go
 * on.
 *
 * No lock: with their owner. */

#ifndef VMSWAP_PREFETCH_STREAM_H
#define VMSWAP_PREFETCH_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "prefetch-jump.h"
#include "prefetch-trend.h"

#define PREFETCH_STREAMS 16
#define PREFETCH_RUN 512 /* pages */

struct prefetch_stream {
  int64_t first, last; /* pages of the last request; first > last: unused */
  int64_t born_first, born_last; /* of its first request */
  uint32_t touched, born;        /* when, on the clock of the streams */
  uint8_t reads;                 /* requests; wraps */
  uint8_t generation;            /* of those that were in this place */
  bool on_track;                 /* the last request was where the trend said */
  bool lent;                     /* the trend is that of another stream, and
                                  * nothing went its way here yet */
  uint8_t repeats;               /* deltas that were repeat, one by one */
  int32_t repeat;                /* the last delta, jumps as they were */

  /* Of prefetch.c. */
  bool leads;         /* proposed something since the trend is this one */
  uint16_t window;    /* pages to be ahead */
  uint16_t good;      /* pages foretold since the window grew */
  int32_t credit;     /* of its own */
  int32_t loan;       /* pages proposed on the volume's credit */
  int64_t frontier;   /* the last page proposed, if it leads, as if the stream
                       * went straight on from the edge */
  int64_t shift;      /* how far from there that page really is */
  int64_t next;       /* where it is expected; below 0: nobody knows */
  struct trend trend; /* last, as most looks at a stream need only its head */
};

#define PREFETCH_STRAY PREFETCH_STREAMS
#define PREFETCH_TRAIL (PREFETCH_STREAMS + 1)

/* A trend that streams follow. */
#define PREFETCH_KNOWN 8
struct prefetch_known {
  int32_t delta;
  uint32_t seen; /* when one went on with it */
};

/* See prefetch-trail.h.  Requests have numbers, which wrap. */
#define TRAIL_LENGTH 8192
struct prefetch_trail {
  int32_t step[TRAIL_LENGTH]; /* from the request before, by number */
  uint32_t head;              /* the last one */
  int64_t last;               /* its page */
  bool found;
  uint32_t at;    /* the one in whose place it is now */
  int64_t here;   /* where it should be */
  uint32_t front; /* the one up to which was looked ahead */
  int64_t front_page;
  uint16_t right;   /* was it so?  A bit for each of the last */
  uint16_t trusted; /* likewise, where either it or the stream was */
  uint8_t astray;   /* requests since it was right, a few at most */
};

struct prefetch_streams {
  uint32_t clock;    /* requests; wraps */
  unsigned recent;   /* the stream that was read last */
  struct trend hops; /* in runs, in the direction of the stream */
  struct prefetch_trail trail;
  struct prefetch_known known[PREFETCH_KNOWN];
  struct prefetch_jumps jumps;
  /* PREFETCH_STRAY gets the reads that belong to none, and finds the trend of
   * strides that are too wide for a stream; PREFETCH_TRAIL stands for
   * the trail. */
  struct prefetch_stream stream[PREFETCH_STREAMS + 2];
};

extern void streams_forget (struct prefetch_streams *streams);

/* The stream that a request for pages [first, last] belongs to, made if need
 * be; it has logged the request. */
extern struct prefetch_stream *streams_follow (struct prefetch_streams *streams,
                                               int64_t first, int64_t last);

/* Where a stream that has come to this page goes on.  Below 0: nobody knows. */
extern int64_t streams_next (const struct prefetch_streams *streams,
                             const struct prefetch_stream *stream,
                             int64_t page);

/* So far from this page, which may be in another run. */
extern int64_t streams_cross (const struct prefetch_streams *streams,
                              const struct prefetch_stream *stream,
                              int64_t page, int64_t delta);

/* The end of the last request from which a stream with a trend goes on. */
static inline int64_t
stream_edge (const struct prefetch_stream *stream)
{
  return stream->trend.delta < 0 ? stream->first : stream->last;
}

#endif /* VMSWAP_PREFETCH_STREAM_H */
