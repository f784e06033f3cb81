// SPDX-License-Identifier: BSD-3-Clause
/* Adoption: from an image that another process left, at whatever instruction,
 * to a running pool.  One walk over the page tables recomputes all that is not
 * stored: which frames are taken, how many words a leaf and how many leaves a
 * directory has, what is live in each segment, and the counts of volumes.
 *
 * Owns nothing; runs before anybody else is inside, so it takes no locks.
 *
 * Two walks: the first only looks, so that an image that is refused stays what
 * it was; the second repairs what a death in the middle of something leaves.
 *
 * Blobs are not looked at: a read verifies the one that it needs.  A page word
 * that names no place inside the arena becomes "lost"; a table that makes no
 * sense would hide pages, so it refuses the image. */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "internal.h"
#include "sharing.h"
#include "word.h"

struct adoption {
  struct pool *pool;
  const struct pool_config *config;
  const struct vmswap_image_volume *image;
  struct volume *volume; /* NULL in the first walk */
  uint64_t end;          /* pages of the volume */
  struct tally tally;    /* of the volume */
  uint64_t blob_bytes;   /* of all volumes */
  uint32_t frames;       /* of the volume */
  uint32_t segments;     /* that words name */
};

static bool
is_sharing_table (const struct adoption *adoption)
{
  return adoption->image == adoption->pool->sharing.blobs.image;
}

static int
damaged (struct adoption *adoption, const char *what)
{
  const struct arena *arena = &adoption->pool->arena;
  char where[32] = "its sharing table";

  if (!is_sharing_table (adoption))
    snprintf (where, sizeof where, "entry %u of its volumes",
              (unsigned) (adoption->image - arena->volumes));
  image_reason (adoption->config,
                "%s/%s cannot be adopted: %s: %s; move it away to start empty "
                "(the pages in it are lost then)",
                adoption->config->state, IMAGE_FILE, where, what);
  return -EUCLEAN;
}

/* Counts a frame of the page table; the first walk also marks it taken.  One
 * beyond the end of a volume that has shrunk is empty, and goes in time. */
static int
meet_frame (struct adoption *adoption, uint32_t frame)
{
  if (adoption->volume == NULL && !frame_adopt (&adoption->pool->frames, frame))
    return damaged (adoption, "its page table names a frame that is not "
                              "there, or that is another's");
  adoption->frames++;
  return 0;
}

static bool
word_makes_sense (const struct adoption *adoption, uint64_t word)
{
  const struct place at = word_place (word);

  /* Whatever the version says: its group tells whether it is one. */
  if (word_is_cold (word) && word_size (word) <= VMSWAP_BLOB_HEADER_SIZE)
    return false;
  if (!word_has_place (word))
    return word_is_sound (word) &&
           (!is_sharing_table (adoption) || word == VMSWAP_WORD_LOST);
  return at.segment < adoption->pool->segments.nr &&
         at.offset + word_size (word) <= POOL_SEGMENT_SIZE;
}

/* Counts a word of a leaf; what it names is counted once. */
static void
count_word (struct adoption *adoption, const uint64_t *words, unsigned i)
{
  tally_word (&adoption->tally, words[i], 1);
  if (word_is_cold (words[i]) && group_is_first_named (words, i))
    tally_group (&adoption->tally, words[i], 1);
}

/* The second walk: repairs a word of a leaf and takes stock of what it
 * names. */
static void
adopt_word (struct adoption *adoption, uint64_t *words, unsigned i)
{
  uint64_t *word = &words[i];

  if (!word_makes_sense (adoption, *word)) {
    /* Who only looks wants to know a damaged word from a lost page. */
    if (adoption->pool->arena.look_only)
      return;
    *word = VMSWAP_WORD_LOST;
  }
  if (word_is_blob (*word) ||
      (word_is_cold (*word) && group_is_first_named (words, i))) {
    const struct place at = word_place (*word);
    const uint32_t size = word_size (*word);

    segment_adopt (&adoption->pool->segments, at.segment, size,
                   at.offset + size);
  }
  count_word (adoption, words, i);
}

/* The first walk: takes stock without a change to the image. */
static void
inspect_word (struct adoption *adoption, const uint64_t *words, unsigned i)
{
  const uint64_t word = words[i];

  if (!word_makes_sense (adoption, word))
    return;
  count_word (adoption, words, i);
  if (word_has_place (word) &&
      segment_meet (&adoption->pool->segments, word_place (word).segment))
    adoption->segments++;
}

