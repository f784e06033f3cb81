// SPDX-License-Identifier: BSD-3-Clause
/* The parameters of the plugin.
 *
 * One table names every key and the function that takes its value.  A value
 * is refused where it is read, with the key, what is wrong and what would be
 * right; what needs several parameters (defaults, a missing pool=) waits for
 * settings_complete.  Keys and words are matched whole.
 *
 * The strings of the command line outlive the plugin, so values are kept by
 * pointer; the part of guest= before its comma is interned.
 */

#include <config.h>

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "bounds.h"
#include "human.h"
#include "settings.h"
#include "vmswap-ring.h"

const char settings_help[] =
    "[pool=]SIZE              (required) Host memory for all swapped pages,\n"
    "                         everything counted: 16M to 8T.\n"
    "size=SIZE                Virtual size of an export (default: 2 x pool).\n"
    "guest=NAME[,size=SIZE][,group=NAME][,quota=SIZE][,reserve=SIZE]\n"
    "    [,ivshmem=PATH][,region=SIZE]\n"
    "                         Offer this export; repeat for more (default:\n"
    "                         exports open by name).\n"
    "group=NAME               Exports of one group store pages that are alike\n"
    "                         once (default: each shares with itself alone).\n"
    "dedup=auto|always|off    Whether pages are looked up to be shared: auto\n"
    "                         while that pays (default: auto).\n"
    "quota=SIZE|N%            What an export may hold at the most (default:\n"
    "                         no limit).\n"
    "reserve=SIZE|N%          What of the pool no other export can take\n"
    "                         (default: nothing).\n"
    "cold=SECONDS|off         Pages that were written longer ago than that are\n"
    "                         compressed once more, until they are read\n"
    "                         (default: 300).\n"
    "cold-cpu=PERCENT         What of one CPU that may take, 1 to 100\n"
    "                         (default: 10).\n"
    "cold-level=N             The level of zstd for that, 1 to 19\n"
    "                         (default: 3).\n"
    "compressor=lz4|none      How pages are compressed (default: lz4).\n"
    "control=PATH             Tell vmswapctl how things are on this socket\n"
    "                         (default: no).\n"
    "control-port=PORT        The same, only to be read, on this TCP port of\n"
    "                         the loopback (default: no).\n"
    "full=error|stall         What a write meets when the pool is full\n"
    "                         (default: error).\n"
    "keeper=PATH              The socket of vmswap-keep(8), which holds the\n"
    "                         regions of ivshmem= while the server is\n"
    "                         restarted (default: no).\n"
    "parallel=BOOL            Serve the requests of one connection in\n"
    "                         parallel (default: no).\n"
    "registry=DIR|none        Where it is noted which exports hold pages, so "
    "that\n"
    "                         lost ones never read as zeroes (default:\n"
    "                         " SETTINGS_REGISTRY_DEFAULT ").\n"
    "share=BOOL               Let several peers write to one export\n"
    "                         (default: no).\n"
    "state=DIR                Keep the pool in this directory on tmpfs, so "
    "that\n"
    "                         the next server finds it (default: no).\n"
    "swap-header=BOOL         Blank exports hold a swap header\n"
    "                         (default: yes).";

/* A value as it may be shown in a message: one line, not endless. */
struct shown {
  char text[52];
};

static const char *
show (struct shown *shown, const char *value)
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

