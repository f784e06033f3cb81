// SPDX-License-Identifier: BSD-3-Clause
/* vmswap-nbd: an nbd device of this guest that survives its server.
 *
 * Debian's nbd-client cannot: it hands the kernel a connection and leaves, and
 * when that dies the kernel fails every request from then on.  This program
 * has the kernel hold requests back instead, and stays to make a new
 * connection; see vmswap-nbd(8).
 *
 *   server.c     addresses and connections
 *   handshake.c  NBD up to the transmission phase
 *   device.c     the kernel's side: netlink, sysfs
 *   link.c       brings the three together, again and again
 *   hold.c       memory that is there when none is; one keeper per device
 *   say.c        log lines that never wait
 */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hold.h"
#include "link.h"
#include "say.h"

/* A day: longer than an operator sleeps, and an end if nobody comes. */
#define DEAD_TIMEOUT_DEFAULT 86400
#define DEAD_TIMEOUT_MAX 31536000

/* --disconnect waits so long for the kernel. */
#define DISCONNECT_MS 10000

static struct link link_;

static const char usage_text[] =
    "usage: vmswap-nbd [--dead-timeout SECONDS] [--foreground]\n"
    "                  SERVER EXPORT DEVICE\n"
    "       vmswap-nbd --probe SERVER EXPORT\n"
    "       vmswap-nbd --disconnect [--force] DEVICE\n"
    "\n"
    "Attaches the export of a server, HOST, HOST:PORT or unix:PATH, to an nbd\n"
    "device, and makes a new connection whenever the old one dies, for as "
    "long\n"
    "as the device is connected.\n"
    "\n"
    "--dead-timeout SECONDS  I/O waits so long for a server that is away, "
    "then\n"
    "                        it fails (default 86400, a day)\n"
    "--foreground            stay in the foreground\n"
    "--probe                 say what the server offers, and attach nothing\n"
    "--disconnect            detach the device; refused while it swaps\n"
    "--force                 even then: what it holds is lost\n"
    "--help, --version\n"
    "\n"
    "vmswap-nbd(8) tells the rest.\n";

static int
misuse (const char *what)
{
  return say_error ("%s: try vmswap-nbd --help", what);
}

/* --- Attaching. */

static int
check_export (const char *name)
{
  if (name[0] == '\0')
    return misuse ("the name of the EXPORT is empty");
  if (strlen (name) > EXPORT_NAME_MAX)
    return say_error ("the name of the EXPORT is longer than %d bytes",
                      EXPORT_NAME_MAX);
  if (strpbrk (name, "\n\r") != NULL)
    return say_error ("the name of the EXPORT has a line break in it");
  return 0;
}

/* What the parent waits for, through a pipe; never returns in the parent. */
static int
go_to_background (void)
{
  int ready[2];
  pid_t pid;
  char byte;

  if (pipe2 (ready, O_CLOEXEC) == -1 || (pid = fork ()) == -1) {
    say_error ("cannot go to the background: %s", strerror (errno));
    exit (1);
  }
  if (pid > 0) {
    close (ready[1]);
    _exit (read (ready[0], &byte, 1) == 1 ? 0 : 1);
  }
  close (ready[0]);
  setsid ();
  return ready[1];
}

static void
leave_terminal (int ready)
{
  const int null = open ("/dev/null", O_RDWR | O_CLOEXEC);

  say_to_kernel ();
  if (write (ready, "", 1) != 1)
    say ("whoever started this did not wait");
  close (ready);
  dup2 (null, STDIN_FILENO);
  dup2 (null, STDOUT_FILENO);
  dup2 (null, STDERR_FILENO);
}

static void
block_signals (void)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGINT);
  sigaddset (&set, SIGUSR1);
  sigprocmask (SIG_BLOCK, &set, NULL);
  signal (SIGHUP, SIG_IGN);
  signal (SIGPIPE, SIG_IGN);
}

static int
attach (struct link *link, bool foreground)
{
  int ready = -1;

  snprintf (link->label, sizeof link->label, "vmswap-nbd %s%s%s %s",
            link->server.path ? "unix:" : link->server.host,
            link->server.path ? "" : ":",
            link->server.path ? link->server.path : link->server.port,
            link->export_name);
  if (server_resolve (&link->server) == -1)
    return 1;
  if (chdir ("/") == -1)
    return 1;
  if (!foreground)
    ready = go_to_background ();
  if (hold_device (link->device.name) == -1 ||
      device_open (&link->device) == -1)
    return 1;
  block_signals ();
  hold_memory ();
  if (link_start (link) == -1)
    return 1;
  say_about (link->device.name);
  if (!foreground)
    leave_terminal (ready);
  say ("attached to %s", link->label + strlen ("vmswap-nbd "));
  link_keep (link);
  return 0;
}

static int
probe (struct link *link)
{
  struct export found;
  char why[WHY_SIZE];
  unsigned tries;
  int fd = -1;

  if (server_resolve (&link->server) == -1)
    return 1;
  for (tries = link->server.count; fd == -1 && tries > 0; tries--)
    fd = link_attempt (link, &found, why);
  if (fd == -1) {
    say_error ("export '%s': the server: %s", link->export_name, why);
    return 1;
  }
  printf ("export '%s': %" PRIu64 " bytes%s%s%s%s\n", link->export_name,
          found.size, found.flags & EXPORT_FLUSH ? ", flush" : "",
          found.flags & EXPORT_FUA ? ", fua" : "",
          found.flags & EXPORT_TRIM ? ", trim" : "",
          found.flags & EXPORT_ZEROES ? ", write-zeroes" : "");
  close (fd);
  return 0;
}