/* Returns the number of words in *n. */
static int
walk_leaf (struct adoption *adoption, uint32_t frame, uint64_t page,
           unsigned *n)
{
  uint64_t *words;
  int err = meet_frame (adoption, frame);

  *n = 0;
  if (err)
    return err;
  words = arena_frame (&adoption->pool->arena, frame);
  for (unsigned i = 0; i < VMSWAP_LEAF_WORDS; ++i) {
    if (words[i] == 0)
      continue;
    (*n)++;
    if (adoption->volume)
      adopt_word (adoption, words, i);
    else if (page + i >= adoption->end)
      return damaged (adoption, "its page table goes beyond its size");
    else
      inspect_word (adoption, words, i);
  }
  if (adoption->volume)
    adoption->pool->frames.words[frame] = *n;
  return 0;
}

/* The process may have died between making a leaf and its first word, or
 * between its last word and dropping it. */
static void
drop_empty_leaf (struct adoption *adoption, uint32_t *entry)
{
  const uint32_t leaf = *entry;

  *entry = 0;
  frame_drop (&adoption->pool->frames, leaf);
  adoption->frames--;
}

static int
walk_directory (struct adoption *adoption, uint32_t frame, uint64_t page)
{
  uint32_t *entries;
  unsigned leaves = 0, words;
  int err = meet_frame (adoption, frame);

  if (err)
    return err;
  entries = arena_frame (&adoption->pool->arena, frame);
  for (unsigned i = 0; i < VMSWAP_DIRECTORY_ENTRIES; ++i) {
    if (entries[i] == 0)
      continue;
    err = walk_leaf (adoption, entries[i],
                     page + (uint64_t) i * VMSWAP_LEAF_WORDS, &words);
    if (err)
      return err;
    if (words)
      leaves++;
    else if (adoption->volume)
      drop_empty_leaf (adoption, &entries[i]);
  }
  if (adoption->volume)
    adoption->pool->frames.words[frame] = leaves;
  return 0;
}

static int
walk_root (struct adoption *adoption, uint32_t frame, uint64_t page)
{
  const uint64_t pages =
      (uint64_t) VMSWAP_LEAF_WORDS * VMSWAP_DIRECTORY_ENTRIES;
  const uint32_t *entries;
  int err = meet_frame (adoption, frame);

  if (err)
    return err;
  entries = arena_frame (&adoption->pool->arena, frame);
  for (unsigned i = 0; i < VMSWAP_DIRECTORY_ENTRIES && !err; ++i)
    if (entries[i])
      err = walk_directory (adoption, entries[i], page + i * pages);
  return err;
}

static int
walk_volume (struct adoption *adoption)
{
  const uint64_t pages = (uint64_t) VMSWAP_LEAF_WORDS *
                         VMSWAP_DIRECTORY_ENTRIES * VMSWAP_DIRECTORY_ENTRIES;
  const struct vmswap_image_volume *image = adoption->image;
  int err = 0;

  adoption->end = image->size / POOL_PAGE_SIZE;
  adoption->tally = (struct tally){ 0 };
  adoption->frames = 0;
  for (unsigned r = 0; r < VMSWAP_VOLUME_ROOTS && !err; ++r)
    if (image->root[r])
      err = walk_root (adoption, image->root[r], r * pages);
  return err;
}

/* The first walk, of the pages of what adoption->image is. */
static int
inspect_pages (struct adoption *adoption)
{
  const int err = walk_volume (adoption);

  adoption->blob_bytes += adoption->tally.blob_bytes;
  return err;
}

/* The second; they are the volume's from now on. */
static int
take_over_pages (struct adoption *adoption, struct volume *volume)
{
  int err;

  adoption->volume = volume;
  err = walk_volume (adoption);
  atomic_store (&volume->frames, adoption->frames);
  tally_apply (volume, &adoption->tally, 0);
  return err;
}

/* Does an entry before this one have its name? */
static bool
name_is_taken (const struct adoption *adoption)
{
  const struct vmswap_image_volume *other = adoption->pool->arena.volumes;

  for (; other < adoption->image; ++other)
    if (other->state == VMSWAP_VOLUME_LIVE &&
        strcmp (other->name, adoption->image->name) == 0)
      return true;
  return false;
}

