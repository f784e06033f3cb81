// SPDX-License-Identifier: BSD-3-Clause
/* What must hold of a whole pool: content, extents, counters, and that
 * nothing stays behind when everything was trimmed. */

#include <config.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define SLACK (4 * POOL_SEGMENT_SIZE) /* segments kept open or in reserve */

struct walk {
  const struct model_volume *v;
  uint64_t next; /* where the next extent must start */
  uint64_t calls;
  enum volume_extent kind;
};

static int
walk_one (void *opaque, uint64_t offset, uint64_t length,
          enum volume_extent kind)
{
  struct walk *walk = opaque;

  CHECK_EQ (offset, walk->next);
  CHECK (length > 0);
  CHECK (kind == VOLUME_EXTENT_HOLE || kind == VOLUME_EXTENT_DATA);
  if (walk->calls++ > 0 && kind == walk->kind)
    FAIL ("two neighbouring extents of kind %d meet at %" PRIu64, kind, offset);
  if (kind == VOLUME_EXTENT_HOLE && walk->v->shadow &&
      !content_is_zero (walk->v->shadow + offset, length))
    FAIL ("%s: a hole of %" PRIu64 " bytes at %" PRIu64 " holds data",
          volume_name (walk->v->volume), length, offset);
  walk->next = offset + length;
  walk->kind = kind;
  return 0;
}

void
model_check_extents (struct model *m, struct model_volume *v, uint64_t length,
                     uint64_t offset)
{
  struct walk walk = { .v = v, .next = offset };

  CHECK_RC (volume_extents (v->volume, length, offset, walk_one, &walk), 0);
  CHECK_EQ (walk.next, offset + length);
}

void
model_sample_stats (struct model *m)
{
  struct pool_stats s;
  struct volume_stats vs;

  pool_get_stats (m->pool, &s);
  CHECK_EQ (s.limit, m->opt.pool);
  CHECK_LE (s.used, s.limit);
  CHECK_EQ (s.volumes, m->opt.volumes);
  CHECK_EQ (s.bad_pages, 0);
  CHECK_EQ (s.segments_rescued, 0);
  CHECK_EQ (s.lost_pages, 0);
  volume_get_stats (m->volumes[0].volume, &vs);
  CHECK_EQ (vs.size, m->opt.size);
  CHECK_EQ (vs.bad_pages, 0);
}

static void
verify_content (struct model *m, struct model_volume *v)
{
  uint8_t *buf = test_alloc (MIB);

  for (uint64_t at = 0; at < m->opt.size; at += MIB) {
    const uint64_t n = m->opt.size - at < MIB ? m->opt.size - at : MIB;

    CHECK_RC (volume_read (v->volume, buf, n, at), 0);
    if (memcmp (buf, v->shadow + at, n) != 0) {
      test_hexdump_diff (v->shadow + at, buf, n, at);
      FAIL ("%s: wrong content at the end", volume_name (v->volume));
    }
  }
  free (buf);
}

/* Pages by kind, as the shadow sees them. */
static void
count_pages (struct model *m, struct model_volume *v, uint64_t *zero,
             uint64_t *fill)
{
  for (uint64_t at = 0; at < m->opt.size; at += POOL_PAGE_SIZE) {
    if (!content_is_fill (v->shadow + at))
      continue;
    if (content_is_zero (v->shadow + at, POOL_PAGE_SIZE))
      ++*zero;
    else
      ++*fill;
  }
}

static void
verify_volume_stats (struct model *m, struct model_volume *v,
                     struct volume_stats *sum)
{
  const uint64_t pages = m->opt.size / POOL_PAGE_SIZE;
  uint64_t zero = 0, fill = 0;
  struct volume_stats s;

