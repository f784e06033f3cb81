// SPDX-License-Identifier: BSD-3-Clause
/* Values of parameters: what people write, checked.  Owns nothing. */

#include <config.h>

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "human.h"
#include "percent.h"
#include "value.h"

const char *
value_show (struct shown *shown, const char *value)
{
  const size_t room = sizeof shown->text - 4;
  size_t i;

  for (i = 0; i < room && value[i] != '\0'; ++i)
    shown->text[i] = value[i] >= 0x20 && value[i] < 0x7f ? value[i] : '?';
  strcpy (&shown->text[i], value[i] == '\0' ? "" : "...");
  return shown->text;
}

/* nbdkit_parse_size says what it dislikes without naming the parameter, so
 * it only gets to see what has the form of a size. */
static bool
looks_like_size (const char *value)
{
  size_t digits = strspn (value, "0123456789");

  return digits > 0 && digits <= 18 &&
         (value[digits] == '\0' ||
          (strchr ("bBkKmMgGtTpPeEsS", value[digits]) != NULL &&
           value[digits + 1] == '\0'));
}

/* A number of bytes, whatever it is good for. */
static int
parse_size (const char *what, const char *value, uint64_t *ret)
{
  struct shown shown;
  int64_t size;

  if (!looks_like_size (value)) {
    nbdkit_error ("%s=%s is not a size: give a number and perhaps one of the "
                  "suffixes K, M, G, T, such as 4G",
                  what, value_show (&shown, value));
    return -1;
  }
  size = nbdkit_parse_size (value);
  *ret = (uint64_t) size;
  return size == -1 ? -1 : 0;
}

/* … between these. */
static int
parse_between (const char *what, const char *value, uint64_t min, uint64_t max,
               uint64_t *ret)
{
  struct human limit;
  uint64_t size;

  if (parse_size (what, value, &size) == -1)
    return -1;
  if (size < min) {
    nbdkit_error ("%s=%s is too small: give at least %s", what, value,
                  human_size (&limit, min));
    return -1;
  }
  if (size > max) {
    nbdkit_error ("%s=%s is too large: give at most %s", what, value,
                  human_size (&limit, max));
    return -1;
  }
  *ret = size;
  return 0;
}

int
value_bytes (const char *what, const char *value, uint64_t min, uint64_t max,
             uint64_t *ret)
{
  uint64_t size;

  if (parse_between (what, value, min, max, &size) == -1)
    return -1;
  if (size % POOL_PAGE_SIZE != 0) {
    nbdkit_error ("%s=%s is not a multiple of %u: the next one is %" PRIu64,
                  what, value, POOL_PAGE_SIZE,
                  (size / POOL_PAGE_SIZE + 1) * (uint64_t) POOL_PAGE_SIZE);
    return -1;
  }
  *ret = size;
  return 0;
}

int
value_power (const char *what, const char *value, uint64_t min, uint64_t max,
             uint64_t *ret)
{
  struct human smaller, larger;
  uint64_t size, power = min;

  if (parse_between (what, value, min, max, &size) == -1)
    return -1;
  while (power < size)
    power *= 2;
  if (power != size) {
    nbdkit_error ("%s=%s is no power of two: give %s or %s", what, value,
                  human_size (&smaller, power / 2),
                  human_size (&larger, power));
    return -1;
  }
  *ret = size;
  return 0;
}

int
value_amount (const char *what, const char *value, uint64_t min,
              struct amount *ret)
{
  const int r = percent_parse (value, &ret->percent);
  struct shown shown;
  struct human least;
  uint64_t size;

  if (ret->given) {
    nbdkit_error ("%s= was given twice: give it once", what);
    return -1;
  }
  ret->given = true;
  if (r == 0)
    return 0;
  if (r == -ERANGE) {
    nbdkit_error ("%s=%s is no part of the pool: give 1%% to 100%%, or a size",
                  what, value_show (&shown, value));
    return -1;
  }
  if (parse_size (what, value, &size) == -1)
    return -1;
  if (size > 0 && size < min) {
    nbdkit_error ("%s=%s is too small: give at least %s, or 0 for none", what,
                  value, human_size (&least, min));
    return -1;
  }
  return value_bytes (what, value, 0, POOL_MAX_LIMIT, &ret->bytes);
}

int
value_bool (const char *key, const char *value, bool *ret)
{
  static const char *const words[][2] = {
    { "no", "yes" }, { "0", "1" }, { "false", "true" },
    { "off", "on" }, { "n", "y" }, { "f", "t" },
  };
  struct shown shown;

  for (size_t i = 0; i < sizeof words / sizeof words[0]; ++i)
    for (int truth = 0; truth <= 1; ++truth)
      if (strcasecmp (value, words[i][truth]) == 0) {
        *ret = truth;
        return 0;
      }
  nbdkit_error ("%s=%s is neither yes nor no: give one of them", key,
                value_show (&shown, value));
  return -1;
}

bool
value_number (const char *value, unsigned min, unsigned max, unsigned *ret)
{
  const size_t digits = strspn (value, "0123456789");
  const unsigned long number =
      digits > 0 && digits <= 9 && value[digits] == '\0'
          ? strtoul (value, NULL, 10)
          : ULONG_MAX;

  if (number < min || number > max)
    return false;
  *ret = number;
  return true;
}

int
value_name (const char *what, const char *value)
{
  const char *bad = settings_bad_name (value);
  struct shown shown;

  if (bad == NULL)
    return 0;
  nbdkit_error ("%s=%s: %s: give 1 to %u printable ASCII characters without a "
                "comma",
                what, value_show (&shown, value), bad, VOLUME_NAME_MAX);
  return -1;
}

int
value_group (const char *what, const char *value, const char **ret)
{
  if (value[0] == '\0') {
    nbdkit_error ("%s= is empty: give the name of a group of guests that may "
                  "share pages, or leave it out",
                  what);
    return -1;
  }
  *ret = value;
  return value_name (what, value);
}

/* As chown(1) takes it: a name may be digits, too.  (gid_t) -1 is nobody. */
static bool
find_group (const char *value, gid_t *ret)
{
  const size_t digits = strspn (value, "0123456789");
  const struct group *group = getgrnam (value);
  uint64_t number;

  if (group != NULL) {
    *ret = group->gr_gid;
    return true;
  }
  if (digits == 0 || digits > 10 || value[digits] != '\0')
    return false;
  number = strtoull (value, NULL, 10);
  *ret = (gid_t) number;
  return number < (gid_t) -1;
}

int
value_socket_group (const char *what, const char *value,
                    struct socket_group *ret)
{
  struct shown shown;

  if (!find_group (value, &ret->gid)) {
    nbdkit_error ("%s=%s: there is no such group on this host: give the name "
                  "or the number of one (getent group lists them)",
                  what, value_show (&shown, value));
    return -1;
  }
  ret->key = what;
  ret->name = value;
  return 0;
}
