// SPDX-License-Identifier: BSD-3-Clause
/* The options of the commands. */

#ifndef VMSWAPCTL_OPTIONS_H
#define VMSWAPCTL_OPTIONS_H

#include <getopt.h>

/* Like getopt_long, for options that are written in full, and once: no
 * abbreviation, which another version might take for something else.  given is
 * 0 before the first call.  '?': it has said what is wrong. */
extern int options_next (int argc, char **argv, const struct option *options,
                         unsigned *given);

/* The same for a command that has none: -1 if there is none. */
extern int options_none (int argc, char **argv);

#endif /* VMSWAPCTL_OPTIONS_H */
