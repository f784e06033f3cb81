// SPDX-License-Identifier: BSD-3-Clause
/* What outlives this server: the plugin's use of vmswap-keep
 * (proto/vmswap-keeper.h).
 *
 * Functions that fail have said why (nbdkit_error), unless they return -errno.
 * Without keeper= they do nothing, successfully. */

#ifndef VMSWAP_KEEP_H
#define VMSWAP_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"
#include "vmswap-keeper.h"

/* What outlives a server of a guest. */
struct kept {
  char name[VOLUME_NAME_MAX + 1];
  char path[108];            /* of the listener */
  uint64_t pool;             /* identity of the pool that served the region */
  uint32_t last_page;        /* of its device; 0: not known */
  bool greeting;             /* its QEMU has not been told all of it */
  int fd[VMSWAP_KEEPER_FDS]; /* -1: none, or taken */
};

/* Connects, and takes all that is there.  0 or -1. */
extern int keep_start (const struct settings *settings);
extern void keep_stop (void);

/* Is there a keeper that answers, and has all that was given to it?  Or was
 * there one, which is gone? */
extern bool keep_is_on (void);
extern bool keep_is_gone (void);

/* From here on it is noticed when the keeper ends, and the next one that is
 * started in its place gets all that outlives this server.  Between fork and
 * keep_stop, and only while all that was given is open.  0 or -1. */
extern int keep_watch_start (void);
extern void keep_watch_stop (void);

/* NULL: nothing was left.  Who uses a descriptor takes it: sets it to -1. */
extern struct kept *keep_find (const char *name);

/* The first that fits what is sought with path. */
extern struct kept *keep_find_that (bool (*fits) (const struct kept *kept,
                                                  const char *path),
                                    const char *path);

/* Calls fn for all. */
extern void keep_each (void (*fn) (struct kept *kept));

/* From now on the region, or the listener, outlives this server.  The region's
 * descriptors stay the caller's, and open until keep_drop or keep_leave.  0 or
 * -errno.  A region is taken without a keeper, too: the next one gets it. */
extern int keep_region (const struct kept *region);
extern int keep_listener (const char *name, const char *path, int listener);

/* … and the region no longer. */
extern void keep_drop (const char *name);

/* Nothing of a guest that this server does not have. */
extern void keep_forget (const char *name);

/* The region stays with the keeper; the caller closes what it has. */
extern void keep_leave (const char *name);

/* --- For keep-watch.c.  -1: there is none. */
extern int keep_connection (void);
extern void keep_end_connection (void);
extern void keep_connect_again (void);

#endif /* VMSWAP_KEEP_H */
