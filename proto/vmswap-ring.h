/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* The ring: how a guest and the host share one ivshmem region.
 *
 * This is the layout and what each word means; PROTOCOL.md says the same in
 * prose, with the walks through a page's life, restarts and hostile peers.
 *
 *    header         4 KiB   geometry, states, indices
 *    posts          ring    guest -> host  writes and frees, in one order
 *    submits        ring    guest -> host  tags of requests, hints only
 *    completes      ring    host -> guest  tags of results, hints only
 *    hints          ring    guest -> host  pages served by the cache
 *    requests       table   guest -> host  one per tag: read, write, discard
 *    results        table   host -> guest  one per tag
 *    cache          table   host -> guest  sets of 4 entries, a line each
 *    request pages  4 KiB per tag
 *    staging slots  4 KiB per slot: pages that are posted
 *    cache pages    4 KiB per entry
 *
 * Every part starts at a multiple of 4 KiB.  Everything is little endian; there
 * are no pointers.  One region belongs to one guest and one volume.
 *
 * Rules that hold everywhere:
 *  - A word is written by one side only, the one named with it.  A side keeps
 *    its own copy of the words it writes and does not read them back, but when
 *    it starts anew.
 *  - The other side's words are hostile: load each once (READ_ONCE, or an
 *    atomic load), check the copy, use the copy.
 *  - Indices run freely, modulo 2^32; the place in a ring of count entries
 *    (a power of two) is index & (count - 1).
 *  - What is reserved is written as 0 and not looked at.
 *
 * Barriers, by the names that are used below:
 *
 *             Linux guest                user space (GCC, clang)
 *    acquire  virt_load_acquire (p)      __atomic_load_n, __ATOMIC_ACQUIRE
 *    release  virt_store_release (p, v)  __atomic_store_n, __ATOMIC_RELEASE
 *    relaxed  READ_ONCE, WRITE_ONCE      the same, __ATOMIC_RELAXED
 *    read     virt_rmb ()                __atomic_thread_fence, ..._ACQUIRE
 *    write    virt_wmb ()                __atomic_thread_fence, ..._RELEASE
 *    full     virt_mb ()                 __atomic_thread_fence, ..._SEQ_CST
 *
 * (smp_mb () and the like are nothing in a kernel for one CPU; the host is
 * another CPU all the same.)  The region is ordinary memory: map it write-back
 * (memremap (..., MEMREMAP_WB)), not with ioremap ().
 */

#ifndef VMSWAP_RING_H
#define VMSWAP_RING_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <linux/stddef.h>
#include <asm/byteorder.h>
typedef __le16 vmswap_le16;
typedef __le32 vmswap_le32;
typedef __le64 vmswap_le64;
#define VMSWAP_CPU32(le) le32_to_cpu (le)
#define VMSWAP_CPU64(le) le64_to_cpu (le)
#define VMSWAP_LE32(cpu) cpu_to_le32 (cpu)
#define VMSWAP_LE64(cpu) cpu_to_le64 (cpu)
#else
#include <stddef.h>
#include <stdint.h>
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "outside the kernel, vmswap-ring.h is for little endian machines"
#endif
typedef uint16_t vmswap_le16;
typedef uint32_t vmswap_le32;
typedef uint64_t vmswap_le64;
#define VMSWAP_CPU32(le) (le)
#define VMSWAP_CPU64(le) (le)
#define VMSWAP_LE32(cpu) (cpu)
#define VMSWAP_LE64(cpu) (cpu)
#endif

#define VMSWAP_U64(n) ((uint64_t) (n))

#define VMSWAP_RING_MAGIC "VMSWAPRG" /* 8 bytes, no NUL */
#define VMSWAP_RING_VERSION 1
#define VMSWAP_RING_PAGE_SIZE 4096u
#define VMSWAP_RING_SIZE_MIN (VMSWAP_U64 (1) << 20)
#define VMSWAP_RING_SIZE_MAX (VMSWAP_U64 (1) << 30)
#define VMSWAP_RING_SIZE_DEFAULT (VMSWAP_U64 (32) << 20)

/* Bounds of a geometry, whatever the size of the region. */
#define VMSWAP_RING_TAGS_MAX 256u
#define VMSWAP_RING_SLOTS_MAX 65536u
#define VMSWAP_RING_POSTS_MAX (4u * VMSWAP_RING_SLOTS_MAX)
#define VMSWAP_RING_HINTS_MAX 4096u
#define VMSWAP_RING_SETS_MAX 65536u
#define VMSWAP_RING_CACHE_WAYS 4u

