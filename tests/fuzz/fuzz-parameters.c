// SPDX-License-Identifier: BSD-3-Clause
/* Fuzz target: the parameters of the plugin.
 *
 * The input is a command line, one word per line, as nbdkit would cut it into
 * keys and values.  What must hold: a word that is refused was refused with
 * exactly one line; one that is taken, without any; and what
 * settings_complete lets pass is something that a pool can be made from.
 * Nothing leaks. */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fuzz.h"
#include "bounds.h"
#include "server.h"
#include "settings.h"

#define MAX_WORDS 64

/* The rule of nbdkit: what does not begin like this is a bare value. */
static bool
is_key (const char *word, const char *equals)
{
  if (!((word[0] | 0x20) >= 'a' && (word[0] | 0x20) <= 'z'))
    return false;
  for (const char *p = word; p < equals; ++p)
    if (!((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') &&
        !(*p >= '0' && *p <= '9') && !strchr ("._-", *p))
      return false;
  return true;
}

/* Exactly one line if it failed, else none (but warnings). */
static void
check_said (int r, const char *what)
{
  if (r != 0 && r != -1)
    FUZZ_FAIL ("%s: returned %d", what, r);
  if (server.errors - server.warnings != (r == -1))
    FUZZ_FAIL ("%s: returned %d and said %u lines, the last: %s", what, r,
               server.errors, server.line);
}

static int
set_word (struct settings *settings, char *word)
{
  char *equals = strchr (word, '=');
  int r;

  server_reset ();
  if (equals && is_key (word, equals)) {
    *equals = '\0';
    r = settings_set (settings, word, equals + 1);
  }
  else
    r = settings_set (settings, "pool", word);
  check_said (r, word);
  return r;
}

static void
check_size (uint64_t size, uint64_t min, uint64_t max)
{
  if (size < min || size > max || size % POOL_PAGE_SIZE)
    FUZZ_FAIL ("a size of %llu was let pass", (unsigned long long) size);
}

static void
check_limits (const struct export_limits *limits)
{
  FUZZ_CHECK (limits_bad (limits->quota.bytes, limits->reserve.bytes) == NULL);
  FUZZ_CHECK (limits->quota.bytes % POOL_PAGE_SIZE == 0 &&
              limits->reserve.bytes % POOL_PAGE_SIZE == 0);
  FUZZ_CHECK (limits->quota.bytes <= POOL_MAX_LIMIT &&
              limits->reserve.bytes <= POOL_MAX_LIMIT);
}

static void
check_cold (const struct pool_cold *cold)
{
  FUZZ_CHECK (cold->after <= SETTINGS_COLD_MAX_SECONDS);
  FUZZ_CHECK (cold->cpu >= 1 && cold->cpu <= 100);
  FUZZ_CHECK (cold->level >= 1 && cold->level <= POOL_COLD_MAX_LEVEL);
}

static void
check_settings (const struct settings *settings)
{
  size_t guests = 0;

  check_size (settings->pool, POOL_MIN_LIMIT, POOL_MAX_LIMIT);
  check_size (settings->size, EXPORT_MIN_SIZE, EXPORT_MAX_SIZE);
  check_limits (&settings->limits);
  check_cold (&settings->cold);
  for (const struct guest *g = settings->guests; g; g = g->next) {
    check_size (g->size, EXPORT_MIN_SIZE, EXPORT_MAX_SIZE);
    check_limits (&g->limits);
    FUZZ_CHECK (settings_bad_name (g->name) == NULL);
    FUZZ_CHECK (!g->group || settings_bad_name (g->group) == NULL);
    for (const struct guest *other = g->next; other; other = other->next)
      FUZZ_CHECK (strcmp (g->name, other->name) != 0);
    guests++;
  }
  FUZZ_CHECK (guests == settings->nr_guests && guests <= POOL_MAX_VOLUMES);
  FUZZ_CHECK (!settings->state || settings->state[0] == '/');
}

/* Cuts the input into words, each in memory of its own length. */
static int
set_words (struct settings *settings, char *line)
{
  char *rest = line;
  unsigned n = 0;
  int r = 0;

  for (char *word; r == 0 && n < MAX_WORDS && (word = strsep (&rest, "\n"));
       ++n)
    if (word[0])
      r = set_word (settings, word);
  return r;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct settings settings = SETTINGS_DEFAULT;
  char *line = strndup ((const char *) data, size);

  if (set_words (&settings, line) == 0) {
    server_reset ();
    const int r = settings_complete (&settings);

    check_said (r, "settings_complete");
    if (r == 0)
      check_settings (&settings);
  }
  settings_free (&settings);
  server_free ();
  free (line);
  return 0;
}
