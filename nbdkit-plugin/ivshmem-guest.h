// SPDX-License-Identifier: BSD-3-Clause
/* One guest of the ivshmem door: its socket, its QEMU, its ring, its thread. */

#ifndef VMSWAP_IVSHMEM_GUEST_H
#define VMSWAP_IVSHMEM_GUEST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "door.h"
#include "keep.h"
#include "ring.h"
#include "settings.h"

struct ivshmem_guest {
  const struct guest *guest;
  struct door door; /* where its QEMU connects */
  int ending;       /* an eventfd of all guests: readable when all is to end */
  int qemu;         /* the connection, -1: none */

  struct ring ring; /* conn is NULL: there is no region */
  bool kept;        /* it outlives this server, as long as there is a keeper */
  bool stopping;

  /* How long the thread looks for work before it sleeps. */
  uint64_t window_ns;
  unsigned in_vain;    /* looks that the guest waited for to end, in a row */
  uint64_t calm_ns;    /* no looks before */
  uint64_t crowd_ns;   /* when it is asked again whether a CPU is to spare */
  bool at_work;        /* there was something to do since the last sleep */
  uint64_t idle_ns;    /* since when there is nothing to do, 0: there is */
  uint64_t busy_ns;    /* since when it has not slept, or has said so */
  uint64_t sockets_ns; /* when sockets are looked at next */
  uint64_t deaf_ns;    /* nobody is accepted before */
  uint64_t comings_ns; /* when QEMUs that came are paid for */

  bool running;
  pthread_t thread;
};

/* The thread: until ending is readable, and its region is in order. */
extern void ivshmem_guest_run (struct ivshmem_guest *guest);

/* Before the thread: what an earlier server left of the guest, if anything. */
extern void ivshmem_guest_adopt (struct ivshmem_guest *guest);

/* With keeper=, the region outlives this server from now on.  greeting: its
 * QEMU has not been told all.  0 or -errno. */
extern int ivshmem_guest_keep (struct ivshmem_guest *guest, bool greeting);

/* May a device that an earlier server left have the size= of now?  0 or -1. */
extern int ivshmem_check_size (const struct guest *guest,
                               const struct kept *kept);

/* What an earlier server left of a guest that is no more: it is told so. */
extern void ivshmem_remove (struct kept *kept);

/* The socket that an earlier server listened on and this one does not: nobody
 * can connect any more, and QEMUs that wait there are refused.  guest: has
 * another one, NULL: is no more. */
extern void ivshmem_close_door (struct kept *kept,
                                const struct ivshmem_guest *guest);

/* What QEMU is told (proto/vmswap-ivshmem.h).  0 or -errno. */
extern int ivshmem_greet (int qemu, const struct ring *ring);

/* A QEMU that gets no region; closes the connection. */
extern void ivshmem_refuse (int qemu);

/* Has QEMU ended, or said something? */
extern bool ivshmem_is_over (int qemu);

#endif /* VMSWAP_IVSHMEM_GUEST_H */
