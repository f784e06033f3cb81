// SPDX-License-Identifier: BSD-3-Clause
/* The header of a swap area, version 1, for pages of 4096 bytes:
 *
 *        0  1024 bytes for a boot loader     zero
 *     1024  version                          le32, 1
 *     1028  last page                        le32, size / 4096 - 1
 *     1032  number of bad pages              le32, 0
 *     1036  UUID                             16 bytes
 *     1052  label                            16 bytes, "vmswap"
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

struct header {
  uint8_t boot[1024];
  uint32_t version;
  uint32_t last_page;
  uint32_t nr_bad;
  uint8_t uuid[16];
  char label[16];
  uint8_t unused[3018];
  char signature[10];
};

_Static_assert(sizeof (struct header) == POOL_PAGE_SIZE, "one page");
_Static_assert(offsetof (struct header, uuid) == 1036, "place of the UUID");
_Static_assert(offsetof (struct header, signature) == 4086,
               "place of the signature");
_Static_assert(VOLUME_MAX_SIZE / POOL_PAGE_SIZE - 1 <= UINT32_MAX,
               "last page fits");

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

void
swapheader_make (uint8_t page[POOL_PAGE_SIZE], const char *name, uint64_t size)
{
  struct header header = {
    .version = htole32 (1),
    .last_page = htole32 (size / POOL_PAGE_SIZE - 1),
    .label = "vmswap",
  };

  memcpy (header.signature, "SWAPSPACE2", sizeof header.signature);
  make_uuid (header.uuid, name);
  memcpy (page, &header, sizeof header);
}
