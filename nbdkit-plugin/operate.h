// SPDX-License-Identifier: BSD-3-Clause
/* What an operator may do to a running server.
 *
 * Each does it or not, and says so in one line.  They belong to the thread of
 * the control server, and may wait for the disk of the registry.
 */

#ifndef VMSWAP_OPERATE_H
#define VMSWAP_OPERATE_H

#include <stdbool.h>
#include <stdint.h>

struct operation {
  int status;     /* of HTTP: 200 is "done" */
  char line[512]; /* what was done, or why not and what to do instead */
};

/* Changes the size of an export that nobody is connected to: NBD cannot tell
 * clients. */
extern void operate_grow (const char *guest, uint64_t size,
                          struct operation *ret);

/* Forgets what an export that nobody is connected to has lost; its other pages
 * stay.  all: forgets everything, as if the export were new. */
extern void operate_reset (const char *guest, bool all, struct operation *ret);

/* Bounds what an export may take of the pool, and promises it some of that, at
 * any time.  0: none. */
extern void operate_limit (const char *guest, uint64_t quota, uint64_t reserve,
                           struct operation *ret);

#endif /* VMSWAP_OPERATE_H */
