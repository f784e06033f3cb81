// SPDX-License-Identifier: BSD-3-Clause
/* Requests: any bytes of a volume, cut into whole pages and parts of pages.
 *
 * Owns nothing.  A request borrows one worker and counts what it does in a
 * tally, applied once at its end. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "internal.h"
#include "table.h"

#define RUN 64 /* page words looked up under one lock */

/* A request, cut: a part of a page, whole pages, a part of a page.  Any of
 * them may be missing. */
struct cut {
  uint32_t head_page, tail_page;
  unsigned head_offset, head_length; /* in head_page */
  unsigned tail_length;              /* from the start of tail_page */
  uint64_t first, end;               /* whole pages */
};

static struct cut
cut_request (uint64_t length, uint64_t offset)
{
  const uint64_t end = offset + length;
  struct cut cut = {
    .head_page = offset / POOL_PAGE_SIZE,
    .head_offset = offset % POOL_PAGE_SIZE,
    .tail_page = end / POOL_PAGE_SIZE,
    .tail_length = end % POOL_PAGE_SIZE,
    .first = (offset + POOL_PAGE_SIZE - 1) / POOL_PAGE_SIZE,
    .end = end / POOL_PAGE_SIZE,
  };

  if (cut.head_offset) {
    cut.head_length = POOL_PAGE_SIZE - cut.head_offset;
    if (cut.head_length >= length) {
      /* All of it lies in one page. */
      cut.head_length = length;
      cut.tail_length = 0;
      cut.first = cut.end;
    }
  }
  return cut;
}

static bool
outside (const struct volume *volume, uint64_t length, uint64_t offset)
{
  return offset > volume->size || length > volume->size - offset;
}

/* Reads whole pages of one leaf. */
static int
read_run (struct volume *volume, struct worker *worker, struct tally *tally,
          uint32_t page, unsigned n, uint8_t *to)
{
  uint64_t words[RUN], places[RUN] = { 0 };
  unsigned done = 1;

  worker_enter (&volume->pool->workers, worker);
  page_look_run (volume, page, n, words, places);
  for (unsigned i = 0; i < n && done; i += done)
    done = page_decode_run (volume, page + i, words + i, places + i, n - i,
                            to + (size_t) i * POOL_PAGE_SIZE);
  worker_leave (worker);
  tally->pages_read += n;
  tally->bad_pages += done == 0;
  return done ? 0 : -EIO;
}

static int
read_pages (struct volume *volume, struct worker *worker, struct tally *tally,
            uint64_t first, uint64_t end, uint8_t *to)
{
  while (first < end) {
    const unsigned in_leaf = VMSWAP_LEAF_WORDS - first % VMSWAP_LEAF_WORDS;
    uint64_t n = end - first;

    if (n > in_leaf)
      n = in_leaf;
    if (n > RUN)
      n = RUN;
    const int err = read_run (volume, worker, tally, first, n, to);
    if (err)
      return err;
    first += n;
    to += n * POOL_PAGE_SIZE;
  }
  return 0;
}

int
volume_read (struct volume *volume, void *buf, size_t length, uint64_t offset)
{
  struct workers *workers = &volume->pool->workers;
  struct tally tally = { 0 };
  struct worker *worker;
  struct cut cut;
  uint8_t *to = buf;
  int err = 0;

  if (outside (volume, length, offset))
    return -EINVAL;
  if (length == 0)
    return 0;
  cut = cut_request (length, offset);
  worker = worker_get (workers);
  if (cut.head_length)
    err = partial_read (volume, worker, &tally, cut.head_page, cut.head_offset,
                        cut.head_length, to);
  to += cut.head_length;
  if (!err && cut.first < cut.end)
    err = read_pages (volume, worker, &tally, cut.first, cut.end, to);
  to += (cut.end - cut.first) * POOL_PAGE_SIZE;
  if (!err && cut.tail_length)
    err = partial_read (volume, worker, &tally, cut.tail_page, 0,
                        cut.tail_length, to);
  tally_apply (volume, &tally, worker->shard);
  worker_put (workers, worker);
  return err;
}

int
volume_peek (struct volume *volume, void *buf, uint64_t offset)
{
  struct workers *workers = &volume->pool->workers;
  const uint64_t page = offset / POOL_PAGE_SIZE;
  struct tally ignored = { 0 };
  struct worker *worker;
  int err;

  if (outside (volume, POOL_PAGE_SIZE, offset) || offset % POOL_PAGE_SIZE)
    return -EINVAL;
  worker = worker_get (workers);
  err = read_pages (volume, worker, &ignored, page, page + 1, buf);
  worker_put (workers, worker);
  return err;
}

static bool
is_stored (struct volume *volume, uint32_t page)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  return table_get_locked (volume, page) != 0;
}

int
volume_peek_stored (struct volume *volume, void *buf, uint64_t offset)
{
  if (outside (volume, POOL_PAGE_SIZE, offset))
    return -EINVAL;
  if (!is_stored (volume, offset / POOL_PAGE_SIZE))
    return -ENODATA;
  return volume_peek (volume, buf, offset);
}

/* Whole pages of zeroes are dropped, unless that would make them lost. */
static int
zero_pages (struct volume *volume, struct tally *tally, uint64_t first,
            uint64_t end)
{
  uint64_t lost_first = first, lost_end = end;
  int err = 0;

  if (!loss_overlap (volume, &lost_first, &lost_end))
    lost_first = lost_end = end;
  clear_pages (volume, tally, first, lost_first);
  for (uint64_t page = lost_first; page < lost_end && !err; ++page)
    err = page_zero (volume, tally, page);
  if (!err)
    clear_pages (volume, tally, lost_end, end);
  return err;
}

