// SPDX-License-Identifier: BSD-3-Clause
/* What vmswapctl top shows, as lines of text.  Owns the table of columns. */

#include <config.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cells.h"
#include "human.h"
#include "screen.h"
#include "view.h"

#define NAME_MIN 12u
#define NAME_MAX_WIDTH 40u
#define LINE_MAX_BYTES 1024u

/* Hints take at most that many lines of a screen. */
#define HINT_LINES 6u

struct render {
  const struct screen_data *data;
  unsigned width;
  screen_fn *fn;
  void *opaque;
};

/* The columns after the name, the dearest first: what does not fit is left
 * out at the right. */
static const struct column {
  const char *title;
  unsigned width; /* with the space before it */
  cell_fn *cell;
} columns[] = {
  { "STORED", 7, cell_stored },   { "HELD", 7, cell_held },
  { "RATIO", 6, cell_ratio },     { "OUT/s", 7, cell_out },
  { "IN/s", 7, cell_in },         { "RD p50", 8, cell_read_p50 },
  { "RD p99", 8, cell_read_p99 }, { "WR p99", 8, cell_write_p99 },
  { "STATE", 10, cell_state },    { "COLD", 6, cell_cold },
  { "QUOTA", 7, cell_quota },     { "SAVED", 7, cell_saved },
  { "SIZE", 7, cell_size },       { "TRIM/s", 7, cell_trim },
  { "REQ/s", 8, cell_requests },  { "ERRORS", 8, cell_errors },
};
#define NR_COLUMNS (sizeof columns / sizeof columns[0])

static void
emit (const struct render *render, enum screen_attribute attribute,
      const char *line)
{
  char cut[LINE_MAX_BYTES];

  cells_fit (line, render->width, cut, sizeof cut);
  render->fn (render->opaque, attribute, cut);
}

static void
emit_server (const struct render *render)
{
  const json_t *now = render->data->now;
  const json_t *server = json_object_get (now, "server");
  const json_t *pool = json_object_get (now, "pool");
  const uint64_t up =
      view_number (now, "time") - view_number (server, "start_time");
  char line[LINE_MAX_BYTES];
  struct view_name version;

  snprintf (
      line, sizeof line,
      "vmswap %s  process %" PRIu64 "  up %" PRIu64 "d %02" PRIu64 ":%02" PRIu64
      ":%02" PRIu64 "  guests %" PRIu64 "  connections %" PRIu64 "%s%s",
      view_text_of (server, "version", &version), view_number (server, "pid"),
      up / 86400, up / 3600 % 24, up / 60 % 60, up % 60,
      view_number (pool, "guests"), view_number (pool, "connections"),
      render->data->complaint[0] ? "  OLD: " : "", render->data->complaint);
  emit (render, SCREEN_TITLE, line);
}

/* What the memory of the pool is taken by, in the order of the bar. */
static const struct part {
  char mark;
  const char *name;
  const char *figure, *less[3]; /* less: parts of it that are others' */
} parts[] = {
  { '#', "hot", "blob_bytes", { "shared_blob_bytes", "cold_bytes", NULL } },
  { '=', "shared", "shared_blob_bytes", { NULL } },
  { '+', "cold", "cold_bytes", { NULL } },
  { ':', "other", "used_bytes", { "blob_bytes", "free_bytes", NULL } },
  { '.', "free", "free_bytes", { NULL } },
};
#define NR_PARTS (sizeof parts / sizeof parts[0])

/* They were counted a moment apart: what is left may be less than nothing. */
static uint64_t
part_bytes (const json_t *pool, const struct part *part)
{
  uint64_t bytes = view_number (pool, part->figure);

  for (unsigned i = 0; part->less[i]; ++i) {
    const uint64_t less = view_number (pool, part->less[i]);

    bytes = bytes > less ? bytes - less : 0;
  }
  return bytes;
}

/* [####==++::::....      ], as long as the limit. */
static void
emit_bar (const struct render *render)
{
  const json_t *pool = json_object_get (render->data->now, "pool");
  const double limit = fmax (view_number (pool, "limit_bytes"), 1);
  struct view_text used, total;
  char line[LINE_MAX_BYTES], *to = line;
  const unsigned room = render->width > 40 ? render->width - 34 : 6;
  const unsigned length = room < 100 ? room : 100;
  unsigned done = 0;
  double sum = 0;

  to += sprintf (to, "pool   [");
  for (unsigned i = 0; i < NR_PARTS; ++i)
    for (sum += part_bytes (pool, &parts[i]) / limit * length;
         done < length && done + 1 <= sum; ++done)
      *to++ = parts[i].mark;
  for (; done < length; ++done)
    *to++ = ' ';
  sprintf (to, "] %s of %s used", view_size (pool, "used_bytes", &used),
           view_size (pool, "limit_bytes", &total));
  emit (render, SCREEN_BAR, line);
}