static int
parse_bytes (const char *what, const char *value, uint64_t min, uint64_t max,
             uint64_t *ret)
{
  struct shown shown;
  struct human limit;
  int64_t size;

  if (!looks_like_size (value)) {
    nbdkit_error ("%s=%s is not a size: give a number and perhaps one of the "
                  "suffixes K, M, G, T, such as 4G",
                  what, show (&shown, value));
    return -1;
  }
  size = nbdkit_parse_size (value);
  if (size == -1)
    return -1;
  if ((uint64_t) size < min) {
    nbdkit_error ("%s=%s is too small: give at least %s", what, value,
                  human_size (&limit, min));
    return -1;
  }
  if ((uint64_t) size > max) {
    nbdkit_error ("%s=%s is too large: give at most %s", what, value,
                  human_size (&limit, max));
    return -1;
  }
  if (size % POOL_PAGE_SIZE != 0) {
    nbdkit_error ("%s=%s is not a multiple of %u: the next one is %" PRIu64,
                  what, value, POOL_PAGE_SIZE,
                  (size / POOL_PAGE_SIZE + 1) * (uint64_t) POOL_PAGE_SIZE);
    return -1;
  }
  *ret = size;
  return 0;
}

/* A size, 0 for none, or a part of the pool, such as 25%. */
static int
parse_amount (const char *what, const char *value, struct amount *ret)
{
  const size_t digits = strspn (value, "0123456789");
  struct shown shown;

  if (ret->given) {
    nbdkit_error ("%s= was given twice: give it once", what);
    return -1;
  }
  ret->given = true;
  if (digits == 0 || strcmp (value + digits, "%") != 0)
    return parse_bytes (what, value, 0, POOL_MAX_LIMIT, &ret->bytes);
  ret->percent = digits <= 3 ? (unsigned) strtoul (value, NULL, 10) : 0;
  if (ret->percent == 0 || ret->percent > 100) {
    nbdkit_error ("%s=%s is no part of the pool: give 1%% to 100%%, or a size",
                  what, show (&shown, value));
    return -1;
  }
  return 0;
}

/* The words of nbdkit_parse_bool, with a message that names the key. */
static int
parse_bool (const char *key, const char *value, bool *ret)
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
                show (&shown, value));
  return -1;
}

static int
set_pool (struct settings *settings, const char *key, const char *value)
{
  return parse_bytes (key, value, POOL_MIN_LIMIT, POOL_MAX_LIMIT,
                      &settings->pool);
}

static int
set_size (struct settings *settings, const char *key, const char *value)
{
  return parse_bytes (key, value, EXPORT_MIN_SIZE, EXPORT_MAX_SIZE,
                      &settings->size);
}

static int
set_quota (struct settings *settings, const char *key, const char *value)
{
  return parse_amount (key, value, &settings->limits.quota);
}

static int
set_reserve (struct settings *settings, const char *key, const char *value)
{
  return parse_amount (key, value, &settings->limits.reserve);
}

/* A number as nobody can misread it: digits and nothing else. */
static bool
parse_number (const char *value, unsigned min, unsigned max, unsigned *ret)
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

static int
set_cold (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;

  settings->cold.on = strcmp (value, "off") != 0;
  if (!settings->cold.on ||
      parse_number (value, 0, SETTINGS_COLD_MAX_SECONDS, &settings->cold.after))
    return 0;
  nbdkit_error ("%s=%s: give a number of seconds, from 0 to %u, or off", key,
                show (&shown, value), SETTINGS_COLD_MAX_SECONDS);
  return -1;
}

static int
set_cold_cpu (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;

  if (parse_number (value, 1, 100, &settings->cold.cpu))
    return 0;
  nbdkit_error ("%s=%s: give a number from 1 to 100, percent of one CPU (or "
                "cold=off)",
                key, show (&shown, value));
  return -1;
}

static int
set_cold_level (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;
  unsigned level;

  if (parse_number (value, 1, POOL_COLD_MAX_LEVEL, &level)) {
    settings->cold.level = (int) level;
    return 0;
  }
  nbdkit_error ("%s=%s is no level of zstd: give a number from 1 to %d", key,
                show (&shown, value), POOL_COLD_MAX_LEVEL);
  return -1;
}

static int
set_compressor (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;

  for (const char *const *codec = pool_codecs (); *codec != NULL; ++codec)
    if (strcmp (value, *codec) == 0) {
      settings->compressor = *codec;
      return 0;
    }
  nbdkit_error ("%s=%s: there is no such compressor: give lz4 or none", key,
                show (&shown, value));
  return -1;
}

