// SPDX-License-Identifier: BSD-3-Clause
/* vmswapctl registry: which exports hold pages?  A server may be running. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "command.h"
#include "human.h"
#include "options.h"
#include "registry.h"
#include "settings.h"

static int
print_entry (const struct registry_entry *entry, void *opaque)
{
  struct human size;

  printf ("%-20s %8s  %016" PRIx64 "  %-20s  %s%s\n", entry->name,
          human_size (&size, entry->size), entry->pool, entry->since,
          entry->boot,
          registry_is_this_boot (entry) ? " (this)" : " (an earlier one)");
  ++*(unsigned *) opaque;
  return 0;
}

int
command_registry (int argc, char **argv)
{
  struct registry *registry;
  char reason[512] = "";
  unsigned n = 0;

  if (options_none (argc, argv) != -1 || argc - optind > 1)
    return usage_of (argv[0]);
  const char *dir = optind < argc ? argv[optind] : SETTINGS_REGISTRY_DEFAULT;
  const int err = registry_open (dir, true, reason, sizeof reason, &registry);

  if (err == -ENOENT) {
    complain ("there is no registry in %s: name the directory that the server "
              "has as registry=",
              dir);
    return EXIT_CANNOT;
  }
  if (err) {
    complain ("%s", reason);
    return err == -EUCLEAN ? EXIT_DAMAGED : EXIT_CANNOT;
  }
  printf ("%-20s %8s  %-16s  %-20s  %s\n", "export", "size", "pool", "since",
          "boot");
  registry_each (registry, print_entry, &n);
  printf ("%u export%s\n", n, n == 1 ? "" : "s");
  registry_close (registry);
  return EXIT_SOUND;
}
