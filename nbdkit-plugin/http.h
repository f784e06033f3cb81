// SPDX-License-Identifier: BSD-3-Clause
/* An HTTP server on one listening socket, for few clients that may all be
 * hostile.
 *
 * At most HTTP_CONNECTIONS are open at a time.  When one more comes, the
 * oldest that had time enough to ask is closed; a client that asks at once is
 * answered, whatever the others do.  The same happens when many answers are not
 * read.  What one connection can make the server hold is bounded: a head, a
 * body, and one answer that it does not read.
 */

#ifndef VMSWAP_HTTP_H
#define VMSWAP_HTTP_H

#include "route.h"

struct event_base;
struct http;

#define HTTP_CONNECTIONS 16u

enum http_kind {
  HTTP_LOCAL,     /* a socket of the file system, whose mode says who may */
  HTTP_READ_ONLY, /* on the loopback, for anybody on this host: only GET, and
                   * only to a browser that knows whom it talks to */
};

/* Serves what connects to fd, which stays the caller's, in the loop of base.
 * NULL: no memory. */
extern struct http *http_new (struct event_base *base, int fd,
                              enum http_kind kind, struct route *route);

/* Closes all connections; http may be NULL. */
extern void http_free (struct http *http);

#endif /* VMSWAP_HTTP_H */