static int
set_full (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;

  settings->stall = strcmp (value, "stall") == 0;
  if (settings->stall || strcmp (value, "error") == 0)
    return 0;
  nbdkit_error ("%s=%s: give error (a write fails) or stall (it waits)", key,
                show (&shown, value));
  return -1;
}

static int
set_dedup (struct settings *settings, const char *key, const char *value)
{
  static const char *const words[] = {
    [POOL_SHARING_AUTO] = "auto",
    [POOL_SHARING_OFF] = "off",
    [POOL_SHARING_ALWAYS] = "always",
  };
  struct shown shown;

  for (size_t i = 0; i < sizeof words / sizeof words[0]; ++i)
    if (strcmp (value, words[i]) == 0) {
      settings->dedup = (enum pool_sharing) i;
      return 0;
    }
  nbdkit_error ("%s=%s: give auto (pages are looked up while that pays), "
                "always or off",
                key, show (&shown, value));
  return -1;
}

/* A name of any kind; which of them are the same is all that matters. */
static int
parse_group (const char *key, const char *value, const char **ret)
{
  if (value[0] == '\0') {
    nbdkit_error ("%s= is empty: give the name of a group of guests that may "
                  "share pages, or leave it out",
                  key);
    return -1;
  }
  *ret = value;
  return 0;
}

static int
set_group (struct settings *settings, const char *key, const char *value)
{
  return parse_group (key, value, &settings->group);
}

static int
set_parallel (struct settings *settings, const char *key, const char *value)
{
  return parse_bool (key, value, &settings->parallel);
}

static int
set_share (struct settings *settings, const char *key, const char *value)
{
  return parse_bool (key, value, &settings->share);
}

/* nbdkit leaves its directory before the pool is made. */
static int
set_state (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;

  if (value[0] == '\0') {
    nbdkit_error ("%s= is empty: name a directory on tmpfs, such as "
                  "/run/vmswap",
                  key);
    return -1;
  }
  settings->state = realpath (value, NULL);
  if (settings->state == NULL) {
    nbdkit_error ("%s=%s: %m: make it a directory on tmpfs", key,
                  show (&shown, value));
    return -1;
  }
  return 0;
}

/* It need not be there yet, so this is no realpath. */
static int
set_registry (struct settings *settings, const char *key, const char *value)
{
  if (value[0] == '\0') {
    nbdkit_error ("%s= is empty: name a directory on a disk, such "
                  "as " SETTINGS_REGISTRY_DEFAULT ", or give none",
                  key);
    return -1;
  }
  settings->registry = strcmp (value, SETTINGS_REGISTRY_NONE) == 0
                           ? strdup (value)
                           : nbdkit_absolute_path (value);
  if (settings->registry == NULL) {
    nbdkit_error ("%s=: no memory: %m", key);
    return -1;
  }
  return 0;
}

/* It need not be there yet, and it must not be followed. */
static int
set_control (struct settings *settings, const char *key, const char *value)
{
  if (value[0] == '\0') {
    nbdkit_error ("%s= is empty: name a socket to be made, such as "
                  "/run/vmswap/control",
                  key);
    return -1;
  }
  settings->control = nbdkit_absolute_path (value);
  if (settings->control == NULL) {
    nbdkit_error ("%s=: no memory: %m", key);
    return -1;
  }
  return 0;
}

static int
set_keeper (struct settings *settings, const char *key, const char *value)
{
  if (value[0] == '\0') {
    nbdkit_error ("%s= is empty: name the socket that vmswap-keep listens on",
                  key);
    return -1;
  }
  settings->keeper = nbdkit_absolute_path (value);
  if (settings->keeper == NULL) {
    nbdkit_error ("%s=: no memory: %m", key);
    return -1;
  }
  return 0;
}

