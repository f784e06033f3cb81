// SPDX-License-Identifier: BSD-3-Clause
/* Requests of one connection, on the pool.
 *
 * Each returns 0, or -1 after it has set the error of the request for nbdkit
 * and has reported it.  They take any range inside the export.
 */

#ifndef VMSWAP_SERVE_H
#define VMSWAP_SERVE_H

#include <stdbool.h>
#include <stdint.h>

#include "exports.h"

struct nbdkit_extents;

/* With full=stall, how many writes of one connection may wait for room.
 * nbdkit serves a connection with 16 threads: half of them stay free for
 * reads and for the trims that make room. */
#define STALL_MAX 8

extern int serve_read (struct conn *conn, void *buf, uint32_t bytes,
                       uint64_t offset);
extern int serve_write (struct conn *conn, const void *buf, uint32_t bytes,
                        uint64_t offset);
extern int serve_zero (struct conn *conn, uint32_t bytes, uint64_t offset);
extern int serve_trim (struct conn *conn, uint32_t bytes, uint64_t offset);
extern int serve_extents (struct conn *conn, uint32_t count, uint64_t offset,
                          bool only_one, struct nbdkit_extents *extents);

/* The same for a ring: they return 0 or -errno, never wait for room whatever
 * full= says, and report nothing.  What failed is counted with serve_fail, once
 * its caller has given up. */
extern int serve_try_read (struct conn *conn, void *buf, uint32_t bytes,
                           uint64_t offset);
extern int serve_try_write (struct conn *conn, const void *buf, uint32_t bytes,
                            uint64_t offset);
extern int serve_try_trim (struct conn *conn, uint32_t bytes, uint64_t offset);

/* Counts and reports what a request failed with; returns -1. */
extern int serve_fail (struct conn *conn, int err, const char *what,
                       uint64_t offset);

#endif /* VMSWAP_SERVE_H */
