// SPDX-License-Identifier: BSD-3-Clause
/* The sockets that the plugin listens on itself, beside nbdkit's.  Owns nothing
 * but what it gives out.
 *
 * A new socket is made under a name of its own, listens, and is then renamed,
 * so that at any moment the path is a socket that somebody listens on, or a
 * dead one. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "door.h"
#include "value.h"

/* Connections that wait to be accepted. */
#define BACKLOG 64

static int
new_socket (int family)
{
  return socket (family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int
set_address (struct sockaddr_un *address, const char *key, const char *path)
{
  memset (address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (strlen (path) >= sizeof address->sun_path) {
    nbdkit_error ("%s=%s: the path is longer than %zu bytes, the most a "
                  "socket can have: give a shorter one",
                  key, path, sizeof address->sun_path - 1);
    return -1;
  }
  strcpy (address->sun_path, path);
  return 0;
}

/* Does somebody listen there?  A full queue is somebody, too. */
static bool
is_alive (const struct sockaddr_un *address)
{
  const int fd = new_socket (AF_UNIX);
  bool alive = true;

  if (fd != -1) {
    alive =
        connect (fd, (const struct sockaddr *) address, sizeof *address) == 0 ||
        errno != ECONNREFUSED;
    close (fd);
  }
  return alive;
}

/* May a socket of ours take that place? */
static int
check_place (const char *key, const struct sockaddr_un *address, bool kept)
{
  const char *path = address->sun_path;
  struct stat st;

  if (lstat (path, &st) == -1) {
    if (errno == ENOENT)
      return 0;
    nbdkit_error ("%s=%s: %m", key, path);
    return -1;
  }
  if (!S_ISSOCK (st.st_mode)) {
    nbdkit_error ("%s=%s is there and is no socket: remove it, or give "
                  "another path",
                  key, path);
    return -1;
  }
  if (is_alive (address)) {
    nbdkit_error ("%s=%s: another server listens there%s: stop that first, %s"
                  "or give each server a path of its own",
                  key, path,
                  kept ? ", or vmswap-keep holds the socket of one that has "
                         "ended"
                       : "",
                  kept ? "or give keeper=PATH of that vmswap-keep, or end it, "
                       : "");
    return -1;
  }
  return 0;
}

/* The file of a socket, which nobody can put another in the place of. */
static int
open_file (const char *path, struct stat *st)
{
  const int fd = open (path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

  if (fd == -1 || (fstat (fd, st) == 0 && S_ISSOCK (st->st_mode)))
    return fd;
  close (fd);
  errno = ENOTSOCK;
  return -1;
}

/* The group before the mode: so none gets in that must not. */
static int
admit (const char *key, const char *path, const struct socket_group *group,
       int fd, const struct stat *st)
{
  const mode_t mode = group->key == NULL ? 0600 : 0660;
  struct shown name;
  char file[32];

  if (group->key != NULL && st->st_gid != group->gid &&
      fchownat (fd, "", -1, group->gid, AT_EMPTY_PATH) == -1) {
    nbdkit_error ("%s=%s: %s cannot have that group: %m: name one that the "
                  "user of the server is in, or start it as root",
                  group->key, value_show (&name, group->name), path);
    return -1;
  }
  /* fchmod does not take a descriptor that is only a path. */
  snprintf (file, sizeof file, "/proc/self/fd/%d", fd);
  if ((st->st_mode & ALLPERMS) != mode && chmod (file, mode) == -1) {
    nbdkit_error ("%s=%s: cannot change who may connect: %m: remove that "
                  "socket, so that a new one is made",
                  key, path);
    return -1;
  }
  return 0;
}

/* The file may still have another name than the path that it will be. */
static int
admit_file (const char *key, const char *path, const char *file,
            const struct socket_group *group, struct stat *st)
{
  const int fd = open_file (file, st);
  int r;

  if (fd == -1) {
    nbdkit_error ("%s=%s: %m", key, path);
    return -1;
  }
  r = admit (key, path, group, fd, st);
  close (fd);
  return r;
}

int
door_admit (const char *key, const char *path, const struct socket_group *group)
{
  struct stat st;

  return admit_file (key, path, path, group, &st);
}

/* Binds the socket to a name of its own and moves it to the path. */
static int
bind_at (struct door *door, const char *key, const struct sockaddr_un *address,
         const struct socket_group *group)
{
  struct sockaddr_un fresh;
  char path[sizeof address->sun_path + 32];
  struct stat st;

  snprintf (path, sizeof path, "%s.%d", address->sun_path, (int) getpid ());
  if (set_address (&fresh, key, path) == -1)
    return -1;
  unlink (path);
  /* The mode of the socket becomes that of the file, less the umask. */
  if (fchmod (door->fd, S_IRUSR | S_IWUSR) == -1 ||
      bind (door->fd, (struct sockaddr *) &fresh, sizeof fresh) == -1) {
    nbdkit_error ("%s=%s: cannot make a socket there: %m: give a path in "
                  "a directory that the server may write to",
                  key, address->sun_path);
    return -1;
  }
  /* Before it listens, nobody can connect, whatever its mode is. */
  if (admit_file (key, address->sun_path, path, group, &st) == -1) {
    unlink (path);
    return -1;
  }
  if (listen (door->fd, BACKLOG) == -1 ||
      rename (path, address->sun_path) == -1) {
    nbdkit_error ("%s=%s: %m", key, address->sun_path);
    unlink (path);
    return -1;
  }
  door->device = st.st_dev;
  door->inode = st.st_ino;
  return 0;
}

/* Keeps another server, which starts in the same moment, from taking the same
 * place.  Whoever can read the directory can hold the lock, so there is a limit
 * to the patience; without the lock, the later of the two has the path. */
static int
lock_directory (const char *path)
{
  const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
  char directory[sizeof ((struct sockaddr_un *) 0)->sun_path];
  char *slash;
  int fd;

  strcpy (directory, path);
  slash = strrchr (directory, '/');
  slash[slash == directory] = '\0';
  fd = open (directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int tries = 100; fd != -1 && tries > 0; --tries) {
    if (flock (fd, LOCK_EX | LOCK_NB) == 0)
      break;
    nanosleep (&pause, NULL);
  }
  return fd;
}

int
door_open (const char *key, const char *path, const struct socket_group *group,
           bool kept, struct door *ret)
{
  struct sockaddr_un address;
  int lock, r;

  if (set_address (&address, key, path) == -1)
    return -1;
  ret->fd = new_socket (AF_UNIX);
  if (ret->fd == -1) {
    nbdkit_error ("%s=%s: %m", key, path);
    return -1;
  }
  lock = lock_directory (path);
  r = check_place (key, &address, kept);
  if (r == 0)
    r = bind_at (ret, key, &address, group);
  if (lock != -1)
    close (lock);
  if (r == 0)
    ret->path = path;
  else
    door_close (ret);
  return r;
}

void
door_remove (struct door *door)
{
  struct stat st;

  if (door->path != NULL && lstat (door->path, &st) == 0 &&
      st.st_dev == door->device && st.st_ino == door->inode)
    unlink (door->path);
  door->path = NULL;
}

void
door_close (struct door *door)
{
  if (door->fd != -1)
    close (door->fd);
  door->fd = -1;
}

/* What was just made there is not removed: see lock_directory. */
void
door_remove_dead (const char *path)
{
  struct sockaddr_un address;
  struct stat st;
  int lock;

  if (path[0] != '/' || set_address (&address, "ivshmem", path) == -1)
    return;
  lock = lock_directory (path);
  if (lstat (path, &st) == 0 && S_ISSOCK (st.st_mode) && !is_alive (&address))
    unlink (path);
  if (lock != -1)
    close (lock);
}

bool
door_is_same_place (const char *a, const char *b)
{
  struct stat one, other;

  return lstat (a, &one) == 0 && lstat (b, &other) == 0 &&
         S_ISSOCK (one.st_mode) && one.st_dev == other.st_dev &&
         one.st_ino == other.st_ino;
}

bool
door_is_open (int listener)
{
  struct pollfd fd = { .fd = listener, .events = POLLRDHUP };

  return poll (&fd, 1, 0) == 0;
}

bool
door_is_same (int a, int b)
{
  struct stat one, other;

  return fstat (a, &one) == 0 && fstat (b, &other) == 0 &&
         one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/* Says nothing. */
static int
listen_at (const struct sockaddr *address, socklen_t size)
{
  const int on = 1;
  const int fd = new_socket (address->sa_family);
  int err;

  if (fd == -1)
    return -1;
  if (address->sa_family == AF_INET6)
    setsockopt (fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind (fd, address, size) == 0 && listen (fd, BACKLOG) == 0)
    return fd;
  err = errno;
  close (fd);
  errno = err;
  return -1;
}

int
door_open_port (uint16_t port, int fd[2])
{
  const struct sockaddr_in in = { .sin_family = AF_INET,
                                  .sin_port = htons (port),
                                  .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  const struct sockaddr_in6 in6 = { .sin6_family = AF_INET6,
                                    .sin6_port = htons (port),
                                    .sin6_addr = IN6ADDR_LOOPBACK_INIT };

  fd[0] = listen_at ((const struct sockaddr *) &in, sizeof in);
  if (fd[0] == -1) {
    nbdkit_error ("control-port=%u: cannot listen on 127.0.0.1: %m: give "
                  "another port",
                  port);
    return -1;
  }
  fd[1] = listen_at ((const struct sockaddr *) &in6, sizeof in6);
  if (fd[1] == -1 && errno != EAFNOSUPPORT && errno != EADDRNOTAVAIL) {
    nbdkit_error ("control-port=%u: cannot listen on ::1: %m: give another "
                  "port",
                  port);
    close (fd[0]);
    fd[0] = -1;
    return -1;
  }
  return 0;
}