/* The most pages a volume may have: 2^40 (4 PiB). */
#define VMSWAP_RING_DEVICE_PAGES_MAX (VMSWAP_U64 (1) << 40)

/* The heartbeat is incremented that often, and a host whose heartbeat has not
 * changed for so long is away. */
#define VMSWAP_RING_HEARTBEAT_MS 1000u
#define VMSWAP_RING_AWAY_MS 5000u

/* What one look at the region may handle before other guests have their turn
 * (the host), or before the CPU is given up (the guest). */
#define VMSWAP_RING_BATCH 64u

/* Features: the host offers them, the guest accepts a subset.  Bits that are
 * not listed are 0 in what a guest accepts. */
#define VMSWAP_RING_FEATURE_FILL VMSWAP_U64 (0x1) /* VMSWAP_POST_FILL */
#define VMSWAP_RING_FEATURE_HINTS                                              \
  VMSWAP_U64 (0x2)                            /* the hints ring is read        \
                                               */
#define VMSWAP_RING_FEATURES VMSWAP_U64 (0x3) /* all that version 1 has */

/* Parts of the region, in the order in which they lie. */
enum vmswap_ring_part_name {
  VMSWAP_RING_POSTS = 0,       /* struct vmswap_ring_post, a power of two */
  VMSWAP_RING_SUBMITS = 1,     /* le32 tags, a power of two >= 2 x requests */
  VMSWAP_RING_COMPLETES = 2,   /* le32 tags, likewise */
  VMSWAP_RING_HINTS = 3,       /* le64 page numbers, a power of two */
  VMSWAP_RING_REQUESTS = 4,    /* struct vmswap_ring_request, one per tag */
  VMSWAP_RING_RESULTS = 5,     /* struct vmswap_ring_result, as many */
  VMSWAP_RING_CACHE = 6,       /* struct vmswap_ring_cache_set, 0: no cache */
  VMSWAP_RING_TAG_PAGES = 7,   /* pages, one per tag */
  VMSWAP_RING_SLOTS = 8,       /* pages, posts >= 2 x slots */
  VMSWAP_RING_CACHE_PAGES = 9, /* pages, 4 per set */
  VMSWAP_RING_PARTS = 10
};

struct vmswap_ring_part {
  vmswap_le32 offset; /* from the start of the region, bytes */
  vmswap_le32 count;  /* entries, not bytes */
};

/* States of the host.  Transitions, and who sees what:
 *
 *   NONE     -> LIVE      the region was made and is complete
 *   LIVE     -> LIVE      another server took over after a crash (generation)
 *   LIVE     -> QUIESCED  a planned stop: the guest is asked to publish no more
 *   QUIESCED -> LIVE      another server took over, or the stop was called off
 *   LIVE     -> DEAD      see the reason; likewise from QUIESCED
 *   DEAD     -> LIVE      a new session, if the reason is BROKEN or FEATURES
 */
enum vmswap_ring_host_state {
  VMSWAP_HOST_NONE = 0,
  VMSWAP_HOST_LIVE = 1,
  VMSWAP_HOST_QUIESCED = 2,
  VMSWAP_HOST_DEAD = 3
};

/* Why the host is DEAD. */
enum vmswap_ring_reason {
  VMSWAP_REASON_NONE = 0,
  VMSWAP_REASON_BROKEN = 1,   /* an index of the guest is impossible */
  VMSWAP_REASON_FEATURES = 2, /* the guest accepted what was not offered */
  VMSWAP_REASON_VERSION = 3,  /* this server cannot serve this region */
  VMSWAP_REASON_REMOVED = 4,  /* the operator took the volume away */
  VMSWAP_REASON_LOST = 5      /* the volume lost its pages */
};

#define VMSWAP_HOST_FULL 0x1u /* in host_flags: no new posted writes */

/* States of the guest's driver.  Transitions:
 *
 *   any      -> STARTING  a driver starts: it asks for a new session
 *   STARTING -> LIVE      session_ack equals session, private state is set up
 *   LIVE     -> QUIESCED  the host is QUIESCED; nothing more will be published
 *   QUIESCED -> LIVE      the host is LIVE again
 *   LIVE     -> DEAD      detached: nothing posted or requested is open
 *   any      -> DEAD      the driver gave up: the host is DEAD or impossible
 */
