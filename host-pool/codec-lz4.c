// SPDX-License-Identifier: BSD-3-Clause
/* LZ4 at acceleration 1: on real pages a higher acceleration loses more
 * density than it gains time (make bench). */

#include <config.h>

#include <errno.h>

#include <lz4.h>

#include "codec.h"
#include "pool.h"
#include "vmswap-image.h"

_Static_assert(LZ4_COMPRESSBOUND (POOL_PAGE_SIZE) <= CODEC_MAX_OUTPUT,
               "a page that does not compress must fit the output");

static size_t
lz4_compress (void *state, const void *page, void *out)
{
  /* With room for the worst case LZ4 takes its faster, unbounded path. */
  return LZ4_compress_fast_extState (state, page, out, POOL_PAGE_SIZE,
                                     CODEC_MAX_OUTPUT, 1);
}

static int
lz4_decompress (const void *data, size_t length, void *page)
{
  int r = LZ4_decompress_safe (data, page, length, POOL_PAGE_SIZE);

  return r == (int) POOL_PAGE_SIZE ? 0 : -EIO;
}

const struct codec codec_lz4 = {
  .name = "lz4",
  .id = VMSWAP_CODEC_LZ4,
  .state_size = sizeof (LZ4_stream_t),
  .compress = lz4_compress,
  .decompress = lz4_decompress,
};