static int
set_control_port (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;
  unsigned port;

  if (!parse_number (value, 1, UINT16_MAX, &port)) {
    nbdkit_error ("%s=%s is no TCP port: give a number from 1 to 65535", key,
                  show (&shown, value));
    return -1;
  }
  settings->control_port = port;
  return 0;
}

static int
set_swap_header (struct settings *settings, const char *key, const char *value)
{
  return parse_bool (key, value, &settings->swap_header);
}

const char *
settings_bad_name (const char *name)
{
  const size_t length = strlen (name);

  if (length == 0)
    return "the name is empty";
  if (length > VOLUME_NAME_MAX)
    return "the name is longer than 127 bytes";
  for (size_t i = 0; i < length; ++i)
    if (name[i] < 0x20 || name[i] > 0x7e || name[i] == ',')
      return "the name has a byte that is a comma or not printable ASCII";
  return NULL;
}

static int
set_guest_size (struct guest *guest, const char *value)
{
  if (guest->size != 0) {
    nbdkit_error ("guest size= was given twice: give it once");
    return -1;
  }
  return parse_bytes ("guest size", value, EXPORT_MIN_SIZE, EXPORT_MAX_SIZE,
                      &guest->size);
}

static int
set_guest_group (struct guest *guest, const char *value)
{
  if (guest->group != NULL) {
    nbdkit_error ("guest group= was given twice: give it once");
    return -1;
  }
  return parse_group ("guest group", value, &guest->group);
}

static int
set_guest_quota (struct guest *guest, const char *value)
{
  return parse_amount ("guest quota", value, &guest->limits.quota);
}

static int
set_guest_reserve (struct guest *guest, const char *value)
{
  return parse_amount ("guest reserve", value, &guest->limits.reserve);
}

/* It need not be there yet, and it must not be followed. */
static int
set_guest_ivshmem (struct guest *guest, const char *value)
{
  if (guest->ivshmem != NULL) {
    nbdkit_error ("guest ivshmem= was given twice: give it once");
    return -1;
  }
  if (value[0] == '\0') {
    nbdkit_error ("guest ivshmem= is empty: name a socket to be made for the "
                  "QEMU of that guest, such as /run/vmswap/web1.ivshmem");
    return -1;
  }
  guest->ivshmem = nbdkit_absolute_path (value);
  if (guest->ivshmem == NULL) {
    nbdkit_error ("guest ivshmem=: no memory: %m");
    return -1;
  }
  return 0;
}

static int
set_guest_region (struct guest *guest, const char *value)
{
  struct shown shown;

  if (guest->region != 0) {
    nbdkit_error ("guest region= was given twice: give it once");
    return -1;
  }
  if (parse_bytes ("guest region", value, VMSWAP_RING_SIZE_MIN,
                   VMSWAP_RING_SIZE_MAX, &guest->region) == -1)
    return -1;
  if (!vmswap_ring_size_is_right (guest->region)) {
    nbdkit_error ("guest region=%s is no power of two: give 1M, 2M, 4M and so "
                  "on, up to 1G",
                  show (&shown, value));
    return -1;
  }
  return 0;
}

/* KEY=VALUE, one of the parts of guest= after the name. */
static int
set_guest_option (struct guest *guest, const char *option)
{
  static const struct {
    const char *key;
    int (*set) (struct guest *guest, const char *value);
  } options[] = {
    { "size=", set_guest_size },
    { "group=", set_guest_group },
    { "quota=", set_guest_quota },
    { "reserve=", set_guest_reserve },
    { "ivshmem=", set_guest_ivshmem },
    { "region=", set_guest_region },
  };
  struct shown name, rest;

  for (size_t i = 0; i < sizeof options / sizeof options[0]; ++i)
    if (strncmp (option, options[i].key, strlen (options[i].key)) == 0)
      return options[i].set (guest, option + strlen (options[i].key));
  nbdkit_error (
      "guest=%s: cannot take '%s' after the name: give guest=NAME, "
      "and then perhaps ,size=SIZE ,group=NAME ,quota=SIZE ,reserve=SIZE "
      ",ivshmem=PATH ,region=SIZE",
      show (&name, guest->name), show (&rest, option));
  return -1;
}

