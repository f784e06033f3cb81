// SPDX-License-Identifier: BSD-3-Clause
/* What vmswap-nbd says: one line per event, never more than a few a minute,
 * and never in a way that could wait.
 */

#ifndef VMSWAP_NBD_SAY_H
#define VMSWAP_NBD_SAY_H

/* Room for one reason, as a phrase. */
#define WHY_SIZE 256

/* Every later line begins with this, "nbd0" say. */
void say_about (const char *name);

/* From now on lines go to the kernel's log, not to stderr. */
void say_to_kernel (void);

void say (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* An error line on stderr; returns -1. */
int say_error (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

#endif /* VMSWAP_NBD_SAY_H */