enum vmswap_ring_guest_state {
  VMSWAP_GUEST_DEAD = 0,
  VMSWAP_GUEST_STARTING = 1,
  VMSWAP_GUEST_LIVE = 2,
  VMSWAP_GUEST_QUIESCED = 3
};

/* The header, at offset 0.  What is at 0..255 is written by the host before the
 * region is given away, and does not change.  Each block after that is 128
 * bytes (two lines, which some CPUs fetch together), written by one side. */
struct vmswap_ring_header {
  /* 0: constant */
  uint8_t magic[8];
  vmswap_le32 version;
  vmswap_le32 page_size;   /* 4096 */
  vmswap_le64 region_size; /* bytes: that of the BAR */
  vmswap_le64 features;    /* offered */
  struct vmswap_ring_part parts[VMSWAP_RING_PARTS];
  uint8_t volume[64]; /* name of the volume, NUL-terminated UTF-8 */
  uint8_t reserved0[80];

  /* 256: host, seldom */
  vmswap_le32 host_state;  /* enum vmswap_ring_host_state */
  vmswap_le32 host_reason; /* enum vmswap_ring_reason, before the state */
  vmswap_le32 host_flags;
  vmswap_le32 generation;   /* +1 by each server that takes the region over */
  vmswap_le32 heartbeat;    /* +1 every VMSWAP_RING_HEARTBEAT_MS */
  vmswap_le32 session_ack;  /* the session of the guest that is served */
  vmswap_le32 bad_posts;    /* posts that were dropped, since it was made */
  vmswap_le32 lost_posts;   /* posts that could not be stored: read as EIO */
  vmswap_le64 device_pages; /* size of the volume; it only grows */
  uint8_t reserved1[88];

  /* 384: guest, seldom */
  vmswap_le32 guest_state; /* enum vmswap_ring_guest_state */
  vmswap_le32 session;     /* asks for a new session by being another number */
  vmswap_le64 guest_features; /* accepted, before the session */
  uint8_t reserved2[112];

  /* 512: host, per batch of posts */
  vmswap_le32 post_tail; /* posts before it are done with, see below */
  uint8_t reserved3[124];

  /* 640: host, per batch of results */
  vmswap_le32 complete_head;
  uint8_t reserved4[124];

  /* 768: host, when it goes to sleep: see vmswap_ring_need_event */
  vmswap_le32 post_event;
  vmswap_le32 submit_event;
  vmswap_le32 hint_event;
  uint8_t reserved5[116];

  /* 896: guest, per batch of posts */
  vmswap_le32 post_head;
  uint8_t reserved6[124];

  /* 1024: guest, per batch of requests */
  vmswap_le32 submit_head;
  uint8_t reserved7[124];

  /* 1152: guest, per page that the cache served */
  vmswap_le32 hint_head;
  uint8_t reserved8[124];

  /* 1280: guest, when it waits */
  vmswap_le32 tail_event;     /* interrupt when post_tail passes it */
  vmswap_le32 complete_event; /* interrupt when complete_head passes it */
  uint8_t reserved9[120];

  uint8_t reserved10[4096 - 1408];
};

/* Posts: what the guest tells the host without waiting.
 *
 * guest: fills posts[post_head] and, for WRITE, the slot; release post_head.
 *        It owns entries and slots again when an acquire load of post_tail has
 *        passed them.
 * host:  acquire post_head; copies the entry; copies the slot; stores the page;
 *        corrects the cache; release post_tail.
 *
 * The ring is one order of writes and frees: posts of the same page take effect
 * in it.  0 <= post_head - post_tail <= count, always; more is BROKEN.  All of
 * a slot's life follows from post_tail, which only the host writes: posts
 * before it are in the pool, posts from it on are not, or not surely, and are
 * done again by a server that takes over.
 *
 *   op      page            arg
 *   WRITE   the page        slot: 0 .. slots - 1; not one of an open post
 *   FREE    the first page  pages: 1 .. device_pages - page
 *   FILL    the page        the 32-bit value that is repeated 1024 times
 *
 * A post that is not so is dropped: post_tail passes it, bad_posts counts it.
 */
enum vmswap_ring_post_op {
  VMSWAP_POST_WRITE = 1,
  VMSWAP_POST_FREE = 2,
  VMSWAP_POST_FILL = 3 /* feature FILL */
};

