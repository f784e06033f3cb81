// SPDX-License-Identifier: BSD-3-Clause
/* Owns the workers and the epoch counter.
 *
 * Invariants
 *  1. A worker's buffers belong to the thread that set taken.
 *  2. A reader stores its epoch before it looks up a word (sequentially
 *     consistent), and a retirer changes the word before it reads the
 *     epochs: one of the two sees the other.
 *
 * Lock: only for waiting when all workers are taken. */

#include <config.h>

#include <errno.h>
#include <sched.h>

#include "codec.h"
#include "worker.h"

#define ALIGN(n) (((n) + 63) & ~(size_t) 63)
#define BLOB_BUFFER ALIGN (VMSWAP_BLOB_HEADER_SIZE + CODEC_MAX_OUTPUT)

/* Workers that threads on one CPU try first; so few are ever touched, and
 * threads on different CPUs do not meet. */
#define WORKERS_PER_CPU 4

int
workers_create (struct workers *workers, struct arena *arena,
                size_t codec_state_size)
{
  const size_t state = ALIGN (codec_state_size);
  const size_t each =
      sizeof (struct worker) + BLOB_BUFFER + POOL_PAGE_SIZE + state;

  workers->worker = arena_alloc (arena, NR_WORKERS * each);
  if (!workers->worker)
    return -ENOMEM;

  /* A worker's buffers lie together: those never used take no memory. */
  uint8_t *at = (uint8_t *) (workers->worker + NR_WORKERS);
  for (unsigned i = 0; i < NR_WORKERS; ++i) {
    struct worker *worker = &workers->worker[i];

    worker->shard = i / WORKERS_PER_CPU;
    worker->page = at;
    worker->blob = at + POOL_PAGE_SIZE;
    worker->codec_state = at + POOL_PAGE_SIZE + BLOB_BUFFER;
    at += POOL_PAGE_SIZE + BLOB_BUFFER + state;
  }
  atomic_store (&workers->epoch, 1);
  lock_init (&workers->lock, LOCK_WORKERS);
  lock_cond_init (&workers->cond);
  return 0;
}

void
workers_destroy (struct workers *workers)
{
  if (!workers->worker)
    return;
  pthread_cond_destroy (&workers->cond);
  lock_destroy (&workers->lock);
  workers->worker = NULL;
}

static struct worker *
worker_try (struct workers *workers)
{
  const int cpu = sched_getcpu ();
  const unsigned first = cpu < 0 ? 0 : cpu * WORKERS_PER_CPU;

  for (unsigned i = 0; i < NR_WORKERS; ++i) {
    struct worker *worker = &workers->worker[(first + i) % NR_WORKERS];

    if (!atomic_load (&worker->taken) &&
        !atomic_exchange (&worker->taken, true))
      return worker;
  }
  return NULL;
}

struct worker *
worker_get (struct workers *workers)
{
  struct worker *worker = worker_try (workers);

  if (worker)
    return worker;
  lock_acquire (&workers->lock);
  atomic_fetch_add (&workers->waiting, 1);
  while ((worker = worker_try (workers)) == NULL)
    lock_wait (&workers->lock, &workers->cond, -1);
  atomic_fetch_sub (&workers->waiting, 1);
  lock_release (&workers->lock);
  return worker;
}

void
worker_put (struct workers *workers, struct worker *worker)
{
  atomic_store (&worker->taken, false);
  if (atomic_load (&workers->waiting)) {
    lock_acquire (&workers->lock);
    pthread_cond_signal (&workers->cond);
    lock_release (&workers->lock);
  }
}

bool
workers_idle (struct workers *workers)
{
  for (unsigned i = 0; i < NR_WORKERS; ++i)
    if (atomic_load (&workers->worker[i].taken))
      return false;
  return true;
}

void
worker_enter (struct workers *workers, struct worker *worker)
{
  const uint64_t epoch =
      atomic_load_explicit (&workers->epoch, memory_order_relaxed);

  /* An exchange, because it is a full barrier: the look-up of the word must
   * not move before it. */
  atomic_exchange (&worker->epoch, epoch);
}

void
worker_leave (struct worker *worker)
{
  atomic_store_explicit (&worker->epoch, 0, memory_order_release);
}

uint64_t
workers_retire_tag (struct workers *workers)
{
  return atomic_fetch_add (&workers->epoch, 1);
}

uint64_t
workers_oldest (struct workers *workers)
{
  uint64_t oldest = atomic_load (&workers->epoch);

  for (unsigned i = 0; i < NR_WORKERS; ++i) {
    const uint64_t epoch = atomic_load (&workers->worker[i].epoch);

    if (epoch && epoch < oldest)
      oldest = epoch;
  }
  return oldest;
}

void
workers_wait_for_readers (struct workers *workers)
{
  const uint64_t tag = workers_retire_tag (workers);

  while (workers_oldest (workers) <= tag)
    sched_yield ();
}
