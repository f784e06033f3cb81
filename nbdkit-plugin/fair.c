// SPDX-License-Identifier: BSD-3-Clause
/* Fair service: the gates of guests.
 *
 * A request is served in a few microseconds; receiving it and sending the reply
 * take longer, and nbdkit does that where no plugin can see it.  So a thread
 * keeps its seat when it leaves: for a *lease*, in which it should be back with
 * its next request.  A seat goes on to the next in line when its owner has had
 * it for a *turn*, or was not back within a lease the last time.  Who is first
 * in line looks now and then whether a lease has expired.
 *
 *     free      --fair_enter-->                            inside
 *     inside    --fair_leave-->                            on lease
 *     on lease  --fair_enter of its owner-->               inside
 *     inside    --fair_leave, and it goes on to the next-->  inside
 *     on lease  --expired: the first in line takes it-->   inside
 *
 * Invariants
 *  1. A thread has at most one seat, and its gate is there: nbdkit's threads
 *     belong to one connection.
 *  2. Somebody waits only while all seats are taken, but for a moment; and the
 *     first in line wakes by itself.  So nobody waits for a thread that ended.
 *  3. A thread is lowered only if it stood in line, or was busy without a
 * sleep, in this tick or the last, or has not been here since.
 *  4. crowded is true if several guests were active in this tick or the last.
 *
 * What it costs: alone, a coarse clock and a few loads; no lock is taken but
 * once a tick.
 *
 * Locks: gate->lock, ticks_lock; never both. */

#include <config.h>

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fair.h"

#define TICK_MS 512 /* a guest is active for one to two of them */
#define TURN_NS UINT64_C (100000)
#define LEASE_NS UINT64_C (100000)

/* A lowered thread gets what the others leave, and does not finish its slice
 * when one of them wakes up.  A guest that asks for one page at a time, or
 * four, otherwise waits for the slice of a thread that serves the flood. */
#define LOWEST_NICE 19
/* The thread of a ring that is busy is one, and lowered less: with the lowest a
 * guest on a ring has a fifth of its pages beside a flood over NBD. */
#define BUSY_NICE 4
#define LONG_SLICE_NS UINT64_C (100000000)

struct fair_waiter {
  struct fair_waiter *next;
  pthread_cond_t cond;
  uint64_t owner;
  struct seat *seat; /* what it was given, or NULL */
};

static atomic_bool crowded;
static bool may_lower; /* set before anybody is served */
static int usual_nice; /* likewise */

static pthread_mutex_t ticks_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t now_tick;
static unsigned active_now, active_before; /* guests, in now_tick and before */

/* This thread, and the seat it had last. */
static _Atomic uint64_t nr_threads;
static _Thread_local uint64_t self;
static _Thread_local struct gate *my_gate;
static _Thread_local struct seat *mine;
static _Thread_local uint64_t left_at; /* nanoseconds: its last fair_leave */
static _Thread_local bool quick;       /* was it back within a lease? */
static _Thread_local bool lowered;
static _Thread_local uint64_t queued_in; /* tick in which it stood in line, or
                                          * was busy */

static uint64_t
nanoseconds (clockid_t clock)
{
  struct timespec t;

  clock_gettime (clock, &t);
  return t.tv_sec * UINT64_C (1000000000) + t.tv_nsec;
}

/* CPUs that this process may use. */
static unsigned
count_seats (void)
{
  static atomic_uint seats;
  unsigned n = atomic_load_explicit (&seats, memory_order_relaxed);
  cpu_set_t set;

  if (n == 0) {
    n = sched_getaffinity (0, sizeof set, &set) == 0 ? CPU_COUNT (&set) : 1;
    n = n < 1 ? 1 : n > FAIR_MAX_SEATS ? FAIR_MAX_SEATS : n;
    atomic_store_explicit (&seats, n, memory_order_relaxed);
  }
  return n;
}

