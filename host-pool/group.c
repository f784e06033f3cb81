// SPDX-License-Identifier: BSD-3-Clause
/* Owns the decoders.
 *
 * Invariant: what group_decode returns has the fingerprints that were stored
 * with it, in the group and in the words.
 *
 * Lock: one per decoder, while it decompresses.  Nothing else is taken below
 * it. */

#include <config.h>

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "cleanup.h"
#include "codec.h"
#include "fingerprint.h"
#include "group.h"
#include "internal.h"
#include "table.h"

/* --- Decoders. */

static size_t
decoder_size (void)
{
  return round_up_page (codec_zstd_decompressor_size ()) + GROUP_MAX_BYTES;
}

int
decoders_create (struct decoders *decoders, struct arena *arena)
{
  /* Threads of a guest that floods may be preempted with one each: fair.c lets
   * as many work as there are CPUs. */
  const unsigned nr = 2 * arena_nr_cpus (arena, MAX_DECODERS / 2);
  uint8_t *at = arena_alloc (arena, nr * decoder_size ());

  if (!at)
    return -ENOMEM;
  for (unsigned i = 0; i < nr; ++i, at += decoder_size ()) {
    struct decoder *decoder = &decoders->decoder[i];

    lock_init (&decoder->lock, LOCK_DECODER);
    decoder->pages = at;
    decoder->state = codec_zstd_decompressor (
        at + GROUP_MAX_BYTES, decoder_size () - GROUP_MAX_BYTES);
  }
  decoders->nr = nr;
  return 0;
}

void
decoders_destroy (struct decoders *decoders)
{
  for (unsigned i = 0; i < decoders->nr; ++i)
    lock_destroy (&decoders->decoder[i].lock);
  decoders->nr = 0;
}

/* Locks a decoder that nobody else holds. */
static struct decoder *
decoder_pick (struct decoders *decoders)
{
  const int cpu = sched_getcpu ();
  const unsigned first = cpu < 0 ? 0 : (unsigned) cpu % decoders->nr;

  /* Not in line for one: its holder may not run for long. */
  for (unsigned i = 0;; ++i) {
    struct decoder *decoder = &decoders->decoder[(first + i) % decoders->nr];

    if (lock_try (&decoder->lock))
      return decoder;
    if (i % decoders->nr == decoders->nr - 1)
      sched_yield ();
  }
}

/* --- Reading. */

/* A group, found. */
struct group {
  unsigned present;
  unsigned nr;
  const uint8_t *prints;
  const uint8_t *frame;
  size_t length; /* of the frame */
};

/* The group that the word names, if it is one of this page's. */
static bool
find_group (const struct volume *owner, uint32_t page, uint64_t word,
            struct group *group)
{
  const struct arena *arena = &owner->pool->arena;
  const struct place at = word_place (word);
  const uint32_t size = word_size (word);

  if (at.segment >= arena->nr_segments ||
      at.offset + size > POOL_SEGMENT_SIZE || size < VMSWAP_BLOB_HEADER_SIZE)
    return false;
  const uint8_t *from = arena_segment (arena, at.segment) + at.offset;
  const struct blob blob = blob_unpack (from);

  if (blob.codec != VMSWAP_CODEC_GROUP || blob.volume != owner->id ||
      blob.page != group_first (page) || blob_extent (&blob) != size)
    return false;
  group->present = blob.fingerprint & WORD_MASK (VMSWAP_GROUP_PAGES);
  group->nr = (unsigned) __builtin_popcount (group->present);
  const uint32_t head =
      VMSWAP_BLOB_HEADER_SIZE + group->nr * VMSWAP_GROUP_PRINT_SIZE +
      (blob.fingerprint >> VMSWAP_GROUP_PADDING_SHIFT); /* and the tail */
  if (head >= size || !(group->present & 1u << page % VMSWAP_GROUP_PAGES))
    return false;
  group->prints = from + VMSWAP_BLOB_HEADER_SIZE;
  group->frame = group->prints + group->nr * VMSWAP_GROUP_PRINT_SIZE;
  group->length = size - head;
  return true;
}

/* Of the pages in the group, which one is this? */
static unsigned
slot_of (const struct group *group, uint32_t page)
{
  return (unsigned) __builtin_popcount (
      group->present & ((1u << page % VMSWAP_GROUP_PAGES) - 1));
}

static uint32_t
stored_print (const struct group *group, unsigned slot)
{
  uint32_t print;

  memcpy (&print, group->prints + slot * VMSWAP_GROUP_PRINT_SIZE, sizeof print);
  return print;
}

