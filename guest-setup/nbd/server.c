// SPDX-License-Identifier: BSD-3-Clause
/* Addresses of servers, and connections to them.
 *
 * Owns nothing but what it is handed.  server_connect allocates no memory of
 * this process: it runs while the swap device is down.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "say.h"
#include "server.h"

#define DEFAULT_PORT "10809"

/* An idle link to a host that has gone is found dead after 60 s. */
#define KEEPALIVE_IDLE 30
#define KEEPALIVE_INTERVAL 10
#define KEEPALIVE_PROBES 3

int64_t
clock_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C (1000) + now.tv_nsec / 1000000;
}

static int
parse_path (struct server *server, const char *path)
{
  struct sockaddr_un *address = (struct sockaddr_un *) server->address;

  if (path[0] != '/' || strlen (path) >= sizeof address->sun_path)
    return say_error ("'unix:%s': the path of a socket begins with / and has "
                      "less than %zu bytes",
                      path, sizeof address->sun_path);
  address->sun_family = AF_UNIX;
  strcpy (address->sun_path, path);
  server->path = path;
  server->length[0] = sizeof *address;
  server->count = 1;
  return 0;
}

static bool
is_port (const char *word)
{
  char *end;
  long port = strtol (word, &end, 10);

  return word[0] >= '0' && word[0] <= '9' && *end == '\0' &&
         strlen (word) <= 5 && port >= 1 && port <= 65535;
}

int
server_parse (struct server *server, const char *word)
{
  const char *host = word, *end, *port = DEFAULT_PORT;

  memset (server, 0, sizeof *server);
  if (strncmp (word, "unix:", 5) == 0)
    return parse_path (server, word + 5);
  if (word[0] == '[') {
    host = word + 1;
    end = strchr (host, ']');
    if (end == NULL || (end[1] != '\0' && end[1] != ':'))
      return say_error ("'%s': write an IPv6 address as [ADDRESS]:PORT", word);
    if (end[1] == ':')
      port = end + 2;
  }
  else {
    end = host + strcspn (host, ":");
    if (*end == ':')
      port = end + 1;
    if (strchr (port, ':') != NULL)
      return say_error ("'%s': write an IPv6 address as [ADDRESS]:PORT", word);
  }
  if (end == host || host[0] == '-' ||
      (size_t) (end - host) >= sizeof server->host)
    return say_error ("'%s' is not a server: HOST, HOST:PORT or unix:PATH",
                      word);
  if (!is_port (port))
    return say_error ("'%s': a port is a number from 1 to 65535", word);
  memcpy (server->host, host, end - host);
  strcpy (server->port, port);
  return 0;
}

int
server_resolve (struct server *server)
{
  struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
  struct addrinfo *all, *one;
  int err;

  if (server->path != NULL)
    return 0;
  err = getaddrinfo (server->host, server->port, &hints, &all);
  if (err != 0)
    return say_error ("the name '%s' has no address: %s", server->host,
                      gai_strerror (err));
  for (one = all; one != NULL && server->count < SERVER_ADDRESSES;
       one = one->ai_next) {
    memcpy (&server->address[server->count], one->ai_addr, one->ai_addrlen);
    server->length[server->count++] = one->ai_addrlen;
  }
  freeaddrinfo (all);
  return 0;
}

static void
set_option (int fd, int level, int name, int value)
{
  /* Each is a nicety. */
  (void) setsockopt (fd, level, name, &value, sizeof value);
}

/* There is no TCP_USER_TIMEOUT: it would also cut the link to a server that
 * is alive and makes its clients wait (full=stall), and the requests on it
 * would be sent, and carried out, twice.
 */
static void
set_tcp_options (int fd)
{
  set_option (fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option (fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option (fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE);
  set_option (fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL);
  set_option (fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
}

/* 0, or an errno. */
static int
finish_connect (int fd, int64_t deadline)
{
  struct pollfd ready = { .fd = fd, .events = POLLOUT };
  int64_t left = deadline - clock_ms ();
  socklen_t length = sizeof (int);
  int err = 0;

  if (poll (&ready, 1, left > 0 ? left : 0) != 1)
    return ETIMEDOUT;
  if (getsockopt (fd, SOL_SOCKET, SO_ERROR, &err, &length) == -1)
    return errno;
  return err;
}

int
server_connect (struct server *server, int64_t deadline, char *why)
{
  const unsigned at = server->next % server->count;
  const struct sockaddr *address = (struct sockaddr *) &server->address[at];
  int err = 0;
  int fd = socket (address->sa_family,
                   SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

  if (fd == -1) {
    snprintf (why, WHY_SIZE, "no socket: %s", strerror (errno));
    return -1;
  }
  if (server->path == NULL)
    set_tcp_options (fd);
  if (connect (fd, address, server->length[at]) == -1)
    err = errno == EINPROGRESS ? finish_connect (fd, deadline) : errno;
  if (err == 0)
    return fd;
  snprintf (why, WHY_SIZE, "it cannot be reached: %s", strerror (err));
  server->next++;
  close (fd);
  return -1;
}
