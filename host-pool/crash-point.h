// SPDX-License-Identifier: BSD-3-Clause
/* Places where a process may die, named.  Ordinary builds know nothing of
 * them; a test build (-DENABLE_CRASH_POINTS) calls the test's function, which
 * may kill the process there. */

#ifndef VMSWAP_CRASH_POINT_H
#define VMSWAP_CRASH_POINT_H

#ifdef ENABLE_CRASH_POINTS
extern void crash_point (const char *name); /* the test has it */
#define CRASH_POINT(name) crash_point (name)
#else
#define CRASH_POINT(name) ((void) 0)
#endif

#endif /* VMSWAP_CRASH_POINT_H */
