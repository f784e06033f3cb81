// SPDX-License-Identifier: BSD-3-Clause
/* nbdkit-vmswap-plugin: the NBD door of the pool.
 *
 * Callbacks only; each hands on to the file that does the work:
 *
 *     settings.c    parameters
 *     exports.c     names, connections, who may write
 *     bounds.c      what exports may hold, and what is reserved for them
 *     serve.c       requests
 *     fair.c        guests that flood do not make others wait
 *     header.c      swap headers, as they lie in volumes (swapheader.c: form)
 *     remember.c    which exports hold pages, on a disk (registry.c: the file)
 *     describe.c    exports in words
 *     hostmem.c     memory locking
 *     stop.c        signals that end the server
 *     notify.c      what a service manager is told
 *     control.c     what an operator is told, and may do
 *     ivshmem.c     guests that share memory with the server
 *
 * Life: the pool is made in .get_ready, where an error still reaches the
 * user's terminal; what fork would undo (locked memory, threads) waits for
 * .after_fork.  .cleanup stops the thread, .unload frees.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "control.h"
#include "describe.h"
#include "exports.h"
#include "fair.h"
#include "hostmem.h"
#include "human.h"
#include "bounds.h"
#include "ivshmem.h"
#include "notify.h"
#include "pool.h"
#include "remember.h"
#include "serve.h"
#include "settings.h"
#include "stop.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* Advertised, not enforced: any request is served. */
#define BLOCK_MIN 512u
#define BLOCK_MAX (1u << 20)

/* -D vmswap.pool=1: the counters of the pool, at close and at the end. */
extern int vmswap_debug_pool;
int vmswap_debug_pool;

static struct settings settings = SETTINGS_DEFAULT;
static struct pool *pool;
static struct render_server facts = { .settings = &settings };

static void
vmswap_unload (void)
{
  ivshmem_free ();
  control_free ();
  if (pool != NULL) {
    if (vmswap_debug_pool)
      describe_pool (pool, "unload");
    exports_free ();
    pool_destroy (pool);
  }
  settings_free (&settings);
}

static int
vmswap_config (const char *key, const char *value)
{
  return settings_set (&settings, key, value);
}

static int
vmswap_config_complete (void)
{
  return settings_complete (&settings);
}

static void
vmswap_dump_plugin (void)
{
  const char *separator = "";

  printf ("vmswap_version=%s\n", PACKAGE_VERSION);
  printf ("vmswap_compressors=");
  for (const char *const *codec = pool_codecs (); *codec != NULL; ++codec) {
    printf ("%s%s", separator, *codec);
    separator = ",";
  }
  printf ("\nvmswap_full=error,stall\n");
  printf ("vmswap_page_size=%u\n", POOL_PAGE_SIZE);
  printf ("vmswap_min_pool=%" PRIu64 "\n", POOL_MIN_LIMIT);
  printf ("vmswap_max_pool=%" PRIu64 "\n", POOL_MAX_LIMIT);
  printf ("vmswap_min_size=%" PRIu64 "\n", EXPORT_MIN_SIZE);
  printf ("vmswap_max_size=%" PRIu64 "\n", EXPORT_MAX_SIZE);
  printf ("vmswap_max_exports=%u\n", POOL_MAX_VOLUMES);
  printf ("vmswap_mlock=yes\n");
  printf ("vmswap_state=yes\n");
  printf ("vmswap_registry=yes\n");
  printf ("vmswap_control=yes\n");
  printf ("vmswap_cold=yes\n");
  printf ("vmswap_max_cold_level=%d\n", POOL_COLD_MAX_LEVEL);
  printf ("vmswap_dedup=auto,always,off\n");
  printf ("vmswap_group=yes\n");
  printf ("vmswap_min_quota=%" PRIu64 "\n", LIMITS_MIN_QUOTA);
  printf ("vmswap_reserve=yes\n");
  printf ("vmswap_ivshmem=yes\n");
}

/* One thread per connection, unless writes may wait for room: then others
 * must get past them.  nbdkit 1.32 aborts, with all its guests, when a client
 * is killed while several of its reads are under way in parallel. */
static int
vmswap_thread_model (void)
{
  return settings.stall || settings.parallel
             ? NBDKIT_THREAD_MODEL_PARALLEL
             : NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS;
}

static int
vmswap_get_ready (void)
{
  char reason[512] = "";
  const struct pool_config config = {
    .limit = settings.pool,
    .codec = settings.compressor,
    .sharing = settings.dedup,
    .cold = settings.cold,
    .state = settings.state,
    .reason = reason,
    .reason_size = sizeof reason,
  };
  struct human size;
  int r = pool_create (&config, &pool);

  if (r < 0) {
    if (reason[0] != '\0')
      nbdkit_error ("%s", reason);
    else
      nbdkit_error ("cannot make a pool of %s: %s: give a smaller pool=, raise "
                    "the memory limits of the server%s",
                    human_size (&size, settings.pool), strerror (-r),
                    settings.state ? ", or free room on the tmpfs of state="
                                   : "");
    return -1;
  }
  if (pool_was_adopted (pool))
    describe_pool (pool, "adopted");
  if (exports_start (pool, &settings) == -1)
    return -1;
  if (ivshmem_prepare (&settings) == -1)
    return -1;
  return control_prepare (&settings);
}

