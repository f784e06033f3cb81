// SPDX-License-Identifier: BSD-3-Clause
/* What all drivers share: clocks, order statistics, random numbers and the
 * lines they print.  No state but the half-written line on stdout; only the
 * main thread prints. */

#include <config.h>

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "measure.h"

static uint64_t
clock_ns (clockid_t clock)
{
  struct timespec ts;

  clock_gettime (clock, &ts);
  return (uint64_t) ts.tv_sec * UINT64_C (1000000000) + (uint64_t) ts.tv_nsec;
}

uint64_t
wall_ns (void)
{
  return clock_ns (CLOCK_MONOTONIC);
}

uint64_t
thread_cpu_ns (void)
{
  return clock_ns (CLOCK_THREAD_CPUTIME_ID);
}

uint64_t
process_cpu_ns (void)
{
  return clock_ns (CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t
run_delay_ns (void)
{
  FILE *fp = fopen ("/proc/thread-self/schedstat", "re");
  uint64_t ran, waited = 0;

  if (!fp)
    return 0;
  if (fscanf (fp, "%" SCNu64 " %" SCNu64, &ran, &waited) != 2)
    waited = 0;
  fclose (fp);
  return waited;
}

static int
compare_doubles (const void *a, const void *b)
{
  const double x = *(const double *) a, y = *(const double *) b;

  return x < y ? -1 : x > y;
}

double
median (double *values, size_t n)
{
  qsort (values, n, sizeof *values, compare_doubles);
  return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

double
percentile (double *values, size_t n, double percent)
{
  size_t i = (size_t) (percent / 100 * (double) n);

  qsort (values, n, sizeof *values, compare_doubles);
  return values[i < n ? i : n - 1];
}

void
dice_init (struct dice *dice, uint64_t seed)
{
  dice->state = seed * UINT64_C (0x9e3779b97f4a7c15) | 1;
}

uint64_t
dice_roll (struct dice *dice, uint64_t bound)
{
  dice->state ^= dice->state >> 12;
  dice->state ^= dice->state << 25;
  dice->state ^= dice->state >> 27;
  const uint64_t bits = dice->state * UINT64_C (0x2545f4914f6cdd1d);
  return (uint64_t) (((unsigned __int128) bits * bound) >> 64);
}

void
fail (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  fputs ("bench: ", stderr);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  va_end (args);
  exit (EXIT_FAILURE);
}

void
note (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  va_end (args);
}

void
finding_begin (const char *bench, const char *row, const char *sample,
               double value, const char *unit, const char *sense, double target)
{
  printf ("{\"bench\":\"%s\",\"row\":\"%s\",\"sample\":\"%s\"", bench, row,
          sample);
  finding_number ("value", value);
  finding_text ("unit", unit);
  if (sense) {
    finding_text ("sense", sense);
    finding_number ("target", target);
  }
}

void
finding_number (const char *key, double value)
{
  /* JSON knows no infinity: a division by nothing is null. */
  if (isfinite (value))
    printf (",\"%s\":%.6g", key, value);
  else
    printf (",\"%s\":null", key);
}

void
finding_text (const char *key, const char *value)
{
  printf (",\"%s\":\"%s\"", key, value);
}

void
finding_end (void)
{
  puts ("}");
  fflush (stdout);
}
