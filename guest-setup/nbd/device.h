// SPDX-License-Identifier: BSD-3-Clause
/* The kernel's side of one nbd device. */

#ifndef VMSWAP_NBD_DEVICE_H
#define VMSWAP_NBD_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "handshake.h"

struct nl_sock;

struct device {
  char name[16]; /* nbd0 */
  uint32_t index;
  struct nl_sock *netlink;
  int family;
};

/* Takes /dev/nbdN apart; -1 and a line on stderr if it is no such word. */
int device_parse (struct device *device, const char *word);

/* Finds the kernel's nbd; -1 and a line on stderr. */
int device_open (struct device *device);

/* These are -1 and why when the kernel refuses.  "label" names who the device
 * belongs to: the kernel shows it, and reconfigures for nobody else.
 */
int device_connect (struct device *device, int socket, const char *label,
                    const struct export *found, uint64_t dead_timeout,
                    char *why);
int device_reconnect (struct device *device, int socket, const char *label,
                      uint64_t dead_timeout, char *why);
int device_disconnect (struct device *device, char *why);

/* What the kernel shows of the device. */
bool device_exists (const struct device *device);
bool device_connected (const struct device *device);
bool device_labelled (const struct device *device, const char *label);
void device_found (const struct device *device, struct export *found);

/* How long a request waits before the kernel looks whether its link is a new
 * one, and sends it again.
 */
void device_set_patience (const struct device *device, unsigned ms);

/* Does something swap on it, or is it mounted? */
bool device_in_use (const struct device *device);

#endif /* VMSWAP_NBD_DEVICE_H */
