// SPDX-License-Identifier: BSD-3-Clause
/* The ivshmem door: guests that swap through a region of memory which they
 * share with the server, and not through NBD.
 *
 * Each guest= with ivshmem= has a socket that its QEMU connects to, and a
 * thread.  QEMU is given the region and two eventfds; from then on the thread
 * serves the ring in the region (ring.h), and the export has no other writer.
 *
 * Functions that fail have said why (nbdkit_error) and return -1.  Without
 * ivshmem= all of them do nothing, successfully. */

#ifndef VMSWAP_IVSHMEM_DOOR_H
#define VMSWAP_IVSHMEM_DOOR_H

#include <stdbool.h>

#include "settings.h"

/* Opens the sockets, where an error still reaches the user's terminal. */
extern int ivshmem_prepare (const struct settings *settings);

/* Starts the threads; the settings must outlive them. */
extern int ivshmem_start (void);

/* Asks guests to hold still, does what they have posted, ends the threads and
 * removes the sockets. */
extern void ivshmem_stop (void);

/* Removes the sockets of a server that never started, too. */
extern void ivshmem_free (void);

/* In a signal handler, instead of _exit: if guests have regions, the process
 * ends once these are in order, and this returns true. */
extern bool ivshmem_end_process (void);

#endif /* VMSWAP_IVSHMEM_DOOR_H */
