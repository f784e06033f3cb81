// SPDX-License-Identifier: BSD-3-Clause
/* A guest and a host, as two threads on one region, lose no page, read none
 * torn or stale, and sleep through no notification.
 *
 *   ring-threads [WHAT]   WHAT is left out or done wrong (see enum broken)
 *
 * The guest writes, frees and reads pages at random; each page it writes is one
 * word, repeated, that it never writes again.  The host stores these words,
 * fills and replaces cache entries at random, and sleeps whenever it has
 * nothing to do; the guest sleeps whenever it has to wait.  ring-threads-tsan
 * runs it under ThreadSanitizer, which sees barriers that are missing on any
 * machine. */

#include <config.h>

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "unit-check.h"
#include "vmswap-ring.h"

#define REGION_SIZE VMSWAP_RING_SIZE_MIN
#define PAGES 200
#define HOT_PAGES 5
#define WORDS (VMSWAP_RING_PAGE_SIZE / sizeof (uint64_t))
#define LOST_MS                                                                \
  4000 /* a sleep of that length with work at hand is for ever                 \
        */

enum broken {
  NOTHING,
  HOST_FULL,      /* no full barrier, host */
  GUEST_FULL,     /* no full barrier, guest */
  SECOND_LOOK,    /* no second look after arming */
  HEAD_RELEASE,   /* post_head is stored relaxed */
  TAIL_RELEASE,   /* post_tail is stored relaxed */
  RESULT_ACQUIRE, /* a result's serial is loaded relaxed */
  SEQUENCE_CHECK, /* the sequence is not looked at again */
  CACHE_LATE,     /* the cache is corrected after post_tail */
  BROKEN
};
static const char *const broken_names[BROKEN] = {
  "nothing",        "host-full",      "guest-full",
  "second-look",    "head-release",   "tail-release",
  "result-acquire", "sequence-check", "cache-late",
};
static enum broken broken;

/* The region, and the parts of it. */
static uint8_t *region;
static struct vmswap_ring_header *header;
static struct vmswap_ring_geometry geometry;
static int doorbell;
static int interrupt;
static bool stopped;

#define COUNT(part) (geometry.parts[VMSWAP_RING_##part].count)
#define PART(part, type) ((type *) (region + geometry.parts[part].offset))
#define POSTS PART (VMSWAP_RING_POSTS, struct vmswap_ring_post)
#define SUBMITS PART (VMSWAP_RING_SUBMITS, uint32_t)
#define COMPLETES PART (VMSWAP_RING_COMPLETES, uint32_t)
#define REQUESTS PART (VMSWAP_RING_REQUESTS, struct vmswap_ring_request)
#define RESULTS PART (VMSWAP_RING_RESULTS, struct vmswap_ring_result)
#define CACHE PART (VMSWAP_RING_CACHE, struct vmswap_ring_cache_set)

static uint64_t *
page_of (unsigned part, uint32_t n)
{
  return (uint64_t *) (region + geometry.parts[part].offset +
                       (size_t) n * VMSWAP_RING_PAGE_SIZE);
}

#define RELAXED(p) __atomic_load_n (p, __ATOMIC_RELAXED)
#define ACQUIRE(p) __atomic_load_n (p, __ATOMIC_ACQUIRE)
#define SET(p, v) __atomic_store_n (p, v, __ATOMIC_RELAXED)
#define RELEASE(p, v) __atomic_store_n (p, v, __ATOMIC_RELEASE)

static void
full_barrier (enum broken unless)
{
  if (broken != unless)
    __atomic_thread_fence (__ATOMIC_SEQ_CST);
  else
    __atomic_signal_fence (__ATOMIC_SEQ_CST);
}

static void
notify (int fd)
{
  const uint64_t one = 1;

  CHECK (write (fd, &one, sizeof one) == sizeof one);
}

static void
sleep_on (int fd, const char *who)
{
  struct pollfd poller = { .fd = fd, .events = POLLIN };
  uint64_t count;

  if (poll (&poller, 1, LOST_MS) != 1) {
    fprintf (stderr, "%s: a notification was lost\n", who);
    exit (1);
  }
  CHECK (read (fd, &count, sizeof count) == sizeof count);
}

