// SPDX-License-Identifier: BSD-3-Clause
/* The pool: a store of pages, addressed by (volume, byte offset).
 *
 * A volume is the swap device of one guest.  Its data lives, compressed,
 * in the arena of the pool: one shared mapping cut into segments of 1 MiB
 * that are filled like a log and emptied by a cleaner (log-structured, after
 * Rosenblum and Ousterhout, "The Design and Implementation of a
 * Log-Structured File System", SOSP'91, sections 3 and 5).  ARCHITECTURE.md
 * tells the whole story.
 *
 * Units      bytes, unless the name says otherwise; a page is 4096 bytes.
 * Errors     functions return 0 or -errno, and log nothing.
 * Threads    every function may be called by any number of threads at once,
 *            except pool_create, pool_destroy and the two that start and
 *            stop the steward: those belong to the owner of the pool.
 * Ownership  the caller owns its buffers; volumes belong to the pool and
 *            live until it is destroyed or they are deleted.
 */

#ifndef VMSWAP_POOL_H
#define VMSWAP_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_PAGE_SIZE 4096u
#ifndef POOL_SEGMENT_SIZE /* smaller where pools live for a millisecond: fuzz */
#define POOL_SEGMENT_SIZE (1u << 20)
#endif
#define POOL_MIN_LIMIT (UINT64_C (16) << 20)
#define POOL_MAX_LIMIT (UINT64_C (8) << 40)
#ifndef POOL_MAX_VOLUMES /* likewise */
#define POOL_MAX_VOLUMES 1024u
#endif
#define VOLUME_NAME_MAX 127u /* bytes, without the final NUL */
#define VOLUME_MAX_SIZE (UINT64_C (16) << 40)

struct pool;
struct volume;

/* Are identical pages stored once?  AUTO looks at a sample of the pages that are
 * written, and at all of them while that pays. */
enum pool_sharing { POOL_SHARING_AUTO, POOL_SHARING_OFF, POOL_SHARING_ALWAYS };

/* What happens to pages that were written long ago: they are compressed anew with
 * zstd, four neighbours together, by a thread of its own at idle priority, when
 * the steward runs.  Whoever reads one of them makes the four single, fast pages
 * again, and young.  Reads before that do not count: swap is read once. */
struct pool_cold {
  bool on;
  unsigned after; /* seconds; a pool that is full takes younger ones */
  unsigned cpu;   /* percent of one CPU, at the most; 0: 10 */
  int level;      /* of zstd, 1 to 19; 0: 3 */
};

#define POOL_COLD_MAX_LEVEL 19

/* What a pool is made from.  Zero means the default in every field but
 * limit. */
struct pool_config {
  uint64_t limit;    /* host memory for everything, metadata included */
  const char *codec; /* name of the compressor: "lz4" (default), "none" */

  enum pool_sharing sharing;
  struct pool_cold cold;

  /* A directory on tmpfs, or NULL.  The pool then lives in a file there, and
   * the next pool_create finds its pages again, however this process ends. */
  const char *state;

  /* Only look at the pool in state, wherever that is: nothing there changes,
   * and what is done to the pool stays in the memory of this process.  limit
   * and codec are not looked at: the limit is the one in the image. */
  bool look_only;

  /* Where pool_create says in words why it failed; may be NULL. */
  char *reason;
  size_t reason_size;

  /* Test hook: called before the pool acquires memory of any kind (a segment,
   * table frames, its own structures).  Returning true makes that
   * acquisition fail. */
  bool (*deny) (void *opaque);
  void *deny_opaque;
};

/* Creates an empty pool, or adopts the one that config->state holds.
 *
 * -EINVAL: the limit is outside POOL_MIN_LIMIT..POOL_MAX_LIMIT, there is no
 * such codec, state is not on tmpfs, or its image has no room for the limit.
 * -EBUSY: another process serves this state.  -EUCLEAN: the image there is
 * damaged, cut short or of another version; it is left as it is.  -ENOSPC: what
 * it holds is more than the limit allows, or its tmpfs is smaller than the
 * limit.  -ENODATA (look_only): there is an image without a pool yet, which a
 * server would fill.  -ENOMEM and the errors of open, memfd_create and mmap.  No thread is
 * started: a pool without a steward cleans when a writer needs room. */
extern int pool_create (const struct pool_config *config, struct pool **ret);

/* Was there something in config->state? */
extern bool pool_was_adopted (const struct pool *pool);

/* A number that no other pool has; the next process to adopt it sees the same.
 */
extern uint64_t pool_identity (const struct pool *pool);

