// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl reset: forgets an export.  A running server is asked to; else its
 * line in the registry goes, and its volume in the image.
 *
 * Everything that may be refused is opened before anything changes.  The line
 * goes first: should this process end there, the volume is still whole, and the
 * next server knows it again. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "human.h"
#include "image.h"
#include "options.h"
#include "order.h"
#include "registry.h"
#include "settings.h"

struct reset {
  const char *name;
  const char *control;  /* NULL: not given */
  bool lost;            /* only what is lost */
  const char *state;    /* NULL: not given */
  const char *registry; /* NULL: not given */

  struct registry *lines; /* NULL: there is none */
  struct pool *pool;      /* likewise */
};

static int
parse (struct reset *reset, int argc, char **argv)
{
  static const struct option options[] = {
    { "control", required_argument, NULL, 'c' },
    { "lost", no_argument, NULL, 'l' },
    { "state", required_argument, NULL, 's' },
    { "registry", required_argument, NULL, 'r' },
    { NULL, 0, NULL, 0 }
  };
  unsigned given = 0;
  int c;

  while ((c = options_next (argc, argv, options, &given)) != -1)
    switch (c) {
    case 'c':
      reset->control = optarg;
      break;
    case 'l':
      reset->lost = true;
      break;
    case 's':
      reset->state = optarg;
      break;
    case 'r':
      reset->registry = optarg;
      break;
    default:
      return usage_of (argv[0]);
    }
  if (argc - optind != 1 || argv[optind][0] == '\0')
    return usage_of (argv[0]);
  reset->name = argv[optind];
  return 0;
}

static void
complain_server (const struct reset *reset)
{
  complain (
      "while the server runs, give --control instead, or the guest itself "
      "gives up all pages of '%s': there, swapoff, then blkdiscard or "
      "mkswap of the whole disk",
      reset->name);
}

static int
is_name (const struct registry_entry *entry, void *opaque)
{
  const struct reset *reset = opaque;

  return strcmp (entry->name, reset->name) == 0;
}

static int
open_registry (struct reset *reset)
{
  const char *dir =
      reset->registry ? reset->registry : SETTINGS_REGISTRY_DEFAULT;
  char reason[512] = "";
  int err;

  if (strcmp (dir, SETTINGS_REGISTRY_NONE) == 0)
    return 0;
  /* To look first, so that none is made. */
  err = registry_open (dir, true, reason, sizeof reason, &reset->lines);
  if (err == -ENOENT && !reset->registry)
    return 0;
  if (err == -ENOENT) {
    complain ("there is no registry in %s", dir);
    return err;
  }
  if (err == 0) {
    registry_close (reset->lines);
    reset->lines = NULL;
    err = registry_open (dir, false, reason, sizeof reason, &reset->lines);
  }
  if (err == -EBUSY) {
    complain ("registry %s is in use by a server: stop that first", dir);
    complain_server (reset);
  }
  else if (err)
    complain ("%s", reason);
  return err;
}

static int
open_image (struct reset *reset)
{
  if (!reset->state)
    return 0;
  const int err = image_take (reset->state, &reset->pool);

  if (err == -EBUSY)
    complain_server (reset);
  return err == -ENODATA ? 0 : err;
}

/* Returns whether there was one. */
static bool
drop_line (struct reset *reset, int *err)
{
  if (!reset->lines || !registry_each (reset->lines, is_name, reset))
    return false;
  *err = registry_remove (reset->lines, reset->name, 0);
  if (*err)
    complain ("the registry cannot be written: %s: nothing was done",
              strerror (-*err));
  else
    printf ("registry: '%s' is forgotten\n", reset->name);
  return true;
}

static bool
drop_volume (struct reset *reset)
{
  struct volume *volume =
      reset->pool ? volume_find (reset->pool, reset->name) : NULL;
  struct volume_stats stats;
  struct human size;

  if (!volume)
    return false;
  volume_get_stats (volume, &stats);
  const uint64_t lost = volume_count_lost (volume);

  volume_delete (volume);
  /* Its memory, to the host. */
  pool_compact (reset->pool);
  printf ("%s: '%s' (%s) is gone, with %" PRIu64 " pages", reset->state,
          reset->name, human_size (&size, stats.size),
          stats.stored_pages);
  if (lost)
    printf (" and %" PRIu64 " that were lost", lost);
  puts ("");
  return true;
}

static int
forget (struct reset *reset)
{
  int err = 0;
  bool found = drop_line (reset, &err);

  if (err)
    return EXIT_CANNOT;
  found |= drop_volume (reset);
  if (found)
    return EXIT_SOUND;
  complain ("no export '%s' is known %s%s%s", reset->name,
            reset->lines ? "to the registry" : "",
            reset->lines && reset->pool ? ", nor " : "",
            reset->pool ? "to the pool in the state directory" : "");
  return EXIT_CANNOT;
}

/* Asks the server, if there is one to ask and nothing else is meant: its
 * directories are for when it is stopped.  *status is how that ended. */
static bool
ask_server (const struct reset *reset, int *status)
{
  struct client *client;
  bool there;

  if ((reset->state || reset->registry) && !reset->control && !reset->lost)
    return false;
  *status = EXIT_CANNOT;
  client = client_new (reset->control);
  if (!client)
    return true;
  /* What only a server can do says why there is none. */
  there = reset->control || reset->lost || client_can_connect (client);
  if (there)
    *status = order_send (client, "/reset", reset->name,
                          reset->lost ? "&pages=lost" : "&pages=all");
  client_free (client);
  return there;
}

int
command_reset (int argc, char **argv)
{
  struct reset reset = { 0 };
  int status = parse (&reset, argc, argv);

  if (status || ask_server (&reset, &status))
    return status;
  if (open_registry (&reset) || open_image (&reset))
    status = EXIT_CANNOT;
  else if (!reset.lines && !reset.pool) {
    complain ("there is no server to ask (--control), and no registry in %s: "
              "name the server's directories with --registry and --state",
              SETTINGS_REGISTRY_DEFAULT);
    status = EXIT_CANNOT;
  }
  else
    status = forget (&reset);
  if (reset.pool)
    pool_destroy (reset.pool);
  registry_close (reset.lines);
  return status;
}