/* Must what was written so far be counted, before the next page?  Limits are
 * kept to the page. */
static bool
must_tell (const struct volume *volume, uint64_t page)
{
  const struct pool *pool = volume->pool;

  return page % TALLY_EVERY == TALLY_EVERY - 1 || volume_is_limited (volume) ||
         (atomic_load_explicit (&pool->tight, memory_order_relaxed) &&
          atomic_load_explicit (&pool->reserved, memory_order_relaxed));
}

static bool
has_freed (const struct tally *tally)
{
  return tally->freed || tally->pages_trimmed ||
         (int64_t) tally->blob_bytes < 0 || (int64_t) tally->shared_bytes < 0;
}

static void
tell (struct volume *volume, const struct worker *worker, struct tally *tally)
{
  tally_apply (volume, tally, worker->shard);
  *tally = (struct tally){ .freed = has_freed (tally) };
}

/* Writes a request; with from NULL, zeroes. */
static int
write_parts (struct volume *volume, struct worker *worker, struct tally *tally,
             const struct cut *cut, const uint8_t *from)
{
  int err = 0;

  if (cut->head_length) {
    err = partial_write (volume, worker, tally, cut->head_page,
                         cut->head_offset, cut->head_length, from);
    tally->pages_written += !err && from;
    from = from ? from + cut->head_length : NULL;
  }
  if (!from) {
    if (!err && cut->first < cut->end)
      err = zero_pages (volume, tally, cut->first, cut->end);
  }
  else
    for (uint64_t page = cut->first; page < cut->end && !err; ++page) {
      err = page_write (volume, worker, tally, page, from, NULL);
      tally->pages_written += !err;
      from += POOL_PAGE_SIZE;
      if (must_tell (volume, page))
        tell (volume, worker, tally);
    }
  if (!err && cut->tail_length) {
    err = partial_write (volume, worker, tally, cut->tail_page, 0,
                         cut->tail_length, from);
    tally->pages_written += !err && from;
  }
  return err;
}

/* The whole pages first: that may make the room which the parts need.  A part
 * that cannot be zeroed keeps its content: a trim is advice. */
static int
trim_parts (struct volume *volume, struct worker *worker, struct tally *tally,
            const struct cut *cut, const uint8_t *from)
{
  (void) from;
  if (cut->first < cut->end) {
    clear_pages (volume, tally, cut->first, cut->end);
    loss_shrink (volume, cut->first, cut->end);
  }
  if (cut->head_length)
    partial_write (volume, worker, tally, cut->head_page, cut->head_offset,
                   cut->head_length, NULL);
  if (cut->tail_length)
    partial_write (volume, worker, tally, cut->tail_page, 0, cut->tail_length,
                   NULL);
  return 0;
}

typedef int parts_fn (struct volume *volume, struct worker *worker,
                      struct tally *tally, const struct cut *cut,
                      const uint8_t *from);

/* Of the pool's and the volume's space, when a change began. */
struct serials {
  uint64_t pool, volume;
};

/* After a change that took a worker: counts it, and tells those who wait. */
static void
settle (struct volume *volume, const struct worker *worker, struct tally *tally,
        int err, const struct serials *serials)
{
  struct pool *pool = volume->pool;
  const bool freed = has_freed (tally);

  tally->writes_refused = err == -ENOSPC || err == -ENOMEM;
  tally->quota_refused = err == -EDQUOT;
  tally_apply (volume, tally, worker->shard);
  if (err == -ENOSPC)
    space_refused (&pool->space, serials->pool);
  if (err == -EDQUOT)
    space_refused (&volume->space, serials->volume);
  if (atomic_load_explicit (&pool->tight, memory_order_relaxed))
    pool_weigh (pool);
  if (freed && volume_is_limited (volume))
    space_notify (&volume->space);
  if (freed)
    space_notify (&pool->space);
}

/* What all requests that change something have in common. */
static int
change (struct volume *volume, uint64_t length, uint64_t offset, parts_fn *fn,
        const uint8_t *from)
{
  struct pool *pool = volume->pool;
  const struct serials serials = {
    .pool = space_serial (&pool->space),
    .volume = space_serial (&volume->space),
  };
  struct tally tally = { 0 };
  struct worker *worker;
  struct cut cut;
  int err;

  if (outside (volume, length, offset))
    return -EINVAL;
  if (length == 0)
    return 0;
  cut = cut_request (length, offset);
  worker = worker_get (&pool->workers);
  err = fn (volume, worker, &tally, &cut, from);
  /* Before the worker is free: pool_check takes free workers for a sign that
   * the counts are exact. */
  settle (volume, worker, &tally, err, &serials);
  worker_put (&pool->workers, worker);
  return err;
}

int
volume_write (struct volume *volume, const void *buf, size_t length,
              uint64_t offset)
{
  return change (volume, length, offset, write_parts, buf);
}

int
volume_zero (struct volume *volume, uint64_t length, uint64_t offset)
{
  return change (volume, length, offset, write_parts, NULL);
}

int
volume_trim (struct volume *volume, uint64_t length, uint64_t offset)
{
  return change (volume, length, offset, trim_parts, NULL);
}
