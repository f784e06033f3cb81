// SPDX-License-Identifier: BSD-3-Clause
/* Figures in Prometheus' text exposition format, version 0.0.4.  Owns
 * nothing.
 *
 * A metric's lines stay together: first HELP and TYPE, then one sample for
 * each guest. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include <event2/buffer.h>

#include "render.h"
#include "text.h"

struct label {
  char text[sizeof (struct text_name) * 2];
};

/* The name of a guest as the value of a label: backslash, quote and newline
 * are escaped. */
static const char *
label_of (const char *name, struct label *ret)
{
  struct text_name utf8;
  char *to = ret->text;

  for (const char *s = text_utf8 (name, &utf8); *s != '\0'; ++s) {
    if (*s == '\\' || *s == '"' || *s == '\n')
      *to++ = '\\';
    *to++ = *s == '\n' ? 'n' : *s;
  }
  *to = '\0';
  return ret->text;
}

static int
add_value (struct evbuffer *out, const struct figure *figure,
           const void *source)
{
  const struct figure_value value = figure->get (source);

  if (figure_is_real (figure))
    return evbuffer_add_printf (out, " %.6g\n", value.real);
  return evbuffer_add_printf (out, " %" PRIu64 "\n", value.whole);
}

static const char *
suffix (const struct figure *figure)
{
  return figure->kind == FIGURE_COUNTER ? "_total" : "";
}

static int
add_head (struct evbuffer *out, const char *scope, const struct figure *figure)
{
  return evbuffer_add_printf (
      out, "# HELP vmswap_%s_%s%s %s\n# TYPE vmswap_%s_%s%s %s\n", scope,
      figure->name, suffix (figure), figure->meaning, scope, figure->name,
      suffix (figure), figure_kind_name (figure->kind));
}

static int
add_pool (struct evbuffer *out, const struct figures *figures)
{
  for (size_t i = 0; i < nr_figures_of_pool; ++i) {
    const struct figure *figure = &figures_of_pool[i];

    if (add_head (out, "pool", figure) == -1 ||
        evbuffer_add_printf (out, "vmswap_pool_%s%s", figure->name,
                             suffix (figure)) == -1 ||
        add_value (out, figure, &figures->pool) == -1)
      return -1;
  }
  return 0;
}

static int
add_guests (struct evbuffer *out, const struct figures *figures,
            const struct figure *figure)
{
  struct label label;

  if (add_head (out, "guest", figure) == -1)
    return -1;
  for (size_t i = 0; i < figures->nr_guests; ++i) {
    const struct figures_guest *guest = &figures->guests[i];

    if (evbuffer_add_printf (out, "vmswap_guest_%s%s{guest=\"%s\"}",
                             figure->name, suffix (figure),
                             label_of (guest->name, &label)) == -1 ||
        add_value (out, figure, guest) == -1)
      return -1;
  }
  return 0;
}

static int
add_server (struct evbuffer *out, const struct render_server *server)
{
  return evbuffer_add_printf (
      out,
      "# HELP vmswap_info the server\n"
      "# TYPE vmswap_info gauge\n"
      "vmswap_info{version=\"%s\",api=\"1\"} 1\n"
      "# HELP vmswap_start_time_seconds when the server started, since 1970\n"
      "# TYPE vmswap_start_time_seconds gauge\n"
      "vmswap_start_time_seconds %" PRId64 "\n",
      PACKAGE_VERSION, server->start_time);
}

/* A bucket for each second power of two, of those that the server keeps; the
 * bounds are the same ones, so the counts are exact. */
#define FIRST_BOUND_NS 1024u
#define BOUND_FACTOR 4u
#define NR_BOUNDS 13u /* up to 17 s */

static int
add_histogram (struct evbuffer *out, const char *labels,
               const struct traffic_op_sum *sum)
{
  static const char name[] = "vmswap_guest_request_seconds";
  uint64_t bound = FIRST_BOUND_NS, seen = 0;
  unsigned bucket = 0;

  for (unsigned i = 0; i < NR_BOUNDS; ++i, bound *= BOUND_FACTOR) {
    while (bucket < TRAFFIC_BUCKETS && traffic_bound (bucket) <= bound)
      seen += sum->bucket[bucket++];
    if (evbuffer_add_printf (out, "%s_bucket{%s,le=\"%.9g\"} %" PRIu64 "\n",
                             name, labels, bound / 1e9, seen) == -1)
      return -1;
  }
  return evbuffer_add_printf (out,
                              "%s_bucket{%s,le=\"+Inf\"} %" PRIu64
                              "\n%s_sum{%s} %.9g\n%s_count{%s} %" PRIu64 "\n",
                              name, labels, sum->requests, name, labels,
                              sum->sum_ns / 1e9, name, labels, sum->requests);
}

static int
add_histograms (struct evbuffer *out, const struct figures *figures)
{
  struct label label;
  char labels[sizeof label.text + 32];

  if (evbuffer_add_printf (
          out, "# HELP vmswap_guest_request_seconds time that requests took\n"
               "# TYPE vmswap_guest_request_seconds histogram\n") == -1)
    return -1;
  for (size_t i = 0; i < figures->nr_guests; ++i)
    for (unsigned op = 0; op < TRAFFIC_OPS; ++op) {
      snprintf (labels, sizeof labels, "guest=\"%s\",op=\"%s\"",
                label_of (figures->guests[i].name, &label),
                traffic_op_name (op));
      if (add_histogram (out, labels, &figures->guests[i].traffic.op[op]) == -1)
        return -1;
    }
  return 0;
}

int
render_metrics (const struct figures *figures,
                const struct render_server *server, struct evbuffer *out)
{
  if (add_server (out, server) == -1 || add_pool (out, figures) == -1)
    return -ENOMEM;
  /* Without guests no metric of guests: HELP alone would be of no use. */
  if (figures->nr_guests != 0)
    for (size_t i = 0; i < nr_figures_of_guest; ++i)
      if (add_guests (out, figures, &figures_of_guest[i]) == -1)
        return -ENOMEM;
  if (figures->nr_guests != 0 && add_histograms (out, figures) == -1)
    return -ENOMEM;
  /* A comment, by which it shows that this is all. */
  return evbuffer_add_printf (out, "# EOF") == -1 ? -ENOMEM : 0;
}