/* Frees the pool, its volumes and all their pages; with config->state, they
 * stay in the file.  The steward must be stopped and nobody else may be
 * inside. */
extern void pool_destroy (struct pool *pool);

/* Locks the arena into memory, page by page as it is used (mlock2 with
 * MLOCK_ONFAULT).  Locks do not survive fork: call it in the process that
 * serves.  -EPERM, -ENOMEM: not allowed (RLIMIT_MEMLOCK, CAP_IPC_LOCK); the
 * pool works, but the host may swap it. */
extern int pool_lock_memory (struct pool *pool);

/* The bytes of address space that pool_lock_memory locks, for a message about
 * RLIMIT_MEMLOCK. */
extern uint64_t pool_lockable_bytes (const struct pool *pool);

/* The steward is the background thread that cleans, keeps a segment ready
 * for writers and gives free memory back to the host.  Start it after the
 * last fork.  Stopping waits for it. */
extern int pool_start_steward (struct pool *pool);
extern void pool_stop_steward (struct pool *pool);

/* Waits until memory came free since the last write that failed (anybody's,
 * so call it again after each failure of your own), or for the given time.  0:
 * try again.  -ETIMEDOUT: the time is over. */
extern int pool_wait_space (struct pool *pool, unsigned milliseconds);

/* The same for a write that failed with -EDQUOT: waits until the volume itself
 * frees something, or its limits change. */
extern int volume_wait_space (struct volume *volume, unsigned milliseconds);

/* Does at once all that the steward would do with an idle pool: compact, and
 * give free memory back to the host.  For tests, benches and the operator.
 * -ENOSPC: a reader, that lost its CPU say, held what was to be freed for longer
 * than anybody waits; the pool is whole, and it may be called again. */
extern int pool_compact (struct pool *pool);

/* Proves every invariant of the pool; stops all writers while it looks.
 * Returns 0, or -EUCLEAN with the first broken invariant in words in
 * report.  verify: also decompresses every page and checks its fingerprint
 * (slow). */
extern int pool_check (struct pool *pool, bool verify, char *report,
                       size_t report_size);

/* Counters and gauges of a pool. */
struct pool_stats {
  uint64_t limit;         /* what the pool may use */
  uint64_t used;          /* bytes of host memory it holds, all counted */
  uint64_t fixed_bytes;   /* of these: superblock, segment table, bitmaps… */
  uint64_t table_bytes;   /* of these: page tables */
  uint64_t segment_bytes; /* of these: segments that hold or held pages */
  uint64_t free_bytes;    /* of segment_bytes: free, not yet given back */

  uint64_t blob_bytes; /* live blobs, headers and padding included */
  uint64_t data_bytes; /* live compressed bytes alone */
  uint64_t stored_pages; /* pages that hold data: all of those below but lost
                          * ones */
  uint64_t blob_pages;   /* pages with a blob of their own */
  uint64_t raw_pages;  /* of these: incompressible, stored as they are */
  uint64_t fill_pages; /* pages of one repeated value, no blob */
  uint64_t lost_pages; /* pages whose data is gone: they read as errors */

  uint64_t cold_pages;   /* pages in groups, compressed together */
  uint64_t cold_bytes;   /* what those take, of blob_bytes */
  uint64_t pages_cooled; /* pages that went into groups, by this process */
  uint64_t pages_warmed; /* … and came out, because they were read */
  uint64_t cold_cpu_ns;  /* CPU time that this took */

  uint64_t shared_pages;      /* pages that share a blob */
  uint64_t shared_bytes;      /* what they would take without */
  uint64_t shared_blobs;      /* … and the blobs that they share */
  uint64_t shared_blob_bytes; /* … and what those take, of blob_bytes */
  uint64_t sharing_all;       /* 1: every page is looked up, 0: a sample */
  uint64_t capacity;   /* blob_bytes at which writes fail with -ENOSPC now, if
                        * nothing is reserved */
  uint64_t volumes;    /* volumes that exist */

  uint64_t reserved;   /* the sum of all reserves */
  uint64_t unfilled;   /* of that: not held yet by those it is for */
  uint64_t reservable; /* what reserves may add up to */
  uint64_t missing;    /* of unfilled: held by others, who had it before */

