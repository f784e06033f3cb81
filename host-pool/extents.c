// SPDX-License-Identifier: BSD-3-Clause
/* Which parts of a volume hold data.  Owns nothing. */

#include <config.h>

#include <errno.h>

#include "cleanup.h"
#include "internal.h"
#include "table.h"

/* The extent being put together from pages of one kind. */
struct extent_walk {
  volume_extent_fn *fn;
  void *opaque;
  uint64_t end;  /* of the request, bytes */
  uint64_t at;   /* all before this was reported */
  uint64_t upto; /* the open extent ends here (page aligned) */
  enum volume_extent kind;
};

static int
report (struct extent_walk *walk)
{
  const uint64_t upto = walk->upto < walk->end ? walk->upto : walk->end;
  const uint64_t at = walk->at;

  if (upto <= at)
    return 0;
  walk->at = upto;
  return walk->fn (walk->opaque, at, upto - at, walk->kind);
}

/* The pages up to this one are of the kind. */
static int
advance_kind (struct extent_walk *walk, uint64_t end_page,
              enum volume_extent kind)
{
  int r = 0;

  if (kind != walk->kind) {
    r = report (walk);
    walk->kind = kind;
  }
  walk->upto = end_page * POOL_PAGE_SIZE;
  return r;
}

/* The pages from this to that one have no words.  Lost ones hold data that
 * cannot be read; to call them a hole would be to read them as zeroes. */
static int
advance_empty (struct extent_walk *walk, struct volume *volume, uint64_t page,
               uint64_t end_page)
{
  uint64_t lost_first = page, lost_end = end_page;
  int r = 0;

  if (!loss_overlap (volume, &lost_first, &lost_end))
    return advance_kind (walk, end_page, VOLUME_EXTENT_HOLE);
  if (page < lost_first)
    r = advance_kind (walk, lost_first, VOLUME_EXTENT_HOLE);
  if (r == 0)
    r = advance_kind (walk, lost_end, VOLUME_EXTENT_DATA);
  if (r == 0 && lost_end < end_page)
    r = advance_kind (walk, end_page, VOLUME_EXTENT_HOLE);
  return r;
}

static int
walk_leaf (struct extent_walk *walk, struct volume *volume, uint32_t page,
           unsigned n)
{
  uint64_t words[VMSWAP_LEAF_WORDS];
  int r = 0;

  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    table_get_run_locked (volume, page, n, words);
  }
  for (uint64_t i = 0; i < n && r == 0; ++i)
    r = words[i] ? advance_kind (walk, page + i + 1, VOLUME_EXTENT_DATA)
                 : advance_empty (walk, volume, page + i, page + i + 1);
  return r;
}

int
volume_extents (struct volume *volume, uint64_t length, uint64_t offset,
                volume_extent_fn *fn, void *opaque)
{
  struct extent_walk walk = {
    .fn = fn,
    .opaque = opaque,
    .end = offset + length,
    .at = offset,
    .upto = offset,
    .kind = VOLUME_EXTENT_HOLE,
  };
  uint64_t page, end, next;
  int r;

  if (offset > volume->size || length > volume->size - offset)
    return -EINVAL;
  page = offset / POOL_PAGE_SIZE;
  end = (offset + length + POOL_PAGE_SIZE - 1) / POOL_PAGE_SIZE;
  while (page < end) {
    next = table_skip_holes (volume, page, end);
    if (next > page) {
      next = next < end ? next : end;
      r = advance_empty (&walk, volume, page, next);
      page = next;
    }
    else {
      next = (page / VMSWAP_LEAF_WORDS + 1) * VMSWAP_LEAF_WORDS;
      next = next < end ? next : end;
      r = walk_leaf (&walk, volume, page, next - page);
      page = next;
    }
    if (r)
      return r;
  }
  return report (&walk);
}
