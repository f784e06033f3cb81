// SPDX-License-Identifier: BSD-3-Clause
/* How the server ends when it is told to (SIGTERM and its kin). */

#ifndef VMSWAP_STOP_H
#define VMSWAP_STOP_H

/* For a pool that outlives the server.  nbdkit answers every request that comes
 * after the signal with an error, and a guest takes that for a broken disk.  So
 * a server with clients ends at once instead, as if it were killed: their
 * connections break, and they ask the next server what this one did not
 * answer.  One without clients ends in nbdkit's way.
 *
 * Call it in the process that serves, after nbdkit has set its signals up. */
extern void stop_catch_signals (void);

/* Gives the signals back to nbdkit. */
extern void stop_release_signals (void);

#endif /* VMSWAP_STOP_H */
