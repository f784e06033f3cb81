// SPDX-License-Identifier: BSD-3-Clause
/* The fingerprint of a page: XXH3, 64 bits, keyed with a secret that is
 * random per pool, so that no guest can choose pages that collide. */

#ifndef VMSWAP_FINGERPRINT_H
#define VMSWAP_FINGERPRINT_H

#include <stdint.h>

#include <xxhash.h>

#include "pool.h"
#include "vmswap-image.h"

static inline uint64_t
fingerprint (const uint8_t key[VMSWAP_IMAGE_KEY_SIZE], const void *page)
{
  const uint64_t print =
      XXH3_64bits_withSecret (page, POOL_PAGE_SIZE, key, VMSWAP_IMAGE_KEY_SIZE);

#ifdef ENABLE_SHORT_FINGERPRINTS
  /* For a test: 16 fingerprints for all pages, so that most collide. */
  return (print & 15) * UINT64_C (0x1111111111111111);
#else
  return print;
#endif
}

#endif /* VMSWAP_FINGERPRINT_H */
