// SPDX-License-Identifier: BSD-3-Clause
/* The swap header of an export, in its volume.  Owns nothing. */

#include <config.h>

#include <string.h>

#include "header.h"
#include "swapheader.h"

static uint64_t
page_count (const struct volume *volume)
{
  return volume_size (volume) / POOL_PAGE_SIZE;
}

static void
make (struct volume *volume, uint8_t page[POOL_PAGE_SIZE])
{
  swapheader_make (page, volume_name (volume), volume_size (volume));
}

uint64_t
header_pages (struct volume *volume)
{
  struct volume_stats stats;

  volume_get_stats (volume, &stats);
  return stats.stored_pages + stats.lost_pages;
}

static bool
page_is (struct volume *volume, uint64_t page,
         const uint8_t expected[POOL_PAGE_SIZE])
{
  uint8_t found[POOL_PAGE_SIZE];

  return volume_peek (volume, found, page * POOL_PAGE_SIZE) == 0 &&
         memcmp (found, expected, sizeof found) == 0;
}

bool
header_is_ours (struct volume *volume)
{
  static const uint8_t zeroes[POOL_PAGE_SIZE];
  const uint64_t pages = page_count (volume);
  uint8_t ours[POOL_PAGE_SIZE];
  uint64_t page = 0;

  make (volume, ours);
  if (!page_is (volume, 0, ours))
    return false;
  while ((page = swapheader_next (page + 1, pages)) < pages)
    if (!page_is (volume, page, zeroes))
      return false;
  return true;
}

bool
header_is_all (struct volume *volume)
{
  uint8_t ours[POOL_PAGE_SIZE];

  if (volume_is_lost (volume) || header_pages (volume) > 1)
    return false;
  make (volume, ours);
  return header_pages (volume) == 0 || page_is (volume, 0, ours);
}

bool
header_is_new (struct volume *volume)
{
  uint8_t page[POOL_PAGE_SIZE], uuid[16], our_uuid[16];

  make (volume, page);
  swapheader_uuid (page, our_uuid);
  return volume_peek (volume, page, 0) == 0 && swapheader_uuid (page, uuid) &&
         memcmp (uuid, our_uuid, sizeof uuid) != 0;
}

int
header_write (struct volume *volume)
{
  uint8_t page[POOL_PAGE_SIZE];

  make (volume, page);
  return volume_write (volume, page, sizeof page, 0);
}

void
header_lose (struct volume *volume, bool ours, bool wanted)
{
  const uint64_t pages = page_count (volume);
  uint64_t page = 0;

  volume_lose (volume, 0);
  if (ours)
    while ((page = swapheader_next (page + 1, pages)) < pages)
      volume_zero (volume, POOL_PAGE_SIZE, page * POOL_PAGE_SIZE);
  /* Once it is there, the range may begin after it: no guest discards it, and
   * what it does discard must begin where the range begins. */
  if (wanted && header_write (volume) == 0)
    volume_lose (volume, POOL_PAGE_SIZE);
}
