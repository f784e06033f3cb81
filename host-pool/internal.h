// SPDX-License-Identifier: BSD-3-Clause
/* The pool and the volume, from inside.  Each part is described in its own
 * header; the data path goes io.c -> page.c -> table.c / lane.c. */

#ifndef VMSWAP_INTERNAL_H
#define VMSWAP_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "codec.h"
#include "cold.h"
#include "frame.h"
#include "group.h"
#include "index.h"
#include "lane.h"
#include "lock.h"
#include "pool.h"
#include "quota.h"
#include "segment.h"
#include "worker.h"

#ifndef NR_STRIPES /* fewer where pools live for a millisecond: fuzz */
#define NR_STRIPES 256
#define NR_PARTIAL_LOCKS 64
#define NR_ENTRY_STRIPES 64
#endif

/* Padded, so that neighbours do not share a cache line. */
struct stripe {
  struct lock lock;
} __attribute__ ((aligned (64)));

/* Counts are kept in shards, so that requests at the same time do not share a
 * cache line; a sum is exact when no request is under way. */
#define NR_SHARDS 4

/* Pages of a long write after which it is counted. */
#define TALLY_EVERY 16

/* Counts of one volume.  Requests add to a shard once, at their end. */
struct counters {
  _Atomic uint64_t blob_pages, raw_pages, fill_pages, lost_pages;
  _Atomic uint64_t data_bytes, blob_bytes;
  _Atomic uint64_t shared_pages, shared_bytes, share_lookups, share_hits;
  _Atomic uint64_t cold_pages, cold_bytes;
  _Atomic uint64_t pages_written, pages_read, pages_trimmed, bad_pages;
  _Atomic uint64_t writes_refused, quota_refused;
} __attribute__ ((aligned (64)));

/* What one request changes in them.  Differences: may "wrap" below zero. */
struct tally {
  uint64_t blob_pages, raw_pages, fill_pages, lost_pages;
  uint64_t data_bytes, blob_bytes;
  uint64_t shared_pages, shared_bytes, share_lookups, share_hits;
  uint64_t cold_pages, cold_bytes;
  uint64_t pages_written, pages_read, pages_trimmed, bad_pages;
  uint64_t writes_refused, quota_refused;
  uint64_t ahead; /* of blob_bytes: counted already (quota.c) */
  bool freed;     /* something came free before the last tally_apply */
};

/* Writers that wait until memory comes free (space.c). */
struct space {
  struct lock lock;
  pthread_cond_t cond;
  _Atomic uint32_t waiting;
  _Atomic uint64_t serial;  /* how often memory came free */
  _Atomic uint64_t refused; /* serial when the last refused write began */
};

struct volume {
  struct pool *pool;
  struct vmswap_image_volume *image;
  uint32_t id;             /* index in the image's table */
  _Atomic uint16_t scope;  /* sharing.h: who its pages may be shared with */
  uint64_t size;           /* bytes */
  _Atomic uint32_t frames; /* roots, directories and leaves it has */
  struct counters counters[NR_SHARDS];
  struct limits limits;
  struct space space; /* for those whose quota is reached */
};

enum clean_effort {
  CLEAN_IDLE,   /* tidy up: any dead bytes are worth it */
  CLEAN_STEADY, /* guests write a little: memory follows what they trim */
  CLEAN_LAZY,   /* keep the dead share bounded */
  CLEAN_FORCED /* room is needed now */
};

struct cleaner_memory; /* cleaner.c */

struct cleaner {
  struct lock lock; /* one cleaner at a time; also the next three fields */
  struct cleaner_memory *memory;
  unsigned nr_victims;      /* left of the last scan */
  enum clean_effort effort; /* of the last scan */
  _Atomic uint64_t cleaned, moved, rescued;
};

/* sharing.c */
struct sharing {
  struct volume blobs;  /* entry -> word of its blob */
  struct volume counts; /* entry -> struct entry, packed */
  struct vmswap_image_volume counts_image;
  struct stripe stripe[NR_ENTRY_STRIPES];
  _Atomic uint32_t cursor;  /* where the search for a free entry begins */
  _Atomic uint32_t entries; /* in use */
  unsigned nr_groups;       /* under the lock of the volumes */
  uint64_t group[POOL_MAX_VOLUMES]; /* their keys */

  /* sharing-sweep.c; of the steward. */
  enum pool_sharing wanted;
  bool sweeping;
  uint32_t sweep_volume;
  uint64_t sweep_page;
  uint64_t lookups, hits; /* when it was last weighed */
};

struct steward {
  sem_t wake; /* stop, or groups are compressed: cold.c */
  pthread_t thread;
  bool running;
  atomic_bool stop;
};

