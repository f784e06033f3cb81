// SPDX-License-Identifier: BSD-3-Clause
/* Exports and the pool in words. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "describe.h"
#include "human.h"

/* ", of 512M quota, 128M reserved". */
static void
add_limits (const struct volume_stats *stats, struct description *ret)
{
  const size_t length = strlen (ret->text);
  char *end = ret->text + length;
  struct human quota, reserve;

  if (stats->quota != 0 && stats->reserve != 0)
    snprintf (end, sizeof ret->text - length, ", of %s quota, %s reserved",
              human_size (&quota, stats->quota),
              human_size (&reserve, stats->reserve));
  else if (stats->quota != 0)
    snprintf (end, sizeof ret->text - length, ", of %s quota",
              human_size (&quota, stats->quota));
  else if (stats->reserve != 0)
    snprintf (end, sizeof ret->text - length, ", %s reserved",
              human_size (&reserve, stats->reserve));
}

const char *
describe_volume (struct volume *volume, bool has_header,
                 struct description *ret)
{
  struct volume_stats stats;
  struct human size, swapped, ram;
  uint64_t pages, held;

  volume_get_stats (volume, &stats);
  pages = stats.stored_pages;
  held = stats.blob_bytes + stats.shared_part + stats.table_bytes;
  human_size (&size, stats.size);
  if (volume_is_lost (volume))
    snprintf (ret->text, sizeof ret->text,
              "vmswap %s %s: what it held is lost, but for %s in %s of RAM",
              volume_name (volume), size.text,
              human_size (&swapped, pages * POOL_PAGE_SIZE),
              human_size (&ram, held));
  else if (pages <= has_header)
    snprintf (ret->text, sizeof ret->text, "vmswap %s %s: empty",
              volume_name (volume), size.text);
  else
    snprintf (ret->text, sizeof ret->text,
              "vmswap %s %s: %s swapped in %s of RAM", volume_name (volume),
              size.text, human_size (&swapped, pages * POOL_PAGE_SIZE),
              human_size (&ram, held));
  add_limits (&stats, ret);
  return ret->text;
}

void
describe_pool (struct pool *pool, const char *when)
{
  struct pool_stats s;

  pool_get_stats (pool, &s);
  nbdkit_debug ("pool at %s: limit=%" PRIu64 " used=%" PRIu64 " fixed=%" PRIu64
                " tables=%" PRIu64 " segments=%" PRIu64 " free=%" PRIu64,
                when, s.limit, s.used, s.fixed_bytes, s.table_bytes,
                s.segment_bytes, s.free_bytes);
  nbdkit_debug ("pool at %s: blobs=%" PRIu64 " bytes=%" PRIu64 " data=%" PRIu64
                " raw=%" PRIu64 " fill=%" PRIu64 " volumes=%" PRIu64
                " cold=%" PRIu64 " cold-bytes=%" PRIu64,
                when, s.blob_pages, s.blob_bytes, s.data_bytes, s.raw_pages,
                s.fill_pages, s.volumes, s.cold_pages, s.cold_bytes);
  nbdkit_debug ("pool at %s: written=%" PRIu64 " read=%" PRIu64
                " trimmed=%" PRIu64 " refused=%" PRIu64 " bad=%" PRIu64
                " cleaned=%" PRIu64 " moved=%" PRIu64 " cooled=%" PRIu64
                " warmed=%" PRIu64,
                when, s.pages_written, s.pages_read, s.pages_trimmed,
                s.writes_refused, s.bad_pages, s.segments_cleaned,
                s.bytes_moved, s.pages_cooled, s.pages_warmed);
}
