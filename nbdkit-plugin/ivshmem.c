// SPDX-License-Identifier: BSD-3-Clause
/* The ivshmem door: all of its guests.
 *
 * Owns the guests of the door and what ends them.  Sockets are opened before
 * the server forks, threads belong to the process that serves.  No lock: while
 * threads run, each touches its own guest. */

#include <config.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "../service/keep-wire.h"
#include "bell.h"
#include "crowd.h"
#include "human.h"
#include "ivshmem-guest.h"
#include "ivshmem.h"
#include "thread.h"

/* The parameter that names a door, for messages. */
#define DOOR_KEY "guest ivshmem"

#define STACK_SIZE (256u << 10)

static struct ivshmem_guest *guests;
static size_t nr_guests;
static int ending = -1;
static atomic_uint running;
static atomic_bool end_process;

static bool
listens_at (const struct kept *kept, const char *path)
{
  const int fd = kept->fd[VMSWAP_KEEPER_LISTENER];

  return fd != -1 && door_is_open (fd) && door_is_same_place (kept->path, path);
}

/* A socket that an earlier server listened on, if only for another guest, and
 * nobody has replaced. */
static bool
adopt_door (struct kept *kept, const char *path, struct door *door)
{
  if (kept == NULL || !listens_at (kept, path))
    kept = keep_find_that (listens_at, path);
  if (kept == NULL)
    return false;
  *door = (struct door){ .path = path, .fd = kept->fd[VMSWAP_KEEPER_LISTENER] };
  kept->fd[VMSWAP_KEEPER_LISTENER] = -1;
  return true;
}

/* One that is to outlive this server stays where it is. */
static int
keep_door (const struct guest *guest, const struct door *door)
{
  if (!keep_is_on () ||
      keep_listener (guest->name, guest->ivshmem, door->fd) == 0)
    return 0;
  nbdkit_error ("guest=%s: the keeper cannot take its socket: raise the limit "
                "of descriptors of vmswap-keep",
                guest->name);
  return -1;
}

static int
make_door (const struct guest *guest, const struct socket_group *group,
           struct door *door)
{
  if (door_open (DOOR_KEY, guest->ivshmem, group, true, door) == -1)
    return -1;
  return keep_door (guest, door);
}

static int
open_door (const struct guest *guest, const struct socket_group *group)
{
  struct ivshmem_guest *new = &guests[nr_guests];
  struct kept *kept = keep_find (guest->name);

  if (kept != NULL && ivshmem_check_size (guest, kept) == -1)
    return -1;
  *new = (struct ivshmem_guest){
    .guest = guest,
    .door = DOOR_NONE,
    .qemu = -1,
    .ring = { .region = { .fd = -1 }, .doorbell = -1, .interrupt = -1 },
  };
  nr_guests++;
  if (adopt_door (kept, guest->ivshmem, &new->door))
    /* The settings may be others now. */
    return keep_door (guest, &new->door) == -1
               ? -1
               : door_admit (DOOR_KEY, guest->ivshmem, group);
  /* The old one is dead as soon as nobody keeps it. */
  return make_door (guest, group, &new->door);
}

int
ivshmem_prepare (const struct settings *settings)
{
  size_t n = 0;

  if (keep_start (settings) == -1) {
    keep_stop ();
    return -1;
  }
  for (const struct guest *g = settings->guests; g != NULL; g = g->next)
    n += g->ivshmem != NULL;
  if (n == 0)
    return 0;
  guests = calloc (n, sizeof *guests);
  if (guests == NULL) {
    nbdkit_error ("no memory for guests with ivshmem=: %m");
    return -1;
  }
  for (const struct guest *g = settings->guests; g != NULL; g = g->next)
    if (g->ivshmem != NULL && open_door (g, &settings->ivshmem_group) == -1) {
      ivshmem_free ();
      return -1;
    }
  return 0;
}

/* Whoever is last ends the process, if that is what is waited for. */
static void *
run (void *opaque)
{
  ivshmem_guest_run (opaque);
  if (atomic_fetch_sub (&running, 1) == 1 && atomic_load (&end_process))
    _exit (EXIT_SUCCESS);
  return NULL;
}

static int
start_thread (struct ivshmem_guest *guest)
{
  guest->ending = ending;
  atomic_fetch_add (&running, 1);
  guest->running = thread_start (&guest->thread, STACK_SIZE, run, guest) == 0;
  if (guest->running)
    return 0;
  atomic_fetch_sub (&running, 1);
  return -1;
}

/* What is left when all guests have what is theirs. */
static void
clear_away (struct kept *kept)
{
  const struct ivshmem_guest *guest = NULL;

  for (size_t i = 0; i < nr_guests; ++i) {
    if (strcmp (guests[i].guest->name, kept->name) == 0)
      guest = &guests[i];
    /* A keeper that forgets no socket has it under two names. */
    if (door_is_same (guests[i].door.fd, kept->fd[VMSWAP_KEEPER_LISTENER]))
      keep_close (kept->fd, VMSWAP_KEEPER_SOCKET);
  }
  ivshmem_remove (kept);
  ivshmem_close_door (kept, guest);
  if (guest == NULL)
    keep_forget (kept->name);
}