struct pool {
  struct arena arena;
  uint64_t fixed_bytes; /* charged for good: all but frames and segments */
  _Atomic bool tight;   /* above its capacity: see capacity.c */
  _Atomic uint64_t reserved, unfilled, promised; /* over all volumes: quota.c */
  struct blob_shard {
    _Atomic uint64_t bytes;  /* of live blobs, over all volumes */
    _Atomic uint64_t shared; /* the sum of their shared_bytes */
  } __attribute__ ((aligned (64))) blob_shard[NR_SHARDS];
  const struct codec *codec;
  struct workers workers;
  struct frames frames;
  struct segments segments;
  struct lanes lanes;
  struct index index;
  struct decoders decoders;
  struct cold cold;
  struct sharing sharing;
  struct stripe stripe[NR_STRIPES];
  struct stripe partial[NR_PARTIAL_LOCKS];
  struct space space;
  struct cleaner cleaner;
  struct steward steward;

  struct lock volumes_lock;
  struct volume *volume[POOL_MAX_VOLUMES]; /* NULL: free; the cleaner reads it
                                            * under its own lock */
  struct tally departed; /* lifetime counts of deleted volumes */
};

/* page.c: one page. */

/* Looks the page up.  Its stripe lock is held. */
extern void page_expect_locked (struct volume *volume, uint32_t page,
                                struct expected *ret);

/* Stores 4096 bytes as the page's content; data may be worker->page.  if_still
 * (may be NULL): only if the page has not changed since; -EAGAIN if it has. */
extern int page_write (struct volume *volume, struct worker *worker,
                       struct tally *tally, uint32_t page, const void *data,
                       const struct expected *if_still);

/* Looks up n pages of one leaf: their words, and for shared ones those of their
 * entries, at one moment. */
extern void page_look_run (struct volume *volume, uint32_t page, unsigned n,
                           uint64_t *words, uint64_t *places);

/* Decodes what the word names; place: that of its entry, if it is shared.  The
 * caller is in an epoch that began before it looked them up.  -EIO: the content
 * failed its check. */
extern int page_decode (struct volume *volume, uint32_t page, uint64_t word,
                        uint64_t place, void *data);

/* The same for the first of n pages, and for those after it that lie in one
 * group with it, since they come at no price.  data: room for all.  Returns how
 * many, or 0: the first of them failed.  What is read that way is not cold any
 * more. */
extern unsigned page_decode_run (struct volume *volume, uint32_t page,
                                 const uint64_t *words, const uint64_t *places,
                                 unsigned n, void *data);

/* The page may share what another holds already: looks for that.  Uses
 * worker->page. */
extern void page_share (struct volume *volume, struct worker *worker,
                        struct tally *tally, uint32_t page);

/* Makes the blob of a page in worker->blob.  The word lacks its place. */
extern uint64_t page_encode (struct volume *volume, struct worker *worker,
                             uint32_t page, const void *data, uint64_t print);

/* Stores the page in a blob of its own, if it has not changed since; data is its
 * content.  Does not make room: -ENOSPC. */
extern int page_restore (struct volume *volume, struct worker *worker,
                         struct tally *tally, uint32_t page, const void *data,
                         uint64_t print, const struct expected *expected);

/* Decodes the blob or group that the word of a page of this owner names; *print
 * (may be NULL) is the fingerprint of the content.  In an epoch, as above. */
extern int blob_decode (const struct volume *owner, uint32_t page,
                        uint64_t word, void *data, uint64_t *print);

/* What the header and the word of a blob tell of its fingerprint, PRINT_BITS of
 * it.  False: it is not the page's. */
extern bool blob_print (const struct volume *owner, uint32_t page,
                        uint64_t word, uint64_t *print);

/* Do the header and the word of a blob name this fingerprint, as far as they
 * tell? */
extern bool blob_has_print (const struct volume *owner, uint32_t page,
                            uint64_t word, uint64_t print);

/* Stores zeroes in the page. */
extern int page_zero (struct volume *volume, struct tally *tally,
                      uint32_t page);

/* Accounts for a word that its page does not hold any more.  The stripe lock of
 * the page is held. */
extern void page_release_locked (struct volume *volume, uint32_t page,
                                 struct tally *tally, uint64_t word);

/* The bytes of blobs that would come free without this word of the page: none
 * as long as others name its group.  The stripe lock of the page is held. */
extern uint32_t page_freeable_locked (struct volume *volume, uint32_t page,
                                      uint64_t word);

/* Counts a word that was stored (sign +1) or replaced (-1). */
extern void tally_word (struct tally *tally, uint64_t word, int64_t sign);

/* partial.c: part of one page; data NULL means zeroes. */
extern int partial_read (struct volume *volume, struct worker *worker,
                         struct tally *tally, uint32_t page, unsigned offset,
                         unsigned length, void *data);
extern int partial_write (struct volume *volume, struct worker *worker,
                          struct tally *tally, uint32_t page, unsigned offset,
                          unsigned length, const void *data);

/* clear.c: drops whole pages. */
extern void clear_pages (struct volume *volume, struct tally *tally,
                         uint64_t first, uint64_t end);

/* loss.c: pages that are lost without a word each. */

/* Is the page lost, if its word is empty? */
extern bool loss_covers (const struct volume *volume, uint64_t page);

