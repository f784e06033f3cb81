// SPDX-License-Identifier: BSD-3-Clause
/* How this process holds on: to its memory, and to its device. */

#ifndef VMSWAP_NBD_HOLD_H
#define VMSWAP_NBD_HOLD_H

#include <stdbool.h>
#include <sys/types.h>

/* Makes the process one that a device it serves can be swapped on. */
void hold_memory (void);

/* The process that looks after the device, 0 for none; -1 and a line on stderr
 * where that cannot be told.
 */
pid_t hold_keeper (const char *device);

/* Becomes that process; -1 and a line on stderr if there is one. */
int hold_device (const char *device);

#endif /* VMSWAP_NBD_HOLD_H */
