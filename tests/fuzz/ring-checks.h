// SPDX-License-Identifier: BSD-3-Clause
/* What must hold for the host's side of a ring, whatever its guest does: after
 * each turn, when it comes to rest, and when the guest is gone.
 *
 * Each of these is a promise: of ring.h, of the top of a ring-*.c, or of
 * PROTOCOL.md.  What does not hold is a finding.  One ring at a time. */

#ifndef VMSWAP_FUZZ_RING_CHECKS_H
#define VMSWAP_FUZZ_RING_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/* A ring that begins, or is taken over, for a device of so many pages. */
extern void ring_checks_begin (const struct ring *ring, uint64_t pages);

/* ring_turn, and that its share of the work was bounded, that no index of the
 * guest was believed that cannot be, and that a drain comes to its end. */
extern bool ring_checks_turn (struct ring *ring);

/* The server's own notes are what they can be. */
extern void ring_checks_notes (const struct ring *ring);

/* A guest that does nothing more leaves nothing to do, soon, and the server may
 * sleep then. */
extern void ring_checks_rest (struct ring *ring);

/* The guest is gone: ring_end, and turns until what it posted is done. */
extern void ring_checks_end (struct ring *ring);

#endif /* VMSWAP_FUZZ_RING_CHECKS_H */
