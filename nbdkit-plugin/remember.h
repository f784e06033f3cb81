// SPDX-License-Identifier: BSD-3-Clause
/* What is remembered of exports beyond the life of this server: the plugin's
 * use of the registry.
 *
 * Functions that fail have said why (nbdkit_error).  With registry=none they
 * do nothing, successfully. */

#ifndef VMSWAP_REMEMBER_H
#define VMSWAP_REMEMBER_H

#include <stdbool.h>

#include "pool.h"
#include "registry.h"
#include "settings.h"

/* Opens the registry.  One that was not asked for and cannot be had is done
 * without, with a warning. */
extern int remember_start (struct pool *pool, const struct settings *settings);
extern void remember_stop (void);

/* Is there a registry? */
extern bool remember_is_on (void);

/* Calls fn for all that earlier servers left, those of this pool included. */
extern int remember_each (int (*fn) (const struct registry_entry *entry,
                                     void *opaque),
                          void *opaque);

/* Is the entry one of this pool? */
extern bool remember_is_here (const struct registry_entry *entry);

/* Notes, durably, that the export may hold pages.  *serial tells this entry
 * from later ones of its name; 0: there is no registry.  0 or -EIO. */
extern int remember_export (struct volume *volume, bool own_header,
                            uint64_t *serial);

/* It holds none; nothing happens if its entry is a later one than serial (0:
 * whichever it is). */
extern void remember_not (const char *name, uint64_t serial);

#endif /* VMSWAP_REMEMBER_H */
