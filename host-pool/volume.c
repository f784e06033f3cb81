// SPDX-License-Identifier: BSD-3-Clause
/* Owns the table of volumes.
 *
 * Invariant: pool->volume[i] is not NULL exactly while entry i of the image's
 * table is LIVE.
 *
 * Lock: pool->volumes_lock, for the table; a struct volume itself is constant
 * but for its atomics. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "cleanup.h"
#include "crash-point.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"

bool
volume_name_is_good (const char *name)
{
  const size_t length = strlen (name);

  if (length == 0 || length > VOLUME_NAME_MAX)
    return false;
  for (size_t i = 0; i < length; ++i)
    if ((unsigned char) name[i] < 0x20 || name[i] == 0x7f)
      return false;
  return true;
}

struct volume *
volume_of_blob (struct pool *pool, uint32_t id)
{
  if (id == VMSWAP_SHARING_VOLUME)
    return &pool->sharing.blobs;
  return id < POOL_MAX_VOLUMES
             ? __atomic_load_n (&pool->volume[id], __ATOMIC_ACQUIRE)
             : NULL;
}

static struct volume *
find_locked (struct pool *pool, const char *name)
{
  for (unsigned i = 0; i < POOL_MAX_VOLUMES; ++i)
    if (pool->volume[i] && strcmp (volume_name (pool->volume[i]), name) == 0)
      return pool->volume[i];
  return NULL;
}

int
volume_attach (struct pool *pool, unsigned id, struct volume **ret)
{
  struct vmswap_image_volume *image = &pool->arena.volumes[id];
  struct volume *volume;
  int err;

  if (arena_denied (&pool->arena))
    return -ENOMEM;
  volume = aligned_alloc (_Alignof(struct volume), sizeof *volume);
  if (!volume)
    return -ENOMEM;
  memset (volume, 0, sizeof *volume);
  volume->pool = pool;
  volume->image = image;
  volume->id = id;
  volume->size = image->size;
  err = sharing_enter_scope (volume, image->group);
  if (err) {
    free (volume);
    return err;
  }
  quota_create (volume);
  space_create (&volume->space);
  __atomic_store_n (&pool->volume[id], volume, __ATOMIC_RELEASE);
  *ret = volume;
  return 0;
}

void
volume_free (struct volume *volume)
{
  if (!volume)
    return;
  space_destroy (&volume->space);
  quota_destroy (volume);
  free (volume);
}

static int
create_locked (struct pool *pool, const char *name, uint64_t size,
               struct volume **ret)
{
  struct vmswap_image_volume *image;
  unsigned id = 0;
  int err;

  while (pool->volume[id])
    if (++id == POOL_MAX_VOLUMES)
      return -ENOSPC;
  image = &pool->arena.volumes[id];
  memset (image, 0, sizeof *image);
  strcpy (image->name, name);
  image->size = size;
  err = volume_attach (pool, id, ret);
  CRASH_POINT ("volume made");
  if (!err)
    __atomic_store_n (&image->state, VMSWAP_VOLUME_LIVE, __ATOMIC_RELEASE);
  return err;
}

int
volume_open (struct pool *pool, const char *name, uint64_t size,
             struct volume **ret, bool *created)
{
  int err;

  if (!volume_name_is_good (name) || size == 0 || size % POOL_PAGE_SIZE ||
      size > VOLUME_MAX_SIZE)
    return -EINVAL;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
  struct volume *volume = find_locked (pool, name);
  const bool fresh = volume == NULL;

  if (volume && volume->size != size)
    return -EEXIST;
  if (fresh) {
    err = create_locked (pool, name, size, &volume);
    if (err)
      return err;
  }
  *ret = volume;
  if (created)
    *created = fresh;
  return 0;
}

struct volume *
volume_find (struct pool *pool, const char *name)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
  return find_locked (pool, name);
}

int
volume_each (struct pool *pool, int (*fn) (struct volume *, void *),
             void *opaque)
{
  for (unsigned i = 0; i < POOL_MAX_VOLUMES; ++i) {
    struct volume *volume;
    int r;

    {
      ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
      volume = pool->volume[i];
    }
    if (volume && (r = fn (volume, opaque)) != 0)
      return r;
  }
  return 0;
}

void
volume_delete (struct volume *volume)
{
  struct pool *pool = volume->pool;

  volume_trim (volume, volume->size, 0);

  /* The cleaner looks up owners of dead blobs, too. */
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->cleaner.lock);
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
  /* Writers of its group may look at it, because the index named a page of it:
   * from here on, none finds it. */
  __atomic_store_n (&pool->volume[volume->id], NULL, __ATOMIC_SEQ_CST);
  workers_wait_for_readers (&pool->workers);
  table_destroy (volume);
  CRASH_POINT ("volume emptied");
  __atomic_store_n (&volume->image->state, VMSWAP_VOLUME_FREE,
                    __ATOMIC_RELEASE);
  tally_depart (pool, volume);
  volume_free (volume);
  /* What was reserved for it is there for others. */
  pool_weigh (pool);
  space_notify (&pool->space);
}

int
volume_set_group (struct volume *volume, const char *group)
{
  struct pool *pool = volume->pool;
  uint64_t key = 0;
  int err;

  if (group) {
    key = XXH3_64bits_withSecret (group, strlen (group), pool->arena.super.key,
                                  sizeof pool->arena.super.key);
    if (key == 0)
      key = 1;
  }
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
  err = sharing_enter_scope (volume, key);
  if (!err)
    __atomic_store_n (&volume->image->group, key, __ATOMIC_RELEASE);
  return err;
}

const char *
volume_name (const struct volume *volume)
{
  return volume->image->name;
}

uint64_t
volume_size (const struct volume *volume)
{
  return volume->size;
}

static int
refuse_data (void *opaque, uint64_t offset, uint64_t length,
             enum volume_extent kind)
{
  return kind == VOLUME_EXTENT_DATA ? -EBUSY : 0;
}

int
volume_resize (struct volume *volume, uint64_t size)
{
  int err = 0;

  if (size == 0 || size % POOL_PAGE_SIZE || size > VOLUME_MAX_SIZE)
    return -EINVAL;
  if (size < volume->size)
    err = volume_extents (volume, volume->size - size, size, refuse_data, NULL);
  if (err)
    return err;
  if (!volume_is_lost (volume))
    volume_forgive (volume); /* an empty range may lie beyond the new size */
  else if (size > volume->size)
    /* It may have been larger once, before it was lost. */
    loss_grow (volume, size / POOL_PAGE_SIZE);
  __atomic_store_n (&volume->image->size, size, __ATOMIC_RELEASE);
  __atomic_store_n (&volume->size, size, __ATOMIC_RELAXED);
  return 0;
}
