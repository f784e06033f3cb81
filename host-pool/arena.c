// SPDX-License-Identifier: BSD-3-Clause
/* Owns the mapping and the account of host memory.
 *
 * Invariants
 *  1. used <= limit: arena_charge is the only way up.  The one exception is
 *     the adoption of a full pool whose process was killed: what was open and
 *     in the cleaner's hands is partly wasted then, and the excess lasts
 *     until the cleaner has made up for it; nobody else gets a segment before.
 *  2. Memory of the mapping that is in use was populated first, so no access
 *     to it can fail.
 *  3. Nothing in the mapping is a pointer.
 *
 * Locks: none; used is atomic, the rest is constant after arena_create. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena.h"
#include "image.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

bool
arena_denied (struct arena *arena)
{
  return arena->deny && arena->deny (arena->deny_opaque);
}

unsigned
arena_nr_cpus (const struct arena *arena, unsigned most)
{
  const long cpus = sysconf (_SC_NPROCESSORS_ONLN);
  const uint64_t affordable = arena->limit / POOL_SEGMENT_SIZE / 16;
  unsigned nr = cpus < 1 ? 1 : cpus > most ? most : (unsigned) cpus;

  if (nr > affordable)
    nr = affordable ? (unsigned) affordable : 1;
  return nr;
}

uint64_t
arena_left (const struct arena *arena)
{
  const uint64_t used = atomic_load (&arena->used);

  return used < arena->limit ? arena->limit - used : 0;
}

bool
arena_is_over (const struct arena *arena)
{
  return atomic_load_explicit (&arena->used, memory_order_relaxed) >
         arena->limit;
}

void
arena_charge_anyway (struct arena *arena, uint64_t bytes)
{
  atomic_fetch_add (&arena->used, bytes);
}

bool
arena_charge (struct arena *arena, uint64_t bytes)
{
  uint64_t used = atomic_load_explicit (&arena->used, memory_order_relaxed);

  do {
    if (used > arena->limit || bytes > arena->limit - used)
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
  return arena_alloc_part (arena, size, size);
}

void *
arena_alloc_part (struct arena *arena, uint64_t size, uint64_t charged)
{
  struct arena_table *table = arena->table;
  void *p;

  while (table->at)
    if (++table == arena->table + ARENA_MAX_TABLES)
      abort (); /* the number of tables is fixed by the code */
  size = round_up_page (size);
  charged = round_up_page (charged);
  if (arena_denied (arena) || !arena_charge (arena, charged))
    return NULL;
  p = mmap (NULL, size, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) {
    arena_uncharge (arena, charged);
    return NULL;
  }
  madvise (p, size, MADV_DONTDUMP); /* workers hold guests' pages */
  *table = (struct arena_table){ .at = p, .size = size };
  return p;
}

int
arena_table_back (struct arena *arena, void *at, uint64_t length)
{
  if (arena_denied (arena))
    return -ENOMEM;
  if (!arena_charge (arena, length))
    return -ENOSPC;
  /* Kernels before 5.14 give memory when it is touched. */
  if (madvise (at, length, MADV_POPULATE_WRITE) == 0 || errno == EINVAL)
    return 0;
  arena_uncharge (arena, length);
  return -ENOMEM;
}

