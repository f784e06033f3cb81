// SPDX-License-Identifier: BSD-3-Clause
/* What the control server is asked, and its answers.  Owns the table of paths;
 * each answer is made anew. */

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include "bounds.h"
#include "figures.h"
#include "human.h"
#include "operate.h"
#include "page-html.h"
#include "percent.h"
#include "route.h"
#include "settings.h"

/* Where the page has this, the browser must find what the header
 * Content-Security-Policy says: nothing else on the page is a script. */
#define NONCE_MARK "@NONCE@"

typedef int answer_fn (const struct route *route,
                       struct evhttp_request *request, struct evbuffer *body);

static void
set_header (struct evhttp_request *request, const char *name, const char *value)
{
  evhttp_add_header (evhttp_request_get_output_headers (request), name, value);
}

static void
set_type (struct evhttp_request *request, const char *type)
{
  set_header (request, "Content-Type", type);
  set_header (request, "Cache-Control", "no-store");
  set_header (request, "X-Content-Type-Options", "nosniff");
  set_header (request, "Cross-Origin-Resource-Policy", "same-origin");
}

static const char *
phrase_of (int code)
{
  switch (code) {
  case 200:
    return "OK";
  case 400:
    return "Bad Request";
  case 403:
    return "Forbidden";
  case 404:
    return "Not Found";
  case 405:
    return "Method Not Allowed";
  case 409:
    return "Conflict";
  case 501:
    return "Not Implemented";
  default:
    return "Service Unavailable";
  }
}

static void
send_line (struct evhttp_request *request, int code, const char *format,
           va_list args)
{
  struct evbuffer *body = evbuffer_new ();

  set_type (request, "text/plain; charset=utf-8");
  if (body != NULL) {
    evbuffer_add_vprintf (body, format, args);
    evbuffer_add (body, "\n", 1);
  }
  evhttp_send_reply (request, code, phrase_of (code), body);
  if (body != NULL)
    evbuffer_free (body);
}

void
route_refuse (struct evhttp_request *request, int code, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  send_line (request, code, format, args);
  va_end (args);
}

/* Takes the figures, and renders them. */
static int
answer_rendered (const struct route *route, struct evhttp_request *request,
                 struct evbuffer *body, const char *type, render_fn *render)
{
  struct figures figures;
  int r = figures_take (route->pool, &figures);

  if (r < 0)
    return r;
  set_type (request, type);
  r = render (&figures, route->server, body);
  figures_free (&figures);
  return r;
}

static int
answer_json (const struct route *route, struct evhttp_request *request,
             struct evbuffer *body)
{
  return answer_rendered (route, request, body, "application/json",
                          render_json);
}

static int
answer_figures (const struct route *route, struct evhttp_request *request,
                struct evbuffer *body)
{
  set_type (request, "application/json");
  return render_table (body);
}

static int
answer_latency (const struct route *route, struct evhttp_request *request,
                struct evbuffer *body)
{
  return answer_rendered (route, request, body, "application/json",
                          render_latency);
}

static int
answer_metrics (const struct route *route, struct evhttp_request *request,
                struct evbuffer *body)
{
  return answer_rendered (route, request, body,
                          "text/plain; version=0.0.4; charset=utf-8",
                          render_metrics);
}

