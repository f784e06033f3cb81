// SPDX-License-Identifier: BSD-3-Clause
/* Owns the descriptor of /proc/loadavg, whose fourth word begins with how many
 * tasks want a CPU at this moment, on all CPUs.
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
static long cpus;

void
crowd_begin (void)
{
  cpus = sysconf (_SC_NPROCESSORS_ONLN);
  fd = open ("/proc/loadavg", O_RDONLY | O_CLOEXEC);
}

void
crowd_end (void)
{
  if (fd != -1)
    close (fd);
  fd = -1;
}

long
crowd_size (const char *line)
{
  char *end;
  long n;

  for (unsigned word = 0; word < 3; ++word) {
    line = strchr (line, ' ');
    if (line == NULL)
      return -1;
    line++;
  }
  n = strtol (line, &end, 10);
  return end != line && *end == '/' && n >= 0 ? n : -1;
}

bool
crowd_is (void)
{
  char line[128];
  ssize_t n;

  if (fd == -1)
    return false;
  n = pread (fd, line, sizeof line - 1, 0);
  if (n <= 0)
    return false;
  line[n] = '\0';
  return crowd_size (line) > cpus;
}