/* The first walk, of one entry. */
static int
inspect (struct adoption *adoption)
{
  const struct vmswap_image_volume *image = adoption->image;

  if (image->state == VMSWAP_VOLUME_FREE)
    return 0;
  if (image->state != VMSWAP_VOLUME_LIVE)
    return damaged (adoption, "its state makes no sense");
  if (!memchr (image->name, 0, sizeof image->name) ||
      !volume_name_is_good (image->name) || image->size == 0 ||
      image->size % POOL_PAGE_SIZE || image->size > VOLUME_MAX_SIZE)
    return damaged (adoption, "its name or size makes no sense");
  if (name_is_taken (adoption))
    return damaged (adoption, "another one has its name");
  return inspect_pages (adoption);
}

/* The first walk, of the sharing table. */
static int
inspect_sharing_table (struct adoption *adoption)
{
  const struct vmswap_image_volume *image = adoption->pool->sharing.blobs.image;
  const struct vmswap_image_volume none = { 0 };

  adoption->image = image;
  if (adoption->pool->arena.super.version < VMSWAP_IMAGE_SHARING)
    return memcmp (image, &none, sizeof none) == 0
               ? 0
               : damaged (adoption, "the image is older than that");
  if (image->state != VMSWAP_VOLUME_LIVE || image->size != VOLUME_MAX_SIZE)
    return damaged (adoption, "its header makes no sense");
  return inspect_pages (adoption);
}

/* The second walk, of the sharing table. */
static int
take_over_sharing_table (struct adoption *adoption)
{
  if (adoption->pool->arena.super.version < VMSWAP_IMAGE_SHARING) {
    sharing_init_image (adoption->pool);
    return 0;
  }
  adoption->image = adoption->pool->sharing.blobs.image;
  return take_over_pages (adoption, &adoption->pool->sharing.blobs);
}

/* The second walk, of one entry that the first found good. */
static int
take_over (struct adoption *adoption, unsigned id)
{
  struct volume *volume;
  int err;

  if (adoption->image->state != VMSWAP_VOLUME_LIVE)
    return 0;
  err = volume_attach (adoption->pool, id, &volume);
  if (err)
    return err;
  loss_adopt (volume);
  return take_over_pages (adoption, volume);
}

/* May this pool go on under this limit?  It must, under the limit that it had,
 * however full it was.  Segments in use are no measure: a killed process leaves
 * some nearly empty. */
static int
check_limit (struct adoption *adoption)
{
  struct pool *pool = adoption->pool;

  if (adoption->blob_bytes <= pool_utmost (pool))
    return 0;
  image_reason (adoption->config,
                "%s/%s holds more than pool= allows: give pool= at least "
                "what it was before",
                adoption->config->state, IMAGE_FILE);
  return -ENOSPC;
}

/* Every pool leaves the cleaner's reserve, or the room that its fixed tables
 * take in the account, or segments to spare (image.c): a process that is killed
 * may leave the first two used up. */
static int
check_reserve (struct adoption *adoption)
{
  if (adoption->pool->segments.nr - adoption->segments >= SEGMENT_RESERVE)
    return 0;
  image_reason (adoption->config,
                "%s/%s cannot be adopted: its page tables name more segments "
                "than a pool ever fills; move it away to start empty (the "
                "pages in it are lost then)",
                adoption->config->state, IMAGE_FILE);
  return -EUCLEAN;
}

int
pool_adopt (struct pool *pool, const struct pool_config *config)
{
  struct adoption adoption = { .pool = pool, .config = config };
  struct arena *arena = &pool->arena;
  int err = 0;

  for (unsigned id = 0; id < POOL_MAX_VOLUMES && !err; ++id) {
    adoption.image = &arena->volumes[id];
    err = inspect (&adoption);
  }
  if (!err)
    err = inspect_sharing_table (&adoption);
  if (!err)
    err = check_reserve (&adoption);
  if (!err)
    err = check_limit (&adoption);
  for (unsigned id = 0; id < POOL_MAX_VOLUMES && !err; ++id) {
    adoption.image = &arena->volumes[id];
    err = take_over (&adoption, id);
  }
  if (!err)
    err = take_over_sharing_table (&adoption);
  if (err)
    return err;
  frames_adopt_done (&pool->frames);
  err = segments_adopt_done (&pool->segments);
  if (!err)
    err = sharing_adopt (pool);
  const uint64_t used = atomic_load (&arena->used);
  arena->excess = used > arena->limit ? used - arena->limit : 0;
  return err;
}
