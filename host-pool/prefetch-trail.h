// SPDX-License-Identifier: BSD-3-Clause
/* The trail: all requests of a volume as one stream.
 *
 * Where two CPUs of a guest swapped out in turn, pages that belong one after
 * the other lie in two places that are read in turn, and look like two streams
 * with steps of their own.  Only the order of all reads is the same when the
 * reader comes again.  So by how much a request was from the one before is
 * kept, too (prefetch-jump.h), unless that is a step; and while what is kept is
 * mostly right, there is one reader, and the trail leads instead of its
 * streams.
 *
 * No lock: with the owner of the streams. */

#ifndef VMSWAP_PREFETCH_TRAIL_H
#define VMSWAP_PREFETCH_TRAIL_H

#include "prefetch-way.h"

/* A request that went to this stream.  Does the trail lead? */
extern bool trail_follow (struct prefetch_streams *streams,
                          const struct prefetch_stream *found,
                          const struct request *request);

#endif /* VMSWAP_PREFETCH_TRAIL_H */
