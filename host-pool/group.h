// SPDX-License-Identifier: BSD-3-Clause
/* Groups: up to four neighbouring pages, compressed together with zstd, because
 * four pages compress better than each by itself (zram's "multi-page"
 * compression measures the same).  What is cold lies in groups; cold.c makes
 * them, proto/vmswap-image.h draws them.
 *
 * The four pages begin at a multiple of four, so their words lie in one leaf
 * and have one stripe lock: whoever holds it sees all words that can name a
 * group. A group takes its whole size as long as one word names it, so the
 * account never says less than what is held.
 *
 * Decoders are few, two per CPU, because each needs some 100 KiB; a reader of a
 * cold page borrows one for as long as it decompresses. */

#ifndef VMSWAP_GROUP_H
#define VMSWAP_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "lock.h"
#include "vmswap-image.h"
#include "word.h"

#define MAX_DECODERS 16
#define GROUP_MAX_BYTES (VMSWAP_GROUP_PAGES * POOL_PAGE_SIZE)

struct tally;
struct volume;

struct decoder {
  struct lock lock;
  void *state;    /* of zstd */
  uint8_t *pages; /* GROUP_MAX_BYTES */
} __attribute__ ((aligned (64)));

struct decoders {
  unsigned nr;
  struct decoder decoder[MAX_DECODERS];
};

extern int decoders_create (struct decoders *decoders, struct arena *arena);
extern void decoders_destroy (struct decoders *decoders);

/* The first of the four pages. */
static inline uint32_t
group_first (uint32_t page)
{
  return page & ~(VMSWAP_GROUP_PAGES - 1u);
}

/* Decodes the n pages from this one on as far as they are of the group that
 * words[0] names; words: theirs, looked up together.  Returns how many, or 0:
 * the first of them failed its check.  print (may be NULL): their fingerprints,
 * one each.  The caller is in an epoch that began before it looked the words
 * up. */
extern unsigned group_decode (const struct volume *owner, uint32_t page,
                              const uint64_t *words, unsigned n, void *data,
                              uint64_t *print);

/* Like blob_print. */
extern bool group_print (const struct volume *owner, uint32_t page,
                         uint64_t word, uint64_t *print);

/* Does the group that the word names belong where the page is, and is it
 * whole?  Which pages are in it (bits).  For the checker. */
extern bool group_is_sound (const struct volume *owner, uint32_t page,
                            uint64_t word, unsigned *present);

/* Does the word of another page name the group that this word names (false for
 * any other)?  The stripe lock of the page is held. */
extern bool group_is_named_locked (struct volume *volume, uint32_t page,
                                   uint64_t word);

/* Is words[i] the first of its four to name its group?  words: of a leaf. */
extern bool group_is_first_named (const uint64_t *words, unsigned i);

/* Counts a group that a word names: the first that does (sign +1), the last
 * that did (-1). */
extern void tally_group (struct tally *tally, uint64_t word, int64_t sign);

/* Some of four pages, about to be a group. */
struct group_pages {
  uint32_t volume, first;
  unsigned present;                   /* bits */
  unsigned nr;                        /* of these */
  uint64_t print[VMSWAP_GROUP_PAGES]; /* of the pages, by place; whole */
  uint8_t *pages;                     /* one after the other */
};

/* Compresses them with the state, which is codec_zstd_compressor's.  Returns
 * the size of the group in out, or 0: it would be larger than limit. */
extern uint32_t group_encode (void *state, const struct group_pages *pages,
                              uint8_t *out, uint32_t limit);

#endif /* VMSWAP_GROUP_H */