/* What the marks mean. */
static void
emit_legend (const struct render *render)
{
  const json_t *pool = json_object_get (render->data->now, "pool");
  char line[LINE_MAX_BYTES], *to = line;

  to += sprintf (to, "memory");
  for (unsigned i = 0; i < NR_PARTS; ++i) {
    struct human size;

    to += sprintf (to, "%s%c %s %s", i == 0 ? " " : "  ", parts[i].mark,
                   parts[i].name,
                   human_size (&size, part_bytes (pool, &parts[i])));
  }
  emit (render, SCREEN_PLAIN, line);
}

static void
emit_sums (const struct render *render)
{
  const json_t *pool = json_object_get (render->data->now, "pool");
  struct view_text a, b, c, d, e;
  char line[LINE_MAX_BYTES];

  snprintf (line, sizeof line,
            "stored %s  saved %s  ratio %s  compression %s  overhead %s",
            view_size (pool, "stored_bytes", &a),
            view_size (pool, "saved_bytes", &b),
            view_ratio (pool, "effective_ratio", &c),
            view_ratio (pool, "compression_ratio", &d),
            view_size (pool, "overhead_bytes", &e));
  emit (render, SCREEN_PLAIN, line);
  snprintf (
      line, sizeof line,
      "pages  stored %" PRIu64 "  compressed %" PRIu64 "  cold %" PRIu64
      "  shared %" PRIu64 "  fill %" PRIu64 "  raw %" PRIu64 "  lost %" PRIu64,
      view_number (pool, "stored_pages"),
      view_number (pool, "compressed_pages"), view_number (pool, "cold_pages"),
      view_number (pool, "shared_pages"), view_number (pool, "fill_pages"),
      view_number (pool, "raw_pages"), view_number (pool, "lost_pages"));
  emit (render, SCREEN_PLAIN, line);
}

static void
emit_rates (const struct render *render)
{
  const json_t *pool = json_object_get (render->data->now, "pool");
  const double seconds = cells_seconds (render->data);
  const json_t *before = json_object_get (render->data->earlier, "pool");
  char line[LINE_MAX_BYTES], out[16], in[16], trimmed[16];
  char cooled[16], warmed[16];

  cells_rate (pool, before, "written_pages", 4096, seconds, out, sizeof out);
  cells_rate (pool, before, "read_pages", 4096, seconds, in, sizeof in);
  cells_rate (pool, before, "trimmed_pages", 4096, seconds, trimmed,
              sizeof trimmed);
  cells_rate (pool, before, "cooled_pages", 4096, seconds, cooled,
              sizeof cooled);
  cells_rate (pool, before, "warmed_pages", 4096, seconds, warmed,
              sizeof warmed);
  snprintf (line, sizeof line,
            "rates  out %s/s  in %s/s  trimmed %s/s  cooled %s/s  warmed %s/s;"
            "  ever: refused %" PRIu64 "  bad %" PRIu64,
            out, in, trimmed, cooled, warmed,
            view_number (pool, "refused_writes") +
                view_number (pool, "quota_refused_writes"),
            view_number (pool, "bad_pages"));
  emit (render, SCREEN_PLAIN, line);
}

/* --- The guests. */

static const struct sort {
  const char *name;
  double (*key) (const struct cells_row *row); /* NULL: by name */
} sorts[] = {
  { "held", cells_held },         { "out", cells_out }, { "in", cells_in },
  { "read p99", cells_read_p99 }, { "name", NULL },
};

unsigned
screen_nr_sorts (void)
{
  return sizeof sorts / sizeof sorts[0];
}

const char *
screen_sort_name (unsigned sort)
{
  return sorts[sort].name;
}

static int
by_key (const void *one, const void *other)
{
  const struct cells_row *a = one, *b = other;

  if (a->key != b->key)
    return a->key > b->key ? -1 : 1;
  return strcmp (a->id, b->id);
}

