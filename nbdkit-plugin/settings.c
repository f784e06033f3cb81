// SPDX-License-Identifier: BSD-3-Clause
/* The parameters of the plugin.
 *
 * One table names every key and the function that takes its value.  A value
 * is refused where it is read, with the key, what is wrong and what would be
 * right; what needs several parameters (defaults, a missing pool=) waits for
 * settings_complete.  Keys and words are matched whole.
 *
 * The strings of the command line outlive the plugin, so values are kept by
 * pointer.
 */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "bounds.h"
#include "settings-parts.h"
#include "value.h"

static int
set_pool (struct settings *settings, const char *key, const char *value)
{
  return value_bytes (key, value, POOL_MIN_LIMIT, POOL_MAX_LIMIT,
                      &settings->pool);
}

static int
set_size (struct settings *settings, const char *key, const char *value)
{
  return value_bytes (key, value, EXPORT_MIN_SIZE, EXPORT_MAX_SIZE,
                      &settings->size);
}

static int
set_quota (struct settings *settings, const char *key, const char *value)
{
  return value_amount (key, value, LIMITS_MIN_QUOTA, &settings->limits.quota);
}

static int
set_reserve (struct settings *settings, const char *key, const char *value)
{
  return value_amount (key, value, 0, &settings->limits.reserve);
}

static int
set_cold (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;

  settings->cold.on = strcmp (value, "off") != 0;
  if (!settings->cold.on ||
      value_number (value, 0, SETTINGS_COLD_MAX_SECONDS, &settings->cold.after))
    return 0;
  nbdkit_error ("%s=%s: give a number of seconds, from 0 to %u, or off", key,
                value_show (&shown, value), SETTINGS_COLD_MAX_SECONDS);
  return -1;
}

static int
set_cold_cpu (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;

  if (value_number (value, 1, 100, &settings->cold.cpu))
    return 0;
  nbdkit_error ("%s=%s: give a number from 1 to 100, percent of one CPU (or "
                "cold=off)",
                key, value_show (&shown, value));
  return -1;
}

static int
set_cold_level (struct settings *settings, const char *key, const char *value)
{
  struct shown shown;
  unsigned level;

  if (value_number (value, 1, POOL_COLD_MAX_LEVEL, &level)) {
    settings->cold.level = (int) level;
    return 0;
  }
  nbdkit_error ("%s=%s is no level of zstd: give a number from 1 to %d", key,
                value_show (&shown, value), POOL_COLD_MAX_LEVEL);
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
                value_show (&shown, value));
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
                value_show (&shown, value));
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
                key, value_show (&shown, value));
  return -1;
}

static int
set_group (struct settings *settings, const char *key, const char *value)
{
  return value_group (key, value, &settings->group);
}

static int
set_parallel (struct settings *settings, const char *key, const char *value)
{
  return value_bool (key, value, &settings->parallel);
}

static int
set_share (struct settings *settings, const char *key, const char *value)
{
  return value_bool (key, value, &settings->share);
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
                  value_show (&shown, value));
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
set_control_group (struct settings *settings, const char *key,
                   const char *value)
{
  return value_socket_group (key, value, &settings->control_group);
}

static int
set_ivshmem_group (struct settings *settings, const char *key,
                   const char *value)
{
  return value_socket_group (key, value, &settings->ivshmem_group);
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

  if (!value_number (value, 1, UINT16_MAX, &port)) {
    nbdkit_error ("%s=%s is no TCP port: give a number from 1 to 65535", key,
                  value_show (&shown, value));
    return -1;
  }
  settings->control_port = port;
  return 0;
}

static int
set_swap_header (struct settings *settings, const char *key, const char *value)
{
  return value_bool (key, value, &settings->swap_header);
}
static const struct parameter {
  const char *key;
  bool repeatable;
  int (*set) (struct settings *settings, const char *key, const char *value);
} parameters[] = {
  { "pool", false, set_pool },
  { "size", false, set_size },
  { "guest", true, settings_set_guest },
  { "cold", false, set_cold },
  { "cold-cpu", false, set_cold_cpu },
  { "cold-level", false, set_cold_level },
  { "compressor", false, set_compressor },
  { "control", false, set_control },
  { "control-group", false, set_control_group },
  { "control-port", false, set_control_port },
  { "dedup", false, set_dedup },
  { "full", false, set_full },
  { "group", false, set_group },
  { "ivshmem-group", false, set_ivshmem_group },
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
  struct shown shown;

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
  nbdkit_error ("unknown parameter '%s': nbdkit vmswap --help lists them",
                value_show (&shown, key));
  return -1;
}

void
settings_free (struct settings *settings)
{
  struct guest *next;

  for (struct guest *g = settings->guests; g != NULL; g = next) {
    next = g->next;
    settings_free_guest (g);
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
