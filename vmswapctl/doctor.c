// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl doctor: what is wrong, and how it is put right.  The server knows;
 * this prints it. */

#include <config.h>

#include <stdio.h>

#include "command.h"
#include "options.h"
#include "view.h"

static void
print_hint (const json_t *hint)
{
  struct view_name name;

  if (json_is_null (json_object_get (hint, "guest")))
    printf ("server: ");
  else
    printf ("guest %s: ", view_text_of (hint, "guest", &name));
  printf ("%s\n    fix: ", view_text_of (hint, "seen", &name));
  printf ("%s\n", view_text_of (hint, "fix", &name));
}

int
command_doctor (int argc, char **argv)
{
  static const struct option options[] = {
    { "control", required_argument, NULL, 'c' }, { NULL, 0, NULL, 0 }
  };
  const char *control = NULL;
  struct view view;
  size_t i, n;
  json_t *hint;
  unsigned given = 0;
  int c;

  while ((c = options_next (argc, argv, options, &given)) != -1) {
    if (c != 'c')
      return usage_of (argv[0]);
    control = optarg;
  }
  if (optind != argc)
    return usage_of (argv[0]);
  if (view_open (&view, control) == -1)
    return EXIT_CANNOT;
  const json_t *hints = json_object_get (view.now, "hints");

  json_array_foreach (hints, i, hint) print_hint (hint);
  n = json_array_size (hints);
  if (n == 0)
    puts ("nothing is wrong");
  view_close (&view);
  return n == 0 ? EXIT_SOUND : EXIT_DAMAGED;
}
