// SPDX-License-Identifier: BSD-3-Clause
/* The index: from the fingerprint of a page to a place where the same page may
 * be stored already.  It is a hint and nothing else: what it names is looked
 * up, compared in full, and forgotten when it is wrong.  So it may lose what
 * it likes, needs no lock, and is not in the image.
 *
 * A slot has 8 bytes, and there may be two for each 4 KiB of the pool.  While
 * sharing does not pay, one page in INDEX_SAMPLE is looked up, and only that
 * share of the slots has memory; when all are, their number grows with that of
 * the pages.  Which pages are in the sample depends on
 * their content alone, so pages that are alike are in it together, and what
 * share of them hits is what share of all pages would.
 */

#ifndef VMSWAP_INDEX_H
#define VMSWAP_INDEX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"

#define INDEX_SAMPLE 16

/* Which pages are looked up. */
enum index_mode { INDEX_NONE, INDEX_SAMPLED, INDEX_ALL };

/* What a slot names: an entry of the sharing table, or a page of a volume. */
struct target {
  bool shared;
  uint32_t volume; /* its id */
  uint32_t page;   /* or the entry */
};

struct index {
  struct arena *arena;
  _Atomic uint64_t *slots;
  uint64_t nr;           /* the most there can be, a power of 2 */
  _Atomic uint64_t used; /* slots in use: a power of 2, too */
  _Atomic uint32_t mode;
};

/* Begins with INDEX_SAMPLED, unless mode is INDEX_NONE: then nothing is ever
 * looked up.  -ENOMEM. */
extern int index_create (struct index *index, struct arena *arena,
                         enum index_mode mode);

/* Between INDEX_SAMPLED and INDEX_ALL; one thread at a time. */
extern void index_set_mode (struct index *index, enum index_mode mode);

/* INDEX_ALL: makes room for so many pages; all that was known is forgotten
 * then. One thread at a time.  1: did.  0: there is room.  -ENOSPC or -ENOMEM:
 * no memory; it stays as it is. */
extern int index_fit (struct index *index, uint64_t pages);

/* What is charged beyond what index_create did. */
extern uint64_t index_extra_bytes (const struct index *index);

static inline enum index_mode
index_mode (const struct index *index)
{
  return (enum index_mode) atomic_load_explicit (&index->mode,
                                                 memory_order_relaxed);
}

/* Is the page with this fingerprint to be looked up? */
static inline bool
index_wants (const struct index *index, uint64_t print)
{
  const enum index_mode mode = index_mode (index);

  return mode == INDEX_ALL ||
         (mode == INDEX_SAMPLED && print % INDEX_SAMPLE == 0);
}

/* print: the low PRINT_BITS of a fingerprint.  salt: of the scope inside which
 * pages may be shared. */
extern bool index_find (struct index *index, uint64_t print, uint64_t salt,
                        struct target *ret);
extern void index_insert (struct index *index, uint64_t print, uint64_t salt,
                          struct target target);

#endif /* VMSWAP_INDEX_H */