/* The caller frees it.  NULL: no memory, or no guests. */
static struct cells_row *
sorted_rows (const struct screen_data *data, unsigned sort, size_t *n)
{
  struct cells_row *rows = cells_rows (data, n);

  if (!rows)
    return NULL;
  for (size_t i = 0; i < *n; ++i)
    rows[i].key = sorts[sort].key ? sorts[sort].key (&rows[i]) : 0;
  qsort (rows, *n, sizeof *rows, by_key);
  return rows;
}

static unsigned
columns_that_fit (unsigned width, unsigned *name_width)
{
  unsigned n = 0, taken = NAME_MIN;

  while (n < NR_COLUMNS && taken + columns[n].width <= width)
    taken += columns[n++].width;
  *name_width = NAME_MIN + (width > taken ? width - taken : 0);
  if (*name_width > NAME_MAX_WIDTH)
    *name_width = NAME_MAX_WIDTH;
  return n;
}

static void
emit_titles (const struct render *render)
{
  unsigned name_width, n = columns_that_fit (render->width, &name_width);
  char line[LINE_MAX_BYTES], *to = line;

  to += sprintf (to, "%-*s", (int) name_width, "GUEST");
  for (unsigned i = 0; i < n; ++i)
    to += sprintf (to, "%*s", (int) columns[i].width, columns[i].title);
  emit (render, SCREEN_BAR, line);
}

static void
emit_row (const struct render *render, const struct cells_row *row)
{
  unsigned name_width, n = columns_that_fit (render->width, &name_width);
  char line[LINE_MAX_BYTES], text[32];
  struct view_name name;
  size_t used;

  cells_pad (view_guest_name (row->now, &name), name_width, line, sizeof line);
  used = strlen (line);
  for (unsigned i = 0; i < n; ++i) {
    columns[i].cell (row, text, sizeof text);
    used += snprintf (line + used, sizeof line - used, "%*s",
                      (int) columns[i].width, text);
  }
  emit (render, SCREEN_PLAIN, line);
}

static void
emit_guests (const struct render *render, struct screen_choice *choice,
             unsigned room)
{
  size_t n = 0;
  struct cells_row *rows = sorted_rows (render->data, choice->sort, &n);

  emit_titles (render);
  if (room == 0 || room > n)
    room = n;
  if (choice->scroll > n - room)
    choice->scroll = n - room;
  for (size_t i = choice->scroll; rows && i < choice->scroll + room; ++i)
    emit_row (render, &rows[i]);
  free (rows);
}

/* --- The hints. */

static void
emit_hints (const struct render *render, unsigned room)
{
  const json_t *hints = json_object_get (render->data->now, "hints");
  const size_t n = json_array_size (hints);
  const size_t shown = n <= room ? n : room - 1;
  char line[LINE_MAX_BYTES];

  for (size_t i = 0; i < shown; ++i) {
    const json_t *hint = json_array_get (hints, i);
    const bool of_guest = json_is_string (json_object_get (hint, "guest"));
    struct view_name name, seen;

    snprintf (line, sizeof line, "! %s%s: %s", of_guest ? "guest " : "server",
              of_guest ? view_text_of (hint, "guest", &name) : "",
              view_text_of (hint, "seen", &seen));
    emit (render, SCREEN_HINT, line);
  }
  if (shown < n) {
    snprintf (line, sizeof line, "! and %zu more: vmswapctl doctor has all",
              n - shown);
    emit (render, SCREEN_HINT, line);
  }
}

void
screen_render (const struct screen_data *data, struct screen_choice *choice,
               unsigned width, unsigned height, screen_fn *fn, void *opaque)
{
  const struct render render = {
    .data = data, .width = width, .fn = fn, .opaque = opaque
  };
  const unsigned head = 8; /* lines before the first guest */
  const size_t hints = json_array_size (json_object_get (data->now, "hints"));
  unsigned hint_lines = hints < HINT_LINES ? hints : HINT_LINES;

  if (height != 0 && head + 1 + hint_lines > height)
    hint_lines = head + 1 < height ? height - head - 1 : 0;
  emit_server (&render);
  emit_bar (&render);
  emit_legend (&render);
  emit_sums (&render);
  emit_rates (&render);
  emit (&render, SCREEN_PLAIN, "");
  emit_guests (&render, choice,
               height == 0                  ? 0
               : height > head + hint_lines ? height - head - hint_lines
                                            : 1);
  if (hint_lines != 0)
    emit_hints (&render, height == 0 ? hints : hint_lines);
}