/* The part of [*first, *end) that is; false: none. */
extern bool loss_overlap (const struct volume *volume, uint64_t *first,
                          uint64_t *end);

/* The process may have died while the size changed. */
extern void loss_adopt (struct volume *volume);

/* Pages from the end of what is lost up to this one are lost, too. */
extern void loss_grow (struct volume *volume, uint64_t end);

/* The pages were dropped on purpose. */
extern void loss_shrink (struct volume *volume, uint64_t first, uint64_t end);

/* capacity.c: how full is full. */

/* What is kept free of live blobs and tables, so that cleaning stays
 * affordable and pages that have a blob already can be overwritten. */
extern uint64_t pool_slack (const struct pool *pool);

/* Charged for as long as sharing stays as it is: all but frames and segments.
 */
extern uint64_t pool_fixed_bytes (const struct pool *pool);
extern uint64_t pool_capacity (struct pool *pool);

/* What page tables take. */
extern uint64_t pool_table_bytes (struct pool *pool);

/* The most that live blobs can have come to in a pool of this limit.  Far
 * beyond its capacity: overwrites use up the slack, and then the tables may
 * grow. */
extern uint64_t pool_utmost (struct pool *pool);

/* Sets pool->tight anew. */
extern void pool_weigh (struct pool *pool);

/* May the word, which lacks its place, be stored?  -ENOSPC: the pool is tight,
 * and that would add to it, or take what is reserved.  -EDQUOT. */
extern int page_admit (struct volume *volume, uint32_t page, uint64_t word);

/* reclaim.c: a writer has no segment or no frame: cleans, or gives back what
 * is free elsewhere.  0: try again.  -ENOSPC: nothing is to be had. */
enum reclaim_need { RECLAIM_SEGMENT, RECLAIM_FRAMES };
extern int pool_reclaim (struct pool *pool, enum reclaim_need need);

/* Free segments below which cleaning is urgent. */
extern uint64_t pool_low_water (const struct pool *pool);

/* A writer has room, but little is left: cleans a segment, if nobody does.  So
 * each pays for a part of the cleaning, and none for all. */
extern void pool_lend_a_hand (struct pool *pool);

/* Frees retired segments and tells those who wait for room. */
extern unsigned pool_reap (struct pool *pool);

/* Gives back to the host all memory that is free. */
extern void pool_release_memory (struct pool *pool);

/* volume.c: gives entry id of the image's table its struct volume. */
extern int volume_attach (struct pool *pool, unsigned id, struct volume **ret);
extern void volume_free (struct volume *volume);
extern bool volume_name_is_good (const char *name);

/* Whose blob is it, by the volume in its header?  NULL: nobody's.  Volumes stay
 * as long as the caller holds the lock of the cleaner or of the volumes, or is
 * in an epoch. */
extern struct volume *volume_of_blob (struct pool *pool, uint32_t id);

/* adopt.c: the errors of pool_create. */
extern int pool_adopt (struct pool *pool, const struct pool_config *config);

/* cleaner.c */
extern int cleaner_create (struct pool *pool);
extern void cleaner_destroy (struct pool *pool);

/* Empties one segment.  0: did.  -ENOENT: none is worth the effort.  -EAGAIN:
 * all that are worth it are busy.  -ENOSPC, -ENOMEM: no room for what
 * survives. */
extern int cleaner_step (struct pool *pool, enum clean_effort effort);

/* The same for writers.  -EBUSY: somebody else is at it, or looks at what the
 * cleaner must not change; it may take that one long. */
extern int cleaner_try (struct pool *pool, enum clean_effort effort);

/* lanes_seal, between two steps.  cleaner_try_seal is for writers; false:
 * somebody else cleans. */
extern void cleaner_seal (struct pool *pool);
extern bool cleaner_try_seal (struct pool *pool);

/* steward.c */

/* A batch is DONE: cold.c. */
extern void steward_nudge (struct pool *pool);
extern void steward_create (struct pool *pool);
extern void steward_destroy (struct pool *pool);

/* space.c */
extern void space_create (struct space *space);
extern void space_destroy (struct space *space);
extern void space_notify (struct space *space);
extern uint64_t space_serial (struct space *space);
extern void space_refused (struct space *space, uint64_t serial);

/* stats.c: counts what a request did. */
extern void tally_apply (struct volume *volume, const struct tally *tally,
                         unsigned shard);

/* … for quota.c: no more than that. */
extern void tally_add (struct volume *volume, const struct tally *tally,
                       unsigned shard);
extern uint64_t pool_blob_bytes (struct pool *pool);
extern void tally_depart (struct pool *pool, struct volume *volume);

/* Are there limits to what the volume holds? */
static inline bool
volume_is_limited (const struct volume *volume)
{
  return __builtin_expect (
      atomic_load_explicit (&volume->limits.any, memory_order_relaxed), 0);
}

#endif /* VMSWAP_INTERNAL_H */
