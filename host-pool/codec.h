// SPDX-License-Identifier: BSD-3-Clause
/* Compressors of one page, behind one table of functions each.  Codecs are
 * constant and stateless; what they work in is the caller's. */

#ifndef VMSWAP_CODEC_H
#define VMSWAP_CODEC_H

#include <stddef.h>
#include <stdint.h>

/* What compress may write, for any codec (LZ4's bound for a page is 4128). */
#define CODEC_MAX_OUTPUT 4352

struct codec {
  const char *name;
  uint8_t id;        /* enum vmswap_codec, in blob headers */
  size_t state_size; /* scratch memory that compress needs, 16-aligned */

  /* page: 4096 bytes.  out: room for CODEC_MAX_OUTPUT.  Returns the length of
   * the output; at 4096 or more the page is stored as it is. */
  size_t (*compress) (void *state, const void *page, void *out);

  /* data may be anything, hostile included: writes exactly 4096 bytes or
   * returns -EIO.  The content is checked by fingerprint afterwards. */
  int (*decompress) (const void *data, size_t length, void *page);
};

extern const struct codec codec_lz4;
extern const struct codec codec_none;

/* zstd, for groups (group.h).  Contexts are made in memory of the caller's;
 * NULL: the level is not zstd's, or the memory too small. */
#define CODEC_ZSTD_LEVELS 19
extern size_t codec_zstd_compressor_size (int level);
extern void *codec_zstd_compressor (void *memory, size_t size, int level);

/* Returns the length, or 0: it would need more than room. */
extern size_t codec_zstd_compress (void *state, const void *pages,
                                   size_t length, void *out, size_t room);

extern size_t codec_zstd_decompressor_size (void);
extern void *codec_zstd_decompressor (void *memory, size_t size);

/* data may be anything, hostile included.  -EIO: it does not decompress to just
 * as many bytes as expected. */
extern int codec_zstd_decompress (void *state, const void *data, size_t length,
                                  void *pages, size_t expected);

/* NULL: there is none. */
extern const struct codec *codec_by_name (const char *name);
extern const struct codec *codec_by_id (uint8_t id);

#endif /* VMSWAP_CODEC_H */