static uint32_t
random_next (uint32_t *state)
{
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

/* Where the other side should get a chance to come in between. */
static void
give_way (uint32_t *state)
{
  if (random_next (state) % 32 == 0)
    sched_yield ();
}

/* All of a page must be one word. */
static uint64_t
page_word (const uint64_t *page, const char *what)
{
  for (unsigned i = 1; i < WORDS; ++i)
    if (page[i] != page[0]) {
      fprintf (stderr, "%s: a torn page\n", what);
      exit (1);
    }
  return page[0];
}

/* The host. */
static struct {
  uint64_t pool[PAGES];
  uint32_t tail;
  uint32_t submit_tail;
  uint32_t complete_head;
  uint32_t random;
} host;

static void
entry_store (struct vmswap_ring_cache_entry *entry, uint32_t n, uint64_t page,
             uint64_t word)
{
  uint64_t *data = page_of (VMSWAP_RING_CACHE_PAGES, n);
  const uint32_t sequence = entry->sequence;

  SET (&entry->sequence, sequence + 1);
  __atomic_thread_fence (__ATOMIC_RELEASE);
  SET (&entry->page, page);
  for (unsigned i = 0; page != VMSWAP_RING_NO_PAGE && i < WORDS; ++i) {
    if (i == WORDS / 2)
      give_way (&host.random);
    SET (&data[i], word);
  }
  RELEASE (&entry->sequence, sequence + 2);
}

static void
cache_correct (uint64_t page)
{
  const uint32_t set = vmswap_ring_cache_set_of (page, COUNT (CACHE));

  for (unsigned way = 0; way < VMSWAP_RING_CACHE_WAYS; ++way)
    if (CACHE[set].ways[way].page == page && CACHE[set].ways[way].sequence)
      entry_store (&CACHE[set].ways[way], set * VMSWAP_RING_CACHE_WAYS + way,
                   VMSWAP_RING_NO_PAGE, 0);
}

static void
cache_fill (uint64_t page)
{
  const uint32_t set = vmswap_ring_cache_set_of (page, COUNT (CACHE));
  const uint32_t way = random_next (&host.random) % VMSWAP_RING_CACHE_WAYS;

  cache_correct (page);
  entry_store (&CACHE[set].ways[way], set * VMSWAP_RING_CACHE_WAYS + way, page,
               host.pool[page]);
}

static void
post_do (uint32_t position)
{
  const struct vmswap_ring_post post = POSTS[position & (COUNT (POSTS) - 1)];
  uint64_t copy[WORDS];

  CHECK (post.page < PAGES);
  if (post.op == VMSWAP_POST_WRITE) {
    CHECK (post.arg < COUNT (SLOTS));
    memcpy (copy, page_of (VMSWAP_RING_SLOTS, post.arg), sizeof copy);
    host.pool[post.page] = page_word (copy, "host");
    CHECK (host.pool[post.page] % PAGES == post.page);
  }
  else {
    CHECK (post.op == VMSWAP_POST_FREE && post.arg == 1);
    host.pool[post.page] = 0;
  }
  if (broken != CACHE_LATE)
    cache_correct (post.page);
}

static bool
posts_do (void)
{
  const uint32_t before = host.tail;
  const uint32_t head = ACQUIRE (&header->post_head);

  CHECK (head - before <= COUNT (POSTS));
  while (host.tail != head && host.tail - before < VMSWAP_RING_BATCH)
    post_do (host.tail++);
  if (host.tail == before)
    return false;
  if (broken == TAIL_RELEASE)
    SET (&header->post_tail, host.tail);
  else
    RELEASE (&header->post_tail, host.tail);
  give_way (&host.random);
  full_barrier (HOST_FULL);
  if (vmswap_ring_need_event (RELAXED (&header->tail_event), host.tail, before))
    notify (interrupt);
  for (uint32_t i = before; broken == CACHE_LATE && i != host.tail; ++i)
    cache_correct (POSTS[i & (COUNT (POSTS) - 1)].page);
  return true;
}

static void
request_do (uint32_t tag)
{
  struct vmswap_ring_request request;
  uint64_t *page = page_of (VMSWAP_RING_TAG_PAGES, tag);

  request.serial = ACQUIRE (&REQUESTS[tag].serial);
  if (request.serial == RESULTS[tag].serial)
    return;
  request.page = REQUESTS[tag].page;
  CHECK (REQUESTS[tag].op == VMSWAP_REQUEST_READ && request.page < PAGES);
  for (unsigned i = 0; i < WORDS; ++i)
    page[i] = host.pool[request.page];
  RESULTS[tag].status = VMSWAP_STATUS_OK;
  RELEASE (&RESULTS[tag].serial, request.serial);
  SET (&COMPLETES[host.complete_head & (COUNT (COMPLETES) - 1)], tag);
  RELEASE (&header->complete_head, ++host.complete_head);
  full_barrier (HOST_FULL);
  if (vmswap_ring_need_event (RELAXED (&header->complete_event),
                              host.complete_head, host.complete_head - 1))
    notify (interrupt);
  if (random_next (&host.random) % 2)
    cache_fill (request.page);
}

static bool
requests_do (void)
{
  const uint32_t head = ACQUIRE (&header->submit_head);
  const bool any = head != host.submit_tail;

  while (host.submit_tail != head)
    request_do (RELAXED (&SUBMITS[host.submit_tail++ & (COUNT (SUBMITS) - 1)]));
  return any;
}

static void
host_sleep (void)
{
  give_way (&host.random);
  SET (&header->post_event, host.tail);
  SET (&header->submit_event, host.submit_tail);
  full_barrier (HOST_FULL);
  if (broken == SECOND_LOOK ||
      (ACQUIRE (&header->post_head) == host.tail &&
       ACQUIRE (&header->submit_head) == host.submit_tail &&
       !RELAXED (&stopped)))
    sleep_on (doorbell, "host");
}

static void *
host_run (void *unused)
{
  host.random = 1;
  while (!RELAXED (&stopped)) {
    const bool any = requests_do ();

    if (!posts_do () && !any)
      host_sleep ();
    else
      cache_fill (random_next (&host.random) %
                  (random_next (&host.random) % 2 ? HOT_PAGES : PAGES));
  }
  return NULL;
}

/* The guest: its own notes about what it posted. */
static struct {
  uint64_t wanted[PAGES];  /* the word of the page */
  uint32_t newest[PAGES];  /* the position of its newest post */
  bool posted[PAGES];      /* which may be open */
  uint32_t slots[4096];    /* of posts, or NO_SLOT */
  uint32_t free_slots[64]; /* a stack */
  uint32_t free_count;
  uint32_t head;
  uint32_t tail;
  uint32_t submit_head;
  uint64_t serial; /* of pages written */
  bool asked;      /* a request is open: */
  uint32_t asked_tag;
  uint32_t asked_page;
  uint32_t asked_serial;
  uint32_t random;
  uint64_t from_staging, from_cache, from_pool, slept;
} guest;
#define NO_SLOT UINT32_MAX

/* Takes note of what is done; returns whether anything is. */
static bool
tail_look (void)
{
  const uint32_t tail = ACQUIRE (&header->post_tail);
  const bool any = tail != guest.tail;

  CHECK (tail - guest.tail <= guest.head - guest.tail);
  for (; guest.tail != tail; ++guest.tail) {
    const uint32_t slot = guest.slots[guest.tail & (COUNT (POSTS) - 1)];

    if (slot != NO_SLOT)
      guest.free_slots[guest.free_count++] = slot;
  }
  return any;
}

static void
room_wait (void)
{
  while (guest.free_count == 0 || guest.head - guest.tail == COUNT (POSTS)) {
    if (tail_look ())
      continue;
    SET (&header->tail_event, guest.tail);
    full_barrier (GUEST_FULL);
    if (broken == SECOND_LOOK || !tail_look ()) {
      guest.slept++;
      sleep_on (interrupt, "guest, for a slot");
    }
  }
}

static void
post (uint32_t page, uint8_t op, uint32_t arg)
{
  struct vmswap_ring_post *entry = &POSTS[guest.head & (COUNT (POSTS) - 1)];

  entry->page = page;
  entry->op = op;
  entry->arg = arg;
  guest.slots[guest.head & (COUNT (POSTS) - 1)] =
      op == VMSWAP_POST_WRITE ? arg : NO_SLOT;
  guest.newest[page] = guest.head;
  guest.posted[page] = true;
  guest.head++;
  if (broken == HEAD_RELEASE)
    SET (&header->post_head, guest.head);
  else
    RELEASE (&header->post_head, guest.head);
  full_barrier (GUEST_FULL);
  if (vmswap_ring_need_event (RELAXED (&header->post_event), guest.head,
                              guest.head - 1))
    notify (doorbell);
}

static void
guest_write (uint32_t page)
{
  uint64_t *data;
  uint32_t slot;

  room_wait ();
  slot = guest.free_slots[--guest.free_count];
  data = page_of (VMSWAP_RING_SLOTS, slot);
  guest.wanted[page] = ++guest.serial * PAGES + page;
  for (unsigned i = 0; i < WORDS; ++i)
    data[i] = guest.wanted[page];
  post (page, VMSWAP_POST_WRITE, slot);
}

static bool
staging_read (uint32_t page, uint64_t *data)
{
  uint32_t slot;

  tail_look ();
  if (!guest.posted[page] ||
      guest.newest[page] - guest.tail >= guest.head - guest.tail)
    return guest.posted[page] = false;
  slot = guest.slots[guest.newest[page] & (COUNT (POSTS) - 1)];
  if (slot == NO_SLOT)
    memset (data, 0, VMSWAP_RING_PAGE_SIZE);
  else
    memcpy (data, page_of (VMSWAP_RING_SLOTS, slot), VMSWAP_RING_PAGE_SIZE);
  guest.from_staging++;
  return true;
}

static bool
entry_read (const struct vmswap_ring_cache_entry *entry, uint32_t n,
            uint32_t page, uint64_t *data)
{
  const uint64_t *from = page_of (VMSWAP_RING_CACHE_PAGES, n);
  const uint32_t sequence = ACQUIRE (&entry->sequence);

  if (sequence == 0 || sequence % 2 || RELAXED (&entry->page) != page)
    return false;
  for (unsigned i = 0; i < WORDS; ++i) {
    if (i == WORDS / 2)
      give_way (&guest.random);
    data[i] = RELAXED (&from[i]);
  }
  __atomic_thread_fence (__ATOMIC_ACQUIRE);
  return broken == SEQUENCE_CHECK || RELAXED (&entry->sequence) == sequence;
}

static bool
cache_read (uint32_t page, uint64_t *data)
{
  const uint32_t set = vmswap_ring_cache_set_of (page, COUNT (CACHE));

  for (unsigned way = 0; way < VMSWAP_RING_CACHE_WAYS; ++way)
    if (entry_read (&CACHE[set].ways[way], set * VMSWAP_RING_CACHE_WAYS + way,
                    page, data)) {
      guest.from_cache++;
      return true;
    }
  return false;
}

static bool
is_done (uint32_t tag, uint32_t serial)
{
  return (broken == RESULT_ACQUIRE ? RELAXED (&RESULTS[tag].serial)
                                   : ACQUIRE (&RESULTS[tag].serial)) == serial;
}

/* Asks for a page; the answer is looked at some steps later. */
static void
pool_ask (uint32_t page)
{
  const uint32_t tag = random_next (&guest.random) % COUNT (REQUESTS);
  struct vmswap_ring_request *request = &REQUESTS[tag];

  guest.asked = true;
  guest.asked_tag = tag;
  guest.asked_page = page;
  guest.asked_serial = request->serial + 1;
  request->page = page;
  request->count = 1;
  request->op = VMSWAP_REQUEST_READ;
  RELEASE (&request->serial, guest.asked_serial);
  SET (&SUBMITS[guest.submit_head & (COUNT (SUBMITS) - 1)], tag);
  RELEASE (&header->submit_head, ++guest.submit_head);
  full_barrier (GUEST_FULL);
  if (vmswap_ring_need_event (RELAXED (&header->submit_event),
                              guest.submit_head, guest.submit_head - 1))
    notify (doorbell);
}

static void
page_check (uint32_t page, const uint64_t *data, const char *from)
{
  if (page_word (data, from) != guest.wanted[page]) {
    fprintf (stderr, "%s: a stale page\n", from);
    exit (1);
  }
}

static void
pool_take (void)
{
  uint64_t data[WORDS];
  const uint32_t tag = guest.asked_tag;

  while (!is_done (tag, guest.asked_serial)) {
    SET (&header->complete_event, ACQUIRE (&header->complete_head));
    full_barrier (GUEST_FULL);
    if (broken == SECOND_LOOK || !is_done (tag, guest.asked_serial)) {
      guest.slept++;
      sleep_on (interrupt, "guest, for a page");
    }
  }
  CHECK (RESULTS[tag].status == VMSWAP_STATUS_OK);
  memcpy (data, page_of (VMSWAP_RING_TAG_PAGES, tag), sizeof data);
  guest.from_pool++;
  guest.asked = false;
  page_check (guest.asked_page, data, "the pool");
}

static void
guest_read (uint32_t page)
{
  uint64_t data[WORDS];

  if (staging_read (page, data))
    page_check (page, data, "staging");
  else if (cache_read (page, data))
    page_check (page, data, "the cache");
  else if (!guest.asked)
    pool_ask (page);
}

/* Half of the time one of a few pages, which are read soon after they are
 * written, and while the host corrects its cache. */
static void
guest_step (void)
{
  const uint32_t what = random_next (&guest.random) % 32;
  const uint32_t page = random_next (&guest.random) %
                        (random_next (&guest.random) % 2 ? HOT_PAGES : PAGES);

  if (guest.asked && (what < 2 || page == guest.asked_page))
    pool_take ();
  if (what < 8)
    guest_write (page);
  else if (what < 31)
    guest_read (page);
  else {
    room_wait ();
    guest.wanted[page] = 0;
    post (page, VMSWAP_POST_FREE, 1);
  }
}

static uint64_t
now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static void
region_make (void)
{
  CHECK (vmswap_ring_geometry_for_size (REGION_SIZE, &geometry) == 0);
  COUNT (CACHE) = 2; /* few, so that pages push each other out */
  COUNT (CACHE_PAGES) = 2 * VMSWAP_RING_CACHE_WAYS;
  CHECK (vmswap_ring_geometry_check (&geometry, REGION_SIZE) == NULL);
  CHECK (COUNT (SLOTS) <= 64 && COUNT (POSTS) <= 4096);
  CHECK (posix_memalign ((void **) &region, 4096, REGION_SIZE) == 0);
  memset (region, 0, REGION_SIZE);
  header = (struct vmswap_ring_header *) region;
  for (; guest.free_count < COUNT (SLOTS); ++guest.free_count)
    guest.free_slots[guest.free_count] = guest.free_count;
  CHECK ((doorbell = eventfd (0, 0)) >= 0);
  CHECK ((interrupt = eventfd (0, 0)) >= 0);
}

int
main (int argc, char *argv[])
{
  const uint64_t end = now_ms () + 1000;
  pthread_t thread;

  for (unsigned i = 0; argc > 1 && i < BROKEN; ++i)
    if (strcmp (argv[1], broken_names[i]) == 0)
      broken = (enum broken) i;
  CHECK (argc == 1 || broken != NOTHING);
  region_make ();
  CHECK (pthread_create (&thread, NULL, host_run, NULL) == 0);
  while (now_ms () < end)
    for (unsigned i = 0; i < 100; ++i)
      guest_step ();
  SET (&stopped, true);
  notify (doorbell);
  CHECK (pthread_join (thread, NULL) == 0);
  printf (
      "writes %lu; reads from staging %lu, cache %lu, pool %lu; slept %lu\n",
      (unsigned long) guest.serial, (unsigned long) guest.from_staging,
      (unsigned long) guest.from_cache, (unsigned long) guest.from_pool,
      (unsigned long) guest.slept);
  CHECK (guest.from_staging && guest.from_cache && guest.from_pool &&
         guest.slept);
  return 0;
}
