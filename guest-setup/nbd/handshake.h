// SPDX-License-Identifier: BSD-3-Clause
/* The NBD handshake of a client, up to where the kernel takes over. */

#ifndef VMSWAP_NBD_HANDSHAKE_H
#define VMSWAP_NBD_HANDSHAKE_H

#include <stdint.h>

/* Bytes of the longest name that is sent. */
#define EXPORT_NAME_MAX 1024

/* Blocks of the device; a page. */
#define BLOCK_SIZE 4096

struct export
{
  uint64_t size;  /* whole blocks */
  uint16_t flags; /* transmission flags, only those that the kernel may know */
};

#define EXPORT_HAS_FLAGS (1 << 0)
#define EXPORT_READ_ONLY (1 << 1)
#define EXPORT_FLUSH (1 << 2)
#define EXPORT_FUA (1 << 3)
#define EXPORT_TRIM (1 << 5)
#define EXPORT_ZEROES (1 << 6)

/* Takes a non-blocking, connected socket into the transmission phase of the
 * export.  -1 and why if the server will not, or not until the deadline.
 */
int handshake (int fd, const char *name, int64_t deadline, struct export *found,
               char *why);

/* Can a device that was set up for "was" go on with "now"?  -1 and why. */
int export_compare (const struct export *was, const struct export *now,
                    char *why);

#endif /* VMSWAP_NBD_HANDSHAKE_H */
