// SPDX-License-Identifier: BSD-3-Clause
/* Is there a CPU to spare?
 *
 * Who looks for work again and again, instead of sleeping until there is some,
 * takes the CPU from whoever gives it that work, unless there is one for each.
 *
 * What is counted is tasks and CPUs of the whole host, the task that asks among
 * them.  Tasks of the lowest priority count like others, and what a cpuset or a
 * quota allows is not seen: then it looks more, or less, than would be best.
 *
 * Locking: none.  crowd_begin before the threads that ask, crowd_end after. */

#ifndef VMSWAP_CROWD_H
#define VMSWAP_CROWD_H

#include <stdbool.h>

/* If it cannot be learned (no /proc), there is always a CPU to spare. */
extern void crowd_begin (void);
extern void crowd_end (void);

/* Are more tasks ready to run now than this host has CPUs?  One system call.  A
 * look at one moment: who asks seldom gets it wrong for as long. */
extern bool crowd_is (void);

/* The same of a line as in /proc/loadavg; false, too, if it is none. */
extern bool crowd_of (const char *line, long cpus);

#endif /* VMSWAP_CROWD_H */
