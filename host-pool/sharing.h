// SPDX-License-Identifier: BSD-3-Clause
/* The sharing table: identical pages are stored once, with a count (the page
 * sharing table of Yun, Lee and Yoo, "A Compressed Page Sharing Between Virtual
 * Machines", figure 1).
 *
 * A page becomes shared when it is written a second time: its blob is copied to
 * the end of the log, as the page of an entry of the table, and the words of
 * both pages name the entry from then on.  Pages are never taken for the same
 * by their fingerprints: what is shared was compared byte by byte,
 * uncompressed.
 *
 * Shared are only pages of one scope: those of one volume, or of the volumes of
 * one group (volume_set_group).  A scope's id never comes twice while entries
 * of it exist.
 *
 * The table is two page tables (table.h) in frames of the arena:
 *   blobs   entry -> the word of its blob.  In the image: it is the volume
 *           VMSWAP_SHARING_VOLUME, so the cleaner moves its blobs as any other.
 *   counts  entry -> how many page words name it, and its scope.  Made anew by
 *           each process from the page words of all volumes.
 *
 * Locking: the lock of an entry (sharing_stripe) guards its word in both.  It
 * ranks after the stripe locks of volumes, so the holder of a page's stripe may
 * drop what the page shared.
 */

#ifndef VMSWAP_SHARING_H
#define VMSWAP_SHARING_H

#include "internal.h"

/* A volume's scope when nothing may join its entries. */
#define SCOPE_CLOSED 0xffffu

extern int sharing_create (struct pool *pool, enum index_mode mode);

/* Makes an empty table in an image that has none. */
extern void sharing_init_image (struct pool *pool);
extern void sharing_destroy (struct pool *pool);

/* The volume starts to share with itself; or with the group of this key, not
 * 0.  -ENOSPC: there are too many groups. */
extern int sharing_enter_scope (struct volume *volume, uint64_t group);

/* The lock of an entry. */
extern struct lock *sharing_stripe (struct pool *pool, uint32_t entry);

/* Is the content stored already, where this page may share it?  Returns the
 * word of a shared page, with one count taken for it, or 0.  print: the whole
 * fingerprint of data.  Uses worker->blob.  No lock may be held, and the worker
 * must not be in an epoch. */
extern uint64_t share_find (struct volume *volume, struct worker *worker,
                            struct tally *tally, uint32_t page,
                            const void *data, uint64_t print);

/* Does the index know a page like this?  print: the low PRINT_BITS. */
extern bool share_known (struct volume *volume, uint64_t print,
                         struct target *ret);

/* What has this fingerprint, in the scope of the volume: others may find it. */
extern void share_note (struct volume *volume, struct target target,
                        uint64_t print);

/* Gives the count of a shared word back; frees the entry with its last.  The
 * stripe lock of a page may be held. */
extern void share_put (struct pool *pool, struct tally *tally, uint64_t word);

/* Decodes what a shared word names; place: the word of its entry, looked up
 * together with it.  The caller is in an epoch that began before that.  -EIO: the
 * content failed its check. */
extern int share_decode (struct pool *pool, uint64_t word, uint64_t place,
                         void *data);

/* The size of the blob that a shared word names; 0 for any other word. */
extern uint32_t share_bytes (struct pool *pool, uint64_t word);

/* The word of the entry's blob, 0 if there is none: with it, a shared word that
 * stayed the same is known to mean the same content. */
extern uint64_t share_place (struct pool *pool, uint64_t word);

/* Looks at the pages of one leaf, whether others are like them and not shared
 * yet.  False: it has looked at all pages since that began to pay.  For the
 * steward; no lock may be held. */
extern bool sharing_sweep (struct pool *pool);

/* Does it pay?  Switches between the sample and all pages.  For the steward. */
extern void sharing_weigh (struct pool *pool);

/* sharing-adopt.c: counts the words of all volumes that name entries, after
 * everything else of an image is adopted.  -ENOMEM. */
extern int sharing_adopt (struct pool *pool);

/* What is in an entry. */
struct entry {
  uint32_t count; /* 0: the entry is free */
  uint16_t scope;
  uint16_t units; /* size of its blob, in VMSWAP_BLOB_ALIGN */
};

extern struct entry sharing_entry_locked (struct pool *pool, uint32_t entry);

/* -EAGAIN: frames are needed, see table_set_locked. */
extern int sharing_set_entry_locked (struct pool *pool, uint32_t entry,
                                     struct entry content);

/* The scope of a volume, as entries hold it. */
extern uint16_t sharing_scope (const struct volume *volume);

static inline uint32_t
entry_bytes (struct entry entry)
{
  return (uint32_t) entry.units * VMSWAP_BLOB_ALIGN;
}

#endif /* VMSWAP_SHARING_H */
