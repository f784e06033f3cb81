// SPDX-License-Identifier: BSD-3-Clause
/* The steward: one thread that keeps the pool tidy, so that writers seldom
 * have to.
 *
 *   always      frees what readers have let go of
 *   low         (few free segments left) cleans until there are enough
 *   busy        keeps segments ready, cleans lazily; steadily, if little is
 *               written
 *   quiet       cleans thoroughly, seals open segments, gives memory back
 *
 * Besides, at a pace of its own, it makes old pages cold (cold.h).
 *
 * No lock of its own: a semaphore wakes it up, because one who does that runs
 * at idle priority and must not hold what others wait for. */

#include <config.h>

#include <errno.h>
#include <time.h>

#include "cleanup.h"
#include "internal.h"
#include "sharing.h"

#define BUSY_TICK 20    /* milliseconds */
#define QUIET_TICK 100  /* … while quiet */
#define ASLEEP_TICK 500 /* … and when all is done */
#define QUIET_AFTER 250
#define SEAL_AFTER 1000
#define QUIET_BYTES (256u << 10) /* written per QUIET_AFTER, at the most */
#define STEADY_RATE (16u << 20)  /* written per second, at the most */
#define BUDGET 30                /* milliseconds of cleaning per tick */
#define MAX_WARM 8

/* What the steward saw last. */
struct watch {
  uint64_t now;       /* milliseconds */
  uint64_t window;    /* when this look at the rate of writes began */
  uint64_t appended;  /* at that time */
  uint64_t rate;      /* bytes per second, in the last window */
  uint64_t opened;    /* segments, at the last tick */
  uint64_t busy_at;   /* last time of many writes */
  uint64_t total;     /* appended by all lanes, at the last tick */
  uint64_t append_at; /* last time that this had changed */
  uint64_t sealed;    /* total when lanes were last sealed */
};

static uint64_t
milliseconds (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return t.tv_sec * UINT64_C (1000) + t.tv_nsec / 1000000;
}

/* Cleans until there is nothing worth it or the time is over.  False: there
 * is more to do. */
static bool
clean (struct pool *pool, enum clean_effort effort, uint64_t enough)
{
  const uint64_t until = milliseconds () + BUDGET;

  while (milliseconds () < until) {
    pool_reap (pool);
    if (enough && segments_available (&pool->segments) >= enough)
      return true;
    if (cleaner_step (pool, effort) != 0)
      return true;
  }
  return false;
}

static void
look (struct pool *pool, struct watch *watch)
{
  const uint64_t appended = lanes_appended (&pool->lanes);
  const uint64_t total = appended + lanes_survived (&pool->lanes);

  watch->now = milliseconds ();
  if (total != watch->total) {
    watch->total = total;
    watch->append_at = watch->now;
  }
  if (appended - watch->appended > QUIET_BYTES)
    watch->busy_at = watch->now;
  if (watch->now - watch->window > QUIET_AFTER) {
    watch->rate =
        (appended - watch->appended) * 1000 / (watch->now - watch->window);
    watch->appended = appended;
    watch->window = watch->now;
  }
}

/* Keeps about as many segments ready as were opened in the last tick, and
 * populated, so that writers need not wait for that. */
static void
keep_ready (struct pool *pool, struct watch *watch)
{
  struct segments *segments = &pool->segments;
  const uint64_t opened =
      atomic_load_explicit (&segments->opened, memory_order_relaxed);
  uint64_t want = opened - watch->opened + 1;
  uint32_t ready[MAX_WARM];
  unsigned n = 0;

  watch->opened = opened;
  if (want > MAX_WARM)
    want = MAX_WARM;
  segments_give_back (segments, want);
  if (segments_ready (segments) >= want)
    return;
  /* Those that are ready come first, then new ones. */
  while (n < want && segments_available (segments) > pool_low_water (pool) &&
         segment_take (segments, SEGMENT_FOR_WRITER, &ready[n]) == 0)
    n++;
  while (n > 0)
    segment_untake (segments, ready[--n]);
}

