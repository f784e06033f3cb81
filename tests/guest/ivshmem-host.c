// SPDX-License-Identifier: BSD-3-Clause
/* ivshmem-host: a host of the ring for tests, which can be told to lie.
 *
 *   ivshmem-host SOCKET REGION_MIB DEVICE_MIB
 *
 * Two processes: the keeper owns the region, the eventfds, the socket and the
 * pool (plain shared memory, a byte of state per page); the server, its child,
 * plays the host's part of proto/PROTOCOL.md.  The keeper obeys one command per
 * line on stdin, and answers each with one line:
 *
 *   held         pages=N          pages that the pool holds
 *   kill         kills=N          kill -9 the server, start the next
 *   pause on|off                  kill -9 the server, and start none until off
 *   set KNOB N                    see knob_names
 *   grow MIB                      the device is that large from now on
 *   peek                          the words of the region, for a look
 *   quit
 *
 * All memory is shared, so what a server has done is there for the next;
 * nothing else is kept.  When QEMU ends, what is posted is done, and the region
 * is made anew for the next.  One thread per process, no locks.
 */

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ivshmem-host.h"

static const char *const knob_names[KNOBS] = {
  "quiesce",    "full",   "limit",    "dead",       "tail",
  "completes",  "status", "geometry", "pages",      "generation",
  "interrupts", "events", "sequence", "host-state", "session",
};

static void
knob_set (const char *name, uint32_t value)
{
  for (unsigned i = 0; i < KNOBS; ++i)
    if (strcmp (name, knob_names[i]) == 0) {
      SET (&shared->knobs[i], value);
      notify (doorbell);
      printf ("ok\n");
      return;
    }
  printf ("error no knob %s\n", name);
}

static void
peek (void)
{
  printf ("post_head=%u post_tail=%u submit_head=%u complete_head=%u "
          "guest_state=%u host_state=%u generation=%u hint_head=%u "
          "bad_posts=%u flags=%u\n",
          header->post_head, header->post_tail, header->submit_head,
          header->complete_head, header->guest_state, header->host_state,
          header->generation, header->hint_head, header->bad_posts,
          header->host_flags);
}

static void
command_run (const char *line)
{
  static unsigned kills;
  char verb[32] = "", arg[32] = "";
  unsigned long long value = 0;

  sscanf (line, "%31s %31s %llu", verb, arg, &value);
  if (strcmp (verb, "held") == 0)
    printf ("pages=%llu\n", (unsigned long long) RELAXED (&shared->held));
  else if (strcmp (verb, "kill") == 0) {
    server_kill ();
    server_start ();
    printf ("kills=%u\n", ++kills);
  }
  else if (strcmp (verb, "pause") == 0) {
    server_kill ();
    if (strcmp (arg, "off") == 0)
      server_start ();
    printf ("ok\n");
  }
  else if (strcmp (verb, "set") == 0)
    knob_set (arg, (uint32_t) value);
  else if (strcmp (verb, "grow") == 0) {
    const uint64_t pages = strtoull (arg, NULL, 10) << 8;

    if (pages <= store_pages)
      SET (&shared->device_pages, pages);
    notify (doorbell);
    printf (pages <= store_pages ? "ok\n" : "error too large\n");
  }
  else if (strcmp (verb, "peek") == 0)
    peek ();
  else if (strcmp (verb, "quit") == 0)
    exit (0);
  else
    printf ("error what?\n");
}

int
main (int argc, char *argv[])
{
  struct pollfd pollers[2] = { { .events = POLLIN }, { .events = POLLIN } };
  char line[256];
  int connection = -1;

  if (argc != 4) {
    fprintf (stderr, "usage: ivshmem-host SOCKET REGION_MIB DEVICE_MIB\n");
    return 1;
  }
  setvbuf (stdout, NULL, _IOLBF, 0);
  setvbuf (stdin, NULL, _IONBF, 0);
  keeper_init (strtoull (argv[2], NULL, 10), strtoull (argv[3], NULL, 10));
  pollers[0].fd = STDIN_FILENO;
  pollers[1].fd = socket_listen (argv[1]);
  server_start ();
  printf ("ready\n");
  for (;;) {
    if (poll (pollers, 2, -1) < 0)
      die ("poll");
    if (pollers[1].revents & POLLIN) {
      if (connection >= 0)
        close (connection);
      connection = qemu_accept (pollers[1].fd);
    }
    if (pollers[0].revents & (POLLIN | POLLHUP)) {
      if (!fgets (line, sizeof line, stdin))
        return 0;
      command_run (line);
    }
  }
}
