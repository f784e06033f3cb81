// SPDX-License-Identifier: BSD-3-Clause
/* Owns the list of codecs. */

#include <config.h>

#include <string.h>

#include "codec.h"
#include "pool.h"

static const struct codec *const codecs[] = { &codec_lz4, &codec_none };
static const char *const names[] = { "lz4", "none", NULL };

#define NR_CODECS (sizeof codecs / sizeof codecs[0])

const struct codec *
codec_by_name (const char *name)
{
  for (size_t i = 0; i < NR_CODECS; ++i)
    if (strcmp (codecs[i]->name, name) == 0)
      return codecs[i];
  return NULL;
}

const struct codec *
codec_by_id (uint8_t id)
{
  for (size_t i = 0; i < NR_CODECS; ++i)
    if (codecs[i]->id == id)
      return codecs[i];
  return NULL;
}

const char *const *
pool_codecs (void)
{
  return names;
}
