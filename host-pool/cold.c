// SPDX-License-Identifier: BSD-3-Clause
/* Owns the batch of slots, the compressor thread, and the notes.
 *
 * Invariant: while the batch is FILLED, slots belong to the compressor, from
 * sem_post of cold->filled to sem_post of cold->done; else to whoever holds the
 * lock.  The compressor takes no lock: at idle priority it may lose its CPU for
 * a second wherever it is.
 *
 * Lock: cold->lock, by the steward (or pool_compact) for a step.  It ranks
 * before the cleaner's, because storing may look for segments. */

#include <config.h>

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "cleanup.h"
#include "internal.h"

#define DEFAULT_CPU 10
#define DEFAULT_LEVEL 3
#define IDLE_PAUSE 1000 /* milliseconds at the most, when nothing is old */
#define WALK_STEPS 256  /* blobs looked at in a step, at the most */

/* A note: valid, volume, first page. */
#define NOTE_VALID (UINT64_C (1) << 63)
#define NOTE_VOLUME_SHIFT 32
#define NOTE_VOLUME_MASK 0xffffu

static uint64_t
nanoseconds (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return t.tv_sec * UINT64_C (1000000000) + t.tv_nsec;
}

bool
cold_config_is_good (const struct pool_cold *config)
{
  return config->cpu <= 100 && config->level >= 0 &&
         config->level <= POOL_COLD_MAX_LEVEL;
}

/* Slots and the compressor's context, in one piece. */
static int
make_memory (struct pool *pool, struct cold *cold)
{
  const size_t state =
      round_up_page (codec_zstd_compressor_size (cold->config.level));
  uint8_t *at =
      arena_alloc (&pool->arena, state + COLD_SLOTS * 2 * GROUP_MAX_BYTES);

  if (!at)
    return -ENOMEM;
  cold->compressor = codec_zstd_compressor (at, state, cold->config.level);
  at += state;
  for (unsigned i = 0; i < COLD_SLOTS; ++i, at += 2 * GROUP_MAX_BYTES) {
    cold->slot[i].pages.pages = at;
    cold->slot[i].group = at + GROUP_MAX_BYTES;
  }
  return cold->compressor ? 0 : -ENOMEM;
}

int
cold_create (struct pool *pool, const struct pool_cold *config)
{
  struct cold *cold = &pool->cold;

  cold->config = *config;
  if (cold->config.cpu == 0)
    cold->config.cpu = DEFAULT_CPU;
  if (cold->config.level == 0)
    cold->config.level = DEFAULT_LEVEL;
  cold->walk.segment = SEGMENT_NONE;
  cold->walk.newest = UINT32_MAX;
  lock_init (&cold->lock, LOCK_COLD);
  sem_init (&cold->filled, 0, 0);
  sem_init (&cold->done, 0, 0);
  return cold->config.on ? make_memory (pool, cold) : 0;
}

void
cold_destroy (struct pool *pool)
{
  sem_destroy (&pool->cold.filled);
  sem_destroy (&pool->cold.done);
  lock_destroy (&pool->cold.lock);
}

/* --- Notes. */

static void
leave_note (struct cold_notes *notes, const struct volume *volume,
            uint32_t page)
{
  const uint64_t note = NOTE_VALID |
                        (uint64_t) volume->id << NOTE_VOLUME_SHIFT |
                        group_first (page);
  uint32_t at = atomic_load_explicit (&notes->next, memory_order_relaxed);

  /* Most come in runs of the same four pages. */
  if (atomic_load_explicit (&notes->note[(at - 1) % COLD_NOTES],
                            memory_order_relaxed) == note)
    return;
  at = atomic_fetch_add_explicit (&notes->next, 1, memory_order_relaxed);
  atomic_store_explicit (&notes->note[at % COLD_NOTES], note,
                         memory_order_relaxed);
}

void
cold_touch (struct volume *volume, uint32_t page)
{
  struct cold *cold = &volume->pool->cold;

  if (cold->config.on)
    leave_note (&cold->touched, volume, page);
}

void
cold_torn (struct volume *volume, uint64_t word)
{
  struct segments *segments = &volume->pool->segments;
  const uint32_t segment = word_place (word).segment;

  if (segment < segments->nr &&
      atomic_load_explicit (&segments->segment[segment].examined,
                            memory_order_relaxed))
    atomic_store_explicit (&segments->segment[segment].examined, false,
                           memory_order_relaxed);
}

/* Takes note i.  False: there is none. */
static bool
take_note (struct cold_notes *notes, unsigned i, uint32_t *volume,
           uint32_t *first)
{
  uint64_t note = atomic_load_explicit (&notes->note[i], memory_order_relaxed);

  if (note)
    note = atomic_exchange_explicit (&notes->note[i], 0, memory_order_relaxed);
  *volume = note >> NOTE_VOLUME_SHIFT & NOTE_VOLUME_MASK;
  *first = (uint32_t) note;
  return note != 0;
}

