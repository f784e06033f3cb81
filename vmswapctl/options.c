// SPDX-License-Identifier: BSD-3-Clause
/* The options of the commands, stricter than getopt has them.  Owns nothing. */

#include <config.h>

#include <stdbool.h>
#include <string.h>

#include "command.h"
#include "options.h"

/* Is the word that option, whole, with a value or without? */
static bool
is_whole (const char *word, const struct option *option)
{
  const size_t length = strlen (option->name);

  return strncmp (word, "--", 2) == 0 &&
         strncmp (word + 2, option->name, length) == 0 &&
         (word[2 + length] == '\0' || word[2 + length] == '=');
}

/* word is what getopt was at; in the midst of several letters, one before. */
static void
complain_unknown (const char *word, const struct option *options)
{
  for (; options->name; ++options)
    if (options->val == optopt && is_whole (word, options)) {
      complain ("--%s takes no value", options->name);
      return;
    }
  if (optopt >= '0' && optopt <= '9')
    complain ("a number has no sign: give one such as 8G, without a '-'");
  else if (optopt)
    complain ("there is no option '-%c' (a name that begins with '-' goes "
              "after --)",
              optopt);
  else
    complain ("there is no option '%.60s'", word);
}

int
options_next (int argc, char **argv, const struct option *options,
              unsigned *given)
{
  int which = 0;
  const int c = getopt_long (argc, argv, ":", options, &which);
  const char *word = argv[optind > 0 ? optind - 1 : 0];

  if (c == -1)
    return c;
  if (c == ':')
    complain ("%s needs a value", word);
  else if (c == '?')
    complain_unknown (word, options);
  else if (!is_whole (optarg && optarg == word ? argv[optind - 2] : word,
                      &options[which]))
    complain ("write --%s in full", options[which].name);
  else if (*given & 1u << which)
    complain ("--%s was given twice: give it once", options[which].name);
  else {
    *given |= 1u << which;
    return c;
  }
  return '?';
}

int
options_none (int argc, char **argv)
{
  static const struct option none[] = { { NULL, 0, NULL, 0 } };
  unsigned given = 0;

  return options_next (argc, argv, none, &given);
}
