// SPDX-License-Identifier: BSD-3-Clause
/* The host's side of a ring: one region that is shared with one guest.
 *
 * proto/vmswap-ring.h is the layout, proto/PROTOCOL.md the contract; names here
 * are the names there.  A struct ring belongs to one thread, which calls
 * ring_turn again and again; there are no locks, but those of the exports and
 * of the pool.
 *
 * What the guest may write is hostile: each word of it is loaded once, into a
 * copy that is checked and used; pages are copied before they are hashed and
 * compressed.  What the host writes is kept here, too, and never read back.
 *
 *     ring-region.c    memory, and its division
 *     ring-session.c   who the guest is: sessions, states, takeover
 *     ring-posts.c     what the guest does not wait for
 *     ring-stuck.c     posts that the pool refuses
 *     ring-requests.c  what the guest waits for
 *     ring-cache.c     pages that are held ready
 *     ring-ahead.c     which pages these are
 *     ring-room.c      whether posts still have room
 *     ring-turn.c      one turn, and how to sleep
 *
 * Functions return bool for "there was something to do", unless they say
 * otherwise. */

#ifndef VMSWAP_RING_H_PLUGIN
#define VMSWAP_RING_H_PLUGIN

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exports.h"
#include "prefetch.h"
#include "vmswap-ring.h"

/* A FREE or DISCARD is done in steps; a step has at least so many pages and
 * doubles while it is quick. */
#ifndef RING_STEP_MIN /* less where devices have few pages: fuzz */
#define RING_STEP_MIN 4096u
#endif
#define RING_STEP_MAX (1u << 19)
#define RING_STEP_NS UINT64_C (100000)

struct ring_region {
  uint8_t *base; /* NULL: none */
  uint64_t size;
  int fd;
  struct vmswap_ring_header *header;
  struct vmswap_ring_geometry geometry;
};

/* Pages of a range that were done, when it is done in steps. */
struct ring_steps {
  uint64_t page, count; /* the range; a guest may change it meanwhile */
  uint64_t done;
  uint32_t size; /* of the next step */
};

/* Where a tag is.
 *
 *     NONE --it is open--> READ, AHEAD --the page is there--> NONE
 *                          WAIT --post_tail has come to after--> NONE
 */
enum ring_work_state { RING_NONE, RING_READ, RING_AHEAD, RING_WAIT };

/* The copy of a request that is in work. */
struct ring_work {
  uint64_t page;
  uint32_t count, after, serial;
  uint8_t op, state;
  bool freed_early; /* DISCARD, while posts are stuck */
  struct ring_steps steps, early_steps;
};

struct ring_requests {
  struct ring_work work[VMSWAP_RING_TAGS_MAX];
  uint32_t result_serial[VMSWAP_RING_TAGS_MAX]; /* what results say */
  uint32_t submit_tail, complete_head;
  unsigned open[RING_WAIT + 1]; /* tags in this state */
  unsigned next; /* the tag at which the next look at reads begins */
};

/* Posts that the pool refused; see ring-stuck.c. */
struct ring_stuck {
  bool is;
  int err;           /* why */
  uint32_t early;    /* frees before it were done early */
  uint32_t compared; /* head when the post was last looked for among frees */
  uint64_t retry_ns; /* try again then, whatever happens */
  bool retry;        /* something came free */
  struct ring_steps steps;
};

struct ring_cached {
  uint64_t page; /* VMSWAP_RING_NO_PAGE: none */
  uint32_t sequence;
  uint32_t number : 31; /* of pages brought before it; wraps */
  uint32_t unread : 1;  /* as far as the guest told */
};

struct ring_cache {
  struct ring_cached *entry; /* 4 x sets */
  uint32_t sets;
  uint32_t brought; /* pages in all; wraps */
};

/* Pages that the guest read in a row. */
#define RING_RUNS 8u
struct ring_run {
  uint64_t page, count;
  uint64_t hits; /* of these, from the cache */
};

/* Which pages are brought into the cache. */
#define RING_AHEAD_QUEUE 64u
struct ring_ahead {
  struct prefetch prefetch;
  uint64_t misses[VMSWAP_RING_TAGS_MAX]; /* since it last learned */
  unsigned nr_misses;
  struct ring_run runs[RING_RUNS]; /* that may go on */
  unsigned nr_runs;
  unsigned rows;     /* runs for which it still is one that reads ahead */
  uint64_t noted_ns; /* when the last page was noted */
  uint64_t queue[RING_AHEAD_QUEUE]; /* pages to be brought */
  unsigned length;
  bool late; /* the guest is faster than what is brought for it */
};

