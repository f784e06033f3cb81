// SPDX-License-Identifier: BSD-3-Clause
/* What the control server is asked, and its answers. */

#ifndef VMSWAP_ROUTE_H
#define VMSWAP_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "render.h"

struct evhttp_request;
struct pool;

/* One for each listening socket; it must outlive the event loop. */
struct route {
  struct pool *pool;
  const struct render_server *server;
  size_t pending; /* bytes of answers that clients have not read yet */
};

/* Above that, figures are not to be had until others have read theirs. */
#define ROUTE_PENDING_MAX (32u << 20)

/* Answers the request.  writable: it may change something. */
extern void route_answer (struct route *route, bool writable,
                          struct evhttp_request *request);

/* Answers with one line of text. */
extern void route_refuse (struct evhttp_request *request, int code,
                          const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

#endif /* VMSWAP_ROUTE_H */