struct vmswap_ring_post {
  vmswap_le64 page;
  vmswap_le32 arg;
  uint8_t op;
  uint8_t flags; /* 0 */
  vmswap_le16 reserved;
};

/* Requests: what the guest waits for.  A tag is an index into requests, results
 * and tag pages.  A request is open while its serial differs from its result's.
 *
 * guest: fills all but the serial, and the tag's page for WRITE;
 *        release serial := serial + 1;
 *        submits[submit_head] := tag, relaxed; release submit_head.
 * host:  takes the tag; acquire serial, open? copies the request; works; fills
 *        the tag's page for READ; results[tag].status;
 *        release results[tag].serial := the serial of the copy;
 *        completes[complete_head] := tag, relaxed; release complete_head.
 * guest: acquire results[tag].serial, equal to its own? the status and the page
 *        are there; then the tag is free.
 *
 * The tables are what counts, the rings only say where to look: a tag that is
 * not open (or that the host has in work) is passed over, and who finds more
 * than count entries new, or comes back from somewhere, looks at all tags.
 *
 *   op        page       count            after
 *   READ      the page   1                not looked at
 *   WRITE     the page   1                post_head at submission
 *   DISCARD   the first  1 .. pages left  post_head at submission
 *
 * WRITE and DISCARD take effect after the posts before after: their result is
 * given once post_tail has reached it (or at once, if it is an error and
 * nothing was done).  Until then the guest posts nothing for these pages. */
enum vmswap_ring_request_op {
  VMSWAP_REQUEST_READ = 1,
  VMSWAP_REQUEST_WRITE = 2,
  VMSWAP_REQUEST_DISCARD = 3
};

#define VMSWAP_REQUEST_AHEAD 0x1u /* nobody waits for it: others come first */

struct vmswap_ring_request {
  vmswap_le64 page;
  vmswap_le32 count;
  vmswap_le32 after;
  vmswap_le32 serial; /* last */
  uint8_t op;
  uint8_t flags;
  uint8_t reserved[10];
};

/* Results; the numbers are those of Linux, whatever the guest is. */
enum vmswap_ring_status {
  VMSWAP_STATUS_OK = 0,
  VMSWAP_STATUS_IO = 5,       /* the page is lost, or its store failed */
  VMSWAP_STATUS_INVALID = 22, /* page, count, flags or after is impossible */
  VMSWAP_STATUS_FULL = 28,    /* no room: the old page is untouched */
  VMSWAP_STATUS_UNKNOWN_OP = 95
};

struct vmswap_ring_result {
  vmswap_le32 serial; /* last */
  vmswap_le32 status;
  uint8_t reserved[8];
};

/* The cache: pages that the host holds ready, uncompressed.  All of it is
 * written by the host alone.  Page p can be in the 4 entries of set
 * vmswap_ring_cache_set_of (p) only; entry e = 4 x set + way has cache page e.
 *
 * An entry is valid if its sequence is even and not 0, and names its page or
 * VMSWAP_RING_NO_PAGE.
 *
 * host:  sequence := odd, relaxed; write; page := NO_PAGE or the page, relaxed;
 *        the data; release sequence := the next even one.
 * guest: acquire sequence, valid? page, relaxed, mine? copy the data; read;
 *        sequence, relaxed, unchanged?  If not: a miss.  No second try. */
#define VMSWAP_RING_NO_PAGE VMSWAP_U64 (0xffffffffffffffff)

struct vmswap_ring_cache_entry {
  vmswap_le64 page;
  vmswap_le32 sequence;
  vmswap_le32 reserved;
};

struct vmswap_ring_cache_set {
  struct vmswap_ring_cache_entry ways[VMSWAP_RING_CACHE_WAYS];
};

static inline uint32_t
vmswap_ring_cache_set_of (uint64_t page, uint32_t sets)
{
  const uint32_t folded = (uint32_t) (page ^ (page >> 32));

  return (uint32_t) (((uint64_t) (folded * 0x9e3779b1u) * sets) >> 32);
}

/* Notifications.  An index (post_head, submit_head, hint_head, post_tail,
 * complete_head) has an event: who waits stores the position it waits for, and
 * who moves the index from before to now notifies if it passed the event:
 *
 *    waits: event := position, relaxed; full; looks at the index once more;
 *           sleeps only if there is still nothing
 *    moves: release index := now; full; event, relaxed; notifies if needed
 *
 * event = position p: notify once entry p is there.  before is the index when
 * this was last asked (once per batch will do).  Who waits for the next entry
 * stores the index it has seen.  Who polls does nothing: an event that was
 * passed stays silent for 2^32 - 1 entries, and a notification too many is
 * harmless.  For hints, the full barrier may be left out: they may be lost. */
