// SPDX-License-Identifier: BSD-3-Clause
/* Figures as JSON.  Owns nothing: trees are made and dropped in one call. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <jansson.h>

#include "advice.h"
#include "render.h"
#include "text.h"

/* Real numbers have so many digits in every view. */
#define PRECISION 6

static json_t *
value_json (const struct figure *figure, const void *source)
{
  const struct figure_value value = figure->get (source);

  if (figure_is_real (figure))
    return json_real (value.real);
  return json_integer (value.whole);
}

/* -1: no memory. */
static int
add_figures (json_t *object, const struct figure *table, size_t n,
             const void *source)
{
  for (size_t i = 0; i < n; ++i)
    if (json_object_set_new (object, table[i].name,
                             value_json (&table[i], source)) == -1)
      return -1;
  return 0;
}

/* The last error of a request, in words; NULL: there was none. */
static const char *
last_error (const struct figures_guest *guest)
{
  return guest->traffic.last_error_time == 0
             ? NULL
             : strerrordesc_np (guest->traffic.last_error);
}

static json_t *
guest_json (const struct figures_guest *guest)
{
  struct text_name name, id;
  json_t *object = json_pack ("{s:s, s:s, s:s?, s:s?}", "name",
                              text_utf8 (guest->name, &name), "id",
                              text_uri (guest->name, &id), "holder",
                              guest->claimed ? guest->holder.text : NULL,
                              "last_error", last_error (guest));

  if (object != NULL && add_figures (object, figures_of_guest,
                                     nr_figures_of_guest, guest) == -1) {
    json_decref (object);
    return NULL;
  }
  return object;
}

static json_t *
guests_json (const struct figures *figures)
{
  json_t *array = json_array ();

  for (size_t i = 0; array != NULL && i < figures->nr_guests; ++i)
    if (json_array_append_new (array, guest_json (&figures->guests[i])) == -1) {
      json_decref (array);
      return NULL;
    }
  return array;
}

static json_t *
pool_json (const struct figures *figures)
{
  json_t *object = json_object ();

  if (object != NULL &&
      add_figures (object, figures_of_pool, nr_figures_of_pool,
                   &figures->pool) == -1) {
    json_decref (object);
    return NULL;
  }
  return object;
}

static json_t *
server_json (const struct render_server *server)
{
  const struct settings *settings = server->settings;
  const struct pool_cold *cold = &settings->cold;

  return json_pack (
      "{s:s, s:i, s:i, s:I, s:s, s:s, s:s?, s:b, s:b, s:b, s:o, s:i, s:i}",
      "version", PACKAGE_VERSION, "api", 1, "pid", (int) getpid (),
      "start_time", (json_int_t) server->start_time, "compressor",
      settings->compressor == NULL ? pool_codecs ()[0] : settings->compressor,
      "full", settings->stall ? "stall" : "error", "state", settings->state,
      "registry", server->registry, "locked", server->locked, "listed",
      settings->nr_guests != 0, "cold",
      cold->on ? json_integer (cold->after) : json_null (), "cold_cpu",
      (int) cold->cpu, "cold_level", cold->level);
}

static int
add_hint (const struct advice *advice, void *opaque)
{
  struct text_name name;

  return json_array_append_new (
      opaque,
      json_pack (
          "{s:s?, s:s, s:s, s:s}", "guest",
          advice->guest == NULL ? NULL : text_utf8 (advice->guest->name, &name),
          "kind", advice->kind, "seen", advice->seen, "fix", advice->fix));
}

static json_t *
hints_json (const struct figures *figures, const struct render_server *server)
{
  json_t *array = json_array ();

  if (array != NULL && advice_each (figures, server, add_hint, array) != 0) {
    json_decref (array);
    return NULL;
  }
  return array;
}

static int
add_text (const char *text, size_t size, void *out)
{
  return evbuffer_add (out, text, size);
}

/* Takes the tree over; NULL: it could not be made. */
static int
dump (json_t *tree, struct evbuffer *out)
{
  int r = -1;

  if (tree != NULL)
    r = json_dump_callback (tree, add_text, out,
                            JSON_COMPACT | JSON_REAL_PRECISION (PRECISION));
  json_decref (tree);
  return r == -1 ? -ENOMEM : 0;
}

int
render_json (const struct figures *figures, const struct render_server *server,
             struct evbuffer *out)
{
  return dump (json_pack ("{s:I, s:I, s:o, s:o, s:o, s:o}", "time",
                          (json_int_t) figures->time, "clock_ns",
                          (json_int_t) figures->clock_ns, "server",
                          server_json (server), "pool", pool_json (figures),
                          "guests", guests_json (figures), "hints",
                          hints_json (figures, server)),
               out);
}

static json_t *
table_json (const struct figure *table, size_t n)
{
  json_t *array = json_array ();

  for (size_t i = 0; array != NULL && i < n; ++i) {
    json_t *line = json_pack ("{s:s, s:s, s:s, s:s}", "name", table[i].name,
                              "kind", figure_kind_name (table[i].kind), "unit",
                              figure_unit_name (table[i].unit), "meaning",
                              table[i].meaning);

    if (json_array_append_new (array, line) == -1) {
      json_decref (array);
      return NULL;
    }
  }
  return array;
}

int
render_table (struct evbuffer *out)
{
  return dump (json_pack ("{s:o, s:o}", "pool",
                          table_json (figures_of_pool, nr_figures_of_pool),
                          "guest",
                          table_json (figures_of_guest, nr_figures_of_guest)),
               out);
}

/* The buckets of a histogram that are not empty, as [number, count]. */
static json_t *
buckets_json (const struct traffic_op_sum *sum)
{
  json_t *array = json_array ();

  for (unsigned i = 0; array != NULL && i < TRAFFIC_BUCKETS; ++i)
    if (sum->bucket[i] != 0 &&
        json_array_append_new (
            array,
            json_pack ("[i, I]", (int) i, (json_int_t) sum->bucket[i])) == -1) {
      json_decref (array);
      return NULL;
    }
  return array;
}

static json_t *
histograms_json (const struct figures_guest *guest)
{
  struct text_name name, id;
  json_t *object =
      json_pack ("{s:s, s:s}", "name", text_utf8 (guest->name, &name), "id",
                 text_uri (guest->name, &id));

  for (unsigned op = 0; object != NULL && op < TRAFFIC_OPS; ++op)
    if (json_object_set_new (object, traffic_op_name (op),
                             buckets_json (&guest->traffic.op[op])) == -1) {
      json_decref (object);
      return NULL;
    }
  return object;
}

static json_t *
bounds_json (void)
{
  json_t *array = json_array ();

  for (unsigned i = 0; array != NULL && i < TRAFFIC_BUCKETS; ++i)
    if (json_array_append_new (array, json_integer (traffic_bound (i))) == -1) {
      json_decref (array);
      return NULL;
    }
  return array;
}

int
render_latency (const struct figures *figures,
                const struct render_server *server, struct evbuffer *out)
{
  json_t *guests = json_array ();

  for (size_t i = 0; guests != NULL && i < figures->nr_guests; ++i)
    if (json_array_append_new (guests, histograms_json (&figures->guests[i])) ==
        -1) {
      json_decref (guests);
      return -ENOMEM;
    }
  return dump (json_pack ("{s:I, s:o, s:o}", "clock_ns",
                          (json_int_t) figures->clock_ns, "bounds_ns",
                          bounds_json (), "guests", guests),
               out);
}
