// SPDX-License-Identifier: BSD-3-Clause
/* Values of parameters: what people write, checked.
 *
 * what is the parameter, for messages.  Functions that return int return -1 if
 * they do not like the value, and have said why (nbdkit_error).
 */

#ifndef VMSWAP_VALUE_H
#define VMSWAP_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "settings.h"

/* A value as it may be shown in a message: one line, not endless. */
struct shown {
  char text[52];
};

/* Returns shown->text. */
extern const char *value_show (struct shown *shown, const char *value);

/* A size in bytes, a multiple of POOL_PAGE_SIZE. */
extern int value_bytes (const char *what, const char *value, uint64_t min,
                        uint64_t max, uint64_t *ret);

/* A size in bytes, a power of two; so are min and max. */
extern int value_power (const char *what, const char *value, uint64_t min,
                        uint64_t max, uint64_t *ret);

/* A size of at least min, 0 for none, or a part of the pool, such as 25%; once.
 */
extern int value_amount (const char *what, const char *value, uint64_t min,
                         struct amount *ret);

/* The words of nbdkit_parse_bool, with a message that names the key. */
extern int value_bool (const char *what, const char *value, bool *ret);

/* A number as nobody can misread it: digits and nothing else.  Says nothing. */
extern bool value_number (const char *value, unsigned min, unsigned max,
                          unsigned *ret);

/* What can name an export: see settings_bad_name. */
extern int value_name (const char *what, const char *value);

/* The same of guests that may share pages. */
extern int value_group (const char *what, const char *value, const char **ret);

/* A group of the host, by its name or its number. */
extern int value_socket_group (const char *what, const char *value,
                               struct socket_group *ret);

#endif /* VMSWAP_VALUE_H */
