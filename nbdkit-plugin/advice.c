// SPDX-License-Identifier: BSD-3-Clause
/* What an operator should look at.  Owns the two tables of what can be wrong;
 * figures go in, words come out. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>

#include "advice.h"
#include "human.h"
#include "settings.h"
#include "trend.h"

#define MIB (UINT64_C (1) << 20)

/* Less than this is too little to judge by. */
#define ENOUGH_BYTES (64 * MIB)
#define ENOUGH_PAGES (ENOUGH_BYTES / POOL_PAGE_SIZE)
#define ENOUGH_REQUESTS 1000

/* Looks, and writes what it sees; returns whether there is something. */
typedef bool guest_fn (const struct figures_guest *guest, char *seen,
                       size_t size);
typedef bool server_fn (const struct figures *figures,
                        const struct render_server *server, char *seen,
                        size_t size);

static bool
never_trimmed (const struct figures_guest *guest, char *seen, size_t size)
{
  const struct traffic_op_sum *op = guest->traffic.op;
  struct human written;

  snprintf (seen, size, "it has written %s and discarded nothing, ever",
            human_size (&written, op[TRAFFIC_WRITE].bytes));
  return op[TRAFFIC_WRITE].bytes >= ENOUGH_BYTES &&
         op[TRAFFIC_TRIM].requests == 0;
}

static bool
small_requests (const struct figures_guest *guest, char *seen, size_t size)
{
  uint64_t small = 0, all = 0;

  for (unsigned op = 0; op < TRAFFIC_OPS; ++op) {
    small += guest->traffic.op[op].small;
    all += guest->traffic.op[op].requests;
  }
  snprintf (seen, size,
            "%" PRIu64 " of its %" PRIu64 " requests were for less than a page",
            small, all);
  return small >= ENOUGH_REQUESTS && small >= all / 10;
}

static bool
incompressible (const struct figures_guest *guest, char *seen, size_t size)
{
  const struct volume_stats *stats = &guest->stats;
  const uint64_t pages = stats->blob_pages + stats->cold_pages;

  snprintf (seen, size,
            "%" PRIu64 " of its %" PRIu64 " pages cannot be compressed",
            stats->raw_pages, pages);
  return stats->raw_pages >= ENOUGH_PAGES / 4 && stats->raw_pages >= pages / 2;
}

static bool
lost (const struct figures_guest *guest, char *seen, size_t size)
{
  snprintf (seen, size,
            "pages that it had are lost, with an earlier server: reads of "
            "them fail");
  return guest->lost;
}

static bool
damaged (const struct figures_guest *guest, char *seen, size_t size)
{
  snprintf (seen, size, "%" PRIu64 " pages failed their check",
            guest->stats.lost_pages > guest->stats.bad_pages
                ? guest->stats.lost_pages
                : guest->stats.bad_pages);
  return guest->stats.bad_pages != 0 || guest->stats.lost_pages != 0;
}

/* Those that its quota refused are another matter. */
static bool
refused (const struct figures_guest *guest, char *seen, size_t size)
{
  const uint64_t full = guest->traffic.errors[TRAFFIC_FULL];
  const uint64_t by_quota = guest->stats.quota_refused;

  snprintf (seen, size, "%" PRIu64 " of its requests found no room in the pool",
            full - by_quota);
  return full > by_quota;
}

static bool
quota_refused (const struct figures_guest *guest, char *seen, size_t size)
{
  struct human quota;

  snprintf (seen, size,
            "%" PRIu64 " of its writes were refused, for its quota (%s now)",
            guest->stats.quota_refused,
            human_size (&quota, guest->stats.quota));
  return guest->stats.quota_refused != 0;
}

static bool
quota_nearly_used (const struct figures_guest *guest, char *seen, size_t size)
{
  const struct volume_stats *stats = &guest->stats;
  struct human charged, quota;

  snprintf (seen, size, "it takes %s of its quota of %s",
            human_size (&charged, stats->charged),
            human_size (&quota, stats->quota));
  return stats->quota != 0 && stats->charged >= stats->quota / 10 * 9;
}

