// SPDX-License-Identifier: BSD-3-Clause
/* Is there a CPU to spare?
 *
 * Who looks for work again and again, instead of sleeping until there is some,
 * takes the CPU from whoever gives it that work, unless there is one for each.
 *
 * Locking: none.  crowd_begin before the threads that ask, crowd_end after. */

#ifndef VMSWAP_CROWD_H
#define VMSWAP_CROWD_H

#include <stdbool.h>

/* If it cannot be learned (no /proc), there is a CPU to spare. */
extern void crowd_begin (void);
extern void crowd_end (void);

/* Do more tasks want a CPU now than this host has?  One system call. */
extern bool crowd_is (void);

/* The tasks that want a CPU, of a line as in /proc/loadavg; -1: it is none. */
extern long crowd_size (const char *line);

#endif /* VMSWAP_CROWD_H */
