// SPDX-License-Identifier: BSD-3-Clause
/* Page tables: from (volume, page) to a page word.  proto/vmswap-image.h draws
 * the tree.
 *
 * Locking: a stripe lock guards all the words of a leaf, its count of words
 * and the directory entry that names it.  Roots and directories are made with
 * a compare-and-swap under any stripe lock, and freed under all of them (or
 * with their volume, which nobody uses then), so whoever holds one may walk
 * them. */

#ifndef VMSWAP_TABLE_H
#define VMSWAP_TABLE_H

#include "internal.h"

/* The stripe lock of a page. */
extern struct lock *table_stripe (struct volume *volume, uint32_t page);

/* -- the stripe lock of the page must be held for these ------------------- */

extern uint64_t table_get_locked (struct volume *volume, uint32_t page);

/* Reads n words; the pages must lie in one leaf. */
extern void table_get_run_locked (struct volume *volume, uint32_t page,
                                  unsigned n, uint64_t *words);

/* Stores the word and returns the old one.
 * -EAGAIN: frames are needed; call frames_prepare without the lock and try
 * again.  Never fails for an empty word, or where the page has a word. */
extern int table_set_locked (struct volume *volume, uint32_t page,
                             uint64_t word, uint64_t *old);

/* Writes the words of a leaf for a caller that only clears or only replaces:
 * the words themselves, or NULL when there is no leaf. */
extern uint64_t *table_leaf_locked (struct volume *volume, uint32_t page);

/* How many frames it takes to give the page a word: 0 to FRAMES_PER_PAGE_MAX.
 */
extern unsigned table_frames_wanted_locked (struct volume *volume,
                                            uint32_t page);

/* n words of the leaf became empty; frees it when it has none left. */
extern void table_emptied_locked (struct volume *volume, uint32_t page,
                                  unsigned n);

/* -- all stripe locks must be held ---------------------------------------- */

/* See table_skip_holes. */
extern uint64_t table_skip_holes_locked (struct volume *volume, uint64_t page,
                                         uint64_t end);

/* 0, or the frame of a directory whose count of leaves is wrong. */
extern uint32_t table_miscounted_locked (struct volume *volume);

/* ------------------------------------------------------------------------- */

extern void stripes_lock_all (struct pool *pool);
extern void stripes_unlock_all (struct pool *pool);

/* Frees the directories that have no leaves left.  False: there were none. */
extern bool table_prune (struct volume *volume);

/* The first page >= page that might have a word, skipping what has no
 * leaves; end if there is none below it. */
extern uint64_t table_skip_holes (struct volume *volume, uint64_t page,
                                  uint64_t end);

/* Calls fn for every word that is not empty, without a lock: the word may have
 * changed since. */
typedef void table_word_fn (struct volume *volume, uint32_t page, uint64_t word,
                            void *opaque);
extern void table_each_word (struct volume *volume, table_word_fn *fn,
                             void *opaque);

/* Frees roots and directories; all leaves are gone already. */
extern void table_destroy (struct volume *volume);

#endif /* VMSWAP_TABLE_H */
