// SPDX-License-Identifier: BSD-3-Clause
/* What the files of the settings share: settings.c has the table of parameters,
 * settings-guest.c what guest= takes, settings-complete.c what waits until all
 * are known, settings-help.c the text of --help.
 *
 * Functions that fail have said why (nbdkit_error) and return -1. */

#ifndef VMSWAP_SETTINGS_PARTS_H
#define VMSWAP_SETTINGS_PARTS_H

#include "settings.h"

/* Adds a guest, the last of the list. */
extern int settings_set_guest (struct settings *settings, const char *key,
                               const char *value);

extern void settings_free_guest (struct guest *guest);

#endif /* VMSWAP_SETTINGS_PARTS_H */
