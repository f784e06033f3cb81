// SPDX-License-Identifier: BSD-3-Clause
/* Jumps: where streams went on, when that was not a step further.
 *
 * What a process fills its memory with goes to the disk in pieces, here and
 * there.  Who reads it with a stride crosses from piece to piece, and no trend
 * tells whereto.  But such a reader often comes again, from one page further
 * on: then its way leads through the same pieces in the same order.  So a jump
 * is kept by the place that it began at, as coarse as the stride is wide (at
 * most JUMP_SHIFT_MAX bits), and by direction.
 *
 * The idea that a miss predicts what followed it last time is that of Joseph
 * and Grunwald, "Prefetching using Markov Predictors", ISCA'97; here deltas
 * follow places, and trends have the rest.
 *
 * No lock, no memory but the caller's. */

#ifndef VMSWAP_PREFETCH_JUMP_H
#define VMSWAP_PREFETCH_JUMP_H

#include <stdint.h>

#define JUMP_SETS 2048
#define JUMP_WAYS 4 /* of a full set the oldest is forgotten */
#define JUMP_SHIFT_MAX 4

struct prefetch_jump {
  uint32_t tag;
  int32_t delta; /* in pages; 0: none */
};

struct prefetch_jumps {
  struct prefetch_jump set[JUMP_SETS][JUMP_WAYS];
};

/* Whose jumps: those of streams, or that from one request of the volume to the
 * next (prefetch-trail.h). */
enum jump_kind { JUMP_STREAM, JUMP_TRAIL };

/* By how much one with this trend jumped from this page; 0: it did not. */
extern int32_t jumps_find (const struct prefetch_jumps *jumps,
                           enum jump_kind kind, int64_t page, int32_t trend);

/* Keeps it; 0 forgets it. */
extern void jumps_set (struct prefetch_jumps *jumps, enum jump_kind kind,
                       int64_t page, int32_t trend, int64_t delta);

#endif /* VMSWAP_PREFETCH_JUMP_H */
