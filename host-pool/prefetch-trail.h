// SPDX-License-Identifier: BSD-3-Clause
/* The trail: by how much each of the last requests of a volume was from the one
 * before.
 *
 * Where two CPUs of a guest swapped out in turn, pages that belong one after
 * the other lie in two places that are read in turn, and look like two streams
 * with steps of their own; and what lies in crumbs has no trend at all.  But
 * who reads with a stride comes again, from one page further on, and then the
 * order of all reads is that of the time before, each a page further.  So a
 * place in the trail is looked for from which the last reads went on as they do
 * now, and while that is right more often than the streams are, there is one
 * reader, and the trail tells what is next.  Where a read goes elsewhere than
 * it did, as the crumb ends, the next is where it was expected all the same.
 *
 * Source of the idea: Wenisch et al., "Temporal Streaming of Shared Memory",
 * ISCA'05: a log of misses, and an index into it; here what is kept are deltas.
 *
 * No lock: with the owner of the streams. */

#ifndef VMSWAP_PREFETCH_TRAIL_H
#define VMSWAP_PREFETCH_TRAIL_H

#include "prefetch-way.h"

/* A request that went to this stream.  Does the trail lead? */
extern bool trail_follow (struct prefetch_streams *streams,
                          const struct prefetch_stream *found,
                          const struct request *request);

/* Requests that were looked ahead for: trail_advance was called for them. */
extern uint32_t trail_ahead (const struct prefetch_trail *trail);

/* The page of the next one; below 0: nobody knows. */
extern int64_t trail_peek (struct prefetch_trail *trail);

/* Looks ahead for it, too. */
extern void trail_advance (struct prefetch_trail *trail);

#endif /* VMSWAP_PREFETCH_TRAIL_H */