/* --- Detaching. */

/* Has it happened?  With --force the keeper's end is all that can be seen. */
static bool
detached (const struct device *device)
{
  return !device_connected (device) && hold_keeper (device->name) == 0;
}

static int
ask_keeper (struct device *device, bool force)
{
  const int64_t end = clock_ms () + DISCONNECT_MS;
  const pid_t keeper = hold_keeper (device->name);
  char why[WHY_SIZE];

  if (keeper == -1)
    return 1;
  if (keeper > 0) {
    if (kill (keeper, force ? SIGUSR1 : SIGTERM) == -1) {
      say_error ("process %d looks after it, and cannot be told: %s",
                 (int) keeper, strerror (errno));
      return 1;
    }
  }
  else if (device_open (device) == -1)
    return 1;
  else if (device_disconnect (device, why) == -1) {
    say_error ("/dev/%s: %s", device->name, why);
    return 1;
  }
  while (clock_ms () < end) {
    if (detached (device) || (force && hold_keeper (device->name) == 0))
      return 0;
    usleep (10000);
  }
  say_error ("/dev/%s is still connected after %d s: something has it open",
             device->name, DISCONNECT_MS / 1000);
  return 1;
}

static int
detach (struct device *device, bool force)
{
  if (!device_connected (device)) {
    say_error ("/dev/%s is not connected", device->name);
    return 1;
  }
  if (!force && device_in_use (device)) {
    say_error ("/dev/%s is in use: swapoff it first (vmswap-setup undo), or "
               "give up what it holds with --force",
               device->name);
    return 1;
  }
  return ask_keeper (device, force);
}

/* --- */

enum { DEAD_TIMEOUT = 256, FOREGROUND, PROBE, DISCONNECT, FORCE };

static const struct option options[] = {
  { "dead-timeout", required_argument, NULL, DEAD_TIMEOUT },
  { "foreground", no_argument, NULL, FOREGROUND },
  { "probe", no_argument, NULL, PROBE },
  { "disconnect", no_argument, NULL, DISCONNECT },
  { "force", no_argument, NULL, FORCE },
  { "help", no_argument, NULL, 'h' },
  { "version", no_argument, NULL, 'V' },
  { 0 },
};

struct wishes {
  bool foreground, probe, disconnect, force;
};

static int
parse_seconds (const char *word, uint64_t *seconds)
{
  char *end;

  *seconds = strtoull (word, &end, 10);
  if (word[0] >= '0' && word[0] <= '9' && *end == '\0' && *seconds >= 1 &&
      *seconds <= DEAD_TIMEOUT_MAX)
    return 0;
  return say_error ("--dead-timeout: '%s' is not a number of seconds from 1 "
                    "to %d (a year)",
                    word, DEAD_TIMEOUT_MAX);
}

/* The options; exits for those that are all there is to do. */
static int
parse_options (int argc, char **argv, struct wishes *wishes,
               uint64_t *dead_timeout)
{
  int option;

  opterr = 0;
  while ((option = getopt_long (argc, argv, "+:hV", options, NULL)) != -1) {
    switch (option) {
    case DEAD_TIMEOUT:
      if (parse_seconds (optarg, dead_timeout) == -1)
        return -1;
      break;
    case FOREGROUND:
      wishes->foreground = true;
      break;
    case PROBE:
      wishes->probe = true;
      break;
    case DISCONNECT:
      wishes->disconnect = true;
      break;
    case FORCE:
      wishes->force = true;
      break;
    case 'h':
      fputs (usage_text, stdout);
      exit (0);
    case 'V':
      puts ("vmswap-nbd " PACKAGE_VERSION);
      exit (0);
    case ':':
      return say_error ("%s needs a value: try vmswap-nbd --help",
                        argv[optind - 1]);
    default:
      return say_error ("unknown option '%s': try vmswap-nbd --help",
                        argv[optind - 1]);
    }
  }
  if (wishes->force && !wishes->disconnect)
    return misuse ("--force goes with --disconnect");
  if (wishes->probe && wishes->disconnect)
    return misuse ("--probe or --disconnect, not both");
  return 0;
}

int
main (int argc, char **argv)
{
  struct link *link = &link_;
  struct wishes wishes = { 0 };

  link->dead_timeout = DEAD_TIMEOUT_DEFAULT;
  if (parse_options (argc, argv, &wishes, &link->dead_timeout) == -1)
    return 1;
  argc -= optind;
  argv += optind;
  if (wishes.disconnect) {
    if (argc != 1)
      misuse ("--disconnect takes a DEVICE, and nothing else");
    if (argc != 1 || device_parse (&link->device, argv[0]) == -1)
      return 1;
    return detach (&link->device, wishes.force);
  }
  if (argc != (wishes.probe ? 2 : 3)) {
    misuse (wishes.probe ? "--probe takes SERVER and EXPORT"
                         : "SERVER, EXPORT and DEVICE are needed");
    return 1;
  }
  if (server_parse (&link->server, argv[0]) == -1 ||
      check_export (argv[1]) == -1)
    return 1;
  link->export_name = argv[1];
  if (wishes.probe)
    return probe (link);
  if (device_parse (&link->device, argv[2]) == -1)
    return 1;
  return attach (link, wishes.foreground);
}