static struct cold_slot *
next_slot_locked (struct cold *cold)
{
  return &cold->slot[cold->nr];
}

/* Is there room for pages that take more than they did? */
static bool
may_warm (struct pool *pool)
{
  return !atomic_load_explicit (&pool->tight, memory_order_relaxed) &&
         segments_available (&pool->segments) > SEGMENT_RESERVE;
}

/* Groups that were touched become single pages; uses a slot. */
static void
heed_notes_locked (struct pool *pool, struct worker *worker)
{
  struct cold *cold = &pool->cold;
  uint32_t volume, first;

  for (unsigned i = 0; i < COLD_NOTES; ++i)
    if (take_note (&cold->touched, i, &volume, &first) && may_warm (pool))
      cold_warm (pool, worker, volume, first, next_slot_locked (cold));
}

/* Writers in turns leave the same four pages in a segment again and again. */
static bool
is_gathered_locked (const struct cold *cold)
{
  for (unsigned i = 0; i < cold->nr; ++i)
    if (cold->slot[i].pages.volume == cold->walk.volume &&
        cold->slot[i].pages.first == cold->walk.first)
      return true;
  return false;
}

/* --- The batch. */

/* Fills slots.  Returns whether there may be more to do at once. */
static bool
fill_locked (struct pool *pool, struct worker *worker)
{
  struct cold *cold = &pool->cold;

  for (unsigned i = 0; i < WALK_STEPS && cold->nr < COLD_SLOTS; ++i) {
    if (!cold_next (pool, worker))
      return cold->nr > 0;
    if (!is_gathered_locked (cold))
      cold->nr += cold_gather (
          pool, worker, cold->walk.volume, cold->walk.first,
          cold->walk.group ? COLD_TORN : COLD_OLD, next_slot_locked (cold));
  }
  return true;
}

static void
compress_slots (struct cold *cold)
{
  for (unsigned i = 0; i < cold->nr; ++i) {
    struct cold_slot *slot = &cold->slot[i];

    if (atomic_load (&cold->stop) && cold->state == COLD_FILLED)
      continue; /* nobody will want it */
    slot->size =
        group_encode (cold->compressor, &slot->pages, slot->group, slot->limit);
  }
}

/* The compressor's turn. */
static void
hand_over_locked (struct cold *cold)
{
  for (unsigned i = 0; i < cold->nr; ++i)
    cold->slot[i].size = 0;
  cold->state = COLD_FILLED;
  sem_post (&cold->filled);
}

/* False: there was no room for all. */
static bool
store_locked (struct pool *pool, struct worker *worker)
{
  struct cold *cold = &pool->cold;
  bool room = true;

  for (unsigned i = 0; i < cold->nr; ++i)
    if (cold->slot[i].size)
      room &= cold_store (pool, worker, &cold->slot[i]);
  cold->nr = 0;
  cold->state = COLD_EMPTY;
  return room;
}

/* The batch has cost that much: not another one before it is due. */
static void
account_locked (struct cold *cold, uint64_t now)
{
  const uint64_t share = cold->config.cpu;

  cold->next = now + cold->spent * (100 - share) / share;
  atomic_fetch_add_explicit (&cold->cpu_ns, cold->spent, memory_order_relaxed);
  cold->spent = 0;
}

/* When nothing is old enough: an eighth of the age, or so. */
static uint32_t
idle_pause (const struct cold *cold)
{
  const uint32_t eighth = 20 + cold->config.after * (IDLE_PAUSE / 8);

  return cold->config.after < 8 ? eighth : IDLE_PAUSE;
}

static uint32_t
milliseconds_until (uint64_t then, uint64_t now)
{
  return then > now ? (uint32_t) ((then - now) / 1000000 + 1) : 0;
}

/* Stores what is DONE, then fills.  Returns as cold_step. */
static uint32_t
step_locked (struct pool *pool, struct worker *worker, uint64_t now)
{
  struct cold *cold = &pool->cold;
  bool more;

  if (cold->state == COLD_FILLED) {
    if (sem_trywait (&cold->done) != 0)
      return COLD_WAITS;
    cold->state = COLD_DONE;
  }
  if (cold->state == COLD_DONE) {
    const uint64_t before = nanoseconds (CLOCK_THREAD_CPUTIME_ID);

    const bool room = store_locked (pool, worker);
    cold->spent += nanoseconds (CLOCK_THREAD_CPUTIME_ID) - before;
    account_locked (cold, now);
    const uint64_t cleaned = now + idle_pause (cold) * UINT64_C (1000000);

    if (!room && cold->next < cleaned) /* until the steward has cleaned */
      cold->next = cleaned;
  }
  if (now < cold->next)
    return milliseconds_until (cold->next, now);

  const uint64_t before = nanoseconds (CLOCK_THREAD_CPUTIME_ID);
  heed_notes_locked (pool, worker);
  more = fill_locked (pool, worker);
  cold->spent += nanoseconds (CLOCK_THREAD_CPUTIME_ID) - before;
  if (cold->nr) {
    hand_over_locked (cold);
    return COLD_WAITS;
  }
  account_locked (cold, now);
  return more ? milliseconds_until (cold->next, now) : idle_pause (cold);
}

