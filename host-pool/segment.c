// SPDX-License-Identifier: BSD-3-Clause
/* Owns the segment table and the lists of free and retired segments.
 *
 * Invariants
 *  1. live of a segment is the sum of the sizes of the blobs and groups in it
 *     that page words name, plus those in flight into it.
 *  2. A segment is on exactly one list when it is FREE (ready, bare, reserve)
 *     or LIMBO, and on none otherwise; segments from next_bare on are bare
 *     without being on the list.
 *  3. Every segment that may hold memory is charged (nr_charged of them, the
 *     reserve included).
 *  4. A segment with live > 0 is never FREE or LIMBO: so what a page word
 *     names stays.
 *
 * Lock: segments->lock for the lists and for every change from or to FREE and
 * LIMBO; never held over a system call.  SEALED is left by compare-and-swap,
 * because the cleaner claims without the lock. */

#include <config.h>

#include <errno.h>
#include <time.h>

#include "cleanup.h"
#include "crash-point.h"
#include "segment.h"

static uint32_t *
state_of (const struct segments *segments, uint32_t segment)
{
  return &segments->arena->segments[segment].state;
}

enum vmswap_segment_state
segment_state (const struct segments *segments, uint32_t segment)
{
  return (enum vmswap_segment_state) __atomic_load_n (
      state_of (segments, segment), __ATOMIC_SEQ_CST);
}

static void
set_state (struct segments *segments, uint32_t segment,
           enum vmswap_segment_state state)
{
  __atomic_store_n (state_of (segments, segment), state, __ATOMIC_SEQ_CST);
}

static bool
change_state (struct segments *segments, uint32_t segment,
              enum vmswap_segment_state from, enum vmswap_segment_state to)
{
  uint32_t expected = from;

  return __atomic_compare_exchange_n (state_of (segments, segment), &expected,
                                      to, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST);
}

static void
list_push (struct segments *segments, struct segment_list *list,
           uint32_t segment)
{
  segments->segment[segment].next = list->head;
  if (list->length++ == 0)
    list->tail = segment;
  list->head = segment;
}

static void
list_append (struct segments *segments, struct segment_list *list,
             uint32_t segment)
{
  segments->segment[segment].next = SEGMENT_NONE;
  if (list->length++ == 0)
    list->head = segment;
  else
    segments->segment[list->tail].next = segment;
  list->tail = segment;
}

static uint32_t
list_pop (struct segments *segments, struct segment_list *list)
{
  const uint32_t segment = list->head;

  if (list->length == 0)
    return SEGMENT_NONE;
  list->head = segments->segment[segment].next;
  list->length--;
  return segment;
}

static uint32_t
pop_bare_locked (struct segments *segments)
{
  if (segments->bare.length)
    return list_pop (segments, &segments->bare);
  if (segments->next_bare < segments->nr)
    return segments->next_bare++;
  return SEGMENT_NONE;
}

int
segments_create (struct segments *segments, struct arena *arena,
                 struct workers *workers)
{
  *segments = (struct segments){
    .arena = arena,
    .workers = workers,
    .nr = arena->nr_segments,
    .next_birth = 1,
  };
  lock_init (&segments->lock, LOCK_SEGMENTS);
  segments->segment = arena_alloc (arena, (uint64_t) arena->nr_segments *
                                              sizeof (struct segment));
  if (!segments->segment)
    return -ENOMEM;
  segments->nr_charged = segments->nr_unbacked = SEGMENT_RESERVE;
  if (arena->adopted)
    return 0; /* segments_adopt_done charges the reserve */
  if (!arena_charge (arena, SEGMENT_RESERVE * POOL_SEGMENT_SIZE))
    return -ENOMEM;
  for (unsigned i = 0; i < SEGMENT_RESERVE; ++i)
    list_push (segments, &segments->reserve, segments->next_bare++);
  return 0;
}

bool
segment_meet (struct segments *segments, uint32_t segment)
{
  const bool first = !segments->segment[segment].adopted;

  segments->segment[segment].adopted = true;
  return first;
}

void
segment_adopt (struct segments *segments, uint32_t segment, uint32_t live,
               uint32_t end)
{
  struct segment *state = &segments->segment[segment];
  struct vmswap_image_segment *image = &segments->arena->segments[segment];
  const uint32_t live_before = atomic_load (&state->live);

  if (live_before == 0) {
    /* What an open segment had given out beyond this named nothing. */
    if (image->state != VMSWAP_SEGMENT_SEALED || image->used < end ||
        image->used > POOL_SEGMENT_SIZE)
      image->used = 0;
    if (image->birth >= atomic_load (&segments->next_birth))
      atomic_store (&segments->next_birth, image->birth + 1);
    /* How old its blobs are is not known. */
    atomic_store (&state->born, segment_clock ());
    set_state (segments, segment, VMSWAP_SEGMENT_SEALED);
  }
  if (image->used < end)
    image->used = end;
  atomic_store (&state->live, live_before + live);
}

