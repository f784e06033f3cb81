// SPDX-License-Identifier: BSD-3-Clause
/* Lanes: the ends of the log.  Each lane appends to one open segment; writers
 * pick a lane by CPU so that they seldom meet.  Blobs that survived a cleaning
 * have a lane of their own, and so have groups, which are cold: blobs that will
 * die at different times do not share segments (Rosenblum and Ousterhout,
 * section 3.5). */

#ifndef VMSWAP_LANE_H
#define VMSWAP_LANE_H

#include <stdatomic.h>
#include <stdint.h>

#include "lock.h"
#include "segment.h"
#include "word.h"

#define MAX_LANES 8

struct lane {
  struct lock lock;
  uint32_t segment;          /* SEGMENT_NONE: none is open */
  uint32_t head;             /* where the next blob goes */
  uint32_t born;             /* of the youngest blob in it, of survivors */
  _Atomic uint64_t appended; /* bytes, ever */
} __attribute__ ((aligned (64)));

struct lanes {
  struct segments *segments;
  unsigned nr; /* lanes of writers */
  struct lane lane[MAX_LANES];
  struct lane survivors;
  struct lane cold;           /* new groups */
  struct lane cold_survivors; /* not the same, or new groups would use up what
                               * the cleaner took of its reserve */
};

extern void lanes_create (struct lanes *lanes, struct segments *segments);
extern void lanes_destroy (struct lanes *lanes);

/* Room for one blob, credited to its segment: the caller copies the blob there
 * and then calls segment_published.  No lock may be held.
 * -ENOSPC, -ENOMEM: no segment is to be had. */
extern int lane_reserve (struct lanes *lanes, uint32_t bytes,
                         struct place *ret);

/* The same for the cleaner, out of its reserve if need be: for a blob, or a
 * group (cold), of a segment that was born then (segment_born). */
extern int lane_reserve_survivor (struct lanes *lanes, bool cold, uint32_t born,
                                  uint32_t bytes, struct place *ret);

/* The same for a new group. */
extern int lane_reserve_cold (struct lanes *lanes, uint32_t bytes,
                              struct place *ret);

/* Would a writer find that much in an open segment, now? */
extern bool lanes_have_room (struct lanes *lanes, uint32_t bytes);

/* lane_reserve in two steps, for writers.  Sees to it that a lane has that much
 * room, with system calls; no lock may be held.  Then takes it, without any:
 * false if others were faster. */
extern int lane_prepare (struct lanes *lanes, uint32_t bytes);
extern bool lane_try (struct lanes *lanes, uint32_t bytes, struct place *ret);

/* Seals all open segments and gives their unused ends back to the host.  The
 * cleaner's lock is held (cleaner_seal), so that it is not in the middle of a
 * step. */
extern void lanes_seal (struct lanes *lanes);

/* Bytes appended by writers, ever; by the cleaner and as groups. */
extern uint64_t lanes_appended (struct lanes *lanes);
extern uint64_t lanes_survived (struct lanes *lanes);

/* Stops all appending, for pool_check. */
extern void lanes_lock_all (struct lanes *lanes);
extern void lanes_unlock_all (struct lanes *lanes);

#endif /* VMSWAP_LANE_H */
