// SPDX-License-Identifier: BSD-3-Clause
/* A client of the control server, on libcurl.  Owns the last answer. */

#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "client.h"
#include "command.h"

/* What a server of 1024 guests says is some 2 MiB. */
#define ANSWER_MAX (64u << 20)
#define TIMEOUT_SECONDS 10L
#define QUEUE_PAUSE_MS 50

struct client {
  CURL *curl;
  char *control;
  char *answer;
  size_t size;
  bool is_order; /* it is not to be repeated */
  char reason[CURL_ERROR_SIZE];
};

static size_t
take_answer (char *data, size_t one, size_t size, void *opaque)
{
  struct client *client = opaque;
  char *grown;

  if (client->size + size > ANSWER_MAX)
    return 0;
  grown = realloc (client->answer, client->size + size + 1);
  if (!grown)
    return 0;
  memcpy (grown + client->size, data, size);
  client->answer = grown;
  client->size += size;
  grown[client->size] = '\0';
  return size;
}

static void
set_options (struct client *client)
{
  CURL *curl = client->curl;

  curl_easy_setopt (curl, CURLOPT_UNIX_SOCKET_PATH, client->control);
  curl_easy_setopt (curl, CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt (curl, CURLOPT_PROXY, "");
  curl_easy_setopt (curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt (curl, CURLOPT_TIMEOUT, TIMEOUT_SECONDS);
  curl_easy_setopt (curl, CURLOPT_WRITEFUNCTION, take_answer);
  curl_easy_setopt (curl, CURLOPT_WRITEDATA, client);
  curl_easy_setopt (curl, CURLOPT_ERRORBUFFER, client->reason);
}

struct client *
client_new (const char *control)
{
  struct client *client = calloc (1, sizeof *client);

  if (!control)
    control = getenv ("VMSWAP_CONTROL");
  if (!control || control[0] == '\0')
    control = CLIENT_CONTROL_DEFAULT;
  if (client) {
    client->curl = curl_easy_init ();
    client->control = strdup (control);
  }
  if (!client || !client->curl || !client->control) {
    complain ("no memory");
    client_free (client);
    return NULL;
  }
  set_options (client);
  return client;
}

void
client_free (struct client *client)
{
  if (!client)
    return;
  if (client->curl)
    curl_easy_cleanup (client->curl);
  free (client->control);
  free (client->answer);
  free (client);
}

const char *
client_control (const struct client *client)
{
  return client->control;
}

/* Others wait to be let in, too: a socket of the file system does not let wait,
 * it says EAGAIN.  Once inside, the server may have too much to do: 503. */
static bool
is_busy (struct client *client, CURLcode code)
{
  long err = 0, status = 0;

  curl_easy_getinfo (client->curl, CURLINFO_OS_ERRNO, &err);
  curl_easy_getinfo (client->curl, CURLINFO_RESPONSE_CODE, &status);
  return (code == CURLE_COULDNT_CONNECT && err == EAGAIN) ||
         (code == CURLE_OK && status == 503 && !client->is_order);
}

static CURLcode
perform (struct client *client, const char *path)
{
  const struct timespec pause = { .tv_nsec = QUEUE_PAUSE_MS * 1000000 };
  unsigned tries = TIMEOUT_SECONDS * 1000 / QUEUE_PAUSE_MS;
  char url[1024];
  CURLcode code;

  snprintf (url, sizeof url, "http://localhost%s", path);
  client->size = 0;
  client->reason[0] = '\0';
  curl_easy_setopt (client->curl, CURLOPT_URL, url);
  while (code = curl_easy_perform (client->curl),
         is_busy (client, code) && --tries > 0) {
    client->size = 0;
    nanosleep (&pause, NULL);
  }
  return code;
}

static void
complain_curl (const struct client *client, CURLcode code)
{
  if (code == CURLE_COULDNT_CONNECT)
    complain ("no server answers at %s: name its control= with --control, or "
              "start it with one",
              client->control);
  else
    complain ("%s: %s", client->control,
              client->reason[0] ? client->reason : curl_easy_strerror (code));
}

static long
status_of (struct client *client)
{
  long status = 0;

  curl_easy_getinfo (client->curl, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

/* The answer as one line, for people. */
static const char *
line_of (struct client *client)
{
  if (!client->answer || client->size == 0)
    return "";
  client->answer[strcspn (client->answer, "\n")] = '\0';
  return client->answer;
}

bool
client_can_connect (struct client *client)
{
  bool can;

  curl_easy_setopt (client->curl, CURLOPT_CONNECT_ONLY, 1L);
  can = perform (client, "/") == CURLE_OK;
  curl_easy_setopt (client->curl, CURLOPT_CONNECT_ONLY, 0L);
  return can;
}

const char *
client_get (struct client *client, const char *path, size_t *size)
{
  CURLcode code;

  curl_easy_setopt (client->curl, CURLOPT_HTTPGET, 1L);
  client->is_order = false;
  code = perform (client, path);
  if (code != CURLE_OK) {
    complain_curl (client, code);
    return NULL;
  }
  if (status_of (client) != 200) {
    complain ("%s: %s", client->control, line_of (client));
    return NULL;
  }
  if (size)
    *size = client->size;
  return client->answer ? client->answer : "";
}

json_t *
client_get_json (struct client *client, const char *path)
{
  json_error_t error;
  size_t size;
  const char *text = client_get (client, path, &size);
  json_t *json = text ? json_loadb (text, size, 0, &error) : NULL;

  if (text && !json)
    complain ("%s: what it answers makes no sense: %s", client->control,
              error.text);
  return json;
}

const char *
client_post (struct client *client, const char *path, bool *done)
{
  CURLcode code;

  curl_easy_setopt (client->curl, CURLOPT_POSTFIELDS, "");
  client->is_order = true;
  code = perform (client, path);
  if (code != CURLE_OK) {
    complain_curl (client, code);
    return NULL;
  }
  *done = status_of (client) == 200;
  return line_of (client);
}