int
segments_adopt_done (struct segments *segments)
{
  struct arena *arena = segments->arena;
  uint32_t first = 0; /* of a run of free segments */
  unsigned reserve = 0;

  for (uint32_t i = 0; i <= segments->nr; ++i) {
    const bool is_free =
        i < segments->nr && atomic_load (&segments->segment[i].live) == 0;

    if (is_free) {
      set_state (segments, i, VMSWAP_SEGMENT_FREE);
      list_append (segments,
                   reserve++ < SEGMENT_RESERVE ? &segments->reserve
                                               : &segments->bare,
                   i);
      continue;
    }
    if (first < i)
      arena_punch (arena, arena_segment (arena, first),
                   (uint64_t) (i - first) * POOL_SEGMENT_SIZE);
    first = i + 1;
    if (i == segments->nr)
      break;
    segments->nr_charged++;
  }
  segments->next_bare = segments->nr;
  arena_charge_anyway (arena,
                       (uint64_t) segments->nr_charged * POOL_SEGMENT_SIZE);
  return reserve >= SEGMENT_RESERVE ? 0 : -ENOSPC;
}

void
segments_destroy (struct segments *segments)
{
  lock_destroy (&segments->lock);
}

/* Takes a free segment off its list, and charges it if it is not yet. */
static int
take_free (struct segments *segments, enum segment_user user, uint32_t *ret)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  atomic_fetch_add (&segments->transit, 1);

  *ret = list_pop (segments, &segments->ready);
  if (*ret != SEGMENT_NONE)
    return 0;

  if (arena_charge (segments->arena, POOL_SEGMENT_SIZE)) {
    *ret = pop_bare_locked (segments);
    if (*ret != SEGMENT_NONE) {
      segments->nr_charged++;
      return 0;
    }
    arena_uncharge (segments->arena, POOL_SEGMENT_SIZE);
  }
  /* What becomes cold takes less than before: the segment comes back. */
  if (user == SEGMENT_FOR_CLEANER ||
      (user == SEGMENT_FOR_COLD &&
       segments->reserve.length == SEGMENT_RESERVE)) {
    *ret = list_pop (segments, &segments->reserve);
    /* Those that have memory lie in front. */
    if (segments->nr_unbacked > segments->reserve.length)
      segments->nr_unbacked = segments->reserve.length;
  }
  if (*ret != SEGMENT_NONE)
    return 0;
  atomic_fetch_sub (&segments->transit, 1);
  return -ENOSPC;
}

/* Puts a segment that nobody uses on the list where it is most needed. */
static void
put_free_locked (struct segments *segments, uint32_t segment)
{
  set_state (segments, segment, VMSWAP_SEGMENT_FREE);
  if (segments->reserve.length + segments->nr_punching < SEGMENT_RESERVE)
    list_push (segments, &segments->reserve, segment);
  else
    list_push (segments, &segments->ready, segment);
}

void
segment_installed (struct segments *segments)
{
  atomic_fetch_sub (&segments->transit, 1);
  atomic_fetch_add_explicit (&segments->opened, 1, memory_order_relaxed);
}

void
segment_untake (struct segments *segments, uint32_t segment)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  put_free_locked (segments, segment);
  atomic_fetch_sub (&segments->transit, 1);
}

int
segment_take (struct segments *segments, enum segment_user user, uint32_t *ret)
{
  struct arena *arena = segments->arena;
  uint32_t segment;
  int err;

  /* Else a pool that is killed again and again before it is back at its limit
   * would be further above it each time. */
  if (user != SEGMENT_FOR_CLEANER && arena_is_over (arena))
    return -ENOSPC;
  err = take_free (segments, user, &segment);
  if (err)
    return err;
  /* Cheap when the memory is there already, as with most ready segments. */
  err =
      arena_populate (arena, arena_segment (arena, segment), POOL_SEGMENT_SIZE);
  if (err) {
    segment_untake (segments, segment);
    return err;
  }

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  /* Atomic, because the cleaner's scan looks without the lock. */
  __atomic_store_n (&arena->segments[segment].birth,
                    atomic_fetch_add (&segments->next_birth, 1),
                    __ATOMIC_RELAXED);
  __atomic_store_n (&arena->segments[segment].used, 0, __ATOMIC_RELAXED);
  segments->segment[segment].adopted = false;
  CRASH_POINT ("segment taken");
  set_state (segments, segment, VMSWAP_SEGMENT_OPEN);
  CRASH_POINT ("segment open");
  *ret = segment;
  return 0;
}

/* Nothing is live in the segment: it may go, once its readers have gone.  Any
 * thread may find that.  It looks under the lock, because what it saw before
 * may have been an earlier life of the segment: only under the lock does a
 * segment leave LIMBO or FREE, and only an OPEN one gets new blobs. */
static void
segment_retire (struct segments *segments, uint32_t segment)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  if (atomic_load (&segments->segment[segment].live) != 0 ||
      !change_state (segments, segment, VMSWAP_SEGMENT_SEALED,
                     VMSWAP_SEGMENT_LIMBO))
    return;
  CRASH_POINT ("segment retired");
  segments->segment[segment].tag = workers_retire_tag (segments->workers);
  list_append (segments, &segments->limbo, segment);
}