void
arena_table_drop (struct arena *arena, void *at, uint64_t length)
{
  /* The second, for kernels before 5.18 and memory that is locked. */
  if (madvise (at, length, MADV_DONTNEED_LOCKED) == 0 ||
      madvise (at, length, MADV_DONTNEED) == 0 ||
      (munlock (at, length) == 0 && madvise (at, length, MADV_DONTNEED) == 0 &&
       mlock2 (at, length, MLOCK_ONFAULT) == 0))
    arena_uncharge (arena, length);
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
  if (arena->look_only)
    return 0;
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

  if (arena->look_only)
    mmap (at, length, PROT_READ | PROT_WRITE,
          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  else if (fallocate (arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      offset, length) == -1)
    madvise (at, length, MADV_REMOVE);
}

/* Lays a part of the file, which holds data, over private memory. */
static int
overlay (struct arena *arena, uint64_t from, uint64_t length)
{
  uint8_t *at = arena->base + from;

  if (mmap (at, length, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, arena->fd,
            from) != MAP_FAILED)
    return 0;
  /* The kernel bounds the number of mappings: then a copy has to do. */
  for (ssize_t n; length > 0; at += n, from += n, length -= n) {
    n = pread (arena->fd, at, length, from);
    if (n <= 0)
      return n == 0 ? -EIO : -errno;
  }
  return 0;
}

/* Maps the data of the file, privately, and memory where it has holes: a hole
 * of tmpfs that is looked at through a mapping would be filled. */
static int
overlay_data (struct arena *arena)
{
  const off_t size = arena->image_size;
  off_t data, end = 0;
  int err = 0;

  while (!err && end < size) {
    data = lseek (arena->fd, end, SEEK_DATA);
    if (data == -1 && errno == ENXIO)
      break; /* there is no more */
    end = data == -1 ? -1 : lseek (arena->fd, data, SEEK_HOLE);
    if (end == -1)
      return -errno;
    if (data >= size)
      break;
    data -= data % POOL_PAGE_SIZE;
    end = end < size ? (off_t) round_up_page (end) : size;
    err = overlay (arena, data, end - data);
  }
  return err;
}

/* Maps the file in arena->fd. */
static int
map (struct arena *arena, uint64_t size)
{
  const bool look_only = arena->look_only;
  void *at = mmap (NULL, size, PROT_READ | PROT_WRITE,
                   look_only ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
                             : MAP_SHARED | MAP_NORESERVE,
                   look_only ? -1 : arena->fd, 0);

  if (at == MAP_FAILED)
    return -errno;
  arena->base = at;
  arena->image_size = size;
  if (look_only) {
    const int err = overlay_data (arena);

    if (err)
      return err;
  }
  /* Guests' pages do not belong in a core dump. */
  madvise (at, size, MADV_DONTDUMP);
  return 0;
}

static void
find_tables (struct arena *arena)
{
  const struct vmswap_image_super *super = &arena->super;

  arena->volumes = (void *) (arena->base + super->volumes_offset);
  arena->segments = (void *) (arena->base + super->segments_offset);
  arena->frames = arena->base + super->frames_offset;
  arena->data = arena->base + super->data_offset;
  arena->nr_segments = super->segments_count;
  arena->nr_frames = super->frames_count;
}

int
arena_create (struct arena *arena, const struct pool_config *config)
{
  int err;

  *arena = (struct arena){
    .fd = -1,
    .limit = config->limit,
    .look_only = config->look_only,
    .deny = config->deny,
    .deny_opaque = config->deny_opaque,
  };
  if (arena_denied (arena))
    return -ENOMEM;
  arena->fd = image_open (config, &arena->super, &arena->adopted);
  if (arena->fd < 0)
    return arena->fd;
  if (arena->look_only)
    arena->limit = arena->super.limit;
  err = map (arena, arena->super.image_size);
  if (err)
    goto fail;
  err = -ENOMEM;
  if (!arena_charge (arena, arena->super.frames_offset))
    goto fail;
  err = arena_populate (arena, arena->base, arena->super.frames_offset);
  if (err)
    goto fail;
  find_tables (arena);
  return 0;

fail:
  arena_destroy (arena);
  return err;
}

void
arena_commit (struct arena *arena)
{
  if (arena->look_only)
    return;
  arena->super.version = VMSWAP_IMAGE_VERSION;
  arena->super.limit = arena->limit;
  image_write_super (arena->base, &arena->super);
}

void
arena_destroy (struct arena *arena)
{
  for (size_t i = 0; i < ARENA_MAX_TABLES; ++i)
    if (arena->table[i].at)
      munmap (arena->table[i].at, arena->table[i].size);
  if (arena->base)
    munmap (arena->base, arena->image_size);
  if (arena->fd >= 0)
    close (arena->fd);
  *arena = (struct arena){ .fd = -1 };
}