/* All of them, from the comma after the name on. */
static int
set_guest_options (struct guest *guest, const char *comma)
{
  while (*comma == ',') {
    const char *option = comma + 1;

    comma = strchrnul (option, ',');
    option = nbdkit_strndup_intern (option, comma - option);
    if (option == NULL || set_guest_option (guest, option) == -1)
      return -1;
  }
  return 0;
}

static int
check_guest_name (const struct settings *settings, const char *name)
{
  const char *bad = settings_bad_name (name);
  struct shown shown;

  if (bad != NULL) {
    nbdkit_error ("guest=%s: %s: give 1 to %u printable ASCII characters "
                  "without a comma",
                  show (&shown, name), bad, VOLUME_NAME_MAX);
    return -1;
  }
  for (const struct guest *g = settings->guests; g != NULL; g = g->next)
    if (strcmp (g->name, name) == 0) {
      nbdkit_error ("guest=%s was given twice: every guest needs a name of "
                    "its own",
                    show (&shown, name));
      return -1;
    }
  if (settings->nr_guests == POOL_MAX_VOLUMES) {
    nbdkit_error ("guest=%s is one too many: one pool serves at most %u "
                  "guests: start another server for the rest",
                  show (&shown, name), POOL_MAX_VOLUMES);
    return -1;
  }
  return 0;
}

static void
free_guest (struct guest *guest)
{
  free (guest->ivshmem);
  free (guest);
}

static int
set_guest (struct settings *settings, const char *key, const char *value)
{
  const char *comma = strchrnul (value, ',');
  struct guest **last = &settings->guests;
  struct guest *guest = calloc (1, sizeof *guest);

  if (guest == NULL ||
      (guest->name = nbdkit_strndup_intern (value, comma - value)) == NULL) {
    if (guest == NULL)
      nbdkit_error ("%s=: no memory: %m", key);
    free (guest);
    return -1;
  }
  if (check_guest_name (settings, guest->name) == -1 ||
      set_guest_options (guest, comma) == -1) {
    free_guest (guest);
    return -1;
  }
  while (*last != NULL)
    last = &(*last)->next;
  *last = guest;
  settings->nr_guests++;
  return 0;
}

static const struct parameter {
  const char *key;
  bool repeatable;
  int (*set) (struct settings *settings, const char *key, const char *value);
} parameters[] = {
  { "pool", false, set_pool },
  { "size", false, set_size },
  { "guest", true, set_guest },
  { "cold", false, set_cold },
  { "cold-cpu", false, set_cold_cpu },
  { "cold-level", false, set_cold_level },
  { "compressor", false, set_compressor },
  { "control", false, set_control },
  { "control-port", false, set_control_port },
  { "dedup", false, set_dedup },
  { "full", false, set_full },
  { "group", false, set_group },
  { "keeper", false, set_keeper },
  { "parallel", false, set_parallel },
  { "quota", false, set_quota },
  { "registry", false, set_registry },
  { "reserve", false, set_reserve },
  { "share", false, set_share },
  { "state", false, set_state },
  { "swap-header", false, set_swap_header },
};

int
settings_set (struct settings *settings, const char *key, const char *value)
{
  for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; ++i) {
    if (strcmp (key, parameters[i].key) != 0)
      continue;
    if ((settings->given & 1u << i) != 0 && !parameters[i].repeatable) {
      nbdkit_error ("%s= was given twice: give it once", key);
      return -1;
    }
    settings->given |= 1u << i;
    return parameters[i].set (settings, key, value);
  }
  nbdkit_error ("unknown parameter '%s'", key);
  return -1;
}