/* A pool that is nearly full has this for moments. */
#define CLOSED_LONG_SECONDS 10

static bool
posts_closed (const struct figures_guest *guest, char *seen, size_t size)
{
  struct human region, room;

  snprintf (seen, size,
            "it shares %s with the server and cannot post there what it swaps "
            "out, for %" PRIu64 " seconds now: it waits for each page, until "
            "%s are free for it",
            human_size (&region, guest->region_bytes), guest->closed_seconds,
            human_size (&room, guest->open_bytes));
  return guest->closed && guest->closed_seconds >= CLOSED_LONG_SECONDS;
}

static bool
not_locked (const struct figures *figures, const struct render_server *server,
            char *seen, size_t size)
{
  snprintf (seen, size,
            "the pool is not locked in memory: the host may swap it out");
  return !server->locked;
}

static bool
no_registry (const struct figures *figures, const struct render_server *server,
             char *seen, size_t size)
{
  snprintf (seen, size,
            "there is no registry: what a restart loses reads as zeroes");
  return !server->registry;
}

static bool
no_state (const struct figures *figures, const struct render_server *server,
          char *seen, size_t size)
{
  snprintf (seen, size,
            "there is no state=: every page is lost when the "
            "server ends");
  return server->settings->state == NULL;
}

/* Guests that an earlier server left cannot be seen: whoever has such guests is
 * told what to do with them. */
static bool
no_keeper (const struct figures *figures, const struct render_server *server,
           char *seen, size_t size)
{
  unsigned guests = 0;

  for (const struct guest *g = server->settings->guests; g != NULL; g = g->next)
    guests += g->ivshmem != NULL;
  snprintf (seen, size,
            "there is no keeper=, and %u %s ivshmem=: when the server ends, "
            "guests that share memory with it wait for ever",
            guests, guests == 1 ? "guest has" : "guests have");
  return guests > 0 && server->settings->keeper == NULL;
}

static bool
keeper_gone (const struct figures *figures, const struct render_server *server,
             char *seen, size_t size)
{
  snprintf (seen, size,
            "the keeper has ended: what guests share with this server would "
            "not outlive it, and they would wait for ever");
  return figures->pool.keeper_gone;
}

static bool
nearly_full (const struct figures *figures, const struct render_server *server,
             char *seen, size_t size)
{
  const struct pool_stats *stats = &figures->pool.stats;

  snprintf (seen, size, "the pool is %.0f %% full",
            stats->capacity == 0
                ? 100.
                : 100. * (double) stats->blob_bytes / stats->capacity);
  return stats->blob_bytes >= stats->capacity / 10 * 9;
}

static bool
cold_off (const struct figures *figures, const struct render_server *server,
          char *seen, size_t size)
{
  char full[64];

  snprintf (seen, size,
            "with cold=off, pages that were swapped out long ago stay as large "
            "as they are, and the pool is nearly full");
  return !server->settings->cold.on &&
         nearly_full (figures, server, full, sizeof full);
}

static bool
ratio_falls (const struct figures *figures, const struct render_server *server,
             char *seen, size_t size)
{
  double from = 0, to = 0;
  const bool fell =
      server->trend != NULL && trend_fell (server->trend, &from, &to);

  snprintf (seen, size,
            "what is stored compresses less than it did: %.2f within the last "
            "hour, %.2f now",
            from, to);
  return fell;
}

