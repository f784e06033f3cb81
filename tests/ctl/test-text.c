// SPDX-License-Identifier: BSD-3-Clause
/* Names of exports as text: what comes out is always UTF-8, and no two names
 * become the same. */

#include <config.h>

#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../pool/test.h"
#include "text.h"

#define REPLACEMENT "\xef\xbf\xbd"

static void
check_is (const char *name, const char *utf8, const char *uri)
{
  struct text_name text;

  CHECK (strcmp (text_utf8 (name, &text), utf8) == 0);
  CHECK (strcmp (text_uri (name, &text), uri) == 0);
}

/* The opposite of text_utf8, which proves that nothing gets lost. */
static void
undo (const char *text, char *ret)
{
  while (*text != '\0') {
    unsigned byte;

    if (strncmp (text, REPLACEMENT, 3) == 0 &&
        sscanf (text + 3, "%2X", &byte) == 1) {
      *ret++ = (char) byte;
      text += 5;
    }
    else
      *ret++ = *text++;
  }
  *ret = '\0';
}

static void
check_random (uint64_t seed)
{
  static const char *const pieces[] = {
    "a",    "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xff",
    "\x80", "\xc3",     "\xed\xa0\x80", REPLACEMENT,        "FF"
  };
  char name[VOLUME_NAME_MAX + 1] = "", back[VOLUME_NAME_MAX * 5 + 1];
  struct text_name text;

  while (strlen (name) < VOLUME_NAME_MAX - 4) {
    seed = seed * UINT64_C (6364136223846793005) + 1442695040888963407u;
    strcat (name, pieces[(seed >> 33) % (sizeof pieces / sizeof pieces[0])]);
  }
  text_utf8 (name, &text);
  undo (text.text, back);
  CHECK (strcmp (back, name) == 0);
  CHECK (mbstowcs (NULL, text.text, 0) != (size_t) -1);
}

int
main (void)
{
  CHECK (setlocale (LC_CTYPE, "C.UTF-8") != NULL);
  check_is ("web1", "web1", "web1");
  check_is ("a b%&", "a b%&", "a%20b%25%26");
  check_is ("\xc3\xa4", "\xc3\xa4", "%C3%A4");
  check_is ("a\xff", "a" REPLACEMENT "FF", "a%FF");
  check_is ("\xc3", REPLACEMENT "C3", "%C3");
  check_is ("\xc0\xaf", REPLACEMENT "C0" REPLACEMENT "AF", "%C0%AF");
  check_is ("\xed\xa0\x80", REPLACEMENT "ED" REPLACEMENT "A0" REPLACEMENT "80",
            "%ED%A0%80");
  check_is ("\xf4\x90\x80\x80",
            REPLACEMENT "F4" REPLACEMENT "90" REPLACEMENT "80" REPLACEMENT "80",
            "%F4%90%80%80");
  check_is (REPLACEMENT "41",
            REPLACEMENT "EF" REPLACEMENT "BF" REPLACEMENT "BD"
                        "41",
            "%EF%BF%BD41");
  for (uint64_t seed = 0; seed < 10000; ++seed)
    check_random (seed);
  return 0;
}
