// SPDX-License-Identifier: BSD-3-Clause
/* A volume filled from a sample, together with what it ought to hold: the
 * shadow that density is computed from and content is checked against. */

#ifndef VMSWAP_BENCH_STORE_H
#define VMSWAP_BENCH_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "measure.h"
#include "pool.h"
#include "sample.h"

#define STORE_EMPTY UINT32_MAX

struct store {
  const struct sample *sample;
  size_t pages;      /* of the volume */
  uint32_t *content; /* the page of the sample that page i holds */
  uint8_t *buffer;
  uint64_t base_rss; /* before there was a pool */
  uint64_t limit;

  struct pool *pool;
  struct volume *volume;

  uint64_t live_bytes; /* sum of min (LZ4, 4096) of the pages it holds */
  uint64_t live_pages; /* of these: not fill pages */
};

/* Memory that this process holds: RssAnon + RssShmem. */
extern uint64_t held_bytes (void);

/* A pool with its steward and an empty volume. */
extern void store_open (struct store *store, const struct sample *sample,
                        size_t pages, uint64_t limit);
extern void store_close (struct store *store);

/* Returns what volume_write returned: 0 or -ENOSPC, -ENOMEM; ends the program
 * on any other error.  first..first+n are pages of the volume; they get
 * consecutive pages of the sample. */
extern int store_write (struct store *store, size_t first, size_t n,
                        size_t from);
extern void store_trim (struct store *store, size_t first, size_t n);

/* Fills the first pages with the sample, over and over, until live blobs are
 * that share of what the pool can hold.  Returns how many. */
extern size_t store_fill (struct store *store, double share);

/* Reads everything, compares, and checks the pool.  Ends the program at the
 * first difference. */
extern void store_verify (struct store *store);

/* Waits until the steward has come to rest: used has not moved for half a
 * second.  Returns the seconds that passed until the last movement. */
extern double store_settle (struct store *store, double seconds);

#endif /* VMSWAP_BENCH_STORE_H */