static inline int
vmswap_ring_need_event (uint32_t event, uint32_t now, uint32_t before)
{
  return (uint32_t) (now - event - 1) < (uint32_t) (now - before);
}

/* The geometry in the CPU's order: a checked copy of what the header says. */
struct vmswap_ring_extent {
  uint32_t offset;
  uint32_t count;
};

struct vmswap_ring_geometry {
  struct vmswap_ring_extent parts[VMSWAP_RING_PARTS];
};

static inline uint32_t
vmswap_ring_entry_size (unsigned int part)
{
  switch (part) {
  case VMSWAP_RING_POSTS:
    return (uint32_t) sizeof (struct vmswap_ring_post);
  case VMSWAP_RING_SUBMITS:
  case VMSWAP_RING_COMPLETES:
    return (uint32_t) sizeof (vmswap_le32);
  case VMSWAP_RING_HINTS:
    return (uint32_t) sizeof (vmswap_le64);
  case VMSWAP_RING_REQUESTS:
    return (uint32_t) sizeof (struct vmswap_ring_request);
  case VMSWAP_RING_RESULTS:
    return (uint32_t) sizeof (struct vmswap_ring_result);
  case VMSWAP_RING_CACHE:
    return (uint32_t) sizeof (struct vmswap_ring_cache_set);
  default:
    return VMSWAP_RING_PAGE_SIZE;
  }
}

/* Bytes that a part takes, whole pages. */
static inline uint64_t
vmswap_ring_part_size (unsigned int part, uint32_t count)
{
  const uint64_t bytes = (uint64_t) count * vmswap_ring_entry_size (part);

  return (bytes + VMSWAP_RING_PAGE_SIZE - 1) &
         ~(uint64_t) (VMSWAP_RING_PAGE_SIZE - 1);
}

static inline int
vmswap_ring_power_of_two (uint32_t n)
{
  return n != 0 && (n & (n - 1)) == 0;
}

/* A region's size: that of a PCI BAR, so a power of two. */
static inline int
vmswap_ring_size_is_right (uint64_t size)
{
  return size >= VMSWAP_RING_SIZE_MIN && size <= VMSWAP_RING_SIZE_MAX &&
         (size & (size - 1)) == 0;
}

/* How a server divides a region: a quarter for staging, up to 256 tags, the
 * rest for the cache.  A guest takes any division that passes the check below.
 * Returns 0, or -1 if the size is not right. */
static inline int
vmswap_ring_geometry_for_size (uint64_t size,
                               struct vmswap_ring_geometry *geometry)
{
  struct vmswap_ring_extent *parts = geometry->parts;
  const uint32_t pages = (uint32_t) (size / VMSWAP_RING_PAGE_SIZE);
  uint32_t tags = pages / 32;
  uint64_t offset = VMSWAP_RING_PAGE_SIZE;
  uint64_t left;
  unsigned int i;

  if (!vmswap_ring_size_is_right (size))
    return -1;
  if (tags < 16)
    tags = 16;
  if (tags > VMSWAP_RING_TAGS_MAX)
    tags = VMSWAP_RING_TAGS_MAX;

  parts[VMSWAP_RING_SLOTS].count = pages / 4;
  parts[VMSWAP_RING_POSTS].count = pages;
  parts[VMSWAP_RING_SUBMITS].count = 2 * tags;
  parts[VMSWAP_RING_COMPLETES].count = 2 * tags;
  parts[VMSWAP_RING_HINTS].count = 512;
  parts[VMSWAP_RING_REQUESTS].count = tags;
  parts[VMSWAP_RING_RESULTS].count = tags;
  parts[VMSWAP_RING_TAG_PAGES].count = tags;
  parts[VMSWAP_RING_CACHE].count = 0;
  parts[VMSWAP_RING_CACHE_PAGES].count = 0;

