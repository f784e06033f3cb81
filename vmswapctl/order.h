// SPDX-License-Identifier: BSD-3-Clause
/* Orders to a running server, which answers in its own words. */

#ifndef VMSWAPCTL_ORDER_H
#define VMSWAPCTL_ORDER_H

struct client;

/* POSTs to path, with the guest's name and then rest ("&size=8G") as the query,
 * and prints the answer.  Returns the exit status. */
extern int order_send (struct client *client, const char *path,
                       const char *guest, const char *rest);

#endif /* VMSWAPCTL_ORDER_H */
