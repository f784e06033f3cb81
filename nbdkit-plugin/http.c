// SPDX-License-Identifier: BSD-3-Clause
/* An HTTP server on one listening socket: libevent's, and limits around it.
 *
 * Owns the list of open connections.  All of it runs in the thread of the
 * control server; no lock.
 *
 * libevent 2.1 does not tell when a connection ends that never asked anything,
 * and has no limit of its own.  So a connection is known by its descriptor and
 * the inode of its socket: while the descriptor is that inode, it is this
 * connection, for only this thread closes it.  To end one it is shut down,
 * and libevent sees that as the client's end.
 *
 * Every connection answers one request and closes: there is no state in which a
 * client may stay.
 */

#include <config.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "http.h"

#define HEAD_MAX 8192
#define BODY_MAX 4096
/* What is read ahead of a client, at most. */
#define INPUT_MAX (2 * HEAD_MAX)

/* A connection may ask, and read the answer, for that long... */
#define DEADLINE_MS 20000
/* ...and when others wait, for that long before it is closed for them. */
#define GRACE_MS 50
/* How often that is looked at, while it matters. */
#define TICK_MS 25
#define LAZY_TICK_MS 1000

struct client {
  int fd;
  dev_t device;
  ino_t inode;
  int64_t since; /* milliseconds */
  bool ended;    /* shut down; libevent is to close it */
};

struct http {
  struct evhttp *evhttp;
  struct evconnlistener *listener;
  struct event *note; /* looks at "fresh" */
  struct event *tick;
  enum http_kind kind;
  struct route *route;

  struct bufferevent *fresh; /* just accepted, without a descriptor yet */
  struct client clients[HTTP_CONNECTIONS]; /* the oldest first */
  unsigned nr_clients;
};

static int64_t
now_ms (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * INT64_C (1000) + ts.tv_nsec / 1000000;
}

static bool
is_open (const struct client *client)
{
  struct stat st;

  return fstat (client->fd, &st) == 0 && st.st_dev == client->device &&
         st.st_ino == client->inode;
}

static void
forget_closed (struct http *http)
{
  unsigned kept = 0;

  for (unsigned i = 0; i < http->nr_clients; ++i)
    if (is_open (&http->clients[i]))
      http->clients[kept++] = http->clients[i];
  http->nr_clients = kept;
}

static void
end_client (struct client *client)
{
  if (!client->ended)
    shutdown (client->fd, SHUT_RDWR);
  client->ended = true;
}

static bool
is_full (const struct http *http)
{
  return http->nr_clients == HTTP_CONNECTIONS ||
         http->route->pending > ROUTE_PENDING_MAX;
}

/* Ends those whose time is over: the first, when another waits. */
static void
end_old (struct http *http)
{
  const int64_t now = now_ms ();

  for (unsigned i = 0; i < http->nr_clients; ++i)
    if (now - http->clients[i].since >= DEADLINE_MS)
      end_client (&http->clients[i]);
  if (is_full (http) && http->nr_clients != 0 &&
      now - http->clients[0].since >= GRACE_MS)
    end_client (&http->clients[0]);
}

static void
set_tick (struct http *http, unsigned ms)
{
  const struct timeval delay = { .tv_sec = ms / 1000,
                                 .tv_usec = ms % 1000 * 1000 };

  evtimer_add (http->tick, &delay);
}

/* Goes on accepting if there is room; else when there may be. */
static void
look_around (struct http *http)
{
  forget_closed (http);
  end_old (http);
  if (!is_full (http)) {
    evconnlistener_enable (http->listener);
    if (http->nr_clients != 0)
      set_tick (http, LAZY_TICK_MS);
  }
  else
    set_tick (http, TICK_MS);
}

static void
handle_tick (evutil_socket_t fd, short what, void *opaque)
{
  look_around (opaque);
}

/* By now the new connection has its descriptor. */
static void
note_client (evutil_socket_t none, short what, void *opaque)
{
  struct http *http = opaque;
  const int fd = http->fresh == NULL ? -1 : bufferevent_getfd (http->fresh);
  struct stat st;

  http->fresh = NULL;
  if (fd != -1 && fstat (fd, &st) == 0)
    http->clients[http->nr_clients++] = (struct client){
      .fd = fd, .device = st.st_dev, .inode = st.st_ino, .since = now_ms ()
    };
  look_around (http);
}

