// SPDX-License-Identifier: BSD-3-Clause
/* Eventfds that are shared with somebody hostile.
 *
 * O_NONBLOCK belongs to what is open and not to the descriptor, so a QEMU that
 * was given one can take it away at any moment, and fill the counter.  No call
 * is safe from that: a thread that rings is called back by a signal after
 * BELL_MS.  The signal is blocked but while it rings, so that nothing else is
 * interrupted.
 *
 * What it costs is two calls of sigprocmask a ring.
 */

#ifndef VMSWAP_BELL_H
#define VMSWAP_BELL_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define BELL_MS 100 /* a call takes no longer than some of these */

/* What a thread needs to ring; on its stack. */
struct bell_watch {
  timer_t timer;
  sigset_t before; /* what the thread has blocked */
};

/* Of the calling thread, until bell_unwatch.  0 or -errno. */
extern int bell_watch (struct bell_watch *watch);
extern void bell_unwatch (struct bell_watch *watch);

/* Adds one.  0, also if the counter is full, for that wakes whoever waits; or
 * -EINTR: somebody has made it block, do not ring it again. */
extern int bell_ring (int fd);

/* Takes what others have added: false if that is nothing. */
extern bool bell_hear (int fd);

#endif /* VMSWAP_BELL_H */
