// SPDX-License-Identifier: BSD-3-Clause
/* What the parts of ivshmem-host share:
 *
 *     ivshmem-host.c         commands
 *     ivshmem-host-keeper.c  the memory, the socket, and the server's life
 *     ivshmem-host-server.c  the host's part of the ring, and lies
 *     ivshmem-host-pool.c    posts and requests, done
 *
 * The memory is shared by keeper and servers; "host" is each process's own. */

#ifndef VMSWAP_IVSHMEM_HOST_H
#define VMSWAP_IVSHMEM_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "vmswap-ring.h"

/* What the server can be told: levels, and lies.  Each but the first four is a
 * lie that no honest host tells. */
enum knob {
  KNOB_QUIESCE,    /* 1: QUIESCED */
  KNOB_FULL,       /* 1: FULL, and a WRITE request is refused */
  KNOB_LIMIT,      /* a pool of so many pages; 0: no limit */
  KNOB_DEAD,       /* DEAD, for this reason */
  KNOB_TAIL,       /* post_tail: 1 back, 2 beyond post_head */
  KNOB_COMPLETES,  /* 1 tags that do not exist, 2 complete_head jumps */
  KNOB_STATUS,     /* 1 statuses that do not exist */
  KNOB_GEOMETRY,   /* 1 overwrites the constant part */
  KNOB_PAGES,      /* 1 a device of no pages, 2 of 2^63 */
  KNOB_GENERATION, /* 1 moves it all the time */
  KNOB_INTERRUPTS, /* 1 interrupts all the time */
  KNOB_EVENTS,     /* 1 overwrites events with noise */
  KNOB_SEQUENCE,   /* 1 keeps every cache entry odd, 2 changing */
  KNOB_HOST_STATE, /* a host_state that does not exist */
  KNOB_SESSION,    /* 1 acknowledges another session */
  KNOBS
};
struct shared {
  uint32_t knobs[KNOBS];
  uint64_t device_pages;
  uint64_t held;
  uint32_t connections;
};

extern struct shared *shared;
extern uint8_t *region;
extern struct vmswap_ring_header *header;
extern struct vmswap_ring_geometry geometry;
extern uint8_t *store;   /* the pool */
extern uint8_t *present; /* of each page */
extern uint64_t store_pages;
extern int doorbell, interrupt;

/* How far the server has come. */
struct host {
  uint32_t tail, submit_tail, hint_tail, complete_head;
  uint32_t session;
  uint64_t beat;
};
extern struct host host;

#define COUNT(part) (geometry.parts[VMSWAP_RING_##part].count)
#define PART(part, type)                                                       \
  ((type *) (region + geometry.parts[VMSWAP_RING_##part].offset))
#define POSTS PART (POSTS, struct vmswap_ring_post)
#define SUBMITS PART (SUBMITS, uint32_t)
#define COMPLETES PART (COMPLETES, uint32_t)
#define REQUESTS PART (REQUESTS, struct vmswap_ring_request)
#define RESULTS PART (RESULTS, struct vmswap_ring_result)
#define CACHE PART (CACHE, struct vmswap_ring_cache_set)
#define PAGE VMSWAP_RING_PAGE_SIZE

#define RELAXED(p) __atomic_load_n (p, __ATOMIC_RELAXED)
#define ACQUIRE(p) __atomic_load_n (p, __ATOMIC_ACQUIRE)
#define SET(p, v) __atomic_store_n (p, v, __ATOMIC_RELAXED)
#define RELEASE(p, v) __atomic_store_n (p, v, __ATOMIC_RELEASE)
#define FULL_BARRIER() __atomic_thread_fence (__ATOMIC_SEQ_CST)

static inline uint32_t
knob (enum knob knob)
{
  return RELAXED (&shared->knobs[knob]);
}

/* Says why (errno), and ends. */
extern void die (const char *what);

/* Writes to an eventfd. */
extern void notify (int fd);

/* The same numbers in each run. */
extern uint32_t noise (void);

/* Posts that may be done, and requests: was there any? */
extern bool posts_do (void);
extern bool requests_do (void);

/* Does a post; false if there is no room for it. */
extern bool post_do (uint32_t position);

/* Makes the cache hold nothing. */
extern void cache_empty (void);

/* The life of a server, in a process of its own. */
extern void server_run (void);

extern void server_start (void);
extern void server_kill (void);

extern void keeper_init (uint64_t region_mib, uint64_t device_mib);
extern int socket_listen (const char *path);

/* The connection of a QEMU that has been given everything. */
extern int qemu_accept (int listener);

#endif /* VMSWAP_IVSHMEM_HOST_H */