struct ring {
  struct ring_region region;
  struct conn *conn;
  int doorbell, interrupt; /* eventfds; -1: none */
  bool silent;             /* the guest gets no interrupts: its QEMU has made
                            * them block */

  /* Words of the host, as they are in the region. */
  uint32_t host_state, host_reason, host_flags;
  uint32_t generation, heartbeat, session_ack;
  uint32_t bad_posts, lost_posts;
  uint32_t post_tail;
  uint64_t device_pages;

  /* Of the guest, copied when they are due. */
  uint64_t features; /* accepted */
  uint32_t hint_tail, hint_head;

  /* ring-session.c */
  uint32_t refused_session; /* its features were not offered */
  uint32_t new_session;     /* being begun; 0: none */
  uint32_t drain_head;      /* posts before it are done first … */
  uint32_t drained_tail;    /* and this is post_tail then */
  bool draining;
  uint64_t drain_end_ns;   /* frees are done until then */
  bool giving_up;          /* what the pool refuses is lost, not kept */
  unsigned session_credit; /* sessions that may be begun without delay */
  uint64_t session_ns;     /* when the next credit is due */

  struct ring_steps free_steps; /* of the FREE at post_tail */
  struct ring_stuck stuck;
  struct ring_requests requests;
  struct ring_cache cache;
  struct ring_ahead ahead;

  uint64_t room_ns;      /* when room is looked at next */
  uint32_t room_written; /* pages written since it was looked at */
  uint64_t beat_ns;      /* when the heartbeat is due */
  uint64_t now_ns;       /* of this turn */

  uint8_t page[VMSWAP_RING_PAGE_SIZE] __attribute__ ((aligned (64)));
};

/* --- ring-region.c.  Parts of the region: */

