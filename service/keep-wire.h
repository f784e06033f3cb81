// SPDX-License-Identifier: BSD-3-Clause
/* Messages of proto/vmswap-keeper.h, sent and received: for the keeper and for
 * the plugin.  0 or -errno. */

#ifndef VMSWAP_KEEP_WIRE_H
#define VMSWAP_KEEP_WIRE_H

#include "vmswap-keeper.h"

/* fd[i] goes along for each bit i of message->has. */
extern int keep_send (int socket, const struct vmswap_keeper_message *message,
                      const int fd[VMSWAP_KEEPER_FDS]);

/* -ECONNRESET: the other side has gone.  -EPROTO: that was no message; what
 * came along is closed.  Else fd has what message->has says, and -1. */
extern int keep_receive (int socket, struct vmswap_keeper_message *message,
                         int fd[VMSWAP_KEEPER_FDS]);

extern void keep_close (int fd[VMSWAP_KEEPER_FDS], uint32_t which);

#endif /* VMSWAP_KEEP_WIRE_H */
