// SPDX-License-Identifier: BSD-3-Clause
/* Loss: pages of a volume that are lost without a word each, because their
 * page table went with an earlier pool.
 *
 * Owns lost_first and lost_end of the image's entry: between them, a page
 * whose word is empty is lost.
 *
 * Invariants: the range ends with the volume, but while its size changes or a
 * dead process left it so; and it only shrinks while the volume is in use (but
 * see lose-page.c).  So a page that was found not to be lost stays so, and one
 * that was found lost may at worst get a fill word of zeroes that it no longer
 * needs.
 *
 * No lock: each end is one word, moved by compare and exchange. */

#include <config.h>

#include "internal.h"

static uint64_t
load (const uint64_t *end)
{
  return __atomic_load_n (end, __ATOMIC_RELAXED);
}

bool
loss_covers (const struct volume *volume, uint64_t page)
{
  return page < load (&volume->image->lost_end) &&
         page >= load (&volume->image->lost_first);
}

bool
loss_overlap (const struct volume *volume, uint64_t *first, uint64_t *end)
{
  const uint64_t lost_first = load (&volume->image->lost_first);
  const uint64_t lost_end = load (&volume->image->lost_end);

  if (*first < lost_first)
    *first = lost_first;
  if (*end > lost_end)
    *end = lost_end;
  return *first < *end;
}

bool
volume_is_lost (const struct volume *volume)
{
  return load (&volume->image->lost_first) < load (&volume->image->lost_end);
}

/* The end of the range moves from where it was seen, unless somebody else has
 * moved it: then that was a trim of the same pages or nearly so, and what it
 * left stays lost. */
static void
move (uint64_t *end, uint64_t from, uint64_t to)
{
  __atomic_compare_exchange_n (end, &from, to, false, __ATOMIC_RELEASE,
                               __ATOMIC_RELAXED);
}

void
loss_shrink (struct volume *volume, uint64_t first, uint64_t end)
{
  struct vmswap_image_volume *image = volume->image;
  const uint64_t lost_first = load (&image->lost_first);
  const uint64_t lost_end = load (&image->lost_end);

  if (lost_first >= lost_end)
    return;
  if (first <= lost_first && end > lost_first)
    move (&image->lost_first, lost_first, end < lost_end ? end : lost_end);
  else if (end >= lost_end && first < lost_end)
    move (&image->lost_end, lost_end, first);
}

void
loss_adopt (struct volume *volume)
{
  const uint64_t pages = volume->size / POOL_PAGE_SIZE;

  if (load (&volume->image->lost_end) > pages)
    __atomic_store_n (&volume->image->lost_end, pages, __ATOMIC_RELEASE);
}

void
loss_grow (struct volume *volume, uint64_t end)
{
  __atomic_store_n (&volume->image->lost_end, end, __ATOMIC_RELEASE);
}

/* lost_end last: until then the range is empty. */
void
volume_lose (struct volume *volume, uint64_t offset)
{
  struct vmswap_image_volume *image = volume->image;

  __atomic_store_n (&image->lost_end, 0, __ATOMIC_RELEASE);
  __atomic_store_n (&image->lost_first, offset / POOL_PAGE_SIZE,
                    __ATOMIC_RELEASE);
  __atomic_store_n (&image->lost_end, volume->size / POOL_PAGE_SIZE,
                    __ATOMIC_RELEASE);
}

/* lost_end first: the range is empty from then on. */
void
volume_forgive (struct volume *volume)
{
  __atomic_store_n (&volume->image->lost_end, 0, __ATOMIC_RELEASE);
  __atomic_store_n (&volume->image->lost_first, 0, __ATOMIC_RELEASE);
}
