// SPDX-License-Identifier: BSD-3-Clause
/* The arena: the one shared mapping, its layout, and the account of host
 * memory.  Everything the pool holds is charged here before it is used, so
 * that used never exceeds limit. */

#ifndef VMSWAP_ARENA_H
#define VMSWAP_ARENA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pool.h"
#include "vmswap-image.h"

#define ARENA_MAX_TABLES 10

/* A piece of process memory from arena_alloc. */
struct arena_table {
  void *at;
  uint64_t size;
};

struct arena {
  uint8_t *base; /* the mapping, image_size bytes */
  uint64_t image_size;
  int fd;

  struct vmswap_image_super super; /* a copy of what counts */
  bool adopted;                    /* the image was there before */
  bool look_only;                  /* nothing reaches the file */
  struct vmswap_image_volume *volumes;
  struct vmswap_image_segment *segments;
  uint8_t *frames;
  uint8_t *data;
  uint32_t nr_segments;
  uint32_t nr_frames;

  uint64_t limit;
  _Atomic uint64_t used; /* bytes charged */
  uint64_t excess;       /* by how much an adopted image was above the limit */

  struct arena_table table[ARENA_MAX_TABLES];

  bool (*deny) (void *opaque); /* see struct pool_config */
  void *deny_opaque;
};

/* Makes or finds the image and maps it.  The fixed part (superblock, volume
 * and segment tables) is charged and backed by memory. */
extern int arena_create (struct arena *arena, const struct pool_config *config);
extern void arena_destroy (struct arena *arena);

/* Writes the superblock, which makes the image one that can be adopted. */
extern void arena_commit (struct arena *arena);

/* Does the test hook refuse this acquisition of memory? */
extern bool arena_denied (struct arena *arena);

/* Zeroed process memory for one of the few tables of the pool's own, charged.
 * NULL: the limit or the host says no.  It lives as long as the arena. */
extern void *arena_alloc (struct arena *arena, uint64_t size);

/* The same, of which only the first bytes are charged: the rest may be used
 * between arena_table_back and arena_table_drop.  Both take whole pages.
 * -ENOSPC: the limit is reached.  -ENOMEM. */
extern void *arena_alloc_part (struct arena *arena, uint64_t size,
                               uint64_t charged);
extern int arena_table_back (struct arena *arena, void *at, uint64_t length);
extern void arena_table_drop (struct arena *arena, void *at, uint64_t length);

/* Locks the mapping and the tables into memory as they are used. */
extern int arena_lock_memory (struct arena *arena);
extern uint64_t arena_lockable_bytes (const struct arena *arena);

/* How many of something that threads on different CPUs should not share: one a
 * CPU, but no more than most, nor than such a pool can afford. */
extern unsigned arena_nr_cpus (const struct arena *arena, unsigned most);

/* What may still be charged. */
extern uint64_t arena_left (const struct arena *arena);

/* Is it above its limit, as an adopted one may be? */
extern bool arena_is_over (const struct arena *arena);

/* False: the limit would be exceeded. */
extern bool arena_charge (struct arena *arena, uint64_t bytes);

/* Charges what an adopted image holds, beyond the limit if need be. */
extern void arena_charge_anyway (struct arena *arena, uint64_t bytes);
extern void arena_uncharge (struct arena *arena, uint64_t bytes);

/* Backs a page-aligned part of the mapping with memory now, so that touching
 * it later can neither fault nor fail (a full tmpfs would be SIGBUS).
 * -ENOMEM. */
extern int arena_populate (struct arena *arena, void *at, uint64_t length);

/* Gives the memory of a page-aligned part back to the host; it reads as zero
 * afterwards. */
extern void arena_punch (struct arena *arena, void *at, uint64_t length);

static inline uint64_t
round_up_page (uint64_t n)
{
  return (n + POOL_PAGE_SIZE - 1) & ~(uint64_t) (POOL_PAGE_SIZE - 1);
}

static inline uint8_t *
arena_segment (const struct arena *arena, uint32_t segment)
{
  return arena->data + (uint64_t) segment * POOL_SEGMENT_SIZE;
}

static inline void *
arena_frame (const struct arena *arena, uint32_t frame)
{
  return arena->frames + (uint64_t) frame * POOL_PAGE_SIZE;
}

#endif /* VMSWAP_ARENA_H */
