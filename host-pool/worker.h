// SPDX-License-Identifier: BSD-3-Clause
/* Workers: what one request needs while it runs (codec state, buffers, its
 * place in the reclamation of memory), all made beforehand, so that requests
 * allocate nothing.  A thread borrows a worker for one request.
 *
 * Epochs (after Fraser, "Practical lock-freedom", 2004, section 5.2.3): a
 * reader enters an epoch before it looks up a page word and leaves when it has
 * decompressed the blob; a segment that no word names any more becomes free
 * only when every reader that might have seen such a word has left.  So
 * readers hold no lock while they decompress, and never see memory reused. */

#ifndef VMSWAP_WORKER_H
#define VMSWAP_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "lock.h"

#define NR_WORKERS 32

struct worker {
  _Atomic uint64_t epoch; /* 0: not looking at blobs */
  atomic_bool taken;
  uint8_t *blob; /* header + compressed bytes, being made */
  uint8_t *page; /* one page, for partial requests */
  void *codec_state;
  unsigned shard; /* of the counters: the same for workers of one CPU */
} __attribute__ ((aligned (64)));

struct workers {
  _Atomic uint64_t epoch;
  _Atomic uint32_t waiting;
  struct lock lock; /* for threads that wait, on cond */
  pthread_cond_t cond;
  struct worker *worker; /* NR_WORKERS of them */
};

extern int workers_create (struct workers *workers, struct arena *arena,
                           size_t codec_state_size);
extern void workers_destroy (struct workers *workers);

/* Waits while all are taken (more than NR_WORKERS requests at once). */
extern struct worker *worker_get (struct workers *workers);
extern void worker_put (struct workers *workers, struct worker *worker);

/* Is no request under way? */
extern bool workers_idle (struct workers *workers);

extern void worker_enter (struct workers *workers, struct worker *worker);
extern void worker_leave (struct worker *worker);

/* Marks a retirement: returns its tag. */
extern uint64_t workers_retire_tag (struct workers *workers);

/* Waits until every reader that is in an epoch now has left it. */
extern void workers_wait_for_readers (struct workers *workers);

/* Every retirement with a tag below this one is past all readers. */
extern uint64_t workers_oldest (struct workers *workers);

#endif /* VMSWAP_WORKER_H */