  uint64_t pages_written;    /* since the pool was made, from here on */
  uint64_t pages_read;       /* empty pages included */
  uint64_t pages_trimmed;    /* pages that held data and were dropped */
  uint64_t writes_refused;   /* writes that ended with -ENOSPC or -ENOMEM */
  uint64_t quota_refused;    /* … with -EDQUOT */
  uint64_t bad_pages;        /* reads refused: content failed its check */
  uint64_t share_lookups;  /* pages that were looked up to be shared */
  uint64_t share_hits;     /* … and found */
  uint64_t segments_cleaned; /* victims of the cleaner */
  uint64_t segments_rescued; /* of these: emptied by way of the page tables,
                              * because their headers made no sense */
  uint64_t bytes_moved;      /* blobs the cleaner copied */
};

extern void pool_get_stats (struct pool *pool, struct pool_stats *ret);

/* One of them, at the price of a load. */
extern uint64_t pool_unfilled (const struct pool *pool);

/* Finds the volume, or makes an empty one.  size is a multiple of
 * POOL_PAGE_SIZE.  *created (may be NULL) tells which it was.
 *
 * -EINVAL: bad size, or the name is empty, too long or not printable.
 * -EEXIST: the volume exists with another size.
 * -ENOSPC: POOL_MAX_VOLUMES are there already. */
extern int volume_open (struct pool *pool, const char *name, uint64_t size,
                        struct volume **ret, bool *created);

/* NULL: there is none of that name. */
extern struct volume *volume_find (struct pool *pool, const char *name);

/* Calls fn for every volume until it returns other than 0, and returns
 * that. */
extern int volume_each (struct pool *pool,
                        int (*fn) (struct volume *volume, void *opaque),
                        void *opaque);

/* Drops all pages of the volume and its name.  Nobody may be using it. */
extern void volume_delete (struct volume *volume);

/* Every page from offset on that holds nothing becomes a lost one: for a volume
 * whose pages went with an earlier pool.  Reading a lost page fails with -EIO; writing it
 * mends it.  A trim mends pages at either end of what is lost, so that one of
 * the whole volume, in order, mends it all; inside, trimmed pages stay lost.
 * Nobody may be using the volume. */
extern void volume_lose (struct volume *volume, uint64_t offset);

/* One whole page becomes lost, whatever it holds: its newest content could not
 * be stored, and the old must not be read for it.  Where there is no room to note
 * that of a page that holds nothing, empty pages between it and others that are
 * lost in this way, or by volume_lose, are lost with it.  Nobody else may be
 * changing the volume.  -EINVAL: offset names no page. */
extern int volume_lose_page (struct volume *volume, uint64_t offset);

/* Is anything of that left? */
extern bool volume_is_lost (const struct volume *volume);

/* Lost pages read as zero from now on: their owner does not want them back. */
extern void volume_forgive (struct volume *volume);

/* Changes the size of a volume that nobody uses.  What is added to one that is
 * lost is lost, too.  -EBUSY: pages beyond the new
 * size hold data.  -EINVAL: bad size. */
extern int volume_resize (struct volume *volume, uint64_t size);

/* From now on, pages that are written to the volume may share memory with the
 * same pages of the other volumes of the group; without a group (NULL, and a
 * new volume), with those of the volume itself alone.  What is shared already
 * stays so.  The group stays with the volume as long as that exists.  Sharing
 * can be noticed: a page that is there already is written faster.  -ENOSPC:
 * there are POOL_MAX_VOLUMES groups. */
extern int volume_set_group (struct volume *volume, const char *group);

/* Limits what the volume holds (its blobs with headers and padding,
 * incompressible pages at their real size, and its page tables), from now on
 * and at any time.  Of a quota, a page that shares its blob takes as much as if
 * it did not, so that nothing which others do counts; it fills no reserve. Both are bytes; 0: none.  They are not stored with the pool.
 *
 * quota    A page that would take the volume above it is refused with -EDQUOT.
 *          What makes nothing larger is stored at any time, trims too; so a
 *          volume that holds more when its quota is lowered stays as it is.
 *          Blobs are counted exactly.  Page tables may exceed the quota by 12
 *          KiB for each request that is under way in that moment (32 at the
 *          most), and a request that is under way while this function is
 *          called by 16 pages more.
 * reserve  Pages of others are refused with -ENOSPC when they would leave less
 *          of the pool than is missing to the reserve.  A volume is never
 * refused room (-ENOSPC) up to its reserve.  But if others hold what is needed
 *          when the reserve is set, it is only there once pool_stats.missing
 * has been 0; until then nobody else grows.
 *
 * -EINVAL: a quota below the reserve.  -ENOSPC: the reserves of all volumes
 * would come to more than pool_stats.reservable.  Nothing has changed then. */
extern int volume_set_limits (struct volume *volume, uint64_t quota,
                              uint64_t reserve);

