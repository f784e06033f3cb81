// SPDX-License-Identifier: BSD-3-Clause
/* Owns the mapping and the account of host memory.
 *
 * Invariants
 *  1. used <= limit, always: arena_charge is the only way up.
 *  2. Memory of the mapping that is in use was populated first, so no access
 *     to it can fail.
 *  3. Nothing in the mapping is a pointer.
 *
 * Locks: none; used is atomic, the rest is constant after arena_create. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "arena.h"
#include "codec.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static uint64_t
round_up_page (uint64_t n)
{
  return (n + POOL_PAGE_SIZE - 1) & ~(uint64_t) (POOL_PAGE_SIZE - 1);
}

bool
arena_denied (struct arena *arena)
{
  return arena->deny && arena->deny (arena->deny_opaque);
}

bool
arena_charge (struct arena *arena, uint64_t bytes)
{
  uint64_t used = atomic_load_explicit (&arena->used, memory_order_relaxed);

  do {
    if (bytes > arena->limit - used)
      return false;
  } while (!atomic_compare_exchange_weak (&arena->used, &used, used + bytes));
  return true;
}

void
arena_uncharge (struct arena *arena, uint64_t bytes)
{
  atomic_fetch_sub (&arena->used, bytes);
}

void *
arena_alloc (struct arena *arena, uint64_t size)
{
  struct arena_table *table = arena->table;
  void *p;

  while (table->at)
    if (++table == arena->table + ARENA_MAX_TABLES)
      abort (); /* the number of tables is fixed by the code */
  size = round_up_page (size);
  if (arena_denied (arena) || !arena_charge (arena, size))
    return NULL;
  p = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
            0);
  if (p == MAP_FAILED) {
    arena_uncharge (arena, size);
    return NULL;
  }
  madvise (p, size, MADV_DONTDUMP); /* workers hold guests' pages */
  *table = (struct arena_table){ .at = p, .size = size };
  return p;
}

int
arena_lock_memory (struct arena *arena)
{
  if (mlock2 (arena->base, arena->image_size, MLOCK_ONFAULT) == -1)
    return -errno;
  for (size_t i = 0; i < ARENA_MAX_TABLES && arena->table[i].at; ++i)
    if (mlock2 (arena->table[i].at, arena->table[i].size, MLOCK_ONFAULT) == -1)
      return -errno;
  return 0;
}

uint64_t
arena_lockable_bytes (const struct arena *arena)
{
  uint64_t sum = arena->image_size;

  for (size_t i = 0; i < ARENA_MAX_TABLES; ++i)
    sum += arena->table[i].size;
  return sum;
}

int
arena_populate (struct arena *arena, void *at, uint64_t length)
{
  const off_t offset = (uint8_t *) at - arena->base;

  if (arena_denied (arena))
    return -ENOMEM;
  if (madvise (at, length, MADV_POPULATE_WRITE) == 0)
    return 0;
  if (errno != EINVAL)
    return -ENOMEM;
  /* Kernels before 5.14: allocate the file's pages, map them when touched. */
  return fallocate (arena->fd, 0, offset, length) == 0 ? 0 : -ENOMEM;
}

void
arena_punch (struct arena *arena, void *at, uint64_t length)
{
  const off_t offset = (uint8_t *) at - arena->base;

  if (fallocate (arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                 length) == -1)
    madvise (at, length, MADV_REMOVE);
}

/* Fills in the superblock's geometry; the mapping does not exist yet. */
static void
layout (struct vmswap_image_super *super, uint64_t limit)
{
  uint64_t at = POOL_PAGE_SIZE;

  memcpy (super->magic, VMSWAP_IMAGE_MAGIC, sizeof super->magic);
  super->version = VMSWAP_IMAGE_VERSION;
  super->page_size = POOL_PAGE_SIZE;
  super->segment_size = POOL_SEGMENT_SIZE;
  super->limit = limit;
  super->volumes_count = POOL_MAX_VOLUMES;
  super->segments_count = limit / POOL_SEGMENT_SIZE;
  /* Page tables may take the whole limit, when all pages are fill pages. */
  super->frames_count = limit / POOL_PAGE_SIZE;

  super->volumes_offset = at;
  at += round_up_page (super->volumes_count *
                       sizeof (struct vmswap_image_volume));
  super->segments_offset = at;
  at += round_up_page ((uint64_t) super->segments_count *
                       sizeof (struct vmswap_image_segment));
  super->frames_offset = at;
  at += (uint64_t) super->frames_count * POOL_PAGE_SIZE;
  super->data_offset = at;
  at += (uint64_t) super->segments_count * POOL_SEGMENT_SIZE;
  super->image_size = at;
}

static int
map (struct arena *arena, uint64_t size)
{
  int err;

  arena->fd = memfd_create ("vmswap", MFD_CLOEXEC);
  if (arena->fd == -1)
    return -errno;
  if (ftruncate (arena->fd, size) == -1)
    goto fail;
  arena->base = mmap (NULL, size, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE, arena->fd, 0);
  if (arena->base == MAP_FAILED)
    goto fail;
  /* Guests' pages do not belong in a core dump. */
  madvise (arena->base, size, MADV_DONTDUMP);
  arena->image_size = size;
  return 0;

fail:
  err = -errno;
  close (arena->fd);
  arena->base = NULL;
  return err;
}

static void
find_tables (struct arena *arena)
{
  arena->super = (struct vmswap_image_super *) arena->base;
  arena->volumes = (void *) (arena->base + arena->super->volumes_offset);
  arena->segments = (void *) (arena->base + arena->super->segments_offset);
  arena->frames = arena->base + arena->super->frames_offset;
  arena->data = arena->base + arena->super->data_offset;
  arena->nr_segments = arena->super->segments_count;
  arena->nr_frames = arena->super->frames_count;
}

int
arena_create (struct arena *arena, const struct pool_config *config)
{
  struct vmswap_image_super super = { .next_birth = 1 };
  int err;

  *arena = (struct arena){
    .fd = -1,
    .limit = config->limit,
    .deny = config->deny,
    .deny_opaque = config->deny_opaque,
  };
  if (arena_denied (arena))
    return -ENOMEM;
  layout (&super, config->limit);
  super.codec = codec_by_name (config->codec)->id;
  if (getrandom (super.key, sizeof super.key, 0) != sizeof super.key)
    return -EIO;

  err = map (arena, super.image_size);
  if (err)
    return err;
  err = -ENOMEM;
  if (!arena_charge (arena, super.frames_offset))
    goto fail;
  err = arena_populate (arena, arena->base, super.frames_offset);
  if (err)
    goto fail;
  memcpy (arena->base, &super, sizeof super);
  find_tables (arena);
  return 0;

fail:
  arena_destroy (arena);
  return err;
}

void
arena_destroy (struct arena *arena)
{
  for (size_t i = 0; i < ARENA_MAX_TABLES; ++i)
    if (arena->table[i].at)
      munmap (arena->table[i].at, arena->table[i].size);
  if (arena->base) {
    munmap (arena->base, arena->image_size);
    close (arena->fd);
  }
  *arena = (struct arena){ .fd = -1 };
}
