// SPDX-License-Identifier: BSD-3-Clause
/* The link between the device and its server.
 *
 * Owns the sockets from connect until the kernel has them.
 *
 *   1. The device has one socket.  The kernel takes a new one only in the place
 *      of one that it knows to be dead, and says nothing when it does not.
 *      A socket that it took it holds open: so this process adds each to an
 *      epoll instance, hands it over, and closes it.  What epoll still lists
 *      afterwards (/proc/self/fdinfo) the kernel has taken; and when that
 *      socket is shut down, by the server or by the kernel, epoll says so.
 *      There is no use for the kernel's announcement of dead links
 *      (NBD_CMD_LINK_DEAD), which names no socket and may be lost.
 *   2. One socket, because with several the kernel takes a request that lasts
 *      longer than its patience for lost, and sends it again on another link,
 *      although the server may still be about to carry out the first: an old
 *      page over a new one.  With one socket it sends a request again only
 *      when the link it went out on is dead and replaced.
 *   3. The kernel sends again what was under way on a dead link when the
 *      request's timer runs out, not at once.  So that timer is PATIENCE_MS.
 *   4. Nothing here is fatal while the device is connected: whatever fails
 *      is tried again, for as long as the kernel shows the device as ours.
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "link.h"
#include "say.h"

/* An attempt, from connect to the end of the handshake, may take so long. */
#define ATTEMPT_MS 10000

/* The pause after a failure: the first, and the longest. */
#define PAUSE_MIN_MS 20
#define PAUSE_MAX_MS 1000

/* The longest pause while the kernel has a link that it holds for alive. */
#define PAUSE_ALIVE_MS 10000

/* A link that lasts so long was a good one. */
#define STEADY_MS 1000

#define PATIENCE_MS 5000

/* The reason of an outage is said again so often, and another one. */
#define REPEAT_MS 60000
#define CHANGE_MS 5000

enum outcome { LINKED, NOT_TAKEN, FAILED };

/* --- One attempt. */

int
link_attempt (struct link *link, struct export *found, char *why)
{
  const int64_t deadline = clock_ms () + ATTEMPT_MS;
  int fd = server_connect (&link->server, deadline, why);

  if (fd == -1)
    return -1;
  if (handshake (fd, link->export_name, deadline, found, why) == -1) {
    /* Another address of the server may do better. */
    link->server.next++;
    close (fd);
    return -1;
  }
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) & ~O_NONBLOCK);
  return fd;
}

/* Watches a socket, by a number that no other has had. */
static int
watch (struct link *link, int fd, char *why)
{
  struct epoll_event event = {
    .events = EPOLLRDHUP | EPOLLET,
    .data.u64 = ++link->generation,
  };

  if (epoll_ctl (link->epoll, EPOLL_CTL_ADD, fd, &event) == 0)
    return 0;
  snprintf (why, WHY_SIZE, "epoll: %s", strerror (errno));
  return -1;
}

/* Does the kernel hold the newest socket, which this process has closed? */
static bool
kernel_took_it (const struct link *link)
{
  char path[48], list[2048], wanted[48];
  ssize_t n;
  int fd;

  snprintf (path, sizeof path, "/proc/self/fdinfo/%d", link->epoll);
  fd = open (path, O_RDONLY | O_CLOEXEC);
  n = fd == -1 ? -1 : read (fd, list, sizeof list - 1);
  if (fd != -1)
    close (fd);
  if (n == -1)
    return true; /* no /proc: hope */
  list[n] = '\0';
  snprintf (wanted, sizeof wanted, "data: %16" PRIx64 " ", link->generation);
  return strstr (list, wanted) != NULL;
}

/* --- The beginning. */

static int
start_new (struct link *link)
{
  char why[WHY_SIZE];
  unsigned tries = link->server.count;
  int fd, rc;

  do
    fd = link_attempt (link, &link->first, why);
  while (fd == -1 && --tries > 0);
  if (fd == -1)
    return say_error ("cannot attach export '%s': the server: %s",
                      link->export_name, why);
  rc = watch (link, fd, why);
  if (rc == 0)
    rc = device_connect (&link->device, fd, link->label, &link->first,
                         link->dead_timeout, why);
  close (fd);
  if (rc == -1)
    return say_error ("cannot attach export '%s': %s", link->export_name, why);
  return 0;
}

static int
start_anew (struct link *link)
{
  if (!device_labelled (&link->device, link->label))
    return say_error ("/dev/%s is connected to something else: choose another, "
                      "or vmswap-nbd --disconnect /dev/%s",
                      link->device.name, link->device.name);
  device_found (&link->device, &link->first);
  say ("attached already, without a process that reconnects: taking it over");
  return 0;
}

int
link_start (struct link *link)
{
  if (!device_exists (&link->device))
    return say_error ("/dev/%s does not exist: load the module nbd with a "
                      "larger nbds_max",
                      link->device.name);
  link->epoll = epoll_create1 (EPOLL_CLOEXEC);
  if (link->epoll == -1)
    return say_error ("epoll: %s", strerror (errno));
  if (device_connected (&link->device)) {
    if (start_anew (link) == -1)
      return -1;
  }
  else if (start_new (link) == -1)
    return -1;
  device_set_patience (&link->device, PATIENCE_MS);
  return 0;
}