  left = size - offset;
  for (i = 0; i < VMSWAP_RING_PARTS; ++i)
    left -= vmswap_ring_part_size (i, parts[i].count);
  left -= VMSWAP_RING_PAGE_SIZE; /* the table's last page is not whole */
  parts[VMSWAP_RING_CACHE].count =
      (uint32_t) ((left >> 6) / (VMSWAP_RING_CACHE_WAYS * 64 + 1));
  parts[VMSWAP_RING_CACHE_PAGES].count =
      VMSWAP_RING_CACHE_WAYS * parts[VMSWAP_RING_CACHE].count;

  for (i = 0; i < VMSWAP_RING_PARTS; ++i) {
    parts[i].offset = (uint32_t) offset;
    offset += vmswap_ring_part_size (i, parts[i].count);
  }
  return 0;
}

/* Do counts go together?  Returns NULL, or what is wrong. */
static inline const char *
vmswap_ring_counts_check (const struct vmswap_ring_extent *parts)
{
  const uint32_t tags = parts[VMSWAP_RING_REQUESTS].count;
  const uint32_t slots = parts[VMSWAP_RING_SLOTS].count;
  const uint32_t sets = parts[VMSWAP_RING_CACHE].count;
  unsigned int i;

  for (i = VMSWAP_RING_POSTS; i <= VMSWAP_RING_HINTS; ++i)
    if (!vmswap_ring_power_of_two (parts[i].count))
      return "a ring's count is not a power of two";
  if (tags < 1 || tags > VMSWAP_RING_TAGS_MAX)
    return "too few or too many requests";
  if (parts[VMSWAP_RING_RESULTS].count != tags ||
      parts[VMSWAP_RING_TAG_PAGES].count != tags)
    return "requests, results and their pages differ in number";
  if (parts[VMSWAP_RING_SUBMITS].count < 2 * tags ||
      parts[VMSWAP_RING_SUBMITS].count > 4 * VMSWAP_RING_TAGS_MAX ||
      parts[VMSWAP_RING_COMPLETES].count < 2 * tags ||
      parts[VMSWAP_RING_COMPLETES].count > 4 * VMSWAP_RING_TAGS_MAX)
    return "submits or completes: too few or too many";
  if (slots < 1 || slots > VMSWAP_RING_SLOTS_MAX)
    return "too few or too many staging slots";
  if (parts[VMSWAP_RING_POSTS].count < 2 * slots ||
      parts[VMSWAP_RING_POSTS].count > VMSWAP_RING_POSTS_MAX)
    return "posts: too few or too many";
  if (parts[VMSWAP_RING_HINTS].count > VMSWAP_RING_HINTS_MAX)
    return "too many hints";
  if (sets > VMSWAP_RING_SETS_MAX ||
      parts[VMSWAP_RING_CACHE_PAGES].count != VMSWAP_RING_CACHE_WAYS * sets)
    return "the cache's sets and pages do not go together";
  return NULL;
}

/* Can this geometry be worked with, in a region (a BAR, a mapping) of size
 * bytes?  Returns NULL, or what is wrong.  Whoever maps a region calls this on
 * its private copy, and uses that copy ever after. */
static inline const char *
vmswap_ring_geometry_check (const struct vmswap_ring_geometry *geometry,
                            uint64_t size)
{
  const char *wrong = vmswap_ring_counts_check (geometry->parts);
  uint64_t end = VMSWAP_RING_PAGE_SIZE;
  unsigned int i;

  if (!vmswap_ring_size_is_right (size))
    return "the region's size is not a power of two from 1 MiB to 1 GiB";
  if (wrong)
    return wrong;
  for (i = 0; i < VMSWAP_RING_PARTS; ++i) {
    if (geometry->parts[i].offset % VMSWAP_RING_PAGE_SIZE != 0)
      return "a part does not start at a page";
    if (geometry->parts[i].offset < end)
      return "parts overlap";
    end = geometry->parts[i].offset +
          vmswap_ring_part_size (i, geometry->parts[i].count);
    if (end > size)
      return "a part ends beyond the region";
  }
  return NULL;
}

/* From the header to a private copy, each word loaded once, and back. */
static inline void
vmswap_ring_geometry_load (const struct vmswap_ring_header *header,
                           struct vmswap_ring_geometry *geometry)
{
  const volatile struct vmswap_ring_part *parts = header->parts;
  unsigned int i;

  for (i = 0; i < VMSWAP_RING_PARTS; ++i) {
    geometry->parts[i].offset = VMSWAP_CPU32 (parts[i].offset);
    geometry->parts[i].count = VMSWAP_CPU32 (parts[i].count);
  }
}

