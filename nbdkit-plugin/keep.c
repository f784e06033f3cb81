// SPDX-License-Identifier: BSD-3-Clause
/* The plugin's connection to vmswap-keep.
 *
 * Owns the connection, and what an earlier server left until somebody takes
 * it.  A keeper that does not answer within ANSWER_SECONDS is given up, and so
 * is one that answers nonsense: regions that are made then have nobody to keep
 * them, and are not given away.
 *
 * Lock: one question at a time.  What was left belongs to the main thread. */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "keep.h"
#include "../service/keep-wire.h"

#define ANSWER_SECONDS 5
#define MAX_ERRNO 4095

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int keeper = -1;
static const char *keeper_path;
static struct kept *left;
static unsigned nr_left;

bool
keep_is_on (void)
{
  return __atomic_load_n (&keeper, __ATOMIC_RELAXED) != -1;
}

/* What the answer says: 0 or -errno. */
static int
error_of (const struct vmswap_keeper_message *answer)
{
  return answer->status <= MAX_ERRNO ? -(int) answer->status : -EPROTO;
}

static int
exchange_locked (struct vmswap_keeper_message *message,
                 int fd[VMSWAP_KEEPER_FDS])
{
  const uint32_t op = message->op;
  int answer[VMSWAP_KEEPER_FDS];
  int r = keep_send (keeper, message, fd);

  if (r == 0)
    r = keep_receive (keeper, message, answer);
  if (r == 0 && message->op != op) {
    keep_close (answer, ~0u);
    r = -EPROTO;
  }
  if (r < 0)
    return r;
  r = error_of (message);
  if (op == VMSWAP_KEEPER_TAKE && r == 0)
    memcpy (fd, answer, sizeof answer);
  else
    keep_close (answer, ~0u);
  return r;
}

/* Asks, and waits for the answer.  Anything but ENOENT and what the keeper says
 * of a PUT ends the connection. */
static int
ask (struct vmswap_keeper_message *message, int fd[VMSWAP_KEEPER_FDS])
{
  int r;

  message->magic = VMSWAP_KEEPER_MAGIC;
  pthread_mutex_lock (&lock);
  r = keeper == -1 ? -ENOTCONN : exchange_locked (message, fd);
  if (r == -ECONNRESET || r == -EPROTO || r == -EAGAIN || r == -EPIPE) {
    nbdkit_error ("keeper=%s does not answer (%s): regions do not outlive this "
                  "server any more, start vmswap-keep, then this server, then "
                  "the guests with ivshmem= anew",
                  keeper_path, strerror (-r));
    close (keeper);
    __atomic_store_n (&keeper, -1, __ATOMIC_RELAXED);
  }
  pthread_mutex_unlock (&lock);
  return r;
}

static int
connect_keeper (const char *path)
{
  const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  if (fd == -1 || strlen (path) >= sizeof address.sun_path) {
    nbdkit_error ("keeper=%s: %s: give a shorter path, or raise the limit of "
                  "descriptors",
                  path, strerror (fd == -1 ? errno : ENAMETOOLONG));
    if (fd != -1)
      close (fd);
    return -1;
  }
  strcpy (address.sun_path, path);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == -1) {
    nbdkit_error ("keeper=%s: %m: start vmswap-keep there first, as the user "
                  "of this server",
                  path);
    close (fd);
    return -1;
  }
  keeper_path = path;
  keeper = fd;
  return 0;
}

/* The keeper's first word.  0 or -errno. */
static int
hear_hello (void)
{
  struct vmswap_keeper_message hello;
  int fd[VMSWAP_KEEPER_FDS];
  const int r = keep_receive (keeper, &hello, fd);

  keep_close (fd, ~0u);
  if (r < 0)
    return r;
  return hello.op == VMSWAP_KEEPER_HELLO ? error_of (&hello) : -EPROTO;
}

/* All that an earlier server left. */
static int
take_all (void)
{
  left = calloc (VMSWAP_KEEPER_GUESTS, sizeof *left);
  if (left == NULL) {
    nbdkit_error ("keeper=: no memory: %m");
    return -1;
  }
  for (nr_left = 0; nr_left < VMSWAP_KEEPER_GUESTS; ++nr_left) {
    struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_TAKE,
                                             .index = nr_left };
    struct kept *kept = &left[nr_left];
    const int r = ask (&message, kept->fd);

    if (r == -ENOENT)
      break;
    if (r < 0)
      return -1;
    strcpy (kept->name, message.name);
    strcpy (kept->path, message.path);
    kept->pool = message.pool;
    kept->greeting = (message.flags & VMSWAP_KEEPER_GREETING) != 0;
  }
  return 0;
}

int
keep_start (const struct settings *settings)
{
  int r;

  if (settings->keeper == NULL)
    return 0;
  if (connect_keeper (settings->keeper) == -1)
    return -1;
  r = hear_hello ();
  if (r == 0)
    return take_all ();
  if (r == -EBUSY)
    nbdkit_error ("keeper=%s: another server uses it: stop that first, or "
                  "start a vmswap-keep for each",
                  settings->keeper);
  else
    nbdkit_error ("keeper=%s: that is no vmswap-keep, or one of another "
                  "version (%s)",
                  settings->keeper, strerror (-r));
  return -1;
}

void
keep_stop (void)
{
  for (unsigned i = 0; i < nr_left; ++i)
    keep_close (left[i].fd, ~0u);
  free (left);
  left = NULL;
  nr_left = 0;
  if (keeper != -1)
    close (keeper);
  keeper = -1;
}

struct kept *
keep_find (const char *name)
{
  for (unsigned i = 0; i < nr_left; ++i)
    if (strcmp (left[i].name, name) == 0)
      return &left[i];
  return NULL;
}

void
keep_each (void (*fn) (struct kept *kept))
{
  for (unsigned i = 0; i < nr_left; ++i)
    fn (&left[i]);
}

int
keep_region (const struct kept *region)
{
  struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_PUT,
                                           .has = VMSWAP_KEEPER_REGION,
                                           .pool = region->pool };
  int copy[VMSWAP_KEEPER_FDS];

  if (region->greeting)
    message.flags |= VMSWAP_KEEPER_GREETING;
  memcpy (copy, region->fd, sizeof copy);
  strcpy (message.name, region->name);
  return ask (&message, copy);
}

int
keep_listener (const char *name, const char *path, int listener)
{
  struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_PUT,
                                           .has = VMSWAP_KEEPER_SOCKET };
  int fd[VMSWAP_KEEPER_FDS] = { [VMSWAP_KEEPER_LISTENER] = listener };

  strcpy (message.name, name);
  strcpy (message.path, path);
  return ask (&message, fd);
}

void
keep_drop (const char *name)
{
  struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_DROP };

  if (!keep_is_on ())
    return;
  strcpy (message.name, name);
  ask (&message, NULL);
}
