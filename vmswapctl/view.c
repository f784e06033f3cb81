// SPDX-License-Identifier: BSD-3-Clause
/* The server's figures as a terminal shows them.  Owns what it last heard of
 * the server. */

#include <config.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "client.h"
#include "human.h"
#include "view.h"

int
view_open (struct view *view, const char *control)
{
  *view = (struct view){ .client = client_new (control) };
  if (view->client) {
    view->table = client_get_json (view->client, "/figures");
    if (view->table && view_refresh (view) == 0)
      return 0;
  }
  view_close (view);
  return -1;
}

int
view_refresh (struct view *view)
{
  json_t *now = client_get_json (view->client, "/json");

  if (!now)
    return -1;
  json_decref (view->now);
  view->now = now;
  return 0;
}

int
view_refresh_latency (struct view *view)
{
  json_t *latency = client_get_json (view->client, "/latency");

  if (!latency)
    return -1;
  json_decref (view->latency);
  view->latency = latency;
  return 0;
}

void
view_close (struct view *view)
{
  json_decref (view->latency);
  json_decref (view->table);
  json_decref (view->now);
  client_free (view->client);
  *view = (struct view){ 0 };
}

uint64_t
view_number (const json_t *object, const char *figure)
{
  return json_integer_value (json_object_get (object, figure));
}

double
view_real (const json_t *object, const char *figure)
{
  return json_number_value (json_object_get (object, figure));
}

const char *
view_size (const json_t *object, const char *figure, struct view_text *text)
{
  struct human human;

  snprintf (text->text, sizeof text->text, "%s",
            human_size (&human, view_number (object, figure)));
  return text->text;
}

const char *
view_ratio (const json_t *object, const char *figure, struct view_text *text)
{
  const double ratio = view_real (object, figure);

  if (ratio > 0)
    snprintf (text->text, sizeof text->text, ratio < 100 ? "%.2f" : "%.0f",
              ratio);
  else
    strcpy (text->text, "-");
  return text->text;
}

const char *
view_share (const json_t *object, const char *part, const char *whole,
            struct view_text *text)
{
  const uint64_t some = view_number (object, part);
  const uint64_t all = view_number (object, whole);
  const double percent = all == 0 ? 0 : 100. * (double) some / (double) all;

  if (some == 0 || all == 0)
    strcpy (text->text, "-");
  else if (percent < 1)
    strcpy (text->text, "<1%");
  else if (percent > 99 && some < all)
    strcpy (text->text, ">99%");
  else
    snprintf (text->text, sizeof text->text, "%.0f%%", percent);
  return text->text;
}

const char *
view_state (const json_t *guest)
{
  const bool lost = view_number (guest, "lost") != 0;

  if (view_number (guest, "ring_region_bytes") != 0 && lost)
    return "ring lost";
  if (view_number (guest, "ring_region_bytes") != 0)
    return view_number (guest, "ring_posts_closed") != 0 ? "ring full" : "ring";
  if (view_number (guest, "in_use") != 0)
    return lost ? "use, lost" : "in use";
  if (view_number (guest, "connections") > 0)
    return lost ? "con, lost" : "connected";
  return lost ? "lost" : "idle";
}

/* Names come from clients: what is no character here, or does something to a
 * terminal, is a question mark. */
const char *
view_text_of (const json_t *object, const char *key, struct view_name *name)
{
  const char *from = json_string_value (json_object_get (object, key));
  const char *end = from ? from + strlen (from) : NULL;
  char *to = name->text;
  mbstate_t state = { 0 };

  while (from < end && to + MB_LEN_MAX < name->text + sizeof name->text) {
    wchar_t c;
    const size_t length = mbrtowc (&c, from, end - from, &state);

    if (length == (size_t) -1 || length == (size_t) -2 || length == 0) {
      memset (&state, 0, sizeof state);
      *to++ = '?';
      from++;
      continue;
    }
    if (iswprint (c)) {
      memcpy (to, from, length);
      to += length;
    }
    else
      *to++ = '?';
    from += length;
  }
  *to = '\0';
  return name->text;
}

const char *
view_guest_name (const json_t *guest, struct view_name *name)
{
  return view_text_of (guest, "name", name);
}