static inline void
vmswap_ring_geometry_store (const struct vmswap_ring_geometry *geometry,
                            struct vmswap_ring_header *header)
{
  unsigned int i;

  for (i = 0; i < VMSWAP_RING_PARTS; ++i) {
    header->parts[i].offset = VMSWAP_LE32 (geometry->parts[i].offset);
    header->parts[i].count = VMSWAP_LE32 (geometry->parts[i].count);
  }
}

/* Are these pages of the volume? */
static inline int
vmswap_ring_range_is_right (uint64_t page, uint32_t count,
                            uint64_t device_pages)
{
  return count >= 1 && page < device_pages && count <= device_pages - page;
}

/* Assertions that C99, C11, C++ and the kernel can make. */
#if defined(__cplusplus)
#define VMSWAP_RING_ASSERT(name, condition) static_assert (condition, #name)
#else
#define VMSWAP_RING_ASSERT(name, condition)                                    \
  typedef char vmswap_ring_assert_##name[(condition) ? 1 : -1]                 \
      __attribute__ ((unused))
#endif
#define VMSWAP_RING_AT(field, where)                                           \
  VMSWAP_RING_ASSERT (at_##field,                                              \
                      offsetof (struct vmswap_ring_header, field) == (where))

VMSWAP_RING_AT (version, 8);
VMSWAP_RING_AT (page_size, 12);
VMSWAP_RING_AT (region_size, 16);
VMSWAP_RING_AT (features, 24);
VMSWAP_RING_AT (parts, 32);
VMSWAP_RING_AT (volume, 112);
VMSWAP_RING_AT (host_state, 256);
VMSWAP_RING_AT (host_reason, 260);
VMSWAP_RING_AT (host_flags, 264);
VMSWAP_RING_AT (generation, 268);
VMSWAP_RING_AT (heartbeat, 272);
VMSWAP_RING_AT (session_ack, 276);
VMSWAP_RING_AT (bad_posts, 280);
VMSWAP_RING_AT (lost_posts, 284);
VMSWAP_RING_AT (device_pages, 288);
VMSWAP_RING_AT (guest_state, 384);
VMSWAP_RING_AT (session, 388);
VMSWAP_RING_AT (guest_features, 392);
VMSWAP_RING_AT (post_tail, 512);
VMSWAP_RING_AT (complete_head, 640);
VMSWAP_RING_AT (post_event, 768);
VMSWAP_RING_AT (submit_event, 772);
VMSWAP_RING_AT (hint_event, 776);
VMSWAP_RING_AT (post_head, 896);
VMSWAP_RING_AT (submit_head, 1024);
VMSWAP_RING_AT (hint_head, 1152);
VMSWAP_RING_AT (tail_event, 1280);
VMSWAP_RING_AT (complete_event, 1284);
VMSWAP_RING_ASSERT (header, sizeof (struct vmswap_ring_header) == 4096);
VMSWAP_RING_ASSERT (part, sizeof (struct vmswap_ring_part) == 8);
VMSWAP_RING_ASSERT (post, sizeof (struct vmswap_ring_post) == 16);
VMSWAP_RING_ASSERT (post_arg, offsetof (struct vmswap_ring_post, arg) == 8);
VMSWAP_RING_ASSERT (post_op, offsetof (struct vmswap_ring_post, op) == 12);
VMSWAP_RING_ASSERT (request, sizeof (struct vmswap_ring_request) == 32);
VMSWAP_RING_ASSERT (request_after,
                    offsetof (struct vmswap_ring_request, after) == 12);
VMSWAP_RING_ASSERT (request_serial,
                    offsetof (struct vmswap_ring_request, serial) == 16);
VMSWAP_RING_ASSERT (request_op,
                    offsetof (struct vmswap_ring_request, op) == 20);
VMSWAP_RING_ASSERT (result, sizeof (struct vmswap_ring_result) == 16);
VMSWAP_RING_ASSERT (result_status,
                    offsetof (struct vmswap_ring_result, status) == 4);
VMSWAP_RING_ASSERT (entry, sizeof (struct vmswap_ring_cache_entry) == 16);
VMSWAP_RING_ASSERT (entry_sequence,
                    offsetof (struct vmswap_ring_cache_entry, sequence) == 8);
VMSWAP_RING_ASSERT (set, sizeof (struct vmswap_ring_cache_set) == 64);

#endif /* VMSWAP_RING_H */
