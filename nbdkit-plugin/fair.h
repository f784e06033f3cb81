// SPDX-License-Identifier: BSD-3-Clause
/* Fair service: a guest that floods the server with requests over many
 * connections does not make the others wait.
 *
 * nbdkit gives every connection a thread, and the kernel shares the CPUs among
 * threads, not among guests.  While several guests are active, each may keep as
 * many threads busy as there are CPUs; its others wait at its gate.  That is
 * enough to use all CPUs, and bounds how many threads are in line before those
 * of another guest.  A thread that had to wait also has a lower priority (nice)
 * for the next second, if the server may take that back (LimitNICE=+0 of a
 * service, or CAP_SYS_NICE).  The thread of a ring that does not sleep has a
 * somewhat lower one, and neither finishes its slice when another thread wakes
 * up.  While one guest is active, its gate is open.
 *
 * Whoever has passed the gate must neither wait for room nor for a disk before
 * fair_leave: other requests of the guest may be waiting behind it, and one of
 * them may be the trim that makes the room.
 */

#ifndef VMSWAP_FAIR_H
#define VMSWAP_FAIR_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FAIR_MAX_SEATS 64

/* The right to keep a thread busy. */
struct seat {
  uint64_t owner;    /* a thread; 0: free */
  bool inside;       /* between fair_enter and fair_leave */
  uint64_t since;    /* nanoseconds: when the owner got it */
  uint64_t returned; /* … and left, if it is not inside */
};

struct fair_waiter;

/* Of one guest. */
struct gate {
  _Atomic uint64_t tick; /* when the guest was last active */
  pthread_mutex_t lock;  /* all that follows */
  struct fair_waiter *first, *last;
  struct seat seat[FAIR_MAX_SEATS];
};

/* In the process that serves, before it does. */
extern void fair_start (void);

extern void fair_create (struct gate *gate);

/* Nobody is connected any more. */
extern void fair_destroy (struct gate *gate);

/* Around the service of a request, by the thread that serves it. */
extern void fair_enter (struct gate *gate);
extern void fair_leave (struct gate *gate);

/* By a thread that serves one guest alone, and has not slept for some time:
 * while several guests are active, those that wake up go first for the next
 * second. */
extern void fair_busy (void);

#endif /* VMSWAP_FAIR_H */
