// SPDX-License-Identifier: BSD-3-Clause
/* The sockets that the plugin listens on itself, beside nbdkit's.
 *
 * Functions that fail have said why (nbdkit_error) and return -1.
 */

#ifndef VMSWAP_DOOR_H
#define VMSWAP_DOOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "settings.h"

/* A socket in the file system, and which one it is: somebody else's that has
 * taken its place is not removed. */
struct door {
  const char *path;
  int fd; /* -1: none */
  dev_t device;
  ino_t inode;
};

#define DOOR_NONE                                                              \
  {                                                                            \
    .fd = -1                                                                   \
  }

/* Listens at path, which it keeps; key is the parameter that names it, for
 * messages.  Only the user of the server (and root), and the group, may
 * connect, from the first moment on and whatever the umask is.  What a dead
 * server left there is replaced; a socket that somebody listens on is not, nor
 * anything else.  kept: vmswap-keep holds such sockets. */
extern int door_open (const char *key, const char *path,
                      const struct socket_group *group, bool kept,
                      struct door *ret);

/* The same for a socket that an earlier server has opened.  What is right
 * already is left alone. */
extern int door_admit (const char *key, const char *path,
                       const struct socket_group *group);

/* Removes the socket from the file system, if it is still this one. */
extern void door_remove (struct door *door);
extern void door_close (struct door *door);

/* Removes the socket at path if nobody listens there. */
extern void door_remove_dead (const char *path);

/* Is that one file, a socket, however it is spelled? */
extern bool door_is_same_place (const char *a, const char *b);

/* Can anybody connect to this listener still (see shutdown(2))?  Are two
 * descriptors the same one? */
extern bool door_is_open (int listener);
extern bool door_is_same (int a, int b);

/* Listens on 127.0.0.1 and on ::1, where the host has them; fd is -1 where
 * not. */
extern int door_open_port (uint16_t port, int fd[2]);

#endif /* VMSWAP_DOOR_H */
