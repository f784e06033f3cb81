// SPDX-License-Identifier: BSD-3-Clause
/* A client whose server is killed again and again: kill-client.c starts the
 * workers and watches them, kill-worker.c is what one of them does, and
 * kill-requests.c what it asks for. */

#ifndef VMSWAP_KILL_CLIENT_H
#define VMSWAP_KILL_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shadow.h"
#include "test.h" /* struct rng */

#define MAX_SLOTS 64
#define MAX_PAGES 64             /* of a request */
#define CHUNK (MAX_PAGES * PAGE) /* of a read that verifies */

/* A request, from its making until its outcome is known. */
struct slot {
  enum { FREE, READ, WRITE, ZERO, TRIM } kind;
  bool flying;   /* sent to the server of today */
  bool settling; /* being read back, as its outcome is not known */
  bool whole_pages_are_new;
  uint32_t offset, count;
  uint32_t done;   /* settling: so much has been read back */
  uint32_t length; /* flying and settling: so much is being read */
  uint8_t *data;   /* WRITE: what is written */
  uint8_t *buf;    /* what is read goes here */
  uint64_t cookie;
};

/* What a worker is at. */
enum mode {
  MIX,
  DRAIN,  /* waits for all its requests; then next_mode */
  WHOLE,  /* trims its whole range */
  VERIFY, /* reads its whole range */
};

struct worker {
  pthread_t thread;
  struct nbd_handle *nbd; /* NULL: not connected */
  const char *socket;
  const char *export;
  uint64_t export_size;
  bool owns_export; /* there is no other worker on it */
  struct shadow shadow;
  struct rng rng;

  struct slot slots[MAX_SLOTS];
  unsigned nr_slots;
  enum mode mode, next_mode;
  uint32_t cursor;         /* VERIFY: the next byte */
  unsigned nr_sample;      /* reads to make before anything else */
  unsigned trims, changes; /* of 100 requests, in this phase */
  unsigned phase_left;     /* requests until the next phase */

  /* Read by the watchdog. */
  _Atomic uint64_t progress; /* answers */
  _Atomic bool connected;
  _Atomic bool finished;

  /* Counts. */
  _Atomic uint64_t requests, pages, refused, reconnects;
  _Atomic uint64_t unacknowledged; /* changes whose answer never came */
  _Atomic uint64_t shutdowns;      /* answers ESHUTDOWN */
  _Atomic uint64_t verifies;
};

/* Set: finish what is under way, read everything once more, and end. */
extern _Atomic bool stopping;

/* The body of the thread. */
extern void *worker_run (void *opaque);

/* A number below limit. */
extern uint32_t worker_dice (struct worker *w, uint32_t limit);
extern void *worker_allocate (size_t size);
extern bool worker_all_free (const struct worker *w);

/* Fills a free slot with a new request; false: not now. */
extern bool worker_make_request (struct worker *w, struct slot *slot);

/* What follows when a mode is done and nothing is under way. */
extern void worker_next_mode (struct worker *w);

/* Asks for nothing new until all is answered, then for this. */
extern void worker_drain (struct worker *w, enum mode next);

/* Phases that fill the pool, and others that empty it. */
extern void worker_next_phase (struct worker *w);

/* Prints what was wrong and the counts, and ends the program with status 1. */
extern void report_wrong (unsigned pages, const char *format, ...)
    __attribute__ ((format (printf, 2, 3), noreturn));

#endif /* VMSWAP_KILL_CLIENT_H */
