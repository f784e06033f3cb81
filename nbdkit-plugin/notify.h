// SPDX-License-Identifier: BSD-3-Clause
/* What a service manager is told: when the server serves, and when it ends.
 *
 * Built without libsystemd, nobody is told anything, and the unit that is
 * installed does not wait for it. */

#ifndef VMSWAP_NOTIFY_H
#define VMSWAP_NOTIFY_H

struct pool;

#ifdef HAVE_LIBSYSTEMD

/* The pool is there, whole, and requests will be served from now on. */
extern void notify_ready (struct pool *pool);

/* The last client has gone and the server ends. */
extern void notify_stopping (void);

#else

static inline void
notify_ready (struct pool *pool)
{
}

static inline void
notify_stopping (void)
{
}

#endif

#endif /* VMSWAP_NOTIFY_H */
