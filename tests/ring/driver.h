// SPDX-License-Identifier: BSD-3-Clause
/* A guest's driver of the ring, in user space: it connects to the socket of the
 * server as QEMU does, maps the region, and plays the guest's part of
 * proto/PROTOCOL.md.
 *
 * Threads: every function may be called by any number of threads at once, but
 * those that connect, start, stop and close.  d->lock guards the driver's notes
 * and the order of posts; a thread of the driver takes interrupts.
 *
 * Errors: 0 or -errno (-EIO, -ENOSPC from the server); what cannot be with an
 * honest server ends the process (driver_die). */

#ifndef VMSWAP_TESTS_DRIVER_H
#define VMSWAP_TESTS_DRIVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmswap-ring.h"

#ifndef PAGE /* bench/sample.h has it, too */
#define PAGE VMSWAP_RING_PAGE_SIZE
#endif

enum driver_source { FROM_POST, FROM_CACHE, FROM_POOL, SOURCES };

struct driver {
  const char *path;
  int socket, memory, doorbell, interrupt;
  uint8_t *region;
  uint64_t size;
  struct vmswap_ring_header *header;
  struct vmswap_ring_geometry geometry;
  uint64_t device_pages;
  uint64_t features;
  uint32_t generation;
  unsigned spin_ns; /* how long a reader looks before it sleeps */

  pthread_mutex_t lock;
  pthread_cond_t cond;
  pthread_t thread;
  bool running, ending;

  bool quiesced, dead;
  bool by_time; /* the last broadcast came of the look each second */
  uint32_t post_head, post_tail; /* own copies */
  uint32_t submit_head, complete_tail, hint_head;
  uint32_t *newest;     /* per page: the position of its newest post */
  uint8_t *posted;      /* per page: has one, which may be open */
  uint32_t *slot_of;    /* per post: its slot, or NO_SLOT */
  uint32_t *free_slots; /* a stack */
  uint32_t nr_free;
  uint32_t *free_tags; /* likewise */
  uint32_t nr_free_tags;
  uint32_t serial[VMSWAP_RING_TAGS_MAX];

  /* What happened. */
  uint64_t reads[SOURCES];
  uint64_t posts, requests, rings, interrupts, resyncs, quiesces;
  uint64_t late; /* waits that only the look each second has ended */
};
#define NO_SLOT UINT32_MAX

extern void driver_die (const struct driver *d, const char *format, ...)
    __attribute__ ((format (printf, 2, 3), noreturn));

/* Connects and maps.  0; -EBUSY: the server refused; -ECONNRESET: it closed the
 * connection; or the errno of connect. */
extern int driver_connect (struct driver *d, const char *path);

/* Begins a session.  0, -ETIMEDOUT: no answer within so long; -EPROTO: the host
 * is DEAD. */
extern int driver_start (struct driver *d, uint64_t features, unsigned ms);

/* Waits for all that is open, and says goodbye. */
extern void driver_detach (struct driver *d);

/* The driver's memory is gone, but not the region: as when the guest reboots.
 */
extern void driver_forget (struct driver *d);

/* As when QEMU is killed. */
extern void driver_close (struct driver *d);

/* One page.  -ENOSPC: the page is what it was. */
extern int driver_write (struct driver *d, uint64_t page, const void *data);
extern int driver_read (struct driver *d, uint64_t page, void *data,
                        enum driver_source *source);

/* Several pages, all asked of the pool at once: up to a quarter of the tags. */
extern int driver_read_many (struct driver *d, const uint64_t *pages,
                             unsigned n, uint8_t *data);
extern int driver_free (struct driver *d, uint64_t page, uint32_t count);
extern int driver_discard (struct driver *d, uint64_t page, uint32_t count);
/* A WRITE request, whatever else would do. */
extern int driver_write_slowly (struct driver *d, uint64_t page,
                                const void *data);

/* Waits until no post is open. */
extern void driver_drain (struct driver *d);

/* --- Parts, for those that are not honest. */

extern void *driver_part (const struct driver *d, unsigned part);
extern uint8_t *driver_page (const struct driver *d, unsigned part, uint32_t n);
#define DRIVER_COUNT(d, part) ((d)->geometry.parts[VMSWAP_RING_##part].count)
extern void driver_ring (struct driver *d);

/* d->lock is held. */
extern void driver_look_locked (struct driver *d);
extern bool driver_wait_locked (struct driver *d);
extern uint64_t driver_now_ns (void);

/* The next of a sequence that looks random (splitmix64). */
extern uint64_t driver_random (uint64_t *state);

/* What must be so. */
#define DRIVER_CHECK(d, condition)                                             \
  do {                                                                         \
    if (!(condition))                                                          \
      driver_die (d, "%s:%d: not true: %s", __FILE__, __LINE__, #condition);   \
  } while (0)

#define RELAXED(p) __atomic_load_n (p, __ATOMIC_RELAXED)
#define ACQUIRE(p) __atomic_load_n (p, __ATOMIC_ACQUIRE)
#define SET(p, v) __atomic_store_n (p, v, __ATOMIC_RELAXED)
#define RELEASE(p, v) __atomic_store_n (p, v, __ATOMIC_RELEASE)
#define FULL_BARRIER() __atomic_thread_fence (__ATOMIC_SEQ_CST)

#endif /* VMSWAP_TESTS_DRIVER_H */