extern const char *volume_name (const struct volume *volume);
extern uint64_t volume_size (const struct volume *volume);

/* Data.  offset and length are any bytes inside the volume (-EINVAL beyond
 * it); requests that are not whole pages cost a read-modify-write at their
 * edges, and lose nothing when several of them meet in one page.  Each page
 * changes at once or not at all; a request of many pages may stop half way
 * with an error, and then some of its pages are new and the others old.
 *
 * volume_read: bytes never written, trimmed or zeroed read as zero.  -EIO: a
 * page failed its check, or is lost; nothing wrong is ever returned.
 *
 * volume_write, volume_zero: -ENOSPC: the pool is full, or the rest of it is
 * reserved for others.  -EDQUOT: the quota of the volume is reached.  -ENOMEM:
 * the host gave no memory.  The page at which it stopped holds what it held
 * before.
 *
 * volume_trim: reads as zero afterwards.  Part of a page at an edge is
 * zeroed only while there is room for the rest of the page; a trim never
 * fails for lack of room. */
extern int volume_read (struct volume *volume, void *buf, size_t length,
                        uint64_t offset);
extern int volume_write (struct volume *volume, const void *buf, size_t length,
                         uint64_t offset);
extern int volume_zero (struct volume *volume, uint64_t length,
                        uint64_t offset);
extern int volume_trim (struct volume *volume, uint64_t length,
                        uint64_t offset);

/* Reads one whole page without being counted: the server's own look. */
extern int volume_peek (struct volume *volume, void *buf, uint64_t offset);

/* The same, for what is brought before it is asked for.  -ENODATA: nothing is
 * stored there. */
extern int volume_peek_stored (struct volume *volume, void *buf,
                               uint64_t offset);

/* Which parts of a range hold data.  fn is called in order of offset, without
 * any lock held; neighbours differ in kind; the last call ends at
 * offset + length.  fn returns 0 to go on; else the walk ends with that. */
enum volume_extent { VOLUME_EXTENT_HOLE, VOLUME_EXTENT_DATA };
typedef int volume_extent_fn (void *opaque, uint64_t offset, uint64_t length,
                              enum volume_extent kind);
extern int volume_extents (struct volume *volume, uint64_t length,
                           uint64_t offset, volume_extent_fn *fn, void *opaque);

/* Reads every page of a part of the volume, decompresses it and checks its
 * fingerprint; offset and length are whole pages.  fn is called, in order and
 * without any lock held, for each page that is damaged: its data is there, but
 * not what was stored.  Lost pages are not damaged.  fn returns 0 to go on;
 * else the walk ends with that. */
typedef int volume_damage_fn (void *opaque, uint64_t page);
extern int volume_verify (struct volume *volume, uint64_t length,
                          uint64_t offset, volume_damage_fn *fn, void *opaque);

/* The pages that are lost, those of volume_lose included.  Looks at the whole
 * page table. */
extern uint64_t volume_count_lost (struct volume *volume);

struct volume_stats {
  uint64_t size;          /* virtual size */
  uint64_t stored_pages;  /* pages that hold data: blob, cold, shared, fill */
  uint64_t blob_pages;    /* pages with a blob of their own */
  uint64_t raw_pages;     /* of these: incompressible */
  uint64_t fill_pages;    /* pages of one repeated value */
  uint64_t lost_pages;    /* pages whose data is gone */
  uint64_t cold_pages;    /* pages in groups, compressed together */
  uint64_t cold_bytes;    /* what those take, of blob_bytes */
  uint64_t shared_pages;  /* pages that share a blob with others */
  uint64_t shared_bytes;  /* what these would take without */
  uint64_t shared_part;   /* … and take: each pays its part of what it shares,
                           * on the average of the pool */
  uint64_t blob_bytes;    /* what its own blobs take in the arena */
  uint64_t data_bytes;    /* compressed bytes alone */
  uint64_t table_bytes;   /* what its page table takes */
  uint64_t pages_written; /* since the volume was made, from here on */
  uint64_t pages_read;
  uint64_t pages_trimmed;
  uint64_t bad_pages;
  uint64_t quota_refused; /* writes that ended with -EDQUOT */

  uint64_t charged; /* what counts for the limits: blob_bytes + table_bytes */
  uint64_t quota;   /* 0: none */
  uint64_t reserve;
};

extern void volume_get_stats (struct volume *volume, struct volume_stats *ret);

/* The names of the codecs, NULL-terminated. */
extern const char *const *pool_codecs (void);

#endif /* VMSWAP_POOL_H */
