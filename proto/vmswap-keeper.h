/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* What a server says to vmswap-keep, which holds what must outlive the server:
 * of each guest with ivshmem=, the region, both eventfds and QEMU's connection,
 * and the listening socket.
 *
 * A SOCK_SEQPACKET connection on a UNIX socket; one server at a time.  The
 * keeper speaks first: HELLO, with status 0, or EBUSY if another server is
 * there.  Then each message of the server gets one answer.  All are this
 * structure, some with descriptors (SCM_RIGHTS) in the order of enum
 * vmswap_keeper_fd:
 *
 *    op      of the server                  answer
 *    TAKE    index: 0, 1 and so on          name, pool, flags, last_page,
 *                                           path, descriptors;
 *                                           ENOENT: there are no more
 *    PUT     name, pool, flags, last_page,  0, or an errno
 *            descriptors of a region (4);
 *            or name, path, descriptor of a
 *            listener
 *    DROP    name: its region; with the     0
 *            flag ALL its listener, too
 *
 * What is TAKEn stays: the keeper has copies.  PUT takes the place of what was
 * there under the name.  pool is pool_identity of the pool that the guest's
 * pages are in.  The keeper maps nothing and looks at nothing.
 *
 * A region is PUT twice: with the flag GREETING before its QEMU is told of it,
 * without it afterwards.  A server that TAKEs one that still has the flag
 * closes it, as its QEMU may wait for a message that nobody sends any more.
 * last_page is that of the guest's device, which must not become smaller: the
 * header of the region has its size as well, but guests can write there.  (A
 * keeper of an earlier version has 0 for both.)
 *
 * A listener is dropped when the next server has no guest of that name.  (A
 * keeper of an earlier version knows no ALL, and holds it on.  So the server
 * shuts it down before, for all who hold it.) */

#ifndef VMSWAP_KEEPER_H
#define VMSWAP_KEEPER_H

#include <stdint.h>

#define VMSWAP_KEEPER_MAGIC 0x4b535756u /* "VWSK" */
#define VMSWAP_KEEPER_GUESTS 1024u

enum vmswap_keeper_op {
  VMSWAP_KEEPER_HELLO = 1,
  VMSWAP_KEEPER_TAKE = 2,
  VMSWAP_KEEPER_PUT = 3,
  VMSWAP_KEEPER_DROP = 4
};

/* A message has those of the mask `has`, in this order. */
enum vmswap_keeper_fd {
  VMSWAP_KEEPER_MEMORY = 0,
  VMSWAP_KEEPER_DOORBELL = 1,
  VMSWAP_KEEPER_INTERRUPT = 2,
  VMSWAP_KEEPER_QEMU = 3,
  VMSWAP_KEEPER_LISTENER = 4,
  VMSWAP_KEEPER_FDS = 5
};
#define VMSWAP_KEEPER_REGION 0x0fu /* masks */
#define VMSWAP_KEEPER_SOCKET 0x10u

#define VMSWAP_KEEPER_GREETING 1u /* a flag: QEMU has not been told all */
#define VMSWAP_KEEPER_ALL 2u      /* a flag of DROP: the listener, too */

struct vmswap_keeper_message {
  uint32_t magic;
  uint32_t op;
  uint32_t status; /* of an answer: 0 or an errno */
  uint32_t has;    /* descriptors that come along */
  uint32_t index;
  uint32_t flags; /* of a region, or of DROP */
  uint64_t pool;
  char name[128]; /* NUL-terminated */
  char path[108]; /* likewise: of the listener */
  uint32_t last_page; /* of a region; 0: not known */
};

#endif /* VMSWAP_KEEPER_H */
