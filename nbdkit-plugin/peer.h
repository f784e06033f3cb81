// SPDX-License-Identifier: BSD-3-Clause
/* Who is at the other end of a connection.
 *
 * A peer is a process on a Unix socket, an address on TCP, a context id on
 * vsock, a QEMU that has a region.  Where nothing can be told, every connection is a peer of its own.
 */

#ifndef VMSWAP_PEER_H
#define VMSWAP_PEER_H

#include <stdbool.h>
#include <stdint.h>

struct peer {
  enum peer_kind {
    PEER_CONNECTION,
    PEER_PID,
    PEER_IP,
    PEER_CID,
    PEER_IVSHMEM
  } kind;
  uint64_t id[2]; /* serial number; pid and uid; IPv6 address; cid; pid and uid
                   */
};

struct peer_text {
  char text[80];
};

/* The peer of the connection that this thread serves. */
extern struct peer peer_here (void);

/* The QEMU at the other end of a socket, as one that maps a region: another peer
 * than the NBD client that the same process may be. */
extern struct peer peer_of_ivshmem (int fd);

extern bool peer_equal (const struct peer *a, const struct peer *b);

/* For messages; returns text->text. */
extern const char *peer_describe (const struct peer *peer,
                                  struct peer_text *text);

/* Is this a process that has ended?  Its connections are about to close. */
extern bool peer_is_gone (const struct peer *peer);

#endif /* VMSWAP_PEER_H */