  volume_get_stats (v->volume, &s);
  if (v->shadow) {
    count_pages (m, v, &zero, &fill);
    /* What is no fill page is a blob; a fill page of a wide value may be. */
    CHECK_LE (pages - zero - fill, s.stored_pages - s.fill_pages);
    CHECK_LE (s.stored_pages - s.fill_pages, pages - zero);
    CHECK_LE (pages - zero, s.stored_pages);
  }
  CHECK_EQ (s.stored_pages,
            s.blob_pages + s.cold_pages + s.shared_pages + s.fill_pages);
  CHECK_LE (s.stored_pages, pages);
  CHECK_LE (s.cold_bytes, s.blob_bytes);
  CHECK_LE (s.raw_pages, s.blob_pages);
  CHECK_LE (s.data_bytes, s.blob_bytes);
  /* One page may be all that is left of a group of four. */
  CHECK_LE (s.data_bytes,
            (s.blob_pages + s.cold_pages * 4) * POOL_PAGE_SIZE);
  sum->blob_pages += s.blob_pages;
  sum->raw_pages += s.raw_pages;
  sum->cold_pages += s.cold_pages;
  sum->cold_bytes += s.cold_bytes;
  sum->fill_pages += s.fill_pages;
  sum->shared_pages += s.shared_pages;
  sum->shared_bytes += s.shared_bytes;
  sum->blob_bytes += s.blob_bytes;
  sum->data_bytes += s.data_bytes;
  sum->table_bytes += s.table_bytes;
}

void
model_verify (struct model *m)
{
  struct volume_stats sum = { 0 };
  struct pool_stats s;

  POOL_CHECK (m->pool, true);
  for (unsigned i = 0; i < m->opt.volumes; i++) {
    struct model_volume *v = &m->volumes[i];

    if (v->shadow)
      verify_content (m, v);
    model_check_extents (m, v, m->opt.size, 0);
    verify_volume_stats (m, v, &sum);
  }
  model_sample_stats (m);
  pool_get_stats (m->pool, &s);
  CHECK_EQ (s.blob_pages, sum.blob_pages);
  CHECK_EQ (s.raw_pages, sum.raw_pages);
  CHECK_EQ (s.cold_pages, sum.cold_pages);
  CHECK_EQ (s.cold_bytes, sum.cold_bytes);
  CHECK_EQ (s.fill_pages, sum.fill_pages);
  CHECK_EQ (s.shared_pages, sum.shared_pages);
  CHECK_EQ (s.shared_bytes, sum.shared_bytes);
  CHECK_LE (s.shared_blobs, s.shared_pages);
  if (!m->opt.cold)
    CHECK_LE (s.shared_blob_bytes, s.shared_bytes);
  CHECK_EQ (s.blob_bytes, sum.blob_bytes + s.shared_blob_bytes);
  CHECK_LE (sum.data_bytes, s.data_bytes);
  CHECK_LE (sum.table_bytes, s.table_bytes);
  CHECK_LE (s.blob_bytes, s.segment_bytes);
  CHECK_LE (s.free_bytes, s.segment_bytes);
  CHECK_EQ (s.used, s.fixed_bytes + s.table_bytes + s.segment_bytes);
}

/* Trims everything: the pool must be as empty as it was at first. */
void
model_empty (struct model *m)
{
  struct pool_stats s;

  for (unsigned i = 0; i < m->opt.volumes; i++) {
    CHECK_RC (volume_trim (m->volumes[i].volume, m->opt.size, 0), 0);
    if (m->volumes[i].shadow)
      memset (m->volumes[i].shadow, 0, m->opt.size);
  }
  CHECK_RC (pool_compact (m->pool), 0);
  model_verify (m);
  pool_get_stats (m->pool, &s);
  CHECK_EQ (s.blob_pages, 0);
  CHECK_EQ (s.raw_pages, 0);
  CHECK_EQ (s.cold_pages, 0);
  CHECK_EQ (s.cold_bytes, 0);
  CHECK_EQ (s.fill_pages, 0);
  CHECK_EQ (s.shared_pages, 0);
  CHECK_EQ (s.shared_blobs, 0);
  CHECK_EQ (s.blob_bytes, 0);
  CHECK_EQ (s.data_bytes, 0);
  CHECK_LE (s.table_bytes,
            m->empty.table_bytes + TABLE_SLACK (m->opt.volumes + 2));
  /* The index may have grown since. */
  CHECK_LE (s.used - s.fixed_bytes,
            m->empty.used - m->empty.fixed_bytes + SLACK);
}
