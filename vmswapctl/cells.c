// SPDX-License-Identifier: BSD-3-Clause
/* The cells of the table of guests.  Owns nothing. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "cells.h"
#include "human.h"
#include "screen.h"
#include "view.h"

#define PAGE 4096 /* bytes, of pages that are counted */

/* The element of the array whose id this is; arrays of two moments mostly have
 * the same at the same place. */
static const json_t *
find_id (const json_t *array, const char *id, size_t place)
{
  const size_t n = json_array_size (array);

  for (size_t i = 0; i < n; ++i) {
    const json_t *one = json_array_get (array, (place + i) % n);
    const char *its = json_string_value (json_object_get (one, "id"));

    if (its && strcmp (its, id) == 0)
      return one;
  }
  return NULL;
}

double
cells_seconds (const struct screen_data *data)
{
  const uint64_t now = view_number (data->now, "clock_ns");
  const uint64_t then = view_number (data->earlier, "clock_ns");

  return data->earlier && now > then ? (now - then) / 1e9 : 0;
}

struct cells_row *
cells_rows (const struct screen_data *data, size_t *n)
{
  const json_t *guests = json_object_get (data->now, "guests");
  struct cells_row *rows;
  size_t i;
  json_t *guest;

  *n = 0;
  rows = calloc (json_array_size (guests) + 1, sizeof *rows);
  if (!rows)
    return NULL;
  json_array_foreach (guests, i, guest)
  {
    const char *id = json_string_value (json_object_get (guest, "id"));

    if (!id)
      continue;
    rows[(*n)++] = (struct cells_row){
      .id = id,
      .now = guest,
      .before = find_id (json_object_get (data->earlier, "guests"), id, i),
      .latency = find_id (json_object_get (data->latency, "guests"), id, i),
      .latency_before =
          find_id (json_object_get (data->earlier_latency, "guests"), id, i),
      .bounds = json_object_get (data->latency, "bounds_ns"),
      .seconds = cells_seconds (data),
    };
  }
  return rows;
}

/* Per second.  -1: nobody knows.  A counter that fell is another export of the
 * same name. */
static double
rate (const json_t *now, const json_t *before, const char *figure,
      double seconds)
{
  const uint64_t new = view_number (now, figure);
  const uint64_t old = view_number (before, figure);

  if (!before || seconds <= 0)
    return -1;
  return new >= old ? (new - old) / seconds : 0;
}

static void
size_text (double bytes, char *text, size_t size)
{
  struct human human;

  if (bytes < 0)
    snprintf (text, size, "-");
  else
    snprintf (text, size, "%s", human_size (&human, (uint64_t) (bytes + 0.5)));
}

void
cells_rate (const json_t *now, const json_t *before, const char *figure,
            double unit, double seconds, char *text, size_t size)
{
  size_text (rate (now, before, figure, seconds) * unit, text, size);
}

static uint64_t
count_of (const json_t *pair)
{
  return json_integer_value (json_array_get (pair, 1));
}

static json_int_t
bucket_of (const json_t *pair)
{
  return json_integer_value (json_array_get (pair, 0));
}

/* How many more are in the bucket of now's i-th pair than there were before;
 * *j goes along in before. */
static uint64_t
added (const json_t *now, size_t i, const json_t *before, size_t *j)
{
  const json_t *pair = json_array_get (now, i);
  const json_t *old;

  while ((old = json_array_get (before, *j)) &&
         bucket_of (old) < bucket_of (pair))
    ++*j;
  if (!old || bucket_of (old) != bucket_of (pair))
    return count_of (pair);
  return count_of (pair) > count_of (old) ? count_of (pair) - count_of (old)
                                          : 0;
}

/* The time that a share of the requests between the two moments took at most,
 * in seconds; 0: there were none. */
static double
recent_quantile (const struct cells_row *row, const char *op, double share)
{
  const json_t *now = json_object_get (row->latency, op);
  const json_t *before = json_object_get (row->latency_before, op);
  uint64_t sum = 0, seen = 0;
  size_t j = 0;

  for (size_t i = 0; i < json_array_size (now); ++i)
    sum += added (now, i, before, &j);
  j = 0;
  for (size_t i = 0; sum > 0 && i < json_array_size (now); ++i) {
    seen += added (now, i, before, &j);
    if (seen > 0 && seen >= share * sum)
      return json_integer_value (json_array_get (
                 row->bounds, bucket_of (json_array_get (now, i)))) /
             1e9;
  }
  return 0;
}

/* With one moment only, that of the whole life. */
static double
quantile (const struct cells_row *row, const char *op, const char *figure,
          double share)
{
  return row->latency_before ? recent_quantile (row, op, share)
                             : view_real (row->now, figure);
}

static void
time_text (double seconds, char *text, size_t size)
{
  if (seconds <= 0)
    snprintf (text, size, "-");
  else if (seconds < 1e-3)
    snprintf (text, size, seconds < 1e-5 ? "%.1fus" : "%.0fus", seconds * 1e6);
  else if (seconds < 1)
    snprintf (text, size, seconds < 1e-2 ? "%.1fms" : "%.0fms", seconds * 1e3);
  else
    snprintf (text, size, "%.1fs", seconds);
}

