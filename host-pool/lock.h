// SPDX-License-Identifier: BSD-3-Clause
/* Mutexes with a rank.  A thread may take a lock only while all the locks it
 * holds are of lower rank (the idea is jemalloc's "witness"); builds with
 * --enable-lock-checks abort on a violation.  Nothing that allocates, logs or
 * makes a system call runs under a rank from LOCK_STRIPE on. */

#ifndef VMSWAP_LOCK_H
#define VMSWAP_LOCK_H

#include <stdbool.h>
#include <pthread.h>

enum lock_rank {
  LOCK_PARTIAL,  /* partial.c: writers of parts of a page, striped; such a
                  * writer may have to clean */
  LOCK_COLD,     /* cold.c: groups that are being made */
  LOCK_CLEANER,  /* cleaner.c: one cleaner at a time */
  LOCK_VOLUMES,  /* volume.c: the table of volumes */
  LOCK_STRIPE,   /* table.c: page words and leaves, striped */
  LOCK_ENTRY,    /* sharing.c: entries of the sharing table, striped */
  LOCK_LIMITS,   /* quota.c: limits of a volume and what it holds */
  LOCK_LANE,     /* lane.c: the end of an open segment */
  LOCK_SEGMENTS, /* segment.c: lists of free and limbo segments */
  LOCK_FRAMES,   /* frame.c: the bitmaps of frames */
  LOCK_WORKERS,  /* worker.c: threads that wait for a worker */
  LOCK_SPACE,    /* space.c: writers that wait for room */
  LOCK_DECODER,  /* group.c: decompressing a group */
};

struct lock {
  pthread_mutex_t mutex;
  enum lock_rank rank;
};

extern void lock_init (struct lock *lock, enum lock_rank rank);
extern void lock_destroy (struct lock *lock);

/* Returns its argument, for ACQUIRE_LOCK_FOR_CURRENT_SCOPE. */
extern struct lock *lock_acquire (struct lock *lock);
extern bool lock_try (struct lock *lock);
extern void lock_release (struct lock *lock);

/* For what may be done only under a lock of that rank: builds with
 * --enable-lock-checks abort if the thread holds none. */
extern void lock_must_be_held (enum lock_rank rank);

/* For those that hold several locks of one rank, always in index order:
 * stripes_lock_all and lanes_lock_all. */
extern void lock_acquire_same_rank (struct lock *lock);

/* Waits on a condition whose mutex is the lock; milliseconds < 0: for ever.
 * False: the time is over. */
extern bool lock_wait (struct lock *lock, pthread_cond_t *cond,
                       int milliseconds);

/* A condition for lock_wait: its clock does not jump. */
extern void lock_cond_init (pthread_cond_t *cond);

#endif /* VMSWAP_LOCK_H */
