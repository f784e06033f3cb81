// SPDX-License-Identifier: BSD-3-Clause
/* Adoption: from an image that another process left, at whatever instruction,
 * to a running pool.  One walk over the page tables recomputes all that is not
 * stored: which frames are taken, how many words a leaf and how many leaves a
 * directory has, what is live in each segment, and the counts of volumes.
 *
 * Owns nothing; runs before anybody else is inside, so it takes no locks.
 *
 * Blobs are not looked at: a read verifies the one that it needs.  A page word
 * that names no place inside the arena becomes "lost"; a table that makes no
 * sense would hide pages, so it refuses the image. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "internal.h"
#include "word.h"

struct adoption {
  struct pool *pool;
  const struct pool_config *config;
  struct volume *volume;
  struct tally tally; /* of the volume */
  uint32_t taken;     /* frames */
};

static int
damaged (struct adoption *adoption, const char *what)
{
  image_reason (adoption->config,
                "%s/%s cannot be adopted: volume %s: %s; move it away to "
                "start empty (the pages in it are lost then)",
                adoption->config->state, IMAGE_FILE,
                volume_name (adoption->volume), what);
  return -EUCLEAN;
}

static int
take_frame (struct adoption *adoption, uint32_t frame)
{
  if (!frame_adopt (&adoption->pool->frames, frame))
    return damaged (adoption, "its page table names a frame that is not there "
                              "or another's");
  adoption->taken++;
  return 0;
}

/* Takes stock of one word; a word that cannot be true becomes "lost". */
static uint64_t
adopt_word (struct adoption *adoption, uint64_t word)
{
  struct segments *segments = &adoption->pool->segments;
  const struct place at = word_place (word);
  const uint32_t size = blob_size (word_length (word));

  switch (word_tag (word)) {
  case VMSWAP_WORD_BLOB:
    if (at.segment >= segments->nr || at.offset + size > POOL_SEGMENT_SIZE)
      break;
    segment_adopt (segments, at.segment, size, at.offset + size);
    tally_word (&adoption->tally, word, 1);
    return word;
  case VMSWAP_WORD_EMPTY:
  case VMSWAP_WORD_FILL:
  case VMSWAP_WORD_LOST:
    tally_word (&adoption->tally, word, 1);
    return word;
  }
  tally_word (&adoption->tally, VMSWAP_WORD_LOST, 1);
  return VMSWAP_WORD_LOST;
}

static int
adopt_leaf (struct adoption *adoption, uint32_t *entry)
{
  struct frames *frames = &adoption->pool->frames;
  uint64_t *words;
  unsigned n = 0;
  int err;

  err = take_frame (adoption, *entry);
  if (err)
    return err;
  words = arena_frame (&adoption->pool->arena, *entry);
  for (unsigned i = 0; i < VMSWAP_LEAF_WORDS; ++i) {
    if (words[i] == 0)
      continue;
    words[i] = adopt_word (adoption, words[i]);
    n++;
  }
  frames->words[*entry] = n;
  return 0;
}

static int
adopt_directory (struct adoption *adoption, uint32_t frame)
{
  struct frames *frames = &adoption->pool->frames;
  uint32_t *entries;
  unsigned n = 0;
  int err;

  err = take_frame (adoption, frame);
  if (err)
    return err;
  entries = arena_frame (&adoption->pool->arena, frame);
  for (unsigned i = 0; i < VMSWAP_DIRECTORY_ENTRIES; ++i) {
    if (entries[i] == 0)
      continue;
    err = adopt_leaf (adoption, &entries[i]);
    if (err)
      return err;
    /* The process may have died between making a leaf and its first word, or
     * between its last word and dropping it. */
    if (frames->words[entries[i]] == 0) {
      const uint32_t leaf = entries[i];

      entries[i] = 0;
      frame_drop (frames, leaf);
      adoption->taken--;
      continue;
    }
    n++;
  }
  frames->words[frame] = n;
  return 0;
}

static int
adopt_root (struct adoption *adoption, uint32_t frame)
{
  const uint32_t *entries;
  int err;

  err = take_frame (adoption, frame);
  entries = arena_frame (&adoption->pool->arena, frame);
  for (unsigned i = 0; i < VMSWAP_DIRECTORY_ENTRIES && !err; ++i)
    if (entries[i])
      err = adopt_directory (adoption, entries[i]);
  return err;
}

static int
adopt_volume (struct adoption *adoption, struct vmswap_image_volume *image,
              unsigned id)
{
  const uint32_t taken = adoption->taken;
  int err;

  if (!memchr (image->name, 0, sizeof image->name)) {
    image->name[0] = '\0'; /* for the message */
    err = volume_attach (adoption->pool, id, &adoption->volume);
    return err ? err : damaged (adoption, "its name has no end");
  }
  err = volume_attach (adoption->pool, id, &adoption->volume);
  if (err)
    return err;
  if (!volume_name_is_good (image->name) || image->size == 0 ||
      image->size % POOL_PAGE_SIZE || image->size > VOLUME_MAX_SIZE)
    return damaged (adoption, "its name or size makes no sense");

  adoption->tally = (struct tally){ 0 };
  for (unsigned r = 0; r < VMSWAP_VOLUME_ROOTS && !err; ++r)
    if (image->root[r])
      err = adopt_root (adoption, image->root[r]);
  atomic_store (&adoption->volume->frames, adoption->taken - taken);
  tally_apply (adoption->volume, &adoption->tally, 0);
  return err;
}

/* May this pool go on under this limit?  Segments in use are no measure: a
 * killed process leaves some nearly empty. */
static bool
limit_is_enough (struct pool *pool)
{
  struct arena *arena = &pool->arena;
  const uint64_t used = atomic_load (&arena->used);

  if (used > arena->limit)
    arena->excess = used - arena->limit;
  return pool_blob_bytes (pool) <= pool_capacity (pool) + pool_slack (pool) / 2;
}

int
pool_adopt (struct pool *pool, const struct pool_config *config)
{
  struct adoption adoption = { .pool = pool, .config = config };
  int err = 0;

  for (unsigned id = 0; id < POOL_MAX_VOLUMES && !err; ++id)
    if (pool->arena.volumes[id].state == VMSWAP_VOLUME_LIVE)
      err = adopt_volume (&adoption, &pool->arena.volumes[id], id);
  if (err)
    return err;
  frames_adopt_done (&pool->frames);
  err = segments_adopt_done (&pool->segments);
  if (!err && !limit_is_enough (pool))
    err = -ENOSPC;
  if (err)
    image_reason (config,
                  "%s/%s holds more than pool= allows: give pool= at least "
                  "what it was before",
                  config->state, IMAGE_FILE);
  return err;
}