/* struct sched_attr of Linux, which libc does not have. */
struct schedule {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

/* slice: nanoseconds; 0: as usual.  Who has a shorter one goes first when it
 * wakes up (since Linux 6.12; those before take no notice). */
static int
set_schedule (int nice, uint64_t slice)
{
  struct schedule schedule = {
    .size = sizeof schedule,
    .policy = SCHED_OTHER,
    .nice = nice,
    .runtime = slice,
  };

  return (int) syscall (SYS_sched_setattr, 0, &schedule, 0);
}

/* May a thread that was lowered be raised again?  Runs in a thread of its own,
 * for it may not. */
static void *
try_nice (void *unused)
{
  may_lower = set_schedule (LOWEST_NICE, LONG_SLICE_NS) == 0 &&
              set_schedule (usual_nice, 0) == 0;
  return unused;
}

void
fair_start (void)
{
  pthread_t thread;

  errno = 0;
  usual_nice = getpriority (PRIO_PROCESS, 0);
  /* Of another policy, the operator knows why. */
  if (errno == 0 && sched_getscheduler (0) == SCHED_OTHER &&
      pthread_create (&thread, NULL, try_nice, NULL) == 0)
    pthread_join (thread, NULL);
  if (!may_lower)
    nbdkit_debug ("fair: threads of guests that flood keep their priority: the "
                  "server may not raise it again (LimitNICE=+0 allows that)");
}

void
fair_create (struct gate *gate)
{
  memset (gate, 0, sizeof *gate);
  pthread_mutex_init (&gate->lock, NULL);
}

void
fair_destroy (struct gate *gate)
{
  pthread_mutex_destroy (&gate->lock);
}

/* The guest's first request in this tick. */
static void
mark_active (struct gate *gate, uint64_t tick)
{
  pthread_mutex_lock (&ticks_lock);
  if (tick > now_tick) {
    active_before = tick == now_tick + 1 ? active_now : 0;
    active_now = 0;
    now_tick = tick;
  }
  if (atomic_load (&gate->tick) < tick) {
    atomic_store (&gate->tick, tick);
    active_now++;
  }
  atomic_store (&crowded, active_now > 1 || active_before > 1);
  pthread_mutex_unlock (&ticks_lock);
}

/* The thread stands in line in this tick, or is busy. */
static void
lower (uint64_t tick, int nice)
{
  queued_in = tick;
  if (may_lower && !lowered)
    lowered = set_schedule (nice, LONG_SLICE_NS) == 0;
}

static void
raise_again (void)
{
  lowered = set_schedule (usual_nice, 0) != 0;
}

static void
take (struct seat *seat, uint64_t owner, uint64_t now)
{
  *seat = (struct seat){ .owner = owner, .inside = true, .since = now };
}

/* A seat that nobody uses. */
static struct seat *
find_free_locked (struct gate *gate, uint64_t now)
{
  const unsigned n = count_seats ();

  for (unsigned i = 0; i < n; ++i) {
    struct seat *seat = &gate->seat[i];

    if (seat->owner == 0 || (!seat->inside && now - seat->returned > LEASE_NS))
      return seat;
  }
  return NULL;
}

/* Gives the seat to the first in line.  Who is first then has to look for
 * leases. */
static void
serve_first_locked (struct gate *gate, struct seat *seat, uint64_t now)
{
  struct fair_waiter *waiter = gate->first;

  gate->first = waiter->next;
  if (gate->first == NULL)
    gate->last = NULL;
  else
    pthread_cond_signal (&gate->first->cond);
  take (seat, waiter->owner, now);
  waiter->seat = seat;
  pthread_cond_signal (&waiter->cond);
}

static void
wait_a_lease (struct gate *gate, struct fair_waiter *waiter)
{
  struct timespec until;

  clock_gettime (CLOCK_MONOTONIC, &until);
  until.tv_nsec += LEASE_NS;
  if (until.tv_nsec >= 1000000000) {
    until.tv_nsec -= 1000000000;
    until.tv_sec++;
  }
  pthread_cond_timedwait (&waiter->cond, &gate->lock, &until);
}

/* Waits in line. */
static struct seat *
queue_locked (struct gate *gate)
{
  struct fair_waiter waiter = { .owner = self };
  pthread_condattr_t attr;

  pthread_condattr_init (&attr);
  pthread_condattr_setclock (&attr, CLOCK_MONOTONIC);
  pthread_cond_init (&waiter.cond, &attr);
  pthread_condattr_destroy (&attr);
  if (gate->last != NULL)
    gate->last->next = &waiter;
  else
    gate->first = &waiter;
  gate->last = &waiter;
  while (waiter.seat == NULL)
    if (gate->first != &waiter)
      pthread_cond_wait (&waiter.cond, &gate->lock);
    else {
      const uint64_t now = nanoseconds (CLOCK_MONOTONIC);
      struct seat *seat = find_free_locked (gate, now);

      if (seat != NULL)
        serve_first_locked (gate, seat, now);
      else
        wait_a_lease (gate, &waiter);
    }
  pthread_cond_destroy (&waiter.cond);
  return waiter.seat;
}

/* A seat for this thread, if none stands in line. */
static bool
find_seat_locked (struct gate *gate, uint64_t now)
{
  mine = gate->first == NULL ? find_free_locked (gate, now) : NULL;
  if (mine != NULL)
    take (mine, self, now);
  return mine != NULL;
}

static void
enter_crowded (struct gate *gate, uint64_t tick)
{
  const uint64_t now = nanoseconds (CLOCK_MONOTONIC);

  if (self == 0)
    self = atomic_fetch_add (&nr_threads, 1) + 1;
  quick = now - left_at < LEASE_NS;
  pthread_mutex_lock (&gate->lock);
  if (mine != NULL && my_gate == gate && mine->owner == self)
    mine->inside = true;
  else if (!find_seat_locked (gate, now)) {
    /* Before it waits: else the first requests of a flood's threads are served
     * before others. */
    pthread_mutex_unlock (&gate->lock);
    lower (tick, LOWEST_NICE);
    pthread_mutex_lock (&gate->lock);
    mine = queue_locked (gate);
  }
  my_gate = gate;
  pthread_mutex_unlock (&gate->lock);
}

static void
leave_crowded (struct gate *gate)
{
  const uint64_t now = nanoseconds (CLOCK_MONOTONIC);

  left_at = now;
  pthread_mutex_lock (&gate->lock);
  if (my_gate != gate || mine->owner != self || !mine->inside)
    mine = NULL; /* from before: the gate was open this time */
  else {
    mine->inside = false;
    mine->returned = now;
    if (gate->first != NULL && (!quick || now - mine->since >= TURN_NS))
      serve_first_locked (gate, mine, now);
  }
  pthread_mutex_unlock (&gate->lock);
}

static uint64_t
this_tick (void)
{
  return nanoseconds (CLOCK_MONOTONIC_COARSE) / (TICK_MS * UINT64_C (1000000));
}

void
fair_busy (void)
{
  if (atomic_load_explicit (&crowded, memory_order_relaxed))
    lower (this_tick (), usual_nice + BUSY_NICE);
}

void
fair_enter (struct gate *gate)
{
  const uint64_t tick = this_tick ();

  if (__builtin_expect (
          atomic_load_explicit (&gate->tick, memory_order_relaxed) != tick, 0))
    mark_active (gate, tick);
  if (__builtin_expect (lowered, 0) && tick > queued_in + 1)
    raise_again ();
  if (__builtin_expect (atomic_load_explicit (&crowded, memory_order_relaxed),
                        0))
    enter_crowded (gate, tick);
}

void
fair_leave (struct gate *gate)
{
  if (__builtin_expect (mine != NULL, 0))
    leave_crowded (gate);
}
