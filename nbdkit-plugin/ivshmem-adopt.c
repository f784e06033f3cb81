// SPDX-License-Identifier: BSD-3-Clause
/* What an earlier server left of guests, and vmswap-keep has kept: each is
 * served on, or told why not.
 *
 * Owns nothing: it runs in the main thread, before there are others. */

#include <config.h>

#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "../service/keep-wire.h"
#include "bell.h"
#include "ivshmem-guest.h"

static int
take (struct kept *kept, enum vmswap_keeper_fd which)
{
  const int fd = kept->fd[which];

  kept->fd[which] = -1;
  return fd;
}

/* The guest's driver sees it, and gives up. */
static void
say_dead (struct ring_region *region, int interrupt,
          enum vmswap_ring_reason reason)
{
  if (region->base == NULL)
    return;
  RING_SET (&region->header->host_reason, reason);
  RING_RELEASE (&region->header->host_state, VMSWAP_HOST_DEAD);
  bell_ring (interrupt);
}

static void
refuse (struct kept *kept, struct ring_region *region,
        enum vmswap_ring_reason reason)
{
  say_dead (region, kept->fd[VMSWAP_KEEPER_INTERRUPT], reason);
  ring_region_free (region);
  keep_close (kept->fd, VMSWAP_KEEPER_REGION);
  keep_drop (kept->name);
}

void
ivshmem_remove (struct kept *kept)
{
  struct ring_region region;
  const char *why;

  if (kept->fd[VMSWAP_KEEPER_MEMORY] == -1)
    return;
  nbdkit_error ("warning: a guest shares memory with '%s', which no guest= "
                "with ivshmem= lists any more: it is told that this is gone",
                kept->name);
  ring_region_map (&region, take (kept, VMSWAP_KEEPER_MEMORY), &why);
  refuse (kept, &region, VMSWAP_REASON_REMOVED);
}

/* A QEMU that waits for its region answers nobody meanwhile. */
void
ivshmem_close_door (struct kept *kept, const struct ivshmem_guest *guest)
{
  const int listener = take (kept, VMSWAP_KEEPER_LISTENER);
  const bool lost =
      guest != NULL && strcmp (guest->guest->ivshmem, kept->path) == 0;
  int qemu;

  if (listener == -1)
    return;
  if (door_is_open (listener)) {
    if (guest == NULL)
      nbdkit_error ("warning: %s was the socket of '%s', which no guest= with "
                    "ivshmem= lists any more: it is closed",
                    kept->path, kept->name);
    else if (lost)
      nbdkit_error ("warning: guest=%s: somebody has removed its socket %s: it "
                    "has a new one there",
                    kept->name, kept->path);
    else
      nbdkit_error ("warning: guest=%s: its socket was %s, and is %s now: the "
                    "old one is closed",
                    kept->name, kept->path, guest->guest->ivshmem);
  }
  /* Even a keeper that holds it on does not hold it open. */
  shutdown (listener, SHUT_RDWR);
  while ((qemu = accept4 (listener, NULL, NULL,
                          SOCK_CLOEXEC | SOCK_NONBLOCK)) != -1)
    ivshmem_refuse (qemu);
  close (listener);
  if (!lost)
    door_remove_dead (kept->path);
}

/* A guest posts pages that the device had when its driver started, and is not
 * told that they are no more. */
int
ivshmem_check_size (const struct guest *guest, const struct kept *kept)
{
  const uint64_t had = ((uint64_t) kept->last_page + 1) * POOL_PAGE_SIZE;

  if (kept->fd[VMSWAP_KEEPER_MEMORY] == -1 || kept->last_page == 0 ||
      guest->size >= had || kept->greeting ||
      kept->pool != pool_identity (exports_pool ()) ||
      ivshmem_is_over (kept->fd[VMSWAP_KEEPER_QEMU]))
    return 0;
  nbdkit_error ("guest=%s: its QEMU has a device of %" PRIu64 " bytes, and "
                "size=%" PRIu64 " would make that smaller, so that the guest "
                "loses pages: give size=%" PRIu64 " as before, or end that "
                "QEMU first",
                guest->name, had, guest->size, had);
  return -1;
}

/* The export, as the QEMU had it. */
static struct conn *
claim (struct ivshmem_guest *guest)
{
  const struct peer peer = peer_of_ivshmem (guest->qemu);
  struct conn *conn = exports_open_as (guest->guest->name, &peer, true);

  if (conn != NULL && exports_claim (conn) < 0) {
    exports_close (conn);
    conn = NULL;
  }
  return conn;
}

/* The region is ours: the ring goes on. */
static bool
resume (struct ivshmem_guest *guest, struct kept *kept,
        const struct ring_region *region)
{
  struct ring *ring = &guest->ring;

  guest->qemu = take (kept, VMSWAP_KEEPER_QEMU);
  ring->conn = claim (guest);
  if (ring->conn == NULL)
    return false;
  ring->region = *region;
  ring->doorbell = take (kept, VMSWAP_KEEPER_DOORBELL);
  ring->interrupt = take (kept, VMSWAP_KEEPER_INTERRUPT);
  if (ring_cache_make (ring) < 0)
    ring->cache = (struct ring_cache){ 0 }; /* it can do without */
  ring_take_over (ring);
  /* It has it, but the device may have grown; and there may be another keeper
   * some day. */
  ivshmem_guest_keep (guest, false);
  guest->kept = true;
  return true;
}

void
ivshmem_guest_adopt (struct ivshmem_guest *guest)
{
  struct kept *kept = keep_find (guest->guest->name);
  struct ring_region region;
  const char *why;
  uint64_t pool;
  int r;

  if (kept == NULL || kept->fd[VMSWAP_KEEPER_MEMORY] == -1)
    return;
  pool = pool_identity (exports_pool ());
  r = ring_region_map (&region, take (kept, VMSWAP_KEEPER_MEMORY), &why);
  if (r < 0) {
    nbdkit_error ("warning: guest=%s: its region cannot be served on: %s: "
                  "restart that guest",
                  kept->name, why ? why : strerror (-r));
    refuse (kept, &region, VMSWAP_REASON_VERSION);
  }
  else if (kept->pool != pool) {
    nbdkit_error ("warning: guest=%s: the pages that it had were in another "
                  "pool: restart that guest",
                  kept->name);
    refuse (kept, &region, VMSWAP_REASON_LOST);
  }
  else if (kept->greeting) {
    nbdkit_error ("warning: guest=%s: the last server ended while it gave the "
                  "region to its QEMU: that is closed: start that QEMU anew, "
                  "or unplug its device and plug it in again",
                  kept->name);
    /* Wherever it is, QEMU takes that for an error.  A connection that ends
     * without a word makes QEMU 7.2 read on for ever, at all speed. */
    ivshmem_refuse (take (kept, VMSWAP_KEEPER_QEMU));
    refuse (kept, &region, VMSWAP_REASON_REMOVED);
  }
  else if (!resume (guest, kept, &region)) {
    close (guest->qemu);
    guest->qemu = -1;
    refuse (kept, &region, VMSWAP_REASON_REMOVED);
  }
}
