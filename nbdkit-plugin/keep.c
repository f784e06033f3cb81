// SPDX-License-Identifier: BSD-3-Clause
/* The plugin's connection to vmswap-keep.
 *
 * Owns the connection; what an earlier server left, until somebody takes it;
 * and a list of what this one has given away, whose descriptors belong to
 * guests.  A keeper that ends, does not answer within ANSWER_SECONDS, or
 * answers nonsense is given up: nothing outlives the server until the watch
 * (keep-watch.c) has found a keeper there again, and that has been given all
 * that is in the list.
 *
 * Lock: one question at a time, and the list.  What was left belongs to the
 * main thread.  Nobody closes the connection while the watch may look at it. */

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
static bool on; /* it answers, and has all that is in the list */
static const char *keeper_path;
static struct kept *left;
static unsigned nr_left;
static struct kept *given;
static unsigned nr_given;

bool
keep_is_on (void)
{
  return __atomic_load_n (&on, __ATOMIC_RELAXED);
}

bool
keep_is_gone (void)
{
  return keeper_path != NULL && !keep_is_on ();
}

/* Whoever notices first says so.  The watch closes the connection. */
static void
lose_locked (int err)
{
  shutdown (keeper, SHUT_RDWR);
  if (!on)
    return;
  __atomic_store_n (&on, false, __ATOMIC_RELAXED);
  nbdkit_error ("keeper=%s is gone (%s): the regions of guests do not outlive "
                "this server now: start vmswap-keep there again, which is "
                "given them within a second, and do not end this server before",
                keeper_path, strerror (err));
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
ask_locked (struct vmswap_keeper_message *message, int fd[VMSWAP_KEEPER_FDS])
{
  int r;

  message->magic = VMSWAP_KEEPER_MAGIC;
  r = exchange_locked (message, fd);
  if (r == -ECONNRESET || r == -EPROTO || r == -EAGAIN || r == -EPIPE) {
    lose_locked (-r);
    r = -ENOTCONN;
  }
  return r;
}

/* A descriptor or -errno. */
static int
connect_keeper (const char *path)
{
  const struct timeval patience = { .tv_sec = ANSWER_SECONDS };
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd, err;

  if (strlen (path) >= sizeof address.sun_path)
    return -ENAMETOOLONG;
  strcpy (address.sun_path, path);
  fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd == -1)
    return -errno;
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;
  err = errno;
  close (fd);
  return -err;
}

/* The keeper's first word.  0 or -errno. */
static int
hear_hello (int fd)
{
  struct vmswap_keeper_message hello;
  int came[VMSWAP_KEEPER_FDS];
  const int r = keep_receive (fd, &hello, came);

  keep_close (came, ~0u);
  if (r < 0)
    return r;
  return hello.op == VMSWAP_KEEPER_HELLO ? error_of (&hello) : -EPROTO;
}

/* All that an earlier server left. */
static int
take_all (void)
{
  left = calloc (VMSWAP_KEEPER_GUESTS, sizeof *left);
  given = calloc (VMSWAP_KEEPER_GUESTS, sizeof *given);
  if (left == NULL || given == NULL) {
    nbdkit_error ("keeper=: no memory: %m");
    return -1;
  }
  for (nr_left = 0; nr_left < VMSWAP_KEEPER_GUESTS; ++nr_left) {
    struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_TAKE,
                                             .index = nr_left };
    struct kept *kept = &left[nr_left];
    const int r = ask_locked (&message, kept->fd);

    if (r == -ENOENT)
      break;
    if (r < 0)
      return -1;
    strcpy (kept->name, message.name);
    strcpy (kept->path, message.path);
    kept->pool = message.pool;
    kept->last_page = message.last_page;
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
  keeper_path = settings->keeper;
  keeper = connect_keeper (keeper_path);
  if (keeper < 0) {
    nbdkit_error ("keeper=%s: %s: start vmswap-keep there first, as the user "
                  "of this server",
                  keeper_path, strerror (-keeper));
    keeper = -1;
    return -1;
  }
  r = hear_hello (keeper);
  if (r == 0) {
    on = true;
    return take_all ();
  }
  if (r == -EBUSY)
    nbdkit_error ("keeper=%s: another server uses it: stop that first, or "
                  "start a vmswap-keep for each",
                  keeper_path);
  else
    nbdkit_error ("keeper=%s: that is no vmswap-keep, or one of another "
                  "version (%s)",
                  keeper_path, strerror (-r));
  return -1;
}

void
keep_stop (void)
{
  for (unsigned i = 0; i < nr_left; ++i)
    keep_close (left[i].fd, ~0u);
  free (left);
  free (given);
  left = given = NULL;
  nr_left = nr_given = 0;
  if (keeper != -1)
    close (keeper);
  keeper = -1;
  on = false;
  keeper_path = NULL;
}

struct kept *
keep_find (const char *name)
{
  for (unsigned i = 0; i < nr_left; ++i)
    if (strcmp (left[i].name, name) == 0)
      return &left[i];
  return NULL;
}

struct kept *
keep_find_that (bool (*fits) (const struct kept *kept, const char *path),
                const char *path)
{
  for (unsigned i = 0; i < nr_left; ++i)
    if (fits (&left[i], path))
      return &left[i];
  return NULL;
}

