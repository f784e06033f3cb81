// SPDX-License-Identifier: BSD-3-Clause
/* Names of exports, as formats of text can take them.  Owns nothing. */

#include <config.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

static bool
is_continuation (unsigned char byte)
{
  return (byte & 0xc0) == 0x80;
}

/* The length of the UTF-8 character at s (RFC 3629: the shortest form, no
 * surrogates, nothing above U+10FFFF); 0: there is none. */
static unsigned
utf8_length (const unsigned char *s)
{
  if (s[0] < 0x80)
    return 1;
  if (s[0] >= 0xc2 && s[0] <= 0xdf)
    return is_continuation (s[1]) ? 2 : 0;
  if (s[0] >= 0xe0 && s[0] <= 0xef) {
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f))
      return 0;
    return is_continuation (s[1]) && is_continuation (s[2]) ? 3 : 0;
  }
  if (s[0] >= 0xf0 && s[0] <= 0xf4) {
    if ((s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
      return 0;
    return is_continuation (s[1]) && is_continuation (s[2]) &&
                   is_continuation (s[3])
               ? 4
               : 0;
  }
  return 0;
}

const char *
text_utf8 (const char *name, struct text_name *ret)
{
  static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
  const unsigned char *s = (const unsigned char *) name;
  char *to = ret->text;

  while (*s != '\0') {
    const unsigned length = utf8_length (s);

    if (length != 0 && memcmp (s, replacement, length) != 0) {
      memcpy (to, s, length);
      to += length;
      s += length;
    }
    else
      to += sprintf (to, "%s%02X", replacement, *s++);
  }
  *to = '\0';
  return ret->text;
}

static bool
is_unreserved (unsigned char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
}

const char *
text_uri (const char *name, struct text_name *ret)
{
  char *to = ret->text;

  for (const char *s = name; *s != '\0'; ++s)
    if (is_unreserved (*s))
      *to++ = *s;
    else
      to += sprintf (to, "%%%02X", (unsigned char) *s);
  *to = '\0';
  return ret->text;
}
