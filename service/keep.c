// SPDX-License-Identifier: BSD-3-Clause
/* vmswap-keep: holds what must outlive the server, and gives it to the next.
 *
 * It does nothing else, so that there is nothing for which it had to be
 * restarted: it maps no memory, reads no page and speaks to servers alone
 * (proto/vmswap-keeper.h).  One thread, one server at a time; the next one may
 * come as soon as the last has gone.
 *
 * Owns the descriptors in guests[]. */

#include <config.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "keep-wire.h"

#define SEND_SECONDS 5

static struct guest {
  char name[sizeof ((struct vmswap_keeper_message *) 0)->name];
  char path[sizeof ((struct vmswap_keeper_message *) 0)->path];
  uint64_t pool;
  uint32_t flags, last_page;
  int fd[VMSWAP_KEEPER_FDS]; /* -1: none */
} guests[VMSWAP_KEEPER_GUESTS];
static unsigned nr_guests;

static void
die (const char *path, const char *what)
{
  fprintf (stderr, "vmswap-keep: %s: %s: %s\n", path, what, strerror (errno));
  exit (EXIT_FAILURE);
}

static uint32_t
mask_of (const struct guest *guest)
{
  uint32_t mask = 0;

  for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
    if (guest->fd[i] != -1)
      mask |= 1u << i;
  return mask;
}

/* --- What a server asks for.  Each returns the status of its answer. */

static struct guest *
find (const char *name)
{
  for (unsigned i = 0; i < nr_guests; ++i)
    if (strcmp (guests[i].name, name) == 0)
      return &guests[i];
  return NULL;
}

/* One without anything goes, and the last takes its place. */
static void
remove_if_empty (struct guest *guest)
{
  if (mask_of (guest) == 0)
    *guest = guests[--nr_guests];
}

static int
put (const struct vmswap_keeper_message *message, int fd[VMSWAP_KEEPER_FDS])
{
  struct guest *guest = find (message->name);

  if ((message->has != VMSWAP_KEEPER_REGION &&
       message->has != VMSWAP_KEEPER_SOCKET) ||
      message->name[0] == '\0')
    return EINVAL;
  if (guest == NULL) {
    if (nr_guests == VMSWAP_KEEPER_GUESTS)
      return ENOSPC;
    guest = &guests[nr_guests++];
    *guest = (struct guest){ 0 };
    strcpy (guest->name, message->name);
    for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
      guest->fd[i] = -1;
  }
  keep_close (guest->fd, message->has);
  for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
    if (message->has >> i & 1) {
      guest->fd[i] = fd[i];
      fd[i] = -1;
    }
  if (message->has == VMSWAP_KEEPER_REGION) {
    guest->pool = message->pool;
    guest->flags = message->flags;
    guest->last_page = message->last_page;
  }
  else
    memcpy (guest->path, message->path, sizeof guest->path);
  return 0;
}

static int
drop (const struct vmswap_keeper_message *message)
{
  struct guest *guest = find (message->name);

  if (guest == NULL)
    return 0;
  keep_close (guest->fd,
              message->flags & VMSWAP_KEEPER_ALL ? ~0u : VMSWAP_KEEPER_REGION);
  remove_if_empty (guest);
  return 0;
}

/* Answers; with the descriptors of a guest if there is one. */
static int
answer (int server, struct vmswap_keeper_message *message,
        const struct guest *guest)
{
  message->has = guest != NULL ? mask_of (guest) : 0;
  if (guest != NULL) {
    memcpy (message->name, guest->name, sizeof message->name);
    memcpy (message->path, guest->path, sizeof message->path);
    message->pool = guest->pool;
    message->flags = guest->flags;
    message->last_page = guest->last_page;
  }
  return keep_send (server, message, guest != NULL ? guest->fd : NULL);
}

/* One message.  -errno: the server is to be forgotten. */
static int
serve (int server)
{
  struct vmswap_keeper_message message;
  const struct guest *guest = NULL;
  int fd[VMSWAP_KEEPER_FDS];
  const int r = keep_receive (server, &message, fd);

  if (r < 0)
    return r;
  switch (message.op) {
  case VMSWAP_KEEPER_TAKE:
    guest = message.index < nr_guests ? &guests[message.index] : NULL;
    message.status = guest == NULL ? ENOENT : 0;
    break;
  case VMSWAP_KEEPER_PUT:
    message.status = put (&message, fd);
    break;
  case VMSWAP_KEEPER_DROP:
    message.status = drop (&message);
    break;
  default:
    message.status = EINVAL;
  }
  keep_close (fd, ~0u);
  return answer (server, &message, guest);
}

/* --- Sockets. */

static int
greet (int server, uint32_t status)
{
  const struct vmswap_keeper_message hello = { .magic = VMSWAP_KEEPER_MAGIC,
                                               .op = VMSWAP_KEEPER_HELLO,
                                               .status = status };

  return keep_send (server, &hello, NULL);
}

static bool
is_alive (int server)
{
  char byte;

  return server != -1 &&
         (recv (server, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0 ||
          errno == EAGAIN);
}

static int
accept_server (int listener, int now)
{
  const struct timeval patience = { .tv_sec = SEND_SECONDS };
  const int server = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);

  if (server == -1)
    return now;
  errno = 0;
  if (is_alive (now)) {
    greet (server, EBUSY);
    close (server);
    return now;
  }
  if (now != -1)
    close (now);
  setsockopt (server, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt (server, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  greet (server, 0);
  return server;
}

static void __attribute__ ((noreturn))
run (int listener)
{
  int server = -1;

  for (;;) {
    struct pollfd fds[] = { { .fd = listener, .events = POLLIN },
                            { .fd = server, .events = POLLIN } };

    if (poll (fds, 2, -1) == -1)
      continue;
    if (fds[1].revents && serve (server) < 0) {
      close (server);
      server = -1;
    }
    if (fds[0].revents)
      server = accept_server (listener, server);
  }
}

static int
listen_at (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const int probe = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  if (strlen (path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    die (path, "give a shorter path");
  }
  strcpy (address.sun_path, path);
  if (fd == -1 || probe == -1)
    die (path, "no socket");
  if (connect (probe, (struct sockaddr *) &address, sizeof address) == 0) {
    errno = EADDRINUSE;
    die (path, "another vmswap-keep is there: one is enough");
  }
  if (errno == ECONNREFUSED)
    unlink (path);
  close (probe);
  if (fchmod (fd, S_IRUSR | S_IWUSR) == -1 ||
      bind (fd, (struct sockaddr *) &address, sizeof address) == -1 ||
      listen (fd, 8) == -1)
    die (path, "cannot listen there");
  return fd;
}

/* Five for each guest. */
static void
raise_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit (RLIMIT_NOFILE, &limit);
  }
}

int
main (int argc, char *argv[])
{
  if (argc == 2 && strcmp (argv[1], "--version") == 0) {
    printf ("vmswap-keep %s\n", PACKAGE_VERSION);
    return 0;
  }
  if (argc == 2 && strcmp (argv[1], "--help") == 0) {
    printf ("usage: vmswap-keep PATH\n"
            "Holds the memory that guests share with the vmswap server while "
            "that is\nrestarted; the server is given keeper=PATH.  See "
            "vmswap-keep(8).\n");
    return 0;
  }
  if (argc != 2 || argv[1][0] == '-') {
    fprintf (stderr, "usage: vmswap-keep PATH (see --help)\n");
    return 2;
  }
  raise_limit ();
  run (listen_at (argv[1]));
}