void
keep_each (void (*fn) (struct kept *kept))
{
  for (unsigned i = 0; i < nr_left; ++i)
    fn (&left[i]);
}

/* --- What this server gives away. */

static int
put_region_locked (const struct kept *region)
{
  struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_PUT,
                                           .has = VMSWAP_KEEPER_REGION,
                                           .pool = region->pool,
                                           .last_page = region->last_page };
  int copy[VMSWAP_KEEPER_FDS];

  if (region->greeting)
    message.flags |= VMSWAP_KEEPER_GREETING;
  memcpy (copy, region->fd, sizeof copy);
  strcpy (message.name, region->name);
  return ask_locked (&message, copy);
}

static int
put_listener_locked (const struct kept *guest)
{
  struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_PUT,
                                           .has = VMSWAP_KEEPER_SOCKET };
  int copy[VMSWAP_KEEPER_FDS];

  memcpy (copy, guest->fd, sizeof copy);
  strcpy (message.name, guest->name);
  strcpy (message.path, guest->path);
  return ask_locked (&message, copy);
}

static struct kept *
find_given_locked (const char *name)
{
  for (unsigned i = 0; i < nr_given; ++i)
    if (strcmp (given[i].name, name) == 0)
      return &given[i];
  return NULL;
}

/* The guest in the list; NULL: there are too many. */
static struct kept *
note_locked (const char *name)
{
  struct kept *guest = find_given_locked (name);

  if (guest != NULL || nr_given == VMSWAP_KEEPER_GUESTS)
    return guest;
  guest = &given[nr_given++];
  *guest = (struct kept){ .greeting = false };
  strcpy (guest->name, name);
  for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
    guest->fd[i] = -1;
  return guest;
}

static void
forget_region_locked (const char *name)
{
  struct kept *guest = find_given_locked (name);

  for (unsigned i = 0; guest != NULL && i < VMSWAP_KEEPER_FDS; ++i)
    if (VMSWAP_KEEPER_REGION >> i & 1)
      guest->fd[i] = -1;
}

int
keep_region (const struct kept *region)
{
  struct kept *guest;
  int r = 0;

  pthread_mutex_lock (&lock);
  guest = note_locked (region->name);
  if (guest == NULL)
    r = -ENOSPC;
  else {
    guest->pool = region->pool;
    guest->last_page = region->last_page;
    guest->greeting = region->greeting;
    for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
      if (VMSWAP_KEEPER_REGION >> i & 1)
        guest->fd[i] = region->fd[i];
    if (on)
      r = put_region_locked (guest);
    if (r == -ENOTCONN)
      r = 0; /* the next keeper gets it */
    if (r < 0)
      forget_region_locked (region->name);
  }
  pthread_mutex_unlock (&lock);
  return r;
}

int
keep_listener (const char *name, const char *path, int listener)
{
  struct kept *guest;
  int r = -ENOSPC;

  pthread_mutex_lock (&lock);
  guest = note_locked (name);
  if (guest != NULL) {
    strcpy (guest->path, path);
    guest->fd[VMSWAP_KEEPER_LISTENER] = listener;
    r = on ? put_listener_locked (guest) : -ENOTCONN;
  }
  pthread_mutex_unlock (&lock);
  return r;
}

static void
drop (const char *name, uint32_t flags)
{
  struct vmswap_keeper_message message = { .op = VMSWAP_KEEPER_DROP,
                                           .flags = flags };

  pthread_mutex_lock (&lock);
  forget_region_locked (name);
  strcpy (message.name, name);
  if (on)
    ask_locked (&message, NULL);
  pthread_mutex_unlock (&lock);
}

void
keep_drop (const char *name)
{
  drop (name, 0);
}

void
keep_forget (const char *name)
{
  drop (name, VMSWAP_KEEPER_ALL);
}

void
keep_leave (const char *name)
{
  pthread_mutex_lock (&lock);
  forget_region_locked (name);
  pthread_mutex_unlock (&lock);
}

/* --- For the watch. */

int
keep_connection (void)
{
  return keeper;
}

void
keep_end_connection (void)
{
  pthread_mutex_lock (&lock);
  lose_locked (ECONNRESET);
  close (keeper);
  keeper = -1;
  pthread_mutex_unlock (&lock);
}

/* All of the list.  0 or -errno. */
static int
put_all_locked (void)
{
  int r = 0;

  for (unsigned i = 0; i < nr_given && r == 0; ++i) {
    if (given[i].fd[VMSWAP_KEEPER_LISTENER] != -1)
      r = put_listener_locked (&given[i]);
    if (r == 0 && given[i].fd[VMSWAP_KEEPER_MEMORY] != -1)
      r = put_region_locked (&given[i]);
  }
  return r;
}

/* No words if it fails: that there is none has been said. */
void
keep_connect_again (void)
{
  const int fd = connect_keeper (keeper_path);

  if (fd < 0)
    return;
  if (hear_hello (fd) < 0) {
    close (fd);
    return;
  }
  pthread_mutex_lock (&lock);
  keeper = fd;
  if (put_all_locked () < 0) {
    close (keeper);
    keeper = -1;
  }
  else {
    __atomic_store_n (&on, true, __ATOMIC_RELAXED);
    nbdkit_error ("keeper=%s is there again: what guests share outlives this "
                  "server, as before",
                  keeper_path);
  }
  pthread_mutex_unlock (&lock);
}
