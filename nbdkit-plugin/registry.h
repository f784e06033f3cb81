// SPDX-License-Identifier: BSD-3-Clause
/* The registry: which exports hold pages, in a file that outlives the host's
 * memory.  A server that finds an export here, and its pages nowhere, knows
 * that they are lost, and that zeroes would be a lie.
 *
 * DIR/registry is text: a headline and REGISTRY_ENTRIES lines, all of 512
 * bytes, made at once, so that a full disk is noticed before there are guests.
 * A line is one entry,
 *
 *     live size=BYTES pool=ID header=server|guest boot=ID since=TIME
 *         check=HASH name="NAME"
 *
 * or "free".  check is the XXH64 of the line with sixteen zeroes for check.
 *
 * Functions return 0 or -errno; none writes a message.  Nothing here knows
 * nbdkit.  Any thread may call registry_add and registry_remove. */

#ifndef VMSWAP_REGISTRY_H
#define VMSWAP_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

#define REGISTRY_ENTRIES POOL_MAX_VOLUMES

struct registry;

struct registry_entry {
  char name[VOLUME_NAME_MAX + 1];
  uint64_t size;
  uint64_t pool;   /* pool_identity of the pool that has its pages */
  bool own_header; /* no client has written the swap header, nor the pages that
                    * it keeps from being swapped to */
  char boot[37];   /* boot ID of the host when it was written */
  char since[21];  /* the time of that, UTC */
};

/* Opens DIR/registry, and makes it, and the last part of DIR, if need be.  With
 * look, only if it is there, and to read it, whoever has it open.
 *
 * On failure *reason says why in words, with the cure.  -EBUSY: a server has it
 * open.  -EUCLEAN: a line makes no sense. */
extern int registry_open (const char *dir, bool look, char *reason,
                          size_t reason_size, struct registry **ret);
extern void registry_close (struct registry *registry);

/* Calls fn for every entry until it returns other than 0, and returns that.  fn
 * may remove the entry. */
extern int registry_each (struct registry *registry,
                          int (*fn) (const struct registry_entry *entry,
                                     void *opaque),
                          void *opaque);

/* The entry of that name is this from now on; it is on the disk when this
 * returns.  Does nothing if it is this already.  An own_header that was lost in
 * this pool stays so until the entry is removed.  boot and since are filled
 * in.  *serial (may be NULL) tells this call from later ones.  -ENOSPC: there
 * are REGISTRY_ENTRIES others; else the errors of pwrite and fdatasync. */
extern int registry_add (struct registry *registry,
                         const struct registry_entry *entry, uint64_t *serial);

/* Removes the entry, soon: if the host dies before, a registry with an entry
 * too many is safe.  -ESTALE: it was added again since serial (0: never mind).
 * -ENOENT: there is none. */
extern int registry_remove (struct registry *registry, const char *name,
                            uint64_t serial);

/* Was it written since the host booted? */
extern bool registry_is_this_boot (const struct registry_entry *entry);

#endif /* VMSWAP_REGISTRY_H */