static int
vmswap_after_fork (void)
{
  int r;

  facts.locked = hostmem_protect (pool);
  facts.registry = remember_is_on ();
  facts.start_time = time (NULL);
  fair_start ();
  if (settings.state != NULL)
    stop_catch_signals ();
  r = pool_start_steward (pool);
  if (r < 0)
    nbdkit_error ("cannot start the steward thread: %s: raise the limit of "
                  "tasks",
                  strerror (-r));
  if (r < 0 || control_start (pool, &facts) == -1 || ivshmem_start () == -1)
    return -1;
  notify_ready (pool);
  return 0;
}

static void
vmswap_cleanup (void)
{
  stop_release_signals ();
  notify_stopping ();
  control_stop ();
  ivshmem_stop ();
  pool_stop_steward (pool);
}

static int
list_one (struct volume *volume, void *opaque)
{
  struct description description;

  return nbdkit_add_export (
      opaque, volume_name (volume),
      describe_volume (volume, settings.swap_header, &description));
}

/* Where names are not listed and none is in use, the name that a client gets
 * by default. */
static int
vmswap_list_exports (int readonly, int is_tls, struct nbdkit_exports *list)
{
  struct pool_stats stats;

  pool_get_stats (pool, &stats);
  if (stats.volumes == 0)
    return nbdkit_add_export (list, exports_default (), NULL);
  return exports_each (list_one, list);
}

static const char *
vmswap_default_export (int readonly, int is_tls)
{
  return exports_default ();
}

static void *
vmswap_open (int readonly)
{
  return exports_open (nbdkit_export_name ());
}

static void
vmswap_close (void *handle)
{
  if (vmswap_debug_pool)
    describe_pool (pool, "close");
  exports_close (handle);
}

static const char *
vmswap_export_description (void *handle)
{
  const struct conn *conn = handle;
  struct description description;

  return nbdkit_strdup_intern (
      describe_volume (conn->volume, settings.swap_header, &description));
}

static int64_t
vmswap_get_size (void *handle)
{
  const struct conn *conn = handle;

  return volume_size (conn->volume);
}

static int
vmswap_block_size (void *handle, uint32_t *minimum, uint32_t *preferred,
                   uint32_t *maximum)
{
  *minimum = BLOCK_MIN;
  *preferred = POOL_PAGE_SIZE;
  *maximum = BLOCK_MAX;
  return 0;
}

static int
vmswap_can_write (void *handle)
{
  const struct conn *conn = handle;

  return !conn->readonly;
}

static int
vmswap_yes (void *handle)
{
  return 1;
}

static int
vmswap_no (void *handle)
{
  return 0;
}

static int
vmswap_can_fua (void *handle)
{
  return NBDKIT_FUA_NATIVE;
}

static int
vmswap_can_cache (void *handle)
{
  return NBDKIT_CACHE_NATIVE;
}

static int
vmswap_pread (void *handle, void *buf, uint32_t count, uint64_t offset,
              uint32_t flags)
{
  return serve_read (handle, buf, count, offset);
}

static int
vmswap_pwrite (void *handle, const void *buf, uint32_t count, uint64_t offset,
               uint32_t flags)
{
  return serve_write (handle, buf, count, offset);
}

static int
vmswap_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  return serve_zero (handle, count, offset);
}

static int
vmswap_trim (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  return serve_trim (handle, count, offset);
}

/* Memory is as stable as this store gets. */
static int
vmswap_flush (void *handle, uint32_t flags)
{
  return 0;
}

/* Every page is in memory already. */
static int
vmswap_cache (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  return 0;
}

static int
vmswap_extents (void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                struct nbdkit_extents *extents)
{
  return serve_extents (handle, count, offset,
                        (flags & NBDKIT_FLAG_REQ_ONE) != 0, extents);
}

static struct nbdkit_plugin plugin = {
  .name = "vmswap",
  .longname = "vmswap: idle host memory as swap for guests",
  .version = PACKAGE_VERSION,
  .description = "Serves swap devices from a pool of compressed host memory.",
  .unload = vmswap_unload,
  .config = vmswap_config,
  .config_complete = vmswap_config_complete,
  .config_help = settings_help,
  .magic_config_key = "pool",
  .dump_plugin = vmswap_dump_plugin,
  .thread_model = vmswap_thread_model,
  .get_ready = vmswap_get_ready,
  .after_fork = vmswap_after_fork,
  .cleanup = vmswap_cleanup,
  .list_exports = vmswap_list_exports,
  .default_export = vmswap_default_export,
  .open = vmswap_open,
  .close = vmswap_close,
  .export_description = vmswap_export_description,
  .get_size = vmswap_get_size,
  .block_size = vmswap_block_size,
  .can_write = vmswap_can_write,
  .can_flush = vmswap_yes,
  .is_rotational = vmswap_no,
  .can_trim = vmswap_yes,
  .can_zero = vmswap_yes,
  .can_fast_zero = vmswap_yes,
  .can_fua = vmswap_can_fua,
  .can_multi_conn = vmswap_yes,
  .can_extents = vmswap_yes,
  .can_cache = vmswap_can_cache,
  .pread = vmswap_pread,
  .pwrite = vmswap_pwrite,
  .zero = vmswap_zero,
  .trim = vmswap_trim,
  .flush = vmswap_flush,
  .cache = vmswap_cache,
  .extents = vmswap_extents,
  .errno_is_preserved = 1,
};

NBDKIT_REGISTER_PLUGIN (plugin)