/* Copies one page out, and checks it. */
static bool
take_page (const struct volume *owner, const struct group *group,
           const uint8_t *pages, uint32_t page, uint64_t word, uint8_t *data,
           uint64_t *print)
{
  const unsigned slot = slot_of (group, page);

  memcpy (data, pages + slot * POOL_PAGE_SIZE, POOL_PAGE_SIZE);
  const uint64_t actual = fingerprint (owner->pool->arena.super.key, data);
  if (print)
    *print = actual;
  return word_fingerprint_matches (word, stored_print (group, slot), actual);
}

unsigned
group_decode (const struct volume *owner, uint32_t page, const uint64_t *words,
              unsigned n, void *data, uint64_t *print)
{
  const unsigned most = VMSWAP_GROUP_PAGES - page % VMSWAP_GROUP_PAGES;
  struct group group;
  unsigned i = 0;

  if (!find_group (owner, page, words[0], &group))
    return 0;
  struct decoder *decoder = decoder_pick (&owner->pool->decoders);
  if (codec_zstd_decompress (decoder->state, group.frame, group.length,
                             decoder->pages, group.nr * POOL_PAGE_SIZE) == 0)
    while (i < n && i < most && word_same_group (words[0], words[i]) &&
           (group.present & 1u << (page + i) % VMSWAP_GROUP_PAGES) &&
           take_page (owner, &group, decoder->pages, page + i, words[i],
                      (uint8_t *) data + i * POOL_PAGE_SIZE,
                      print ? &print[i] : NULL))
      ++i;
  lock_release (&decoder->lock);
  return i;
}

bool
group_print (const struct volume *owner, uint32_t page, uint64_t word,
             uint64_t *print)
{
  struct group group;

  if (!find_group (owner, page, word, &group))
    return false;
  *print = word_print (word, stored_print (&group, slot_of (&group, page)));
  return true;
}

bool
group_is_sound (const struct volume *owner, uint32_t page, uint64_t word,
                unsigned *present)
{
  struct group group;

  if (!find_group (owner, page, word, &group))
    return false;
  *present = group.present;
  return true;
}

/* --- Accounting. */

bool
group_is_named_locked (struct volume *volume, uint32_t page, uint64_t word)
{
  const uint32_t first = group_first (page);
  const uint64_t *leaf;

  if (!word_is_cold (word))
    return false;
  leaf = table_leaf_locked (volume, page);
  for (unsigned i = 0; leaf && i < VMSWAP_GROUP_PAGES; ++i)
    if (first + i != page &&
        word_same_group (word, leaf[first % VMSWAP_LEAF_WORDS + i]))
      return true;
  return false;
}

bool
group_is_first_named (const uint64_t *words, unsigned i)
{
  for (unsigned j = group_first (i); j < i; ++j)
    if (word_same_group (words[j], words[i]))
      return false;
  return true;
}

void
tally_group (struct tally *tally, uint64_t word, int64_t sign)
{
  const int64_t size = word_size (word);

  tally->blob_bytes += sign * size;
  tally->data_bytes += sign * (size - VMSWAP_BLOB_HEADER_SIZE);
  tally->cold_bytes += sign * size;
}

/* --- Writing. */

uint32_t
group_encode (void *state, const struct group_pages *pages, uint8_t *out,
              uint32_t limit)
{
  const uint32_t head =
      VMSWAP_BLOB_HEADER_SIZE + pages->nr * VMSWAP_GROUP_PRINT_SIZE;
  uint8_t *at = out + VMSWAP_BLOB_HEADER_SIZE;
  size_t length;

  if (limit <= head)
    return 0;
  for (unsigned i = 0; i < VMSWAP_GROUP_PAGES; ++i)
    if (pages->present & 1u << i) {
      const uint32_t print = (uint32_t) pages->print[i];

      memcpy (at, &print, sizeof print);
      at += sizeof print;
    }
  length = codec_zstd_compress (state, pages->pages, pages->nr * POOL_PAGE_SIZE,
                                at, limit - head);
  if (length == 0)
    return 0;

  const uint32_t size = (head + (uint32_t) length + VMSWAP_BLOB_ALIGN - 1) &
                        ~(VMSWAP_BLOB_ALIGN - 1u);
  const uint32_t padding = size - head - (uint32_t) length;
  if (size > limit)
    return 0;
  memset (at + length, 0, padding);
  blob_pack (out, &(struct blob){
                      .volume = pages->volume,
                      .page = pages->first,
                      .length = size / VMSWAP_BLOB_ALIGN,
                      .codec = VMSWAP_CODEC_GROUP,
                      .fingerprint = pages->present |
                                     padding << VMSWAP_GROUP_PADDING_SHIFT,
                  });
  return size;
}