/* Whoever makes the last of (closed to new blobs, live == 0) true sees both,
 * because both are sequentially consistent. */
static void
retire_if_dead (struct segments *segments, uint32_t segment)
{
  if (segment_state (segments, segment) == VMSWAP_SEGMENT_SEALED &&
      atomic_load (&segments->segment[segment].live) == 0) {
    CRASH_POINT ("segment found dead");
    segment_retire (segments, segment);
  }
}

uint32_t
segment_clock (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &t);
  return (uint32_t) t.tv_sec;
}

void
segment_seal (struct segments *segments, uint32_t segment, uint32_t used,
              uint32_t born)
{
  struct segment *state = &segments->segment[segment];

  atomic_store_explicit (&state->born, born, memory_order_relaxed);
  atomic_store_explicit (&state->examined, false, memory_order_relaxed);
  __atomic_store_n (&segments->arena->segments[segment].used, used,
                    __ATOMIC_RELAXED);
  CRASH_POINT ("segment full");
  set_state (segments, segment, VMSWAP_SEGMENT_SEALED);
  CRASH_POINT ("segment sealed");
  retire_if_dead (segments, segment);
}

void
segment_credit (struct segments *segments, uint32_t segment, uint32_t bytes)
{
  atomic_fetch_add_explicit (&segments->segment[segment].inflight, 1,
                             memory_order_relaxed);
  atomic_fetch_add_explicit (&segments->segment[segment].live, bytes,
                             memory_order_relaxed);
}

void
segment_published (struct segments *segments, uint32_t segment)
{
  atomic_fetch_sub_explicit (&segments->segment[segment].inflight, 1,
                             memory_order_release);
}

void
segment_debit (struct segments *segments, uint32_t segment, uint32_t bytes)
{
  if (atomic_fetch_sub (&segments->segment[segment].live, bytes) == bytes)
    retire_if_dead (segments, segment);
}

bool
segment_claim (struct segments *segments, uint32_t segment)
{
  if (!change_state (segments, segment, VMSWAP_SEGMENT_SEALED,
                     VMSWAP_SEGMENT_CLEANING))
    return false;
  /* A sealed segment gets no new blobs, so once none is in flight all that
   * will ever be in it is there. */
  if (atomic_load (&segments->segment[segment].inflight) == 0)
    return true;
  segment_unclaim (segments, segment);
  return false;
}

void
segment_unclaim (struct segments *segments, uint32_t segment)
{
  set_state (segments, segment, VMSWAP_SEGMENT_SEALED);
  retire_if_dead (segments, segment);
}

unsigned
segments_reap (struct segments *segments)
{
  struct segment_list *limbo = &segments->limbo;
  const uint64_t oldest = workers_oldest (segments->workers);
  unsigned n = 0;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  while (limbo->length && segments->segment[limbo->head].tag < oldest) {
    put_free_locked (segments, list_pop (segments, limbo));
    n++;
  }
  return n;
}

unsigned
segments_give_back (struct segments *segments, unsigned keep)
{
  struct arena *arena = segments->arena;
  unsigned n = 0;

  for (;; ++n) {
    uint32_t segment;

    lock_acquire (&segments->lock);
    segment = segments->ready.length > keep
                  ? list_pop (segments, &segments->ready)
                  : SEGMENT_NONE;
    lock_release (&segments->lock);
    if (segment == SEGMENT_NONE)
      return n;

    arena_punch (arena, arena_segment (arena, segment), POOL_SEGMENT_SIZE);
    CRASH_POINT ("segment given back");
    lock_acquire (&segments->lock);
    list_push (segments, &segments->bare, segment);
    segments->nr_charged--;
    lock_release (&segments->lock);
    arena_uncharge (arena, POOL_SEGMENT_SIZE);
  }
}

void
segments_release_reserve (struct segments *segments)
{
  struct arena *arena = segments->arena;

  for (unsigned i = 0; i < SEGMENT_RESERVE; ++i) {
    uint32_t segment;

    lock_acquire (&segments->lock);
    segment = list_pop (segments, &segments->reserve);
    segments->nr_punching += segment != SEGMENT_NONE;
    lock_release (&segments->lock);
    if (segment == SEGMENT_NONE)
      return;
    arena_punch (arena, arena_segment (arena, segment), POOL_SEGMENT_SIZE);
    lock_acquire (&segments->lock);
    list_append (segments, &segments->reserve, segment);
    segments->nr_punching--;
    if (segments->nr_unbacked < segments->reserve.length)
      segments->nr_unbacked++;
    lock_release (&segments->lock);
  }
}

uint64_t
segments_available (struct segments *segments)
{
  const uint64_t left = arena_left (segments->arena);

  if (arena_is_over (segments->arena))
    return 0;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  return segments->ready.length + left / POOL_SEGMENT_SIZE;
}

uint32_t
segments_ready (struct segments *segments)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  return segments->ready.length;
}

uint32_t
segments_high (struct segments *segments)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&segments->lock);
  return segments->next_bare;
}