static void
set_policy (struct evhttp_request *request, const char *nonce)
{
  char policy[256];

  snprintf (policy, sizeof policy,
            "default-src 'none'; connect-src 'self'; img-src data:; "
            "script-src 'nonce-%s'; style-src 'nonce-%s'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            nonce, nonce);
  set_header (request, "Content-Security-Policy", policy);
  set_header (request, "Cross-Origin-Opener-Policy", "same-origin");
  set_header (request, "Referrer-Policy", "no-referrer");
  set_header (request, "X-Frame-Options", "DENY");
}

static int
answer_page (const struct route *route, struct evhttp_request *request,
             struct evbuffer *body)
{
  const char *from = (const char *) page_html;
  const char *end = from + sizeof page_html;
  unsigned char random[16];
  char nonce[2 * sizeof random + 1];
  const char *mark;

  if (getrandom (random, sizeof random, 0) != sizeof random)
    return -1;
  for (size_t i = 0; i < sizeof random; ++i)
    sprintf (&nonce[2 * i], "%02x", random[i]);
  set_type (request, "text/html; charset=utf-8");
  set_policy (request, nonce);
  while ((mark = memmem (from, end - from, NONCE_MARK, strlen (NONCE_MARK))) !=
         NULL) {
    if (evbuffer_add (body, from, mark - from) == -1 ||
        evbuffer_add (body, nonce, strlen (nonce)) == -1)
      return -1;
    from = mark + strlen (NONCE_MARK);
  }
  return evbuffer_add (body, from, end - from);
}

/* --- What can be posted. */

typedef void post_fn (const struct route *route, const struct evkeyvalq *query,
                      struct operation *ret);

#define MAX_PARAMETERS 3

struct path {
  const char *path;
  answer_fn *answer; /* GET; or */
  post_fn *post;     /* with these, and NULL: */
  const char *parameters[MAX_PARAMETERS + 1];
};

static void
say_missing (struct operation *ret, const char *usage)
{
  ret->status = 400;
  snprintf (ret->line, sizeof ret->line, "POST %s", usage);
}

static int
find_size (const struct evkeyvalq *query, const char *key, uint64_t *ret)
{
  const char *value = evhttp_find_header (query, key);

  return value == NULL ? -1 : human_parse (value, ret);
}

/* A size, or a part of the pool; what is not given stays what it is. */
static int
find_limit (const struct route *route, const struct evkeyvalq *query,
            const char *key, uint64_t *ret)
{
  const char *value = evhttp_find_header (query, key);
  unsigned percent;
  int r;

  *ret = LIMITS_KEEP;
  if (value == NULL)
    return 0;
  r = percent_parse (value, &percent);
  if (r == -EINVAL)
    return human_parse (value, ret);
  if (r == 0)
    *ret = percent_of (route->server->settings->pool, percent);
  return r;
}

static void
post_grow (const struct route *route, const struct evkeyvalq *query,
           struct operation *ret)
{
  const char *guest = evhttp_find_header (query, "guest");
  uint64_t size;

  if (guest == NULL || find_size (query, "size", &size) != 0)
    say_missing (ret, "/grow?guest=NAME&size=SIZE, with a SIZE such as 8G");
  else
    operate_grow (guest, size, ret);
}

static void
post_limit (const struct route *route, const struct evkeyvalq *query,
            struct operation *ret)
{
  const char *guest = evhttp_find_header (query, "guest");
  uint64_t quota, reserve;

  if (guest == NULL || find_limit (route, query, "quota", &quota) != 0 ||
      find_limit (route, query, "reserve", &reserve) != 0 ||
      (quota == LIMITS_KEEP && reserve == LIMITS_KEEP))
    say_missing (
        ret,
        "/limit?guest=NAME&quota=SIZE&reserve=SIZE, one of the "
        "two or both, with a SIZE such as 512M or 25%25 (of the pool), or 0 "
        "for none");
  else
    operate_limit (guest, quota, reserve, ret);
}

static void
post_reset (const struct route *route, const struct evkeyvalq *query,
            struct operation *ret)
{
  const char *guest = evhttp_find_header (query, "guest");
  const char *pages = evhttp_find_header (query, "pages");

  if (guest == NULL || (pages != NULL && strcmp (pages, "all") != 0 &&
                        strcmp (pages, "lost") != 0))
    say_missing (ret, "/reset?guest=NAME, and perhaps &pages=all");
  else
    operate_reset (guest, pages != NULL && strcmp (pages, "all") == 0, ret);
}

/* Is each parameter one of these, and there once?  A misspelt one would be lost
 * without a word. */
static bool
query_is_known (const struct evkeyvalq *query, const char *const *names,
                struct operation *ret)
{
  const struct evkeyval *pair, *other;
  unsigned i;

  for (pair = query->tqh_first; pair != NULL; pair = pair->next.tqe_next) {
    for (i = 0; names[i] != NULL && strcmp (names[i], pair->key) != 0; ++i)
      ;
    for (other = pair->next.tqe_next;
         other != NULL && strcmp (other->key, pair->key) != 0;
         other = other->next.tqe_next)
      ;
    if (names[i] != NULL && other == NULL)
      continue;
    ret->status = 400;
    snprintf (ret->line, sizeof ret->line, "the parameter '%.32s' is %s",
              pair->key, names[i] == NULL ? "not known" : "there twice");
    return false;
  }
  return true;
}

static void
send_operation (const struct route *route, struct evhttp_request *request,
                const struct path *path)
{
  const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri (request);
  const char *text = evhttp_uri_get_query (uri);
  struct operation operation = { .status = 400,
                                 .line = "the query makes no sense" };
  struct evkeyvalq query = { 0 };

  /* A NUL would end a name early. */
  if (text != NULL && strstr (text, "%00") == NULL &&
      evhttp_parse_query_str (text, &query) == 0) {
    if (query_is_known (&query, path->parameters, &operation))
      path->post (route, &query, &operation);
  }
  else if (text == NULL)
    path->post (route, &query, &operation);
  evhttp_clear_headers (&query);
  route_refuse (request, operation.status, "%s", operation.line);
}

static const struct path paths[] = {
  { "/", answer_page, NULL, { NULL } },
  { "/figures", answer_figures, NULL, { NULL } },
  { "/grow", NULL, post_grow, { "guest", "size" } },
  { "/json", answer_json, NULL, { NULL } },
  { "/latency", answer_latency, NULL, { NULL } },
  { "/limit", NULL, post_limit, { "guest", "quota", "reserve" } },
  { "/metrics", answer_metrics, NULL, { NULL } },
  { "/reset", NULL, post_reset, { "guest", "pages" } },
};

static const struct path *
find_path (struct evhttp_request *request)
{
  const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri (request);
  const char *path = uri == NULL ? NULL : evhttp_uri_get_path (uri);

  for (size_t i = 0; path != NULL && i < sizeof paths / sizeof paths[0]; ++i)
    if (strcmp (path, paths[i].path) == 0)
      return &paths[i];
  return NULL;
}

/* An answer that a client has not read yet. */
struct pending {
  struct route *route;
  size_t size;
  char end; /* of the answer */
};

/* It has been read, or its connection is closed. */
static void
forget_pending (const void *end, size_t length, void *opaque)
{
  struct pending *pending = opaque;

  pending->route->pending -= pending->size;
  free (pending);
}

/* The last byte of the answer, a newline, tells when it is gone. */
static int
note_pending (struct route *route, struct evbuffer *body)
{
  struct pending *pending = malloc (sizeof *pending);

  if (pending == NULL)
    return -1;
  *pending = (struct pending){ .route = route,
                               .size = evbuffer_get_length (body),
                               .end = '\n' };
  if (evbuffer_add_reference (body, &pending->end, 1, forget_pending,
                              pending) == -1) {
    free (pending);
    return -1;
  }
  route->pending += pending->size;
  return 0;
}

static void
send_answer (struct route *route, const struct path *path,
             struct evhttp_request *request)
{
  struct evbuffer *body = evbuffer_new ();

  if (route->pending > ROUTE_PENDING_MAX)
    route_refuse (request, 503,
                  "too many clients do not read their answers: try again");
  else if (body != NULL && path->answer (route, request, body) == 0 &&
           note_pending (route, body) == 0)
    evhttp_send_reply (request, 200, phrase_of (200), body);
  else
    route_refuse (request, 503, "no memory for the answer: try again");
  if (body != NULL)
    evbuffer_free (body);
}

static void
refuse_method (struct evhttp_request *request, const struct path *path,
               bool writable)
{
  set_header (request, "Allow", path->post == NULL ? "GET, HEAD" : "POST");
  if (path->post == NULL)
    route_refuse (request, 405, "%s can only be read: use GET", path->path);
  else if (writable)
    route_refuse (request, 405, "%s is an order: use POST", path->path);
  else
    route_refuse (request, 403,
                  "nothing can be changed through this port: use the socket "
                  "of control=");
}

/* Does a browser send it, for a page?  Somebody may have forwarded the socket
 * to a port of theirs. */
static bool
is_from_a_page (struct evhttp_request *request)
{
  struct evkeyvalq *headers = evhttp_request_get_input_headers (request);

  return evhttp_find_header (headers, "Origin") != NULL ||
         evhttp_find_header (headers, "Sec-Fetch-Site") != NULL;
}

void
route_answer (struct route *route, bool writable,
              struct evhttp_request *request)
{
  const enum evhttp_cmd_type method = evhttp_request_get_command (request);
  const struct path *path = find_path (request);

  if (path == NULL)
    route_refuse (request, 404,
                  "there is nothing here: GET /, /json, /figures, /latency or "
                  "/metrics");
  else if (path->answer != NULL &&
           (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD))
    send_answer (route, path, request);
  else if (method == EVHTTP_REQ_POST && is_from_a_page (request))
    route_refuse (request, 403,
                  "orders are not taken from web pages: use "
                  "vmswapctl");
  else if (path->post != NULL && method == EVHTTP_REQ_POST && writable)
    send_operation (route, request, path);
  else
    refuse_method (request, path, writable);
}
