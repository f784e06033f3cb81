// SPDX-License-Identifier: BSD-3-Clause
/* What is left to do when all parameters are known: defaults, percents, and
 * what does not go together.  Owns nothing. */

#include <config.h>

#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "bounds.h"
#include "percent.h"
#include "settings.h"
#include "value.h"
#include "vmswap-ring.h"

/* The name of the volume in a region, without its NUL. */
#define REGION_NAME_MAX                                                        \
  (sizeof ((struct vmswap_ring_header *) NULL)->volume - 1)

/* Percents become bytes, now that the pool is known. */
static void
resolve (struct amount *amount, uint64_t pool)
{
  if (amount->percent != 0)
    amount->bytes = percent_of (pool, amount->percent);
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
    nbdkit_error ("guest=%s: %s", value_show (&name, guest->name), bad);
  else
    nbdkit_error ("quota=, reserve=: %s", bad);
  return -1;
}

/* As large as is usual, and no more than a part of the pool and of the quota:
 * what it can hold must find room there. */
static uint64_t
default_region (uint64_t pool, uint64_t quota)
{
  const uint64_t most = quota != 0 && quota < pool ? quota : pool;
  uint64_t size = VMSWAP_RING_SIZE_DEFAULT;

  while (size > VMSWAP_RING_SIZE_MIN && size > most / SETTINGS_REGION_PART)
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
                  value_show (&name, guest->name));
    return -1;
  }
  if (guest->ivshmem == NULL)
    return 0;
  if (strlen (guest->name) > REGION_NAME_MAX) {
    nbdkit_error ("guest=%s: with ivshmem= the name is longer than %zu bytes, "
                  "which is all that a region has room for: give a shorter one",
                  value_show (&name, guest->name), REGION_NAME_MAX);
    return -1;
  }
  if (settings->share) {
    nbdkit_error ("guest=%s: ivshmem= does not go with share=yes: a guest that "
                  "has a region is the only one to write",
                  value_show (&name, guest->name));
    return -1;
  }
  for (const struct guest *g = settings->guests; g != guest; g = g->next)
    if (g->ivshmem != NULL && strcmp (g->ivshmem, guest->ivshmem) == 0) {
      nbdkit_error ("guest=%s: ivshmem=%s is another guest's, too: every guest "
                    "needs a socket of its own",
                    value_show (&name, guest->name),
                    value_show (&path, guest->ivshmem));
      return -1;
    }
  if (guest->region == 0)
    guest->region = default_region (settings->pool, guest->limits.quota.bytes);
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
  if (settings->control_group.key != NULL && settings->control == NULL) {
    nbdkit_error ("control-group= goes with control=PATH: give both, or "
                  "neither");
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