static const struct {
  const char *kind;
  server_fn *look;
  const char *fix;
} of_server[] = {
  { "nearly-full", nearly_full,
    "give the server a larger pool= (with state=, a restart loses nothing), "
    "or let guests swap elsewhere, too (a second swap area of lower "
    "priority)" },
  { "cold-off", cold_off,
    "start the server with cold=300 (with state=, a restart loses nothing): "
    "what was written more than 300 seconds ago is then compressed once more, "
    "four pages together, until it is read, for at most 10 % of a CPU" },
  { "not-locked", not_locked,
    "LimitMEMLOCK=infinity in the service's unit, ulimit -l unlimited, or "
    "CAP_IPC_LOCK" },
  { "no-registry", no_registry,
    "start the server with registry=DIR, a directory on a disk" },
  { "no-state", no_state,
    "start the server with state=DIR, a directory on a tmpfs of its own" },
  { "no-keeper", no_keeper,
    "systemctl enable --now vmswap-keep.service (or start vmswap-keep PATH), "
    "shut down the guests with ivshmem=, start the server anew with "
    "keeper=/run/vmswap-keep/socket (or PATH) and state=DIR, then the guests; "
    "a guest that waits since an earlier server ended cannot be seen from "
    "here: end its QEMU and start it anew, a reboot inside is not enough" },
  { "keeper-gone", keeper_gone,
    "start vmswap-keep again, with the path of keeper= (systemctl start "
    "vmswap-keep): this server gives it everything within a second; do not "
    "end this server before" },
  { "ratio-falls", ratio_falls,
    "see in vmswapctl top which guest has the worst ratio, and what it has "
    "begun to do (one that reads its cold pages makes them larger again); the "
    "pool may soon need more pool=" },
};

static const struct {
  const char *kind;
  guest_fn *look;
  const char *fix;
} of_guest[] = {
  { "damaged", damaged,
    "look for memory errors of the host (dmesg, edac-util), and start that "
    "guest anew" },
  { "lost", lost,
    "start that guest anew, or in it: swapoff, mkswap and swapon; if it is "
    "gone for good: vmswapctl reset NAME" },
  { "refused", refused,
    "give the server a larger pool=, and the guest's disk werror=report in "
    "QEMU, so that it is not paused" },
  { "quota-refused", quota_refused,
    "let it swap elsewhere, too (a second swap area of lower priority), or "
    "raise its quota: vmswapctl limit --quota SIZE NAME" },
  { "quota-nearly-used", quota_nearly_used,
    "raise its quota before writes are refused: vmswapctl limit --quota SIZE "
    "NAME" },
  { "posts-closed", posts_closed,
    "raise its quota, if it has one (vmswapctl limit --quota SIZE NAME), or "
    "give the server a larger pool=, or the guest a smaller region= and its "
    "QEMU a new start" },
  { "never-trimmed", never_trimmed,
    "to Linux its disk rotates, or swapon was without --discard: give QEMU's "
    "scsi-hd rotation_rate=1 and its blockdev discard=unmap; for virtio-blk "
    "put 60-vmswap.rules into the guest; then swapoff and swapon --discard" },
  { "small-requests", small_requests,
    "give the guest's disk logical_block_size=4096,physical_block_size=4096 "
    "in QEMU" },
  { "incompressible", incompressible,
    "the guest swaps what is compressed or encrypted already: turn zswap and "
    "zram off in it, or let it swap to a disk" },
};

int
advice_each (const struct figures *figures, const struct render_server *server,
             int (*fn) (const struct advice *advice, void *opaque),
             void *opaque)
{
  struct advice advice = { .guest = NULL };
  int r = 0;

  for (size_t i = 0; i < sizeof of_server / sizeof of_server[0] && r == 0;
       ++i) {
    advice.kind = of_server[i].kind;
    advice.fix = of_server[i].fix;
    if (of_server[i].look (figures, server, advice.seen, sizeof advice.seen))
      r = fn (&advice, opaque);
  }
  for (size_t g = 0; g < figures->nr_guests && r == 0; ++g) {
    advice.guest = &figures->guests[g];
    for (size_t i = 0; i < sizeof of_guest / sizeof of_guest[0] && r == 0;
         ++i) {
      advice.kind = of_guest[i].kind;
      advice.fix = of_guest[i].fix;
      if (of_guest[i].look (advice.guest, advice.seen, sizeof advice.seen))
        r = fn (&advice, opaque);
    }
  }
  return r;
}
