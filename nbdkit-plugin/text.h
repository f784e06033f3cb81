// SPDX-License-Identifier: BSD-3-Clause
/* Names of exports, as formats of text can take them. */

#ifndef VMSWAP_TEXT_H
#define VMSWAP_TEXT_H

#include "pool.h"

/* A name can be any bytes but control characters, so not all are UTF-8.  What
 * is not becomes U+FFFD and two hexadecimal digits a byte; so does a U+FFFD
 * itself, so that no two names look the same. */
struct text_name {
  char text[VOLUME_NAME_MAX * 5 + 1];
};

/* Returns ret->text. */
extern const char *text_utf8 (const char *name, struct text_name *ret);

/* The name as part of a URI: all but letters, digits and -._~ as %XX. */
extern const char *text_uri (const char *name, struct text_name *ret);

#endif /* VMSWAP_TEXT_H */