/* Percents become bytes, now that the pool is known. */
static void
resolve (struct amount *amount, uint64_t pool)
{
  if (amount->percent != 0)
    amount->bytes = pool / 100 * amount->percent / POOL_PAGE_SIZE *
                    (uint64_t) POOL_PAGE_SIZE;
}

/* The limits of a guest, or with NULL those of exports that open by name. */
static int
complete_limits (struct settings *settings, struct guest *guest)
{
  struct export_limits *limits = guest ? &guest->limits : &settings->limits;
  const char *bad;
  struct shown name;

  if (!limits->quota.given)
    limits->quota = settings->limits.quota;
  if (!limits->reserve.given)
    limits->reserve = settings->limits.reserve;
  resolve (&limits->quota, settings->pool);
  resolve (&limits->reserve, settings->pool);
  bad = limits_bad (limits->quota.bytes, limits->reserve.bytes);
  if (bad == NULL)
    return 0;
  if (guest != NULL)
    nbdkit_error ("guest=%s: %s", show (&name, guest->name), bad);
  else
    nbdkit_error ("quota=, reserve=: %s", bad);
  return -1;
}

/* As large as is usual, and no more than a part of the pool. */
static uint64_t
default_region (uint64_t pool)
{
  uint64_t size = VMSWAP_RING_SIZE_DEFAULT;

  while (size > VMSWAP_RING_SIZE_MIN && size > pool / SETTINGS_REGION_PART)
    size /= 2;
  return size;
}

static int
complete_ivshmem (struct settings *settings, struct guest *guest)
{
  struct shown name, path;

  if (guest->ivshmem == NULL && guest->region != 0) {
    nbdkit_error ("guest=%s: region= goes with ivshmem=PATH: give both, or "
                  "neither",
                  show (&name, guest->name));
    return -1;
  }
  if (guest->ivshmem == NULL)
    return 0;
  if (settings->share) {
    nbdkit_error ("guest=%s: ivshmem= does not go with share=yes: a guest that "
                  "has a region is the only one to write",
                  show (&name, guest->name));
    return -1;
  }
  for (const struct guest *g = settings->guests; g != guest; g = g->next)
    if (g->ivshmem != NULL && strcmp (g->ivshmem, guest->ivshmem) == 0) {
      nbdkit_error ("guest=%s: ivshmem=%s is another guest's, too: every guest "
                    "needs a socket of its own",
                    show (&name, guest->name), show (&path, guest->ivshmem));
      return -1;
    }
  if (guest->region == 0)
    guest->region = default_region (settings->pool);
  return 0;
}

int
settings_complete (struct settings *settings)
{
  if (settings->pool == 0) {
    nbdkit_error ("pool=SIZE is missing: say how much host memory the pool "
                  "may use, such as pool=4G");
    return -1;
  }
  if (settings->keeper != NULL && settings->state == NULL) {
    nbdkit_error ("keeper= goes with state=DIR: what guests share with the "
                  "server is of no use without their pages");
    return -1;
  }
  if (settings->size == 0)
    settings->size = 2 * settings->pool;
  if (complete_limits (settings, NULL) == -1)
    return -1;
  for (struct guest *g = settings->guests; g != NULL; g = g->next) {
    if (g->size == 0)
      g->size = settings->size;
    if (complete_limits (settings, g) == -1 ||
        complete_ivshmem (settings, g) == -1)
      return -1;
  }
  return 0;
}

void
settings_free (struct settings *settings)
{
  struct guest *next;

  for (struct guest *g = settings->guests; g != NULL; g = next) {
    next = g->next;
    free_guest (g);
  }
  settings->guests = NULL;
  settings->nr_guests = 0;
  free (settings->state);
  settings->state = NULL;
  free (settings->registry);
  settings->registry = NULL;
  free (settings->control);
  settings->control = NULL;
  free (settings->keeper);
  settings->keeper = NULL;
}
