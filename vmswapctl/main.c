// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl: finds the command that is asked for, and runs it.
 *
 * Owns the table of commands. */

#include <config.h>

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static const struct command commands[] = {
  { "check", "DIR",
    "verify the pool that a stopped server left in DIR (its state=)",
    command_check },
  { "doctor", "[--control PATH]", "say what is wrong, and how it is put right",
    command_doctor },
  { "grow", "[--control PATH] NAME SIZE",
    "change the size of an export that nobody uses", command_grow },
  { "json", "[--control PATH]", "print all that the server tells, as JSON",
    command_json },
  { "limit", "[--control PATH] [--quota SIZE|N%] [--reserve SIZE|N%] NAME",
    "bound what an export may take of the pool, or promise it some",
    command_limit },
  { "metrics", "[--control PATH] [--textfile FILE]",
    "print it for Prometheus, or put it into FILE for node_exporter",
    command_metrics },
  { "registry", "[DIR]",
    "list the exports that hold pages, as the registry in DIR knows them",
    command_registry },
  { "reset",
    "[--control PATH] [--lost] [--state DIR] [--registry DIR|none] NAME",
    "forget an export and drop its pages, or only what it has lost",
    command_reset },
  { "status", "[--control PATH] [--all]",
    "show who swaps, what it takes and what it saves", command_status },
  { "top", "[--control PATH] [--delay SECONDS] [--once]",
    "the same, live, with rates and times", command_top },
};

#define NR_COMMANDS (sizeof commands / sizeof commands[0])

/* Where complaints go; NULL: to stderr. */
static char *complaint;
static size_t complaint_size;

void
complain_into (char *text, size_t size)
{
  complaint = text;
  complaint_size = size;
}

void
complain (const char *fmt, ...)
{
  va_list args;

  if (complaint) {
    va_start (args, fmt);
    vsnprintf (complaint, complaint_size, fmt, args);
    va_end (args);
    return;
  }
  fflush (stdout);
  fputs ("vmswapctl: ", stderr);
  va_start (args, fmt);
  vfprintf (stderr, fmt, args);
  va_end (args);
  fputc ('\n', stderr);
}

static const struct command *
find_command (const char *name)
{
  for (size_t i = 0; i < NR_COMMANDS; ++i)
    if (strcmp (commands[i].name, name) == 0)
      return &commands[i];
  return NULL;
}

int
usage_of (const char *name)
{
  const struct command *command = find_command (name);

  complain ("usage: vmswapctl %s %s", command->name, command->arguments);
  return EXIT_CANNOT;
}

static void
help (void)
{
  printf ("Look after the pools of vmswap on this host.\n\n");
  for (size_t i = 0; i < NR_COMMANDS; ++i)
    printf ("  vmswapctl %s %s\n      %s\n", commands[i].name,
            commands[i].arguments, commands[i].brief);
  printf ("\n"
          "  vmswapctl --help, --version\n\n"
          "PATH is the server's control=; VMSWAP_CONTROL or\n"
          "/run/vmswap/control if it is not given.\n\n"
          "Exit status: 0 done, and sound; 1 damaged; 2 it cannot be done.\n"
          "The manual is vmswapctl(8).\n");
}

/* What was printed is the result: it must have arrived. */
static int
finish (int status)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return status;
  complain ("standard output: %s", strerror (errno));
  return EXIT_CANNOT;
}

int
main (int argc, char **argv)
{
  const struct command *command;

  /* The characters of the user; numbers as everybody writes them. */
  setlocale (LC_CTYPE, "");
  if (argc < 2) {
    complain ("which command? vmswapctl --help lists them");
    return EXIT_CANNOT;
  }
  if (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0) {
    help ();
    return finish (EXIT_SOUND);
  }
  if (strcmp (argv[1], "--version") == 0 || strcmp (argv[1], "-V") == 0) {
    printf ("vmswapctl %s\n", PACKAGE_VERSION);
    return finish (EXIT_SOUND);
  }
  command = find_command (argv[1]);
  if (!command) {
    complain ("there is no command '%s'; vmswapctl --help lists what there is",
              argv[1]);
    return EXIT_CANNOT;
  }
  return finish (command->run (argc - 1, argv + 1));
}