uint32_t
cold_step (struct pool *pool)
{
  struct cold *cold = &pool->cold;
  struct worker *worker;
  uint32_t pause;

  if (!cold->config.on)
    return COLD_WAITS;
  /* Not while pool_compact does all of it, for that takes long. */
  if (!lock_try (&cold->lock))
    return IDLE_PAUSE;
  worker = worker_get (&pool->workers);
  pause = step_locked (pool, worker, nanoseconds (CLOCK_MONOTONIC));
  worker_put (&pool->workers, worker);
  lock_release (&cold->lock);
  return pause;
}

static void
set_policy (pthread_t thread, int policy)
{
  const struct sched_param none = { 0 };

  pthread_setschedparam (thread, policy, &none);
}

/* Somebody waits for the compressor: it is like other threads until the next
 * batch, if that is allowed. */
static void
hurry (struct cold *cold)
{
  if (cold->running)
    set_policy (cold->thread, SCHED_OTHER);
}

static void
wait_for_compressor_locked (struct cold *cold)
{
  if (cold->state != COLD_FILLED)
    return;
  hurry (cold);
  while (sem_wait (&cold->done) != 0)
    ; /* a signal */
  cold->state = COLD_DONE;
}

bool
cold_finish (struct pool *pool)
{
  struct cold *cold = &pool->cold;
  struct worker *worker;
  bool more = true, room = true;

  if (!cold->config.on)
    return true;
  worker = worker_get (&pool->workers);
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&cold->lock);
    wait_for_compressor_locked (cold);
    store_locked (pool, worker);
    /* Not what others write meanwhile: that may never end. */
    cold->walk.newest = atomic_load (&pool->segments.next_birth);
    heed_notes_locked (pool, worker);
    while (more && room) {
      more = fill_locked (pool, worker);
      compress_slots (cold);
      room = store_locked (pool, worker);
    }
    cold->walk.newest = UINT32_MAX;
  }
  worker_put (&pool->workers, worker);
  return room;
}

/* --- The compressor. */

/* Waits for a batch.  False: it is over. */
static bool
wait_for_batch (struct cold *cold)
{
  while (sem_wait (&cold->filled) != 0)
    ; /* a signal */
  return !atomic_load (&cold->stop);
}

static void *
compressor_main (void *arg)
{
  struct pool *pool = arg;
  struct cold *cold = &pool->cold;

  set_policy (pthread_self (), SCHED_IDLE);
  while (wait_for_batch (cold)) {
    const uint64_t before = nanoseconds (CLOCK_THREAD_CPUTIME_ID);

    /* Again, for somebody may have been in a hurry.  Where that is not allowed,
     * the share of the CPU is bounded all the same. */
    set_policy (pthread_self (), SCHED_IDLE);
    compress_slots (cold);
    cold->spent += nanoseconds (CLOCK_THREAD_CPUTIME_ID) - before;
    sem_post (&cold->done);
    steward_nudge (pool);
  }
  /* Who waits for a batch that came too late gets it as it was. */
  sem_post (&cold->done);
  return NULL;
}

int
cold_start (struct pool *pool)
{
  struct cold *cold = &pool->cold;
  int err;

  if (!cold->config.on)
    return 0;
  if (arena_denied (&pool->arena))
    return -ENOMEM;
  atomic_store (&cold->stop, false);
  err = pthread_create (&cold->thread, NULL, compressor_main, pool);
  cold->running = err == 0;
  return -err;
}

void
cold_stop (struct pool *pool)
{
  struct cold *cold = &pool->cold;

  if (!cold->running)
    return;
  atomic_store (&cold->stop, true);
  sem_post (&cold->filled);
  hurry (cold);
  pthread_join (cold->thread, NULL);
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&cold->lock);
  cold->running = false;
  /* What nobody will compress: the pages are where they were. */
  cold->state = COLD_EMPTY;
  cold->nr = 0;
  while (sem_trywait (&cold->filled) == 0 || sem_trywait (&cold->done) == 0)
    ;
}
