// SPDX-License-Identifier: BSD-3-Clause
/* The plugin's use of the registry.
 *
 * Owns the open registry; NULL: there is none.  Both variables are set before
 * the server forks and constant until it ends; the registry locks itself. */

#include <config.h>

#include <errno.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "remember.h"
#include "report.h"

static struct registry *registry;
static uint64_t here; /* pool_identity */

int
remember_start (struct pool *pool, const struct settings *settings)
{
  const bool asked = settings->registry != NULL;
  const char *dir = asked ? settings->registry : SETTINGS_REGISTRY_DEFAULT;
  char reason[512];
  int err;

  here = pool_identity (pool);
  if (strcmp (dir, SETTINGS_REGISTRY_NONE) == 0)
    return 0;
  err = registry_open (dir, false, reason, sizeof reason, &registry);
  if (err == 0)
    return 0;
  if (asked || err == -EBUSY || err == -EUCLEAN) {
    nbdkit_error ("%s", reason);
    return -1;
  }
  nbdkit_error ("warning: %s (without it, a restart that loses the pages of "
                "a running guest goes unnoticed; registry=none accepts that)",
                reason);
  return 0;
}

void
remember_stop (void)
{
  registry_close (registry);
  registry = NULL;
}

bool
remember_is_on (void)
{
  return registry != NULL;
}

int
remember_each (int (*fn) (const struct registry_entry *entry, void *opaque),
               void *opaque)
{
  return registry == NULL ? 0 : registry_each (registry, fn, opaque);
}

bool
remember_is_here (const struct registry_entry *entry)
{
  return entry->pool == here;
}

int
remember_export (struct volume *volume, bool own_header, uint64_t *serial)
{
  struct registry_entry entry = {
    .size = volume_size (volume),
    .pool = here,
    .own_header = own_header,
  };
  int err;

  *serial = 0;
  if (registry == NULL)
    return 0;
  strcpy (entry.name, volume_name (volume));
  err = registry_add (registry, &entry, serial);
  if (err == 0)
    return 0;
  report (REPORT_REGISTRY,
          "export '%s' cannot be written to, the registry cannot take it: "
          "%s: see to the disk of registry=",
          entry.name, strerror (-err));
  return -EIO;
}

void
remember_not (const char *name, uint64_t serial)
{
  if (registry != NULL)
    registry_remove (registry, name, serial);
}
