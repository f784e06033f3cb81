// SPDX-License-Identifier: BSD-3-Clause
/* No compression: every page is stored as it is.  Also what decodes the
 * incompressible pages of the other codecs. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "codec.h"
#include "pool.h"
#include "vmswap-image.h"

static size_t
none_compress (void *state, const void *page, void *out)
{
  (void) state;
  (void) page;
  (void) out;
  return POOL_PAGE_SIZE;
}

static int
none_decompress (const void *data, size_t length, void *page)
{
  if (length != POOL_PAGE_SIZE)
    return -EIO;
  memcpy (page, data, POOL_PAGE_SIZE);
  return 0;
}

const struct codec codec_none = {
  .name = "none",
  .id = VMSWAP_CODEC_NONE,
  .state_size = 16,
  .compress = none_compress,
  .decompress = none_decompress,
};
