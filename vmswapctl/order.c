// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl grow, limit: orders to a running server.  Owns nothing. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "human.h"
#include "options.h"
#include "order.h"
#include "percent.h"
#include "text.h"

struct order {
  const char *control;
  const char *guest;
  const char *quota;
  const char *reserve;
};

int
order_send (struct client *client, const char *path, const char *guest,
            const char *rest)
{
  struct text_name uri;
  char query[sizeof uri.text + 128];
  const char *answer;
  bool done;

  if (strlen (guest) > VOLUME_NAME_MAX) {
    complain ("'%s' is no name of an export: it is too long", guest);
    return EXIT_CANNOT;
  }
  snprintf (query, sizeof query, "%s?guest=%s%s", path, text_uri (guest, &uri),
            rest);
  answer = client_post (client, query, &done);
  if (!answer)
    return EXIT_CANNOT;
  if (!done) {
    complain ("%s", answer);
    return EXIT_CANNOT;
  }
  puts (answer);
  return EXIT_SOUND;
}

/* Options, and then n more arguments, the first of which is the guest. */
static int
parse (struct order *order, const char *letters, int n, int argc, char **argv)
{
  static const struct option options[] = {
    { "control", required_argument, NULL, 'c' },
    { "quota", required_argument, NULL, 'q' },
    { "reserve", required_argument, NULL, 'r' },
    { NULL, 0, NULL, 0 }
  };
  unsigned given = 0;
  int c;

  while ((c = options_next (argc, argv, options, &given)) != -1) {
    if (c == '?' || !strchr (letters, c))
      return usage_of (argv[0]);
    if (c == 'c')
      order->control = optarg;
    else if (c == 'q')
      order->quota = optarg;
    else
      order->reserve = optarg;
  }
  if (argc - optind != n || argv[optind][0] == '\0')
    return usage_of (argv[0]);
  order->guest = argv[optind];
  return 0;
}

static int
parse_size (const char *text, uint64_t *ret)
{
  if (human_parse (text, ret) == 0)
    return 0;
  complain ("'%s' is no size: give a number and perhaps one of the suffixes K, "
            "M, G, T, such as 4G",
            text);
  return -1;
}

/* Adds &KEY=AMOUNT to the query, if there is one: a size, or percents of the
 * pool, whose sign is %25 in a query. */
static int
add_amount (char *query, size_t size, const char *key, const char *text)
{
  const size_t length = strlen (query);
  unsigned percent;
  uint64_t bytes;
  int r;

  if (!text)
    return 0;
  r = percent_parse (text, &percent);
  if (r == 0)
    snprintf (query + length, size - length, "&%s=%u%%25", key, percent);
  else if (r == -ERANGE)
    complain ("--%s %s is no part of the pool: give 1%% to 100%%, or a size",
              key, text);
  else if ((r = parse_size (text, &bytes)) == 0)
    snprintf (query + length, size - length, "&%s=%" PRIu64, key, bytes);
  return r;
}

static int
send_to (const struct order *order, const char *path, const char *rest)
{
  struct client *client = client_new (order->control);
  const int status =
      client ? order_send (client, path, order->guest, rest) : EXIT_CANNOT;

  client_free (client);
  return status;
}

int
command_grow (int argc, char **argv)
{
  struct order order = { 0 };
  char rest[64];
  uint64_t size;
  const int status = parse (&order, "c", 2, argc, argv);

  if (status)
    return status;
  if (parse_size (argv[optind + 1], &size) == -1)
    return EXIT_CANNOT;
  snprintf (rest, sizeof rest, "&size=%" PRIu64, size);
  return send_to (&order, "/grow", rest);
}

int
command_limit (int argc, char **argv)
{
  struct order order = { 0 };
  char rest[96] = "";
  const int status = parse (&order, "cqr", 1, argc, argv);

  if (status)
    return status;
  if (!order.quota && !order.reserve)
    return usage_of (argv[0]);
  if (add_amount (rest, sizeof rest, "quota", order.quota) ||
      add_amount (rest, sizeof rest, "reserve", order.reserve))
    return EXIT_CANNOT;
  return send_to (&order, "/limit", rest);
}