static void
size_cell (const struct cells_row *row, const char *figure, char *text,
           size_t size)
{
  size_text ((double) view_number (row->now, figure), text, size);
}

void
cell_size (const struct cells_row *row, char *text, size_t size)
{
  size_cell (row, "size_bytes", text, size);
}

void
cell_stored (const struct cells_row *row, char *text, size_t size)
{
  size_cell (row, "stored_bytes", text, size);
}

void
cell_held (const struct cells_row *row, char *text, size_t size)
{
  size_cell (row, "held_bytes", text, size);
}

void
cell_saved (const struct cells_row *row, char *text, size_t size)
{
  size_cell (row, "saved_bytes", text, size);
}

void
cell_ratio (const struct cells_row *row, char *text, size_t size)
{
  struct view_text ratio;

  snprintf (text, size, "%s", view_ratio (row->now, "effective_ratio", &ratio));
}

void
cell_out (const struct cells_row *row, char *text, size_t size)
{
  cells_rate (row->now, row->before, "written_pages", PAGE, row->seconds, text,
              size);
}

void
cell_in (const struct cells_row *row, char *text, size_t size)
{
  cells_rate (row->now, row->before, "read_pages", PAGE, row->seconds, text,
              size);
}

void
cell_trim (const struct cells_row *row, char *text, size_t size)
{
  cells_rate (row->now, row->before, "trim_bytes", 1, row->seconds, text, size);
}

void
cell_requests (const struct cells_row *row, char *text, size_t size)
{
  static const char *const figures[] = { "read_requests", "write_requests",
                                         "zero_requests", "trim_requests" };
  double sum = 0;

  for (unsigned i = 0; i < 4; ++i)
    sum += rate (row->now, row->before, figures[i], row->seconds);
  if (sum < 0)
    snprintf (text, size, "-");
  else
    snprintf (text, size, "%.0f", sum);
}

/* How much of what it has stored is. */
void
cell_cold (const struct cells_row *row, char *text, size_t size)
{
  struct view_text share;

  snprintf (text, size, "%s",
            view_share (row->now, "cold_pages", "stored_pages", &share));
}

/* How much of it is taken. */
void
cell_quota (const struct cells_row *row, char *text, size_t size)
{
  const double quota = (double) view_number (row->now, "quota_bytes");

  if (quota > 0)
    snprintf (text, size, "%.0f%%",
              view_number (row->now, "charged_bytes") / quota * 100);
  else
    snprintf (text, size, "-");
}

void
cell_errors (const struct cells_row *row, char *text, size_t size)
{
  snprintf (text, size, "%" PRIu64,
            view_number (row->now, "full_errors") +
                view_number (row->now, "io_errors") +
                view_number (row->now, "other_errors"));
}

void
cell_read_p50 (const struct cells_row *row, char *text, size_t size)
{
  time_text (quantile (row, "read", "read_p50_seconds", 0.5), text, size);
}

void
cell_read_p99 (const struct cells_row *row, char *text, size_t size)
{
  time_text (cells_read_p99 (row), text, size);
}

void
cell_write_p99 (const struct cells_row *row, char *text, size_t size)
{
  time_text (quantile (row, "write", "write_p99_seconds", 0.99), text, size);
}

void
cell_state (const struct cells_row *row, char *text, size_t size)
{
  snprintf (text, size, "%s", view_state (row->now));
}

double
cells_held (const struct cells_row *row)
{
  return (double) view_number (row->now, "held_bytes");
}

double
cells_out (const struct cells_row *row)
{
  return rate (row->now, row->before, "written_pages", row->seconds);
}

double
cells_in (const struct cells_row *row)
{
  return rate (row->now, row->before, "read_pages", row->seconds);
}

double
cells_read_p99 (const struct cells_row *row)
{
  return quantile (row, "read", "read_p99_seconds", 0.99);
}

/* Copies what fits; returns the columns that it takes. */
static unsigned
copy_columns (const char *text, unsigned columns, char *to, size_t size)
{
  const char *end = text + strlen (text);
  mbstate_t state = { 0 };
  unsigned taken = 0;

  while (text < end) {
    wchar_t c;
    const size_t length = mbrtowc (&c, text, end - text, &state);
    const int width =
        length == (size_t) -1 || length == (size_t) -2 ? -1 : wcwidth (c);

    if (width < 0 || taken + width > columns || length + 1 > size)
      break;
    memcpy (to, text, length);
    to += length;
    size -= length;
    text += length;
    taken += width;
  }
  *to = '\0';
  return taken;
}

void
cells_fit (const char *text, unsigned columns, char *to, size_t size)
{
  copy_columns (text, columns, to, size);
}

void
cells_pad (const char *text, unsigned columns, char *to, size_t size)
{
  const unsigned taken = copy_columns (text, columns, to, size);
  const size_t length = strlen (to);

  if (length + (columns - taken) < size) {
    memset (to + length, ' ', columns - taken);
    to[length + (columns - taken)] = '\0';
  }
}