/* --- The rest of its life. */

/* Is the device still there, and ours? */
static bool
ours (struct link *link)
{
  return device_connected (&link->device) &&
         device_labelled (&link->device, link->label);
}

static enum outcome
reconnect (struct link *link, char *why)
{
  struct export found;
  enum outcome outcome = FAILED;
  int fd = link_attempt (link, &found, why);

  if (fd == -1)
    return FAILED;
  if (export_compare (&link->first, &found, why) == 0 && ours (link) &&
      watch (link, fd, why) == 0 &&
      device_reconnect (&link->device, fd, link->label, link->dead_timeout,
                        why) == 0)
    outcome = LINKED;
  close (fd);
  if (outcome == LINKED && !kernel_took_it (link))
    outcome = NOT_TAKEN;
  return outcome;
}

/* An order to end, or to give up: true if that is done. */
static bool
obey (struct link *link, int signals)
{
  struct signalfd_siginfo order;
  char why[WHY_SIZE];

  if (read (signals, &order, sizeof order) != sizeof order)
    return false;
  if (order.ssi_signo != SIGUSR1 && device_in_use (&link->device)) {
    say ("still in use, going on: swapoff /dev/%s first", link->device.name);
    return false;
  }
  if (device_disconnect (&link->device, why) == -1) {
    say ("cannot disconnect: %s", why);
    return !device_connected (&link->device);
  }
  say (order.ssi_signo == SIGUSR1 ? "given up: what it holds is lost"
                                  : "disconnected");
  return true;
}

/* Waits for at most ms (-1: for ever).  True to end; *dead is set when the
 * kernel's socket is.
 */
static bool
wait_event (struct link *link, int signals, int ms, bool *dead)
{
  struct epoll_event event;

  if (epoll_wait (link->epoll, &event, 1, ms) != 1)
    return false;
  if (event.data.u64 == 0)
    return obey (link, signals);
  if (event.data.u64 == link->generation)
    *dead = true;
  return false;
}

/* A pause of an outage.  True to end. */
static bool
rest (struct link *link, int signals, int ms)
{
  const int64_t end = clock_ms () + ms;
  int64_t left;
  bool dead;

  while ((left = end - clock_ms ()) > 0)
    if (wait_event (link, signals, left, &dead))
      return true;
  return false;
}

static int
longer (int pause, int longest)
{
  pause = pause == 0 ? PAUSE_MIN_MS : 2 * pause;
  return pause < longest ? pause : longest;
}

/* Says why there is no link: at once, another reason a little later, and the
 * same now and again.
 */
static void
complain (const char *why, bool first)
{
  static char last[WHY_SIZE];
  static int64_t said;
  const bool same = strcmp (why, last) == 0;

  if (!first && clock_ms () - said < (same ? REPEAT_MS : CHANGE_MS))
    return;
  strcpy (last, why);
  said = clock_ms ();
  say ("no link: the server: %s; trying on", why);
}

/* An outage: from a dead link to one that the kernel has taken.  True to end.
 * *pause carries what flapping has earned from one outage to the next.
 */
static bool
mend (struct link *link, int signals, int *pause)
{
  const int64_t since = clock_ms ();
  char why[WHY_SIZE];
  bool first = true;

  for (;;) {
    if (rest (link, signals, *pause))
      return true;
    if (!ours (link)) {
      say ("disconnected by somebody else");
      return true;
    }
    why[0] = '\0';
    switch (reconnect (link, why)) {
    case LINKED:
      say ("linked again after %" PRId64 " ms", clock_ms () - since);
      return false;
    case NOT_TAKEN:
      *pause = longer (*pause, PAUSE_ALIVE_MS);
      break;
    case FAILED:
      *pause = longer (*pause, PAUSE_MAX_MS);
      if (why[0] != '\0') {
        complain (why, first);
        first = false;
      }
      break;
    }
  }
}

static int
signals_open (struct link *link)
{
  struct epoll_event event = { .events = EPOLLIN };
  sigset_t set;
  int fd;

  sigemptyset (&set);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGUSR1);
  fd = signalfd (-1, &set, SFD_CLOEXEC);
  if (fd != -1)
    epoll_ctl (link->epoll, EPOLL_CTL_ADD, fd, &event);
  return fd;
}

void
link_keep (struct link *link)
{
  const int signals = signals_open (link);
  bool dead = link->generation == 0; /* taken over: unknown */
  int64_t linked = clock_ms ();
  int pause = 0;

  for (;;) {
    while (!dead)
      if (wait_event (link, signals, -1, &dead))
        return;
    if (clock_ms () - linked >= STEADY_MS)
      pause = 0;
    if (link->generation > 0 && ours (link))
      say ("the link is dead: connecting again");
    if (mend (link, signals, &pause))
      return;
    linked = clock_ms ();
    dead = false;
  }
}
