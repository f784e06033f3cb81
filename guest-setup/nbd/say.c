// SPDX-License-Identifier: BSD-3-Clause
/* Log lines.
 *
 * Owns the place they go to.  Until the device is ready that is stderr.  Then
 * it is /dev/kmsg: syslog and the journal are processes whose memory may be
 * swapped out on the very device whose link is down, and whoever waits for them
 * then waits for ever.  The journal reads the kernel's log when it can.
 *
 * No lock: there is one thread.
 */

#include <config.h>

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "say.h"

/* A server that comes and goes must not fill the log. */
#define LINES_PER_WINDOW 12
#define WINDOW_SECONDS 60

static char about[32];
static int kernel_log = -1;

void
say_about (const char *name)
{
  snprintf (about, sizeof about, "%s: ", name);
}

void
say_to_kernel (void)
{
  kernel_log = open ("/dev/kmsg", O_WRONLY | O_CLOEXEC);
}

/* Writes a line where there is room for it at once, else drops it. */
static void
put_line (const char *line)
{
  int fd = kernel_log >= 0 ? kernel_log : STDERR_FILENO;
  struct pollfd room = { .fd = fd, .events = POLLOUT };
  char text[640];
  int length;

  if (kernel_log >= 0)
    length = snprintf (text, sizeof text, "<5>vmswap-nbd: %s%s\n", about, line);
  else
    length = snprintf (text, sizeof text, "vmswap-nbd: %s%s\n", about, line);
  if (length >= (int) sizeof text) {
    length = sizeof text - 1;
    text[length - 1] = '\n';
  }
  if (fd == STDERR_FILENO && poll (&room, 1, 0) != 1)
    return;
  if (write (fd, text, length) == -1)
    return; /* there is nobody to tell */
}

/* May one more line be said?  Tells how many were not, when a window ends. */
static bool
line_allowed (void)
{
  static time_t window;
  static unsigned said, unsaid;
  struct timespec now;
  char line[64];

  clock_gettime (CLOCK_MONOTONIC, &now);
  if (now.tv_sec - window >= WINDOW_SECONDS) {
    window = now.tv_sec;
    said = 0;
    if (unsaid > 0) {
      snprintf (line, sizeof line, "%u more lines were not said", unsaid);
      put_line (line);
    }
    unsaid = 0;
  }
  if (said < LINES_PER_WINDOW) {
    said++;
    return true;
  }
  unsaid++;
  return false;
}

void
say (const char *format, ...)
{
  char line[512];
  va_list args;

  if (!line_allowed ())
    return;
  va_start (args, format);
  vsnprintf (line, sizeof line, format, args);
  va_end (args);
  put_line (line);
}

int
say_error (const char *format, ...)
{
  char line[512];
  va_list args;

  va_start (args, format);
  vsnprintf (line, sizeof line, format, args);
  va_end (args);
  put_line (line);
  return -1;
}
