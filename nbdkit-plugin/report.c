// SPDX-License-Identifier: BSD-3-Clause
/* Messages about requests, at most one per kind and second.
 *
 * Lock-free: whoever moves the time of the last line of its kind forward
 * prints; everybody else counts.
 */

#include <config.h>

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "report.h"

#define INTERVAL_NS INT64_C (1000000000)

static struct {
  _Atomic int64_t next; /* no line of this kind before that time */
  _Atomic uint64_t left_out;
} kinds[REPORT_KINDS];

static bool
may_print (enum report_kind kind)
{
  struct timespec ts;
  int64_t now, next = atomic_load (&kinds[kind].next);

  clock_gettime (CLOCK_MONOTONIC, &ts);
  now = ts.tv_sec * INT64_C (1000000000) + ts.tv_nsec;
  return now >= next && atomic_compare_exchange_strong (
                            &kinds[kind].next, &next, now + INTERVAL_NS);
}

void
report (enum report_kind kind, const char *format, ...)
{
  uint64_t left_out;
  char line[512];
  va_list args;

  if (!may_print (kind)) {
    atomic_fetch_add (&kinds[kind].left_out, 1);
    return;
  }
  va_start (args, format);
  vsnprintf (line, sizeof line, format, args);
  va_end (args);
  left_out = atomic_exchange (&kinds[kind].left_out, 0);
  if (left_out != 0)
    nbdkit_error ("%s (and %" PRIu64 " more like this before)", line, left_out);
  else
    nbdkit_error ("%s", line);
}