/* Guests may have done to what they share whatever they like, meanwhile. */
static int
adopt_all (void)
{
  struct bell_watch watch;
  const int r = bell_watch (&watch);

  if (r < 0) {
    nbdkit_error ("guests with ivshmem= cannot be served: no timer: %s: raise "
                  "the limit of pending signals",
                  strerror (-r));
    return -1;
  }
  for (size_t i = 0; i < nr_guests; ++i)
    ivshmem_guest_adopt (&guests[i]);
  keep_each (clear_away);
  bell_unwatch (&watch);
  return 0;
}

/* The guests do not notice that the server ends, and the next one cannot see
 * them. */
static void
warn_without_keeper (void)
{
  char others[40] = "";

  if (keep_is_on ())
    return;
  if (nr_guests > 1)
    snprintf (others, sizeof others, " (and %zu more)", nr_guests - 1);
  nbdkit_error ("warning: guest=%s%s: ivshmem= without keeper=: when this "
                "server ends, a guest that shares memory with it waits for "
                "ever, whatever is started then: start vmswap-keep(8), and "
                "this server with keeper=PATH and state=DIR, before the guests",
                guests[0].guest->name, others);
}

/* What the guest can hold at the most, and what says so. */
static uint64_t
utmost_room (const struct guest *guest, const char **bound)
{
  const uint64_t quota = guest->limits.quota.bytes;
  const uint64_t reserve = guest->limits.reserve.bytes;
  struct pool_stats pool;
  uint64_t others, room;

  pool_get_stats (exports_pool (), &pool);
  others = pool.reserved > reserve ? pool.reserved - reserve : 0;
  room = pool.capacity > others ? pool.capacity - others : 0;
  *bound = "pool";
  if (quota == 0 || quota >= room)
    return room;
  *bound = "quota";
  return quota;
}

/* Such a region works, but the guest is slow: it can never post a write. */
static void
warn_of_large_region (const struct guest *guest)
{
  struct human size, needed, utmost, smaller;
  const char *bound;
  const uint64_t room = utmost_room (guest, &bound);
  uint64_t right = guest->region;
  char instead[64] = "";

  if (ring_room_to_open (guest->region) <= room)
    return;
  while (right >= VMSWAP_RING_SIZE_MIN && ring_room_to_open (right) > room)
    right /= 2;
  if (right >= VMSWAP_RING_SIZE_MIN)
    snprintf (instead, sizeof instead, "region=%s or less, or ",
              human_size (&smaller, right));
  nbdkit_error (
      "warning: guest=%s: region=%s is too large for %s=, which gives "
      "it %s at the most: it posts what it swaps out while %s is "
      "free, and else waits for each page: give %sa larger %s=",
      guest->name, human_size (&size, guest->region), bound,
      human_size (&utmost, room),
      human_size (&needed, ring_room_to_open (guest->region)), instead, bound);
}

int
ivshmem_start (void)
{
  int r = 0;

  if (adopt_all () == -1)
    return -1;
  if (nr_guests == 0)
    return 0;
  if (keep_watch_start () == -1) {
    ivshmem_stop ();
    return -1;
  }
  crowd_begin ();
  ending = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ending == -1)
    r = -1;
  for (size_t i = 0; i < nr_guests && r == 0; ++i)
    r = start_thread (&guests[i]);
  if (r == -1) {
    nbdkit_error ("cannot start a thread for each guest with ivshmem=: %m: "
                  "raise the limits of tasks or descriptors");
    ivshmem_stop ();
    return -1;
  }
  warn_without_keeper ();
  for (size_t i = 0; i < nr_guests; ++i)
    warn_of_large_region (guests[i].guest);
  return 0;
}

bool
ivshmem_end_process (void)
{
  const uint64_t one = 1;

  if (atomic_load (&running) == 0)
    return false;
  atomic_store (&end_process, true);
  return write (ending, &one, sizeof one) == sizeof one;
}

void
ivshmem_stop (void)
{
  const uint64_t one = 1;

  if (ending != -1 && write (ending, &one, sizeof one) == sizeof one)
    for (size_t i = 0; i < nr_guests; ++i)
      if (guests[i].running) {
        pthread_join (guests[i].thread, NULL);
        guests[i].running = false;
      }
  ivshmem_free ();
}

void
ivshmem_free (void)
{
  keep_watch_stop ();
  for (size_t i = 0; i < nr_guests; ++i) {
    if (!keep_is_on ())
      door_remove (&guests[i].door);
    door_close (&guests[i].door);
  }
  free (guests);
  guests = NULL;
  nr_guests = 0;
  if (ending != -1)
    close (ending);
  ending = -1;
  crowd_end ();
  keep_stop ();
}
