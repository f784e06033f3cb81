// SPDX-License-Identifier: BSD-3-Clause
/* The yardstick: the least that any store of compressed, checked pages has to
 * do.  A write is LZ4 + fingerprint + a copy of the compressed bytes into a
 * flat array whose memory is there already; a read is LZ4 + fingerprint, with
 * or without a copy of the page to the caller.  No locks, no table but one
 * (place, length) per page, no room ever reused. */

#ifndef VMSWAP_BENCH_BARE_H
#define VMSWAP_BENCH_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bare;

/* Room for this many pages. */
extern struct bare *bare_create (size_t pages);
extern void bare_free (struct bare *bare);

/* Several threads may use one store at once if each has a worker, writes its
 * own pages, and appends to an array part of its own. */
struct bare_worker;
extern struct bare_worker *bare_worker_create (struct bare *bare,
                                               size_t first_page);
extern void bare_worker_free (struct bare_worker *worker);
extern void bare_worker_rewind (struct bare_worker *worker);

extern void bare_write (struct bare_worker *worker, size_t index,
                        const uint8_t *page);

/* copy: decompress to a buffer and copy the page from there.  Ends the
 * program when the fingerprint is wrong. */
extern void bare_read (struct bare_worker *worker, size_t index, uint8_t *page,
                       bool copy);

#endif /* VMSWAP_BENCH_BARE_H */
