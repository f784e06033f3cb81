// SPDX-License-Identifier: BSD-3-Clause
/* The control server: what an operator sees of this server, and may do to it,
 * over HTTP, on control= and control-port=.
 *
 * It has one thread of its own.  Nothing that a client of it does reaches the
 * requests of guests but through the lock of the exports.
 *
 * Functions that fail have said why (nbdkit_error) and return -1.  Without
 * control= and control-port= all of them do nothing, successfully.
 */

#ifndef VMSWAP_CONTROL_H
#define VMSWAP_CONTROL_H

#include "render.h"

struct pool;

/* Opens the sockets, where an error still reaches the user's terminal. */
extern int control_prepare (const struct settings *settings);

/* Starts the thread; the settings must outlive it. */
extern int control_start (struct pool *pool,
                          const struct render_server *server);

/* Ends the thread and removes the socket. */
extern void control_stop (void);

/* Removes the socket of a server that never started, too. */
extern void control_free (void);

#endif /* VMSWAP_CONTROL_H */
