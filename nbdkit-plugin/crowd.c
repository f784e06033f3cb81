// SPDX-License-Identifier: BSD-3-Clause
/* Owns the descriptor of /proc/loadavg, whose fourth word begins with how many
 * tasks run or are ready to, on all CPUs.  Threads share it: pread has no
 * position, and the kernel's lock is held for as long as it takes to print.
 *
 * The kernel's pressure (/proc/pressure/cpu) would tell what waiting costs, but
 * as an average of ten seconds; and how long this thread waits says nothing:
 * who wakes up goes before those that have run, so it is others that wait. */

#include <config.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crowd.h"

static int fd = -1;
static long online;

void
crowd_begin (void)
{
  online = sysconf (_SC_NPROCESSORS_ONLN);
  fd = open ("/proc/loadavg", O_RDONLY | O_CLOEXEC);
}

void
crowd_end (void)
{
  if (fd != -1)
    close (fd);
  fd = -1;
}

bool
crowd_of (const char *line, long cpus)
{
  char *end;
  long n;

  for (unsigned word = 0; word < 3; ++word) {
    line = strchr (line, ' ');
    if (line == NULL)
      return false;
    line++;
  }
  n = strtol (line, &end, 10);
  return end != line && *end == '/' && n > cpus;
}

bool
crowd_is (void)
{
  char line[128];
  ssize_t n;

  if (fd == -1 || online < 1)
    return false;
  n = pread (fd, line, sizeof line - 1, 0);
  if (n <= 0)
    return false;
  line[n] = '\0';
  return crowd_of (line, online);
}
