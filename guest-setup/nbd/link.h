// SPDX-License-Identifier: BSD-3-Clause
/* The link of one device: made once, and made again whenever it dies. */

#ifndef VMSWAP_NBD_LINK_H
#define VMSWAP_NBD_LINK_H

#include <stdint.h>

#include "device.h"
#include "handshake.h"
#include "server.h"

struct link {
  struct server server;
  const char *export_name;
  struct device device;
  uint64_t dead_timeout; /* seconds that I/O waits for a new link */
  struct export first;   /* what the device was set up for */
  char label[1400];      /* whose the device is */
  int epoll;             /* watches the sockets that the kernel holds */
  uint64_t generation;   /* of the newest of them */
};

/* A socket in the transmission phase, or -1 and why. */
int link_attempt (struct link *link, struct export *found, char *why);

/* Attaches the device, or takes over one that is attached to the same export
 * and has lost its keeper; -1 and a line on stderr.
 */
int link_start (struct link *link);

/* Keeps the device linked until it is disconnected. */
void link_keep (struct link *link);

#endif /* VMSWAP_NBD_LINK_H */
