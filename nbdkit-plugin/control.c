// SPDX-License-Identifier: BSD-3-Clause
/* The control server: its life.
 *
 * Owns the sockets that it listens on, the event loop and its thread.  The
 * sockets are opened before the server forks; the loop, which a fork would
 * break, belongs to the thread.  No lock: before and after the thread there is
 * only nbdkit's main thread, and all that it does meanwhile is to write to
 * "ending".
 *
 *     control.c     the thread
 *     door.c        sockets to listen on
 *     http.c        connections and their limits
 *     route.c       what is asked, and the answers
 *     render-*.c    figures as text
 */

#include <config.h>

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "control.h"
#include "door.h"
#include "figures.h"
#include "http.h"
#include "settings.h"
#include "thread.h"
#include "trend.h"

static struct {
  struct door door;
  int port[2];
  int ending; /* an eventfd: written to end the loop */

  struct event_base *base; /* of the thread, while it runs */
  struct event *end;
  struct event *minute; /* adds to the trend */
  struct trend trend;
  struct render_server server;
  struct http *local; /* on the door */
  struct http *tcp[2];
  struct route route[3];

  bool running;
  pthread_t thread;
} control = { .door = DOOR_NONE, .port = { -1, -1 }, .ending = -1 };

int
control_prepare (const struct settings *settings)
{
  if (settings->control != NULL &&
      door_open ("control", settings->control, &settings->control_group, false,
                 &control.door) == -1)
    return -1;
  if (settings->control_port != 0 &&
      door_open_port (settings->control_port, control.port) == -1) {
    control_free ();
    return -1;
  }
  return 0;
}

static void
log_event (int severity, const char *message)
{
  nbdkit_debug ("control: libevent: %s", message);
}

static void
end_loop (evutil_socket_t fd, short what, void *opaque)
{
  event_base_loopbreak (control.base);
}

static void
note_trend (evutil_socket_t none, short what, void *opaque)
{
  struct pool_stats stats;

  pool_get_stats (control.route[0].pool, &stats);
  trend_add (&control.trend,
             stats.blob_pages + stats.cold_pages + stats.shared_blobs,
             figures_compression (&stats));
}

static void
clear_loop (void)
{
  http_free (control.local);
  for (unsigned i = 0; i < 2; ++i)
    http_free (control.tcp[i]);
  if (control.minute != NULL)
    event_free (control.minute);
  if (control.end != NULL)
    event_free (control.end);
  if (control.base != NULL)
    event_base_free (control.base);
  control.local = control.tcp[0] = control.tcp[1] = NULL;
  control.end = control.minute = NULL;
  control.base = NULL;
}

static int
make_loop (void)
{
  const struct timeval minute = { .tv_sec = TREND_INTERVAL_SECONDS };

  event_set_log_callback (log_event);
  control.ending = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  control.base = control.ending == -1 ? NULL : event_base_new ();
  if (control.base == NULL)
    return -1;
  control.end =
      event_new (control.base, control.ending, EV_READ, end_loop, NULL);
  control.minute = event_new (control.base, -1, EV_PERSIST, note_trend, NULL);
  if (control.end == NULL || event_add (control.end, NULL) == -1 ||
      control.minute == NULL || event_add (control.minute, &minute) == -1)
    return -1;
  if (control.door.fd != -1) {
    control.local =
        http_new (control.base, control.door.fd, HTTP_LOCAL, &control.route[0]);
    if (control.local == NULL)
      return -1;
  }
  for (unsigned i = 0; i < 2; ++i)
    if (control.port[i] != -1) {
      control.tcp[i] = http_new (control.base, control.port[i], HTTP_READ_ONLY,
                                 &control.route[1 + i]);
      if (control.tcp[i] == NULL)
        return -1;
    }
  return 0;
}

static void *
run (void *opaque)
{
  event_base_dispatch (control.base);
  return NULL;
}

static int
start_thread (void)
{
  control.running = thread_start (&control.thread, 0, run, NULL) == 0;
  return control.running ? 0 : -1;
}

int
control_start (struct pool *pool, const struct render_server *server)
{
  if (control.door.fd == -1 && control.port[0] == -1)
    return 0;
  control.server = *server;
  control.server.trend = &control.trend;
  for (unsigned i = 0; i < 3; ++i)
    control.route[i] =
        (struct route){ .pool = pool, .server = &control.server };
  if (make_loop () == -1 || start_thread () == -1) {
    nbdkit_error ("cannot start the control server: %m: raise the limits of "
                  "memory, descriptors or tasks, or start without control=");
    clear_loop ();
    return -1;
  }
  return 0;
}

void
control_stop (void)
{
  const uint64_t one = 1;

  if (control.running && write (control.ending, &one, sizeof one) == sizeof one)
    pthread_join (control.thread, NULL);
  control.running = false;
  clear_loop ();
  control_free ();
}

void
control_free (void)
{
  door_remove (&control.door);
  door_close (&control.door);
  for (unsigned i = 0; i < 2; ++i) {
    if (control.port[i] != -1)
      close (control.port[i]);
    control.port[i] = -1;
  }
  if (control.ending != -1)
    close (control.ending);
  control.ending = -1;
}
