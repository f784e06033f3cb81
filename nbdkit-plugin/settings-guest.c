// SPDX-License-Identifier: BSD-3-Clause
/* One guest=NAME and what follows the name: an export with a size and limits of
 * its own.  Owns nothing; guests hang on the settings.
 *
 * The name and each part after it are interned, so they outlive the plugin. */

#include <config.h>

#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "bounds.h"
#include "settings-parts.h"
#include "value.h"
#include "vmswap-ring.h"

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
  return value_bytes ("guest size", value, EXPORT_MIN_SIZE, EXPORT_MAX_SIZE,
                      &guest->size);
}

static int
set_guest_group (struct guest *guest, const char *value)
{
  if (guest->group != NULL) {
    nbdkit_error ("guest group= was given twice: give it once");
    return -1;
  }
  return value_group ("guest group", value, &guest->group);
}

static int
set_guest_quota (struct guest *guest, const char *value)
{
  return value_amount ("guest quota", value, LIMITS_MIN_QUOTA,
                       &guest->limits.quota);
}

static int
set_guest_reserve (struct guest *guest, const char *value)
{
  return value_amount ("guest reserve", value, 0, &guest->limits.reserve);
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
  if (guest->region != 0) {
    nbdkit_error ("guest region= was given twice: give it once");
    return -1;
  }
  return value_power ("guest region", value, VMSWAP_RING_SIZE_MIN,
                      VMSWAP_RING_SIZE_MAX, &guest->region);
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
      value_show (&name, guest->name), value_show (&rest, option));
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
  struct shown shown;

  if (value_name ("guest", name) == -1)
    return -1;
  for (const struct guest *g = settings->guests; g != NULL; g = g->next)
    if (strcmp (g->name, name) == 0) {
      nbdkit_error ("guest=%s was given twice: every guest needs a name of "
                    "its own",
                    value_show (&shown, name));
      return -1;
    }
  if (settings->nr_guests == POOL_MAX_VOLUMES) {
    nbdkit_error ("guest=%s is one too many: one pool serves at most %u "
                  "guests: start another server for the rest",
                  value_show (&shown, name), POOL_MAX_VOLUMES);
    return -1;
  }
  return 0;
}

void
settings_free_guest (struct guest *guest)
{
  free (guest->ivshmem);
  free (guest);
}

int
settings_set_guest (struct settings *settings, const char *key,
                    const char *value)
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
    settings_free_guest (guest);
    return -1;
  }
  while (*last != NULL)
    last = &(*last)->next;
  *last = guest;
  settings->nr_guests++;
  return 0;
}
