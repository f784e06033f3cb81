// SPDX-License-Identifier: BSD-3-Clause
/* A client of the control server.
 *
 * Functions that fail have complained and return -1 or NULL. */

#ifndef VMSWAPCTL_CLIENT_H
#define VMSWAPCTL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CLIENT_CONTROL_DEFAULT "/run/vmswap/control"

struct client;

/* control: the path of the socket; NULL: the one that VMSWAP_CONTROL names, or
 * the default.  Nothing is connected yet. */
extern struct client *client_new (const char *control);
extern void client_free (struct client *client);
extern const char *client_control (const struct client *client);

/* Is there a server?  Does not complain. */
extern bool client_can_connect (struct client *client);

/* The answer to GET path: text, which ends in a NUL.  Good until the next
 * request. */
extern const char *client_get (struct client *client, const char *path,
                               size_t *size);

/* The same, as JSON; the caller drops it. */
extern json_t *client_get_json (struct client *client, const char *path);

/* POST path.  The answer, one line, is the server's own words; *done: it did
 * what was asked. */
extern const char *client_post (struct client *client, const char *path,
                                bool *done);

#endif /* VMSWAPCTL_CLIENT_H */
