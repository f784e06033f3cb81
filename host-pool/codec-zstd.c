// SPDX-License-Identifier: BSD-3-Clause
/* zstd, for groups.  Both contexts live in memory of the caller's (zstd's
 * "static" contexts), so nothing is allocated while pages move.  The frame says
 * how much it holds; a checksum is not needed, because pages have
 * fingerprints. */

#include <config.h>

#include <errno.h>

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "codec.h"
#include "group.h"

size_t
codec_zstd_compressor_size (int level)
{
  /* Parameters fall with the size of what is compressed: a group of one page
   * takes no more than one of four. */
  return ZSTD_estimateCCtxSize_usingCParams (
             ZSTD_getCParams (level, GROUP_MAX_BYTES, 0)) +
         4096;
}

void *
codec_zstd_compressor (void *memory, size_t size, int level)
{
  ZSTD_CCtx *context = ZSTD_initStaticCCtx (memory, size);

  if (!context || ZSTD_isError (ZSTD_CCtx_setParameter (
                      context, ZSTD_c_compressionLevel, level)))
    return NULL;
  return context;
}

size_t
codec_zstd_compress (void *state, const void *pages, size_t length, void *out,
                     size_t room)
{
  const size_t r = ZSTD_compress2 (state, out, room, pages, length);

  return ZSTD_isError (r) ? 0 : r;
}

size_t
codec_zstd_decompressor_size (void)
{
  return ZSTD_estimateDCtxSize ();
}

void *
codec_zstd_decompressor (void *memory, size_t size)
{
  return ZSTD_initStaticDCtx (memory, size);
}

int
codec_zstd_decompress (void *state, const void *data, size_t length,
                       void *pages, size_t expected)
{
  const size_t r = ZSTD_decompressDCtx (state, pages, expected, data, length);

  return ZSTD_isError (r) || r != expected ? -EIO : 0;
}
