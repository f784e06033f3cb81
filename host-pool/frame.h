// SPDX-License-Identifier: BSD-3-Clause
/* Frames: the 4 KiB pieces of the arena that page tables are made of. */

#ifndef VMSWAP_FRAME_H
#define VMSWAP_FRAME_H

#include <stdint.h>

#include "arena.h"
#include "lock.h"

/* A page that has no way to it yet needs a root, a directory and a leaf. */
#define FRAMES_PER_PAGE_MAX 3

/* What frames_prepare may charge at once. */
#define FRAMES_BATCH 16
#define FRAMES_BATCH_BYTES (FRAMES_BATCH * POOL_PAGE_SIZE)

struct frames {
  struct arena *arena;
  struct lock lock;
  uint64_t *taken;  /* bit: part of a page table, or being worked on */
  uint64_t *backed; /* bit: has memory, charged */
  uint16_t *words;  /* per frame: words in use of a leaf, under its stripe
                     * lock; leaves of a directory, atomic */
  uint32_t nr;
  uint32_t nr_taken;
  uint32_t nr_ready; /* backed and not taken */
  uint32_t hint_ready;
  uint32_t hint_bare; /* no unbacked frame lies below this one */
  bool adopting; /* an image is: what it needs is charged beyond the limit */
};

extern int frames_create (struct frames *frames, struct arena *arena);
extern void frames_destroy (struct frames *frames);

/* Sees to it that frame_take succeeds FRAMES_PER_PAGE_MAX times, if nobody
 * else takes them first.  Makes system calls: no lock may be held.
 * -ENOSPC: the limit is reached.  -ENOMEM. */
extern int frames_prepare (struct frames *frames);

/* A zeroed frame, or 0: none is ready, call frames_prepare. */
extern uint32_t frame_take (struct frames *frames);
extern void frame_drop (struct frames *frames, uint32_t frame);

/* For an adopted image, before anything else: the frame is part of a page
 * table.  False: there is no such frame, or it is taken already. */
extern bool frame_adopt (struct frames *frames, uint32_t frame);

/* … and then once: all other frames are bare. */
extern void frames_adopt_done (struct frames *frames);

/* Gives the memory of dropped frames back to the host. */
extern void frames_trim (struct frames *frames);

#endif /* VMSWAP_FRAME_H */
