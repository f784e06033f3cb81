// SPDX-License-Identifier: BSD-3-Clause
/* The commands of vmswapctl, one file each, and what they share. */

#ifndef VMSWAPCTL_COMMAND_H
#define VMSWAPCTL_COMMAND_H

#include <stddef.h>

/* How vmswapctl ends. */
enum {
  EXIT_SOUND = 0,   /* done; what was looked at is sound */
  EXIT_DAMAGED = 1, /* something is wrong with it */
  EXIT_CANNOT = 2,  /* wrong arguments, or it could not be done */
};

/* argv[0] is the name of the command.  Returns the exit status. */
typedef int command_fn (int argc, char **argv);

struct command {
  const char *name;
  const char *arguments;
  const char *brief; /* what it does, one line */
  command_fn *run;
};

extern command_fn command_check;
extern command_fn command_doctor;
extern command_fn command_grow;
extern command_fn command_json;
extern command_fn command_limit;
extern command_fn command_metrics;
extern command_fn command_registry;
extern command_fn command_reset;
extern command_fn command_status;
extern command_fn command_top;

/* One line on stderr, after the name of the program. */
extern void complain (const char *fmt, ...)
    __attribute__ ((format (printf, 1, 2)));

/* From now on complaints go there, only the last is kept, and the terminal
 * stays as it is; NULL: to stderr again. */
extern void complain_into (char *text, size_t size);

/* Says how the command is used.  Returns EXIT_CANNOT. */
extern int usage_of (const char *name);

#endif /* VMSWAPCTL_COMMAND_H */