/* Finds pages that are alike, for as long as cleaning may take.  False: there
 * are more to look at. */
static bool
share (struct pool *pool)
{
  const uint64_t until = milliseconds () + BUDGET / 3;
  bool more;

  sharing_weigh (pool);
  do
    more = sharing_sweep (pool);
  while (more && milliseconds () < until);
  return !more;
}

/* Returns the time until the next tick. */
static unsigned
tidy_up (struct pool *pool, struct watch *watch)
{
  bool done;

  /* Not between the writes of a trickle: each would open a segment. */
  if (watch->now - watch->append_at > SEAL_AFTER &&
      watch->total != watch->sealed) {
    cleaner_seal (pool);
    watch->sealed = watch->total;
  }
  done = clean (pool, CLEAN_IDLE, 0);
  pool_release_memory (pool);
  return done && watch->now - watch->busy_at > 2 * SEAL_AFTER ? ASLEEP_TICK
                                                              : QUIET_TICK;
}

static unsigned
tick (struct pool *pool, struct watch *watch)
{
  bool shared;

  pool_reap (pool);
  look (pool, watch);
  shared = share (pool);
  if (segments_available (&pool->segments) < pool_low_water (pool))
    clean (pool, CLEAN_FORCED, pool_low_water (pool));
  if (watch->now - watch->busy_at > QUIET_AFTER)
    return shared ? tidy_up (pool, watch) : QUIET_TICK;
  keep_ready (pool, watch);
  clean (pool, watch->rate < STEADY_RATE ? CLEAN_STEADY : CLEAN_LAZY, 0);
  return BUSY_TICK;
}

/* Waits until then, or for a nudge.  False: it is over. */
static bool
wait_until (struct steward *steward, uint64_t then)
{
  const struct timespec at = { .tv_sec = (time_t) (then / 1000),
                               .tv_nsec = (long) (then % 1000) * 1000000 };

  sem_clockwait (&steward->wake, CLOCK_MONOTONIC, &at);
  return !atomic_load (&steward->stop);
}

static void *
steward_main (void *arg)
{
  struct pool *pool = arg;
  struct watch watch = { .busy_at = milliseconds () };
  uint64_t next_tick = milliseconds () + BUSY_TICK;
  uint64_t next_cold = next_tick;

  while (wait_until (&pool->steward,
                     next_tick < next_cold ? next_tick : next_cold)) {
    if (milliseconds () >= next_tick) {
      const unsigned pause = tick (pool, &watch);

      next_tick = milliseconds () + pause;
    }
    /* Whatever woke it up: it says itself whether it is its turn. */
    const uint32_t pause = cold_step (pool);

    next_cold = milliseconds () + pause;
  }
  return NULL;
}

void
steward_nudge (struct pool *pool)
{
  sem_post (&pool->steward.wake);
}

void
steward_create (struct pool *pool)
{
  sem_init (&pool->steward.wake, 0, 0);
}

void
steward_destroy (struct pool *pool)
{
  sem_destroy (&pool->steward.wake);
}

int
pool_start_steward (struct pool *pool)
{
  struct steward *steward = &pool->steward;
  int err;

  if (arena_denied (&pool->arena))
    return -ENOMEM;
  err = cold_start (pool);
  if (err)
    return err;
  atomic_store (&steward->stop, false);
  err = pthread_create (&steward->thread, NULL, steward_main, pool);
  steward->running = err == 0;
  if (err)
    cold_stop (pool);
  return -err;
}

void
pool_stop_steward (struct pool *pool)
{
  struct steward *steward = &pool->steward;

  if (!steward->running)
    return;
  atomic_store (&steward->stop, true);
  sem_post (&steward->wake);
  pthread_join (steward->thread, NULL);
  steward->running = false;
  cold_stop (pool);
}
