// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl status, json, metrics: what a running server says of itself. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "command.h"
#include "options.h"
#include "view.h"

struct arguments {
  const char *control;
  const char *textfile;
  bool all;
};

/* These commands take nothing but options, of which letters says which. */
static int
parse (struct arguments *arguments, const char *letters, int argc, char **argv)
{
  static const struct option options[] = {
    { "all", no_argument, NULL, 'a' },
    { "control", required_argument, NULL, 'c' },
    { "textfile", required_argument, NULL, 't' },
    { NULL, 0, NULL, 0 }
  };
  unsigned given = 0;
  int c;

  while ((c = options_next (argc, argv, options, &given)) != -1) {
    if (c == '?' || !strchr (letters, c))
      return usage_of (argv[0]);
    if (c == 'a')
      arguments->all = true;
    else if (c == 'c')
      arguments->control = optarg;
    else
      arguments->textfile = optarg;
  }
  return optind == argc ? 0 : usage_of (argv[0]);
}

static void
print_pool (const json_t *pool)
{
  struct view_text a, b, c, d, e, f;

  printf (
      "pool: %s of %s used, %s stored, %s saved, ratio %s (compression "
      "%s)\n",
      view_size (pool, "used_bytes", &a), view_size (pool, "limit_bytes", &b),
      view_size (pool, "stored_bytes", &c), view_size (pool, "saved_bytes", &d),
      view_ratio (pool, "effective_ratio", &e),
      view_ratio (pool, "compression_ratio", &f));
}

static void
print_guests (const json_t *guests)
{
  size_t i;
  json_t *guest;

  if (json_array_size (guests) == 0) {
    puts ("no guests");
    return;
  }
  printf ("%-20s %8s %8s %8s %8s %6s %5s %12s %s\n", "guest", "size", "stored",
          "held", "saved", "ratio", "cold", "pages", "state");
  json_array_foreach (guests, i, guest)
  {
    struct view_name name;
    struct view_text a, b, c, d, e, f;

    printf ("%-20s %8s %8s %8s %8s %6s %5s %12" PRIu64 " %s\n",
            view_guest_name (guest, &name), view_size (guest, "size_bytes", &a),
            view_size (guest, "stored_bytes", &b),
            view_size (guest, "held_bytes", &c),
            view_size (guest, "saved_bytes", &d),
            view_ratio (guest, "effective_ratio", &e),
            view_share (guest, "cold_pages", "stored_pages", &f),
            view_number (guest, "stored_pages"), view_state (guest));
  }
}

/* Every figure of an object, exactly. */
static void
print_all (const char *title, const json_t *table, const json_t *object)
{
  size_t i;
  json_t *line;

  puts (title);
  json_array_foreach (table, i, line)
  {
    const char *name = json_string_value (json_object_get (line, "name"));
    const char *unit = json_string_value (json_object_get (line, "unit"));
    const char *meaning = json_string_value (json_object_get (line, "meaning"));
    const json_t *value = json_object_get (object, name);

    if (json_is_real (value))
      printf ("  %-26s %20.6g %-7s  %s\n", name, json_real_value (value), unit,
              meaning);
    else
      printf ("  %-26s %20" JSON_INTEGER_FORMAT " %-7s  %s\n", name,
              json_integer_value (value), unit, meaning);
  }
}

static void
print_everything (const struct view *view)
{
  size_t i;
  json_t *guest;

  print_all ("pool", json_object_get (view->table, "pool"),
             json_object_get (view->now, "pool"));
  json_array_foreach (json_object_get (view->now, "guests"), i, guest)
  {
    struct view_name name;
    char title[sizeof name.text + 8];

    snprintf (title, sizeof title, "guest %s", view_guest_name (guest, &name));
    print_all (title, json_object_get (view->table, "guest"), guest);
  }
}

int
command_status (int argc, char **argv)
{
  struct arguments arguments = { 0 };
  struct view view;
  int status = parse (&arguments, "ac", argc, argv);

  if (status)
    return status;
  if (view_open (&view, arguments.control) == -1)
    return EXIT_CANNOT;
  if (arguments.all)
    print_everything (&view);
  else {
    print_pool (json_object_get (view.now, "pool"));
    print_guests (json_object_get (view.now, "guests"));
  }
  view_close (&view);
  return EXIT_SOUND;
}

/* Writes next to the file, and puts it in its place when it is whole, so that
 * whoever reads the folder never sees a part. */
static int
replace_file (const char *path, const char *text, size_t size)
{
  char fresh[4096];
  struct stat st;
  FILE *file;
  int fd;

  if (lstat (path, &st) == 0 && !S_ISREG (st.st_mode)) {
    complain ("%s is there and is no regular file, which this would replace: "
              "give another path; without --textfile it goes to the standard "
              "output",
              path);
    return -1;
  }
  if ((size_t) snprintf (fresh, sizeof fresh, "%s.XXXXXX", path) >=
      sizeof fresh) {
    complain ("%s: the path is too long", path);
    return -1;
  }
  fd = mkstemp (fresh);
  file = fd == -1 ? NULL : fdopen (fd, "w");
  if (!file || fchmod (fd, 0644) == -1 ||
      fwrite (text, 1, size, file) != size || fflush (file) != 0 ||
      fsync (fd) == -1 || rename (fresh, path) == -1) {
    complain ("%s: %s", path, strerror (errno));
    if (fd != -1)
      unlink (fresh);
    if (file)
      fclose (file);
    return -1;
  }
  fclose (file);
  return 0;
}

/* Prints what the server has at that path. */
static int
print_answer (const struct arguments *arguments, const char *path)
{
  struct client *client = client_new (arguments->control);
  size_t size;
  const char *text = client ? client_get (client, path, &size) : NULL;
  int status = text ? EXIT_SOUND : EXIT_CANNOT;

  if (text && arguments->textfile) {
    if (replace_file (arguments->textfile, text, size) == -1)
      status = EXIT_CANNOT;
  }
  else if (text)
    fwrite (text, 1, size, stdout);
  client_free (client);
  return status;
}

int
command_json (int argc, char **argv)
{
  struct arguments arguments = { 0 };
  const int status = parse (&arguments, "c", argc, argv);

  return status ? status : print_answer (&arguments, "/json");
}

int
command_metrics (int argc, char **argv)
{
  struct arguments arguments = { 0 };
  const int status = parse (&arguments, "ct", argc, argv);

  return status ? status : print_answer (&arguments, "/metrics");
}
