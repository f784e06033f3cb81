// SPDX-License-Identifier: BSD-3-Clause
/* Exports and the connections to them.
 *
 * An export is a volume that clients can see.  With guest= there are exactly
 * the listed ones; without it they come into being when they are first
 * opened, and go away with their last connection if nothing is stored.
 *
 * An export has at most one writing peer.  A peer claims the export with its
 * first write and holds it until its last connection closes:
 *
 *     free  --first write of P-->  claimed by P  --P's last close-->  free
 *
 * While it is claimed by P, connections that other peers open are read-only,
 * and writes on connections that they had open already are refused.
 *
 * Functions that fail have said why (nbdkit_error) and return -1 or NULL,
 * unless they say otherwise.
 */

#ifndef VMSWAP_EXPORTS_H
#define VMSWAP_EXPORTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer.h"
#include "pool.h"
#include "settings.h"
#include "traffic.h"

struct export;

/* One connection: the handle that nbdkit carries. */
struct conn {
  struct volume *volume;
  const struct settings *settings;
  struct pool *pool;
  struct gate *gate; /* of its export */

  atomic_bool claimed; /* its peer holds the export: writes need no lock */
  atomic_bool guarded; /* it has claimed, and the header was the server's own:
                        * see exports_note_header */
  atomic_int stalled;  /* writes that wait for room */
  struct traffic traffic;

  /* Of a guest with a ring; set by its thread (ring-room.c). */
  _Atomic uint64_t region_bytes; /* 0: it has none */
  _Atomic uint64_t closed_ns;    /* since when it may post no writes
                                  * (traffic_clock); 0: it may */

  /* Under the lock of the exports. */
  struct conn *next; /* of the same export */
  struct export *export;
  struct peer peer;
  bool readonly; /* never changes once the connection is open */
};

/* Makes the listed exports.  pool and settings must outlive the exports. */
extern int exports_start (struct pool *pool, const struct settings *settings);
extern void exports_free (void);
extern struct pool *exports_pool (void);

/* The name that "" stands for; "" when several are listed. */
extern const char *exports_default (void);

extern struct conn *exports_open (const char *name);

/* … for a peer that is not at the other end of a connection of nbdkit's.
 * as_it_is: it had the export when an earlier server ended, so that a blank one
 * stays blank. */
extern struct conn *exports_open_as (const char *name, const struct peer *peer,
                                     bool as_it_is);
extern void exports_close (struct conn *conn);

/* Claims the export for the connection's peer, once and for all, and notes in
 * the registry that it may hold pages.  0, or -EPERM or -EIO, which has been
 * reported. */
extern int exports_claim (struct conn *conn);

/* Before a guarded connection writes to a page that the swap header reserves:
 * such a page is the guest's from then on, and can be lost.  0 or -EIO, which
 * has been reported. */
extern int exports_note_header (struct conn *conn);

/* Changes the limits of an export, from now on: bytes, 0 for none, LIMITS_KEEP
 * (bounds.h) for what they are.  0, or
 * -ENOENT (there is no such export), -EINVAL or -ENOSPC; then nothing has
 * changed, and reason has one line that says why.  Nothing is printed.  Any
 * thread may call it. */
extern int exports_set_limits (const char *name, uint64_t quota,
                               uint64_t reserve, char *reason,
                               size_t reason_size);

/* Is anybody connected?  Safe in a signal handler. */
extern bool exports_in_use (void);

/* Calls fn for every export until it returns other than 0, and returns
 * that. */
extern int exports_each (int (*fn) (struct volume *volume, void *opaque),
                         void *opaque);

/* What an operator may know of an export.  Good only inside fn. */
struct export_view {
  struct volume *volume;
  const struct peer *holder; /* who writes; NULL: nobody */
  unsigned connections;
  uint64_t region_bytes, closed_ns; /* as in struct conn */
  struct traffic_sum *traffic; /* of all connections that there ever were */
};

/* The same; exports come neither into being nor go meanwhile, so fn is
 * brief. */
extern int exports_view (int (*fn) (const struct export_view *view,
                                    void *opaque),
                         void *opaque);

/* Calls fn for an export that nobody is connected to.  Nobody can connect
 * before it has returned, so it is brief.  What it leaves blank gets a swap
 * header, and what is there then is noted in the registry; that may wait for
 * its disk.
 *
 * -ENOENT: there is no such export.  -EBUSY: *who (connections) uses it.  -EIO:
 * done, but the registry cannot be written, which has been reported.  Else what
 * fn returned. */
extern int exports_alone (const char *name,
                          int (*fn) (struct volume *volume, void *opaque),
                          void *opaque, struct peer_text *who);

#endif /* VMSWAP_EXPORTS_H */
