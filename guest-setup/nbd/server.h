// SPDX-License-Identifier: BSD-3-Clause
/* A server, by its address: HOST, HOST:PORT, [IPV6]:PORT or unix:PATH. */

#ifndef VMSWAP_NBD_SERVER_H
#define VMSWAP_NBD_SERVER_H

#include <stdint.h>
#include <sys/socket.h>

#define SERVER_ADDRESSES 8

struct server {
  char host[256], port[8];
  const char *path; /* of a Unix socket; NULL for TCP */
  unsigned count;   /* of addresses */
  unsigned next;    /* the one to try next */
  socklen_t length[SERVER_ADDRESSES];
  struct sockaddr_storage address[SERVER_ADDRESSES];
};

/* Takes the word apart; -1 and a line on stderr if it is none. */
int server_parse (struct server *server, const char *word);

/* Looks the name up.  This is done once, before the device exists: a name
 * server's answer may take memory and time that an outage does not have.
 */
int server_resolve (struct server *server);

/* Milliseconds of the monotonic clock. */
int64_t clock_ms (void);

/* A non-blocking socket that is connected to the next address, or -1 and why.
 * A failure moves on to the address after it.
 */
int server_connect (struct server *server, int64_t deadline, char *why);

#endif /* VMSWAP_NBD_SERVER_H */