/* A client has been accepted.  The next must wait until it is noted. */
static struct bufferevent *
make_connection (struct event_base *base, void *opaque)
{
  struct http *http = opaque;
  struct bufferevent *bev =
      bufferevent_socket_new (base, -1, BEV_OPT_CLOSE_ON_FREE);

  if (bev != NULL)
    bufferevent_setwatermark (bev, EV_READ, 0, INPUT_MAX);
  http->fresh = bev;
  evconnlistener_disable (http->listener);
  event_active (http->note, EV_TIMEOUT, 0);
  return bev;
}

/* No descriptors, most likely: the loop must not run hot until there are. */
static void
pause_accepting (struct evconnlistener *listener, void *opaque)
{
  struct http *http = opaque;

  evconnlistener_disable (listener);
  set_tick (http, LAZY_TICK_MS);
}

/* Is that a name of this host?  A browser that was led here by somebody else's
 * name has that in its Host. */
static bool
is_loopback (const char *host)
{
  static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };

  for (size_t i = 0; host != NULL && i < sizeof names / sizeof names[0]; ++i) {
    const size_t length = strlen (names[i]);

    if (strncasecmp (host, names[i], length) != 0)
      continue;
    if (host[length] == '\0')
      return true;
    if (host[length] == ':')
      return strspn (host + length + 1, "0123456789") ==
             strlen (host + length + 1);
  }
  return false;
}

static void
handle_request (struct evhttp_request *request, void *opaque)
{
  struct http *http = opaque;
  struct evkeyvalq *output = evhttp_request_get_output_headers (request);

  evhttp_add_header (output, "Connection", "close");
  if (http->kind == HTTP_READ_ONLY &&
      !is_loopback (evhttp_find_header (
          evhttp_request_get_input_headers (request), "Host")))
    route_refuse (request, 403,
                  "this server answers to localhost, 127.0.0.1 and [::1] only");
  else
    route_answer (http->route, http->kind == HTTP_LOCAL, request);
  /* Not when there is time: others may be kept waiting by this answer. */
  if (is_full (http))
    set_tick (http, TICK_MS);
}

static int
set_up (struct http *http, struct event_base *base, int fd)
{
  http->note = event_new (base, -1, 0, note_client, http);
  http->tick = evtimer_new (base, handle_tick, http);
  http->evhttp = evhttp_new (base);
  http->listener = evconnlistener_new (base, NULL, NULL, 0, 0, fd);
  if (http->note == NULL || http->tick == NULL || http->evhttp == NULL ||
      http->listener == NULL)
    return -1;
  evconnlistener_set_error_cb (http->listener, pause_accepting);
  evhttp_set_max_headers_size (http->evhttp, HEAD_MAX);
  evhttp_set_max_body_size (http->evhttp, BODY_MAX);
  evhttp_set_timeout (http->evhttp, DEADLINE_MS / 1000);
  /* route_answer says what a method may do. */
  evhttp_set_allowed_methods (
      http->evhttp, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
                        EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
                        EVHTTP_REQ_OPTIONS | EVHTTP_REQ_PATCH);
  evhttp_set_gencb (http->evhttp, handle_request, http);
  evhttp_set_bevcb (http->evhttp, make_connection, http);
  return evhttp_bind_listener (http->evhttp, http->listener) == NULL ? -1 : 0;
}

struct http *
http_new (struct event_base *base, int fd, enum http_kind kind,
          struct route *route)
{
  struct http *http = calloc (1, sizeof *http);

  if (http == NULL)
    return NULL;
  http->kind = kind;
  http->route = route;
  if (set_up (http, base, fd) == -1) {
    http_free (http);
    return NULL;
  }
  return http;
}

void
http_free (struct http *http)
{
  if (http == NULL)
    return;
  /* It owns the listener, once that is bound. */
  if (http->evhttp != NULL)
    evhttp_free (http->evhttp);
  if (http->tick != NULL)
    event_free (http->tick);
  if (http->note != NULL)
    event_free (http->note);
  free (http);
}
