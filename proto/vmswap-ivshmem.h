/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What a server says to QEMU's ivshmem-doorbell device over its UNIX socket,
 * and how vmswap uses the device.  The protocol is QEMU's (docs/specs,
 * "Device Specification for Inter-VM shared memory device"), version 0.
 *
 * Messages go from the server to QEMU only.  Each is one int64, little endian,
 * some with one descriptor (SCM_RIGHTS) on its 8 bytes.  vmswap sends, in
 * order:
 *
 *    number                  descriptor
 *    VMSWAP_IVSHMEM_VERSION  -
 *    VMSWAP_IVSHMEM_GUEST    -        QEMU's own id
 *    VMSWAP_IVSHMEM_MEMORY   memfd    the region, exactly its size
 *    VMSWAP_IVSHMEM_HOST     eventfd  vector 0: the guest rings the host
 *    VMSWAP_IVSHMEM_GUEST    eventfd  vector 0: the host interrupts the guest
 *
 * and nothing more while the connection lasts.  One region and one listening
 * socket per guest, and one connection at a time: who connects while QEMU is
 * there, or the volume is in use otherwise, is told VMSWAP_IVSHMEM_REFUSED in
 * place of the version, and closed.  (QEMU then ends with "server sent version
 * -1"; where nothing is said, QEMU 7.2 reads on for ever.)  So is one whose
 * server ended within these messages, by the next server: whatever QEMU waits
 * for, it takes that for an error.  The host poses as the peer HOST; there are
 * no other peers.  Anything that QEMU sends is a breach and ends the
 * connection.
 *
 * QEMU cannot reconnect.  Memory and eventfds go on working when the socket is
 * closed, so a server that wants to be replaced keeps the region, both
 * eventfds, the listening socket and the connection (by which it learns that
 * QEMU has ended) in a place that outlives it.  The next server sends nothing
 * on that connection, once all five were sent. */

#ifndef VMSWAP_IVSHMEM_H
#define VMSWAP_IVSHMEM_H

#define VMSWAP_IVSHMEM_VERSION 0
#define VMSWAP_IVSHMEM_REFUSED (-1)
#define VMSWAP_IVSHMEM_MEMORY (-1)
#define VMSWAP_IVSHMEM_MESSAGE_SIZE 8

/* Peers.  IVPosition of the guest's device is 1: one that has 0 has no
 * interrupts (ivshmem-plain), and is not for vmswap. */
#define VMSWAP_IVSHMEM_HOST 0
#define VMSWAP_IVSHMEM_GUEST 1

/* One vector each way, for everything: who gets it looks at all that it waits
 * for.  A device may be declared with more; they stay unconnected. */
#define VMSWAP_IVSHMEM_VECTORS 1
#define VMSWAP_IVSHMEM_VECTOR 0

/* The PCI device: revision 1 (QEMU 2.6 and later). */
#define VMSWAP_IVSHMEM_PCI_VENDOR 0x1af4
#define VMSWAP_IVSHMEM_PCI_DEVICE 0x1110
#define VMSWAP_IVSHMEM_PCI_REVISION 1
#define VMSWAP_IVSHMEM_BAR_REGISTERS 0
#define VMSWAP_IVSHMEM_BAR_MSIX 1
#define VMSWAP_IVSHMEM_BAR_MEMORY 2
#define VMSWAP_IVSHMEM_REGISTER_POSITION 8  /* 32 bits, read only */
#define VMSWAP_IVSHMEM_REGISTER_DOORBELL 12 /* 32 bits, write only */

/* What the guest writes to the doorbell. */
#define VMSWAP_IVSHMEM_RING_HOST                                               \
  ((unsigned int) VMSWAP_IVSHMEM_HOST << 16 | VMSWAP_IVSHMEM_VECTOR)

#endif /* VMSWAP_IVSHMEM_H */