#define RING_COUNT(ring, part)                                                 \
  ((ring)->region.geometry.parts[VMSWAP_RING_##part].count)

extern void *ring_part (const struct ring *ring, unsigned part);
extern uint8_t *ring_page_at (const struct ring *ring, unsigned part,
                              uint32_t n);

/* Makes a region of that size, as PROTOCOL.md says, all but the magic.  0 or
 * -errno. */
extern int ring_region_make (struct ring_region *region, uint64_t size,
                             const char *volume, uint64_t device_pages);
extern void ring_region_free (struct ring_region *region);

/* Maps one that another server made.  0, or -errno; -EINVAL: it is none, or not
 * whole, and *why says in which way. */
extern int ring_region_map (struct ring_region *region, int fd,
                            const char **why);

/* --- ring-session.c */

/* A new region, not yet given away. */
extern void ring_begin (struct ring *ring);

/* One that another server served until now. */
extern void ring_take_over (struct ring *ring);

/* Looks for a new session, and goes on with its beginning. */
extern bool ring_session_turn (struct ring *ring);

/* The guest is gone: from now on turns do the posts that are open, and nothing
 * else, until ring_is_drained. */
extern void ring_end (struct ring *ring);
extern bool ring_is_drained (const struct ring *ring);

/* Waits a session to be begun? */
extern bool ring_session_is_due (const struct ring *ring);

extern void ring_set_state (struct ring *ring,
                            enum vmswap_ring_host_state state,
                            enum vmswap_ring_reason reason);
extern bool ring_guest_is (const struct ring *ring,
                           enum vmswap_ring_guest_state state);

/* --- ring-posts.c */

extern bool ring_posts_turn (struct ring *ring);

/* A checked copy.  False: it is impossible. */
extern bool ring_post_copy (const struct ring *ring, uint32_t position,
                            struct vmswap_ring_post *ret);

/* Draining has taken long enough: what only frees is passed over. */
extern bool ring_drain_is_over (const struct ring *ring);

/* How many are open, and -1 with the region BROKEN if that cannot be. */
extern int ring_posts_open (struct ring *ring, uint32_t *head);

/* All or a step of a range is dropped.  True: all of it is. */
extern bool ring_trim_step (struct ring *ring, struct ring_steps *steps,
                            uint64_t page, uint64_t count);

/* --- ring-stuck.c */

/* The post at post_tail was refused. */
extern void ring_stuck_begin (struct ring *ring, int err);

/* What to do with the post at post_tail, which was refused. */
enum ring_stuck_turn { STUCK_IDLE, STUCK_BUSY, STUCK_TRY, STUCK_SKIP };
extern enum ring_stuck_turn ring_stuck_turn (struct ring *ring, uint32_t head);

/* --- ring-requests.c */

/* The first part: those that are new, and reads that somebody waits for. */
extern bool ring_requests_turn (struct ring *ring);

/* The second, after posts. */
extern bool ring_requests_after_posts (struct ring *ring);

/* Looks at all tags. */
extern void ring_requests_scan (struct ring *ring);
extern void ring_requests_forget (struct ring *ring);

/* Is any in work? */
static inline bool
ring_requests_any (const struct ring *ring)
{
  const unsigned *open = ring->requests.open;

  return (open[RING_READ] | open[RING_AHEAD] | open[RING_WAIT]) != 0;
}

/* Is there an open DISCARD of the page that comes after this post? */
extern bool ring_requests_discard (const struct ring *ring, uint64_t page,
                                   uint32_t position);

/* Does open DISCARDs early, and refuses open WRITEs. */
extern bool ring_requests_while_stuck (struct ring *ring);

/* --- ring-cache.c */

/* Entries of a new region, or what another server left there.  0 or -ENOMEM. */
extern int ring_cache_make (struct ring *ring);
extern void ring_cache_free (struct ring *ring);
extern void ring_cache_clear (struct ring *ring);

extern bool ring_cache_holds (const struct ring *ring, uint64_t page);
extern void ring_cache_drop (struct ring *ring, uint64_t page, uint64_t count);

/* May the page be put there, at the cost of nothing that is still to be read?
 */
extern bool ring_cache_has_room (const struct ring *ring, uint64_t page);
extern void ring_cache_put (struct ring *ring, uint64_t page,
                            const uint8_t *data);

/* Notes that the guest has read the page; false: it is not there. */
extern bool ring_cache_note_read (struct ring *ring, uint64_t page);

/* --- ring-ahead.c */

/* For a new region, or one that is taken over; the cache is there. */
extern void ring_ahead_begin (struct ring *ring);

/* Another session. */
extern void ring_ahead_forget (struct ring *ring);

/* The guest asks for the page.  They are noted in the order in which it does,
 * not in that of the answers. */
extern void ring_ahead_note (struct ring *ring, uint64_t page);

/* How far there are hints; those before it are heard before what is noted from
 * now on. */
extern void ring_ahead_look (struct ring *ring);

/* Takes up hints. */
extern bool ring_ahead_hear (struct ring *ring);

/* Takes up hints, and what was noted: which pages will be read next? */
extern bool ring_ahead_learn (struct ring *ring);

/* A page of the cache goes, and was not read. */
extern void ring_ahead_waste (struct ring *ring, uint64_t page);

/* Brings some of these pages into the cache. */
extern bool ring_ahead_turn (struct ring *ring);

/* Hints after which there is more to bring. */
extern uint32_t ring_ahead_patience (const struct ring *ring);

/* --- ring-room.c */

/* Sets or clears FULL. */
extern void ring_room_turn (struct ring *ring);
extern void ring_room_set (struct ring *ring, bool full);

/* How much must be free, for a region of that size, so that it is cleared. */
extern uint64_t ring_room_to_open (uint64_t region_size);

/* --- ring-turn.c */

/* Once around: false: there was nothing to do. */
extern bool ring_turn (struct ring *ring);

/* Asks the guest to ring when there is something new; soon: this is looked at
 * again after ring_patience, and a few posts may wait for that.  False: there
 * is something, already. */
extern bool ring_arm (struct ring *ring, bool soon);

/* How long it may sleep, in milliseconds. */
extern int ring_patience (const struct ring *ring, bool soon);

extern void ring_interrupt (struct ring *ring);

/* index moved from before to now: interrupts if the event is between. */
extern void ring_notify (struct ring *ring, const vmswap_le32 *event,
                         uint32_t now, uint32_t before);

/* Counters; see traffic.h. */
static inline void
ring_count (struct ring *ring, enum traffic_ring what, uint64_t n)
{
  traffic_count_ring (&ring->conn->traffic, what, n);
}

/* Words. */
#define RING_RELAXED(p) __atomic_load_n (p, __ATOMIC_RELAXED)
#define RING_ACQUIRE(p) __atomic_load_n (p, __ATOMIC_ACQUIRE)
#define RING_SET(p, v) __atomic_store_n (p, v, __ATOMIC_RELAXED)
#define RING_RELEASE(p, v) __atomic_store_n (p, v, __ATOMIC_RELEASE)
#define RING_FULL_BARRIER() __atomic_thread_fence (__ATOMIC_SEQ_CST)

#endif /* VMSWAP_RING_H_PLUGIN */
