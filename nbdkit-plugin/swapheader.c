// SPDX-License-Identifier: BSD-3-Clause
/* The header of a swap area, version 1, for pages of 4096 bytes:
 *
 *        0  1024 bytes for a boot loader     zero
 *     1024  version                          le32, 1
 *     1028  last page                        le32, size / 4096 - 1
 *     1032  number of bad pages              le32
 *     1036  UUID                             16 bytes
 *     1052  label                            16 bytes, "vmswap"
 *     1536  bad pages                        le32 each
 *     4086  signature                        "SWAPSPACE2"
 *
 * The UUID has the form of a name-based one (RFC 4122, version 5) with a
 * 128-bit XXH3 of the name in the place of SHA-1: a guest that names its swap
 * by UUID finds it again whenever and wherever the server is restarted.
 */

#include <config.h>

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include <xxhash.h>

#include "swapheader.h"

/* As many as the kernel takes: up to the signature. */
#define MAX_BAD 637

/* What blkid 2.38 reads, and some more: the first pages (64-bit superblocks,
 * RAID and ZFS labels), the last ones (RAID, GPT, ZFS), powers of two (LUKS),
 * and one near the end (Promise RAID).  Exports smaller than SMALLEST have no
 * room for that. */
#define HEAD 160
#define TAIL 160
#define PROMISE 386
#define LUKS_LAST 1024
#define SMALLEST (UINT64_C (32) << 20)

struct header {
  uint8_t boot[1024];
  uint32_t version;
  uint32_t last_page;
  uint32_t nr_bad;
  uint8_t uuid[16];
  char label[16];
  uint32_t unused[117];
  uint32_t bad[MAX_BAD];
  uint8_t unused2[2];
  char signature[10];
};

_Static_assert(sizeof (struct header) == POOL_PAGE_SIZE, "one page");
_Static_assert(offsetof (struct header, uuid) == 1036, "place of the UUID");
_Static_assert(offsetof (struct header, bad) == 1536, "place of bad pages");
_Static_assert(offsetof (struct header, signature) == 4086,
               "place of the signature");
_Static_assert(VOLUME_MAX_SIZE / POOL_PAGE_SIZE - 1 <= UINT32_MAX,
               "last page fits");

static const char signature[] = "SWAPSPACE2";

/* The seed keeps these UUIDs apart from other hashes of the same names. */
#define UUID_SEED UINT64_C (0x766d737761702d31)

static void
make_uuid (uint8_t uuid[16], const char *name)
{
  XXH128_canonical_t hash;

  XXH128_canonicalFromHash (
      &hash, XXH3_128bits_withSeed (name, strlen (name), UUID_SEED));
  memcpy (uuid, hash.digest, 16);
  uuid[6] = (uuid[6] & 0x0f) | 0x50;
  uuid[8] = (uuid[8] & 0x3f) | 0x80;
}

bool
swapheader_reserves (uint64_t page, uint64_t pages)
{
  if (page == 0)
    return true;
  if (pages < SMALLEST / POOL_PAGE_SIZE)
    return false;
  return page < HEAD || page >= pages - TAIL || page == pages - PROMISE ||
         (page <= LUKS_LAST && (page & (page - 1)) == 0);
}

uint64_t
swapheader_next (uint64_t page, uint64_t pages)
{
  while (page < pages && !swapheader_reserves (page, pages)) {
    page++;
    /* Nothing lies between those at the start and those at the end. */
    if (page > LUKS_LAST && pages > PROMISE && page < pages - PROMISE)
      page = pages - PROMISE;
  }
  return page;
}

bool
swapheader_touched (uint64_t offset, uint64_t length, uint64_t pages)
{
  const uint64_t end = (offset + length + POOL_PAGE_SIZE - 1) / POOL_PAGE_SIZE;

  return swapheader_next (offset / POOL_PAGE_SIZE, pages) < end;
}

/* Names the reserved pages but page 0; returns how many. */
static uint32_t
list_bad (uint32_t bad[MAX_BAD], uint64_t pages)
{
  uint64_t page = 0;
  uint32_t n = 0;

  while ((page = swapheader_next (page + 1, pages)) < pages)
    bad[n++] = htole32 (page);
  return n;
}

void
swapheader_make (uint8_t page[POOL_PAGE_SIZE], const char *name, uint64_t size)
{
  struct header header = {
    .version = htole32 (1),
    .last_page = htole32 (size / POOL_PAGE_SIZE - 1),
    .label = "vmswap",
  };

  memcpy (header.signature, signature, sizeof header.signature);
  header.nr_bad = htole32 (list_bad (header.bad, size / POOL_PAGE_SIZE));
  make_uuid (header.uuid, name);
  memcpy (page, &header, sizeof header);
}

bool
swapheader_uuid (const uint8_t page[POOL_PAGE_SIZE], uint8_t uuid[16])
{
  struct header header;

  memcpy (&header, page, sizeof header);
  memcpy (uuid, header.uuid, sizeof header.uuid);
  return header.version == htole32 (1) &&
         memcmp (header.signature, signature, sizeof header.signature) == 0;
}
