// SPDX-License-Identifier: BSD-3-Clause
/* ivshmem-host: a host of the ring for tests, which can be told to lie.
 *
 *   ivshmem-host SOCKET REGION_MIB DEVICE_MIB
 *
 * Two processes: the keeper owns the region, the eventfds, the socket and the
 * pool (plain shared memory, a byte of state per page); the server, its child,
 * plays the host's part of proto/PROTOCOL.md.  The keeper obeys one command per
 * line on stdin, and answers each with one line:
 *
 *   held         pages=N          pages that the pool holds
 *   kill         kills=N          kill -9 the server, start the next
 *   pause on|off                  kill -9 the server, and start none until off
 *   set KNOB N                    see knob_names
 *   grow MIB                      the device is that large from now on
 *   peek                          the words of the region, for a look
 *   quit
 *
 * All memory is shared, so what a server has done is there for the next;
 * nothing else is kept.  When QEMU ends, what is posted is done, and the region
 * is made anew for the next.  One thread per process, no locks.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmswap-ivshmem.h"
#include "vmswap-ring.h"

/* What the server can be told: levels, and lies.  Each but the first four is a
 * lie that no honest host tells. */
enum knob {
  KNOB_QUIESCE,    /* 1: QUIESCED */
  KNOB_FULL,       /* 1: FULL, and a WRITE request is refused */
  KNOB_LIMIT,      /* a pool of so many pages; 0: no limit */
  KNOB_DEAD,       /* DEAD, for this reason */
  KNOB_TAIL,       /* post_tail: 1 back, 2 beyond post_head */
  KNOB_COMPLETES,  /* 1 tags that do not exist, 2 complete_head jumps */
  KNOB_STATUS,     /* 1 statuses that do not exist */
  KNOB_GEOMETRY,   /* 1 overwrites the constant part */
  KNOB_PAGES,      /* 1 a device of no pages, 2 of 2^63 */
  KNOB_GENERATION, /* 1 moves it all the time */
  KNOB_INTERRUPTS, /* 1 interrupts all the time */
  KNOB_EVENTS,     /* 1 overwrites events with noise */
  KNOB_SEQUENCE,   /* 1 keeps every cache entry odd, 2 changing */
  KNOB_HOST_STATE, /* a host_state that does not exist */
  KNOBS
};
static const char *const knob_names[KNOBS] = {
  "quiesce",    "full",   "limit",    "dead",       "tail",
  "completes",  "status", "geometry", "pages",      "generation",
  "interrupts", "events", "sequence", "host-state",
};

/* Shared by keeper and servers. */
struct shared {
  uint32_t knobs[KNOBS];
  uint64_t device_pages;
  uint64_t held;
  uint32_t connections;
};

static struct shared *shared;
static uint8_t *region;
static uint64_t region_size;
static struct vmswap_ring_header *header;
static struct vmswap_ring_geometry geometry;
static uint8_t *store;   /* the pool */
static uint8_t *present; /* of each page */
static uint64_t store_pages;
static int memory_fd, doorbell, interrupt;
static pid_t server;

#define COUNT(part) (geometry.parts[VMSWAP_RING_##part].count)
#define PART(part, type)                                                       \
  ((type *) (region + geometry.parts[VMSWAP_RING_##part].offset))
#define POSTS PART (POSTS, struct vmswap_ring_post)
#define SUBMITS PART (SUBMITS, uint32_t)
#define COMPLETES PART (COMPLETES, uint32_t)
#define REQUESTS PART (REQUESTS, struct vmswap_ring_request)
#define RESULTS PART (RESULTS, struct vmswap_ring_result)
#define CACHE PART (CACHE, struct vmswap_ring_cache_set)
#define PAGE VMSWAP_RING_PAGE_SIZE

#define RELAXED(p) __atomic_load_n (p, __ATOMIC_RELAXED)
#define ACQUIRE(p) __atomic_load_n (p, __ATOMIC_ACQUIRE)
#define SET(p, v) __atomic_store_n (p, v, __ATOMIC_RELAXED)
#define RELEASE(p, v) __atomic_store_n (p, v, __ATOMIC_RELEASE)
#define FULL_BARRIER() __atomic_thread_fence (__ATOMIC_SEQ_CST)

static uint32_t
knob (enum knob knob)
{
  return RELAXED (&shared->knobs[knob]);
}

static void
die (const char *what)
{
  fprintf (stderr, "ivshmem-host: %s: %s\n", what, strerror (errno));
  exit (1);
}

static uint8_t *
page_at (enum vmswap_ring_part_name part, uint32_t n)
{
  return region + geometry.parts[part].offset + (size_t) n * PAGE;
}

static void
notify (int fd)
{
  const uint64_t one = 1;

  if (write (fd, &one, sizeof one) != sizeof one)
    die ("write to an eventfd");
}

static uint64_t
now_ms (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return (uint64_t) now.tv_sec * 1000 + (uint64_t) now.tv_nsec / 1000000;
}

static uint32_t
noise (void)
{
  static uint32_t state = 1;

  state = state * 1664525u + 1013904223u;
  return state ^ state >> 15;
}

/* --- The server. */

static struct {
  uint32_t tail, submit_tail, hint_tail, complete_head;
  uint32_t told_tail, told_head; /* when notifications were last thought of */
  uint32_t session;
  uint64_t beat;
} host;

static void
entry_store (uint32_t n, uint64_t page)
{
  struct vmswap_ring_cache_entry *entry =
      &CACHE[n / VMSWAP_RING_CACHE_WAYS].ways[n % VMSWAP_RING_CACHE_WAYS];
  const uint32_t sequence = RELAXED (&entry->sequence);
  const uint32_t odd = (sequence + 1) | 1;

  SET (&entry->sequence, odd);
  __atomic_thread_fence (__ATOMIC_RELEASE);
  SET (&entry->page, page);
  if (page != VMSWAP_RING_NO_PAGE)
    memcpy (page_at (VMSWAP_RING_CACHE_PAGES, n), store + page * PAGE, PAGE);
  RELEASE (&entry->sequence, odd + 1);
}

static void
cache_drop (uint64_t page)
{
  uint32_t n;

  if (COUNT (CACHE) == 0)
    return;
  n = vmswap_ring_cache_set_of (page, COUNT (CACHE)) * VMSWAP_RING_CACHE_WAYS;
  for (unsigned i = 0; i < VMSWAP_RING_CACHE_WAYS; ++i, ++n)
    if (CACHE[n / VMSWAP_RING_CACHE_WAYS].ways[i].page == page &&
        CACHE[n / VMSWAP_RING_CACHE_WAYS].ways[i].sequence)
      entry_store (n, VMSWAP_RING_NO_PAGE);
}

/* What comes after a page that was read. */
static void
cache_fill (uint64_t page)
{
  if (COUNT (CACHE) == 0 || page >= shared->device_pages || !present[page])
    return;
  cache_drop (page);
  entry_store (vmswap_ring_cache_set_of (page, COUNT (CACHE)) *
                       VMSWAP_RING_CACHE_WAYS +
                   noise () % VMSWAP_RING_CACHE_WAYS,
               page);
}

static void
cache_empty (void)
{
  for (uint32_t n = 0; n < COUNT (CACHE) * VMSWAP_RING_CACHE_WAYS; ++n)
    entry_store (n, VMSWAP_RING_NO_PAGE);
}

static void
page_present (uint64_t page, bool is)
{
  shared->held += (uint64_t) is - present[page];
  present[page] = is;
}

/* Room for one more? */
static bool
pool_takes (uint64_t page)
{
  const uint32_t limit = knob (KNOB_LIMIT);

  return present[page] || limit == 0 || shared->held < limit;
}

static void
pages_free (uint64_t page, uint32_t count)
{
  for (; count > 0; --count, ++page) {
    page_present (page, false);
    cache_drop (page);
  }
}

static void
page_fill (uint64_t page, uint32_t value)
{
  uint32_t *words = (uint32_t *) (store + page * PAGE);

  for (unsigned i = 0; i < PAGE / sizeof *words; ++i)
    words[i] = value;
}

/* Does a post; false if there is no room for it. */
static bool
post_do (uint32_t position)
{
  const struct vmswap_ring_post post = POSTS[position & (COUNT (POSTS) - 1)];
  const uint32_t count = post.op == VMSWAP_POST_FREE ? post.arg : 1;

  if (!vmswap_ring_range_is_right (post.page, count, shared->device_pages) ||
      (post.op == VMSWAP_POST_WRITE && post.arg >= COUNT (SLOTS)) ||
      post.op < VMSWAP_POST_WRITE || post.op > VMSWAP_POST_FILL || post.flags) {
    SET (&header->bad_posts, header->bad_posts + 1);
    return true;
  }
  if (post.op == VMSWAP_POST_FREE) {
    pages_free (post.page, count);
    return true;
  }
  if (!pool_takes (post.page))
    return false;
  if (post.op == VMSWAP_POST_WRITE)
    memcpy (store + post.page * PAGE, page_at (VMSWAP_RING_SLOTS, post.arg),
            PAGE);
  else
    page_fill (post.page, post.arg);
  page_present (post.page, true);
  cache_drop (post.page);
  return true;
}

/* There is no room for a post: frees behind it may make some. */
static void
frees_do_early (uint32_t head)
{
  for (uint32_t i = host.tail; i != head; ++i) {
    const struct vmswap_ring_post post = POSTS[i & (COUNT (POSTS) - 1)];

    if (post.op == VMSWAP_POST_FREE &&
        vmswap_ring_range_is_right (post.page, post.arg, shared->device_pages))
      pages_free (post.page, post.arg);
  }
}

static void
full_set (void)
{
  const uint32_t limit = knob (KNOB_LIMIT);
  const bool full =
      knob (KNOB_FULL) || (limit && shared->held + COUNT (SLOTS) > limit);

  if (full == (header->host_flags & VMSWAP_HOST_FULL))
    return;
  SET (&header->host_flags, full ? VMSWAP_HOST_FULL : 0);
  notify (interrupt);
}

static bool
posts_do (void)
{
  const uint32_t before = host.tail;
  const uint32_t head = ACQUIRE (&header->post_head);

  if (head - host.tail > COUNT (POSTS)) {
    fprintf (stderr, "ivshmem-host: post_head is impossible\n");
    _exit (3);
  }
  full_set ();
  while (host.tail != head && host.tail - before < VMSWAP_RING_BATCH) {
    if (!post_do (host.tail)) {
      frees_do_early (head);
      if (!post_do (host.tail))
        break;
    }
    host.tail++;
  }
  full_set ();
  if (host.tail == before)
    return false;
  RELEASE (&header->post_tail, host.tail);
  FULL_BARRIER ();
  if (vmswap_ring_need_event (RELAXED (&header->tail_event), host.tail, before))
    notify (interrupt);
  return true;
}

/* The status of a request; -1: not yet. */
static int
request_work (const struct vmswap_ring_request *request, uint32_t tag)
{
  const uint32_t head = ACQUIRE (&header->post_head);

  if (!vmswap_ring_range_is_right (request->page, request->count,
                                   shared->device_pages))
    return VMSWAP_STATUS_INVALID;
  if (request->op == VMSWAP_REQUEST_READ) {
    if (present[request->page])
      memcpy (page_at (VMSWAP_RING_TAG_PAGES, tag),
              store + request->page * PAGE, PAGE);
    else
      memset (page_at (VMSWAP_RING_TAG_PAGES, tag), 0, PAGE);
    return VMSWAP_STATUS_OK;
  }
  if (request->after - (host.tail - COUNT (POSTS)) >
      head - (host.tail - COUNT (POSTS)))
    return VMSWAP_STATUS_INVALID;
  if (request->op == VMSWAP_REQUEST_WRITE &&
      (knob (KNOB_FULL) || !pool_takes (request->page)))
    return VMSWAP_STATUS_FULL;
  if (request->op == VMSWAP_REQUEST_DISCARD)
    pages_free (request->page, request->count);
  if ((int32_t) (request->after - host.tail) > 0)
    return -1;
  if (request->op == VMSWAP_REQUEST_DISCARD)
    return VMSWAP_STATUS_OK;
  if (request->op != VMSWAP_REQUEST_WRITE)
    return VMSWAP_STATUS_UNKNOWN_OP;
  memcpy (store + request->page * PAGE, page_at (VMSWAP_RING_TAG_PAGES, tag),
          PAGE);
  page_present (request->page, true);
  cache_drop (request->page);
  return VMSWAP_STATUS_OK;
}

static void
request_do (uint32_t tag)
{
  struct vmswap_ring_request request;
  const uint32_t serial = ACQUIRE (&REQUESTS[tag].serial);
  int status;

  if (serial == RESULTS[tag].serial)
    return;
  request = REQUESTS[tag];
  status = request_work (&request, tag);
  if (status < 0)
    return;
  SET (&RESULTS[tag].status,
       knob (KNOB_STATUS) ? noise () | 1 : (uint32_t) status);
  RELEASE (&RESULTS[tag].serial, serial);
  if (knob (KNOB_COMPLETES) == 1) {
    SET (&COMPLETES[host.complete_head & (COUNT (COMPLETES) - 1)], noise ());
    host.complete_head++;
  }
  else if (knob (KNOB_COMPLETES) == 2)
    host.complete_head += noise ();
  SET (&COMPLETES[host.complete_head & (COUNT (COMPLETES) - 1)], tag);
  RELEASE (&header->complete_head, ++host.complete_head);
  FULL_BARRIER ();
  if (knob (KNOB_COMPLETES) ||
      vmswap_ring_need_event (RELAXED (&header->complete_event),
                              host.complete_head, host.complete_head - 1))
    notify (interrupt);
  if (request.op == VMSWAP_REQUEST_READ)
    for (uint64_t ahead = 1; ahead <= 4; ++ahead)
      cache_fill (request.page + ahead);
}

/* All tags, each time: what waits for post_tail is not in submits again. */
static bool
requests_do (void)
{
  const uint32_t head = ACQUIRE (&header->submit_head);
  const uint32_t guest = ACQUIRE (&header->guest_state);
  const bool any = head != host.submit_tail;

  host.submit_tail = head;
  if (guest == VMSWAP_GUEST_LIVE || guest == VMSWAP_GUEST_QUIESCED)
    for (uint32_t tag = 0; tag < COUNT (REQUESTS); ++tag)
      request_do (tag);
  return any;
}

/* PROTOCOL.md, attach, step 3. */
static void
session_look (void)
{
  const uint32_t session = ACQUIRE (&header->session);

  if (session == host.session || header->host_state == VMSWAP_HOST_QUIESCED)
    return;
  while (ACQUIRE (&header->post_head) - host.tail <= COUNT (POSTS) &&
         posts_do ())
    ;
  host.tail = ACQUIRE (&header->post_head);
  host.submit_tail = ACQUIRE (&header->submit_head);
  host.hint_tail = RELAXED (&header->hint_head);
  RELEASE (&header->post_tail, host.tail);
  if (header->host_state == VMSWAP_HOST_DEAD)
    RELEASE (&header->host_state, VMSWAP_HOST_LIVE);
  host.session = session;
  RELEASE (&header->session_ack, session);
  notify (interrupt);
}

static void
state_look (void)
{
  uint32_t state = VMSWAP_HOST_LIVE;

  if (knob (KNOB_HOST_STATE))
    state = knob (KNOB_HOST_STATE);
  else if (knob (KNOB_DEAD))
    state = VMSWAP_HOST_DEAD;
  else if (knob (KNOB_QUIESCE))
    state = VMSWAP_HOST_QUIESCED;
  if (state != header->host_state) {
    SET (&header->host_reason, knob (KNOB_DEAD));
    RELEASE (&header->host_state, state);
    notify (interrupt);
  }
  if (shared->device_pages != header->device_pages && !knob (KNOB_PAGES)) {
    SET (&header->device_pages, shared->device_pages);
    notify (interrupt);
  }
}

/* The lies that are told all the time. */
static void
lies_tell (void)
{
  if (knob (KNOB_TAIL) == 1)
    RELEASE (&header->post_tail, host.tail - 1000);
  if (knob (KNOB_TAIL) == 2)
    RELEASE (&header->post_tail, ACQUIRE (&header->post_head) + 1000);
  if (knob (KNOB_GEOMETRY)) {
    memset (header, (int) noise (), 32);
    memset (header->parts, (int) noise (), sizeof header->parts);
  }
  if (knob (KNOB_PAGES))
    SET (&header->device_pages,
         knob (KNOB_PAGES) == 1 ? 0 : UINT64_C (1) << 63);
  if (knob (KNOB_GENERATION))
    RELEASE (&header->generation, noise ());
  if (knob (KNOB_EVENTS)) {
    SET (&header->post_event, noise ());
    SET (&header->submit_event, noise ());
    SET (&header->hint_event, noise ());
  }
  for (uint32_t n = 0; knob (KNOB_SEQUENCE) && n < COUNT (CACHE); ++n)
    for (unsigned i = 0; i < VMSWAP_RING_CACHE_WAYS; ++i)
      SET (&CACHE[n].ways[i].sequence,
           knob (KNOB_SEQUENCE) == 1 ? noise () | 1 : noise ());
  if (knob (KNOB_INTERRUPTS) || knob (KNOB_GENERATION) || knob (KNOB_TAIL))
    notify (interrupt);
}

static bool
lying (void)
{
  for (unsigned i = KNOB_TAIL; i < KNOBS; ++i)
    if (knob (i))
      return true;
  return false;
}

static void
beat (void)
{
  const uint64_t now = now_ms ();

  if (now - host.beat < VMSWAP_RING_HEARTBEAT_MS)
    return;
  host.beat = now;
  SET (&header->heartbeat, header->heartbeat + 1);
}

static void
server_sleep (void)
{
  struct pollfd poller = { .fd = doorbell, .events = POLLIN };
  uint64_t count;

  SET (&header->post_event, host.tail);
  SET (&header->submit_event, host.submit_tail);
  FULL_BARRIER ();
  if (!lying () && (ACQUIRE (&header->post_head) != host.tail ||
                    ACQUIRE (&header->submit_head) != host.submit_tail))
    /* Stuck posts are not worth a busy loop. */
    poll (&poller, 1, 1);
  else
    poll (&poller, 1, lying () ? 1 : 500);
  if (poller.revents & POLLIN && read (doorbell, &count, sizeof count) < 0)
    die ("read from an eventfd");
}

/* PROTOCOL.md, a server that was killed. */
static void
server_take_over (void)
{
  host.tail = header->post_tail;
  host.complete_head = header->complete_head;
  host.session = header->session_ack;
  host.submit_tail = ACQUIRE (&header->submit_head) - 1;
  cache_empty ();
  SET (&header->post_event, header->post_head - 1);
  SET (&header->submit_event, header->submit_head - 1);
  SET (&header->heartbeat, header->heartbeat + 1);
  RELEASE (&header->generation, header->generation + 1);
  RELEASE (&header->host_state, VMSWAP_HOST_LIVE);
  notify (interrupt);
}

static void
server_run (void)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  server_take_over ();
  for (;;) {
    bool any;

    state_look ();
    beat ();
    if (header->host_state != VMSWAP_HOST_DEAD)
      any = requests_do () | posts_do ();
    else
      any = false;
    session_look ();
    if (lying ())
      lies_tell ();
    if (!any)
      server_sleep ();
  }
}

/* --- The keeper. */

static void
server_start (void)
{
  server = fork ();
  if (server < 0)
    die ("fork");
  if (server == 0) {
    server_run ();
    _exit (0);
  }
}

static void
server_kill (void)
{
  int status;

  if (server <= 0)
    return;
  kill (server, SIGKILL);
  waitpid (server, &status, 0);
  server = 0;
  if (WIFEXITED (status)) {
    fprintf (stderr, "ivshmem-host: the server ended: %d\n",
             WEXITSTATUS (status));
    exit (1);
  }
}

static void
region_make (void)
{
  memset (region, 0, region_size);
  SET (&header->version, VMSWAP_RING_VERSION);
  SET (&header->page_size, PAGE);
  SET (&header->region_size, region_size);
  SET (&header->features, VMSWAP_RING_FEATURES);
  vmswap_ring_geometry_store (&geometry, header);
  strcpy ((char *) header->volume, "test");
  SET (&header->device_pages, shared->device_pages);
  SET (&header->generation, 0);
  SET (&header->host_state, VMSWAP_HOST_LIVE);
  __atomic_thread_fence (__ATOMIC_RELEASE);
  memcpy (header->magic, VMSWAP_RING_MAGIC, sizeof header->magic);
}

static void *
shared_memory (uint64_t bytes)
{
  void *p = mmap (NULL, bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (p == MAP_FAILED)
    die ("mmap");
  return p;
}

static void
keeper_init (uint64_t region_mib, uint64_t device_mib)
{
  region_size = region_mib << 20;
  if (vmswap_ring_geometry_for_size (region_size, &geometry) < 0) {
    fprintf (stderr, "ivshmem-host: no such region\n");
    exit (1);
  }
  memory_fd = memfd_create ("region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (memory_fd < 0 || ftruncate (memory_fd, (off_t) region_size) < 0 ||
      fcntl (memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
    die ("memfd");
  region = mmap (NULL, region_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                 memory_fd, 0);
  if (region == MAP_FAILED)
    die ("mmap");
  header = (struct vmswap_ring_header *) region;
  doorbell = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  interrupt = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  shared = shared_memory (sizeof *shared);
  /* What it may grow to. */
  store_pages = (device_mib << 8) * 4;
  store = shared_memory (store_pages * PAGE);
  present = shared_memory (store_pages);
  shared->device_pages = device_mib << 8;
  region_make ();
}

static int
socket_listen (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  strncpy (address.sun_path, path, sizeof address.sun_path - 1);
  unlink (path);
  if (fd < 0 || bind (fd, (struct sockaddr *) &address, sizeof address) < 0 ||
      listen (fd, 4) < 0)
    die (path);
  return fd;
}

static void
message_send (int connection, int64_t number, int fd)
{
  union {
    char space[CMSG_SPACE (sizeof (int))];
    struct cmsghdr align;
  } control = { { 0 } };
  struct iovec iov = { &number, sizeof number };
  struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

  if (fd >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control.space;
    CMSG_FIRSTHDR (&message)->cmsg_level = SOL_SOCKET;
    CMSG_FIRSTHDR (&message)->cmsg_type = SCM_RIGHTS;
    CMSG_FIRSTHDR (&message)->cmsg_len = CMSG_LEN (sizeof fd);
    memcpy (CMSG_DATA (CMSG_FIRSTHDR (&message)), &fd, sizeof fd);
  }
  if (sendmsg (connection, &message, MSG_NOSIGNAL) != sizeof number)
    fprintf (stderr, "ivshmem-host: QEMU does not listen\n");
}

/* Done by hand: what is posted, before the region is made anew. */
static void
region_renew (void)
{
  uint32_t head = header->post_head;

  host.tail = header->post_tail;
  while (head - host.tail <= COUNT (POSTS) && host.tail != head &&
         post_do (host.tail))
    host.tail++;
  region_make ();
}

/* One QEMU at a time. */
static int
qemu_accept (int listener)
{
  const int connection = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);

  if (connection < 0)
    die ("accept");
  if (shared->connections++ > 0) {
    server_kill ();
    region_renew ();
    server_start ();
  }
  message_send (connection, VMSWAP_IVSHMEM_VERSION, -1);
  message_send (connection, VMSWAP_IVSHMEM_GUEST, -1);
  message_send (connection, VMSWAP_IVSHMEM_MEMORY, memory_fd);
  message_send (connection, VMSWAP_IVSHMEM_HOST, doorbell);
  message_send (connection, VMSWAP_IVSHMEM_GUEST, interrupt);
  return connection;
}

static void
knob_set (const char *name, uint32_t value)
{
  for (unsigned i = 0; i < KNOBS; ++i)
    if (strcmp (name, knob_names[i]) == 0) {
      SET (&shared->knobs[i], value);
      notify (doorbell);
      printf ("ok\n");
      return;
    }
  printf ("error no knob %s\n", name);
}

static void
peek (void)
{
  printf ("post_head=%u post_tail=%u submit_head=%u complete_head=%u "
          "guest_state=%u host_state=%u generation=%u hint_head=%u "
          "bad_posts=%u flags=%u\n",
          header->post_head, header->post_tail, header->submit_head,
          header->complete_head, header->guest_state, header->host_state,
          header->generation, header->hint_head, header->bad_posts,
          header->host_flags);
}

static void
command_run (const char *line)
{
  static unsigned kills;
  char verb[32] = "", arg[32] = "";
  unsigned long long value = 0;

  sscanf (line, "%31s %31s %llu", verb, arg, &value);
  if (strcmp (verb, "held") == 0)
    printf ("pages=%llu\n", (unsigned long long) RELAXED (&shared->held));
  else if (strcmp (verb, "kill") == 0) {
    server_kill ();
    server_start ();
    printf ("kills=%u\n", ++kills);
  }
  else if (strcmp (verb, "pause") == 0) {
    server_kill ();
    if (strcmp (arg, "off") == 0)
      server_start ();
    printf ("ok\n");
  }
  else if (strcmp (verb, "set") == 0)
    knob_set (arg, (uint32_t) value);
  else if (strcmp (verb, "grow") == 0) {
    const uint64_t pages = strtoull (arg, NULL, 10) << 8;

    if (pages <= store_pages)
      SET (&shared->device_pages, pages);
    notify (doorbell);
    printf (pages <= store_pages ? "ok\n" : "error too large\n");
  }
  else if (strcmp (verb, "peek") == 0)
    peek ();
  else if (strcmp (verb, "quit") == 0)
    exit (0);
  else
    printf ("error what?\n");
}

int
main (int argc, char *argv[])
{
  struct pollfd pollers[2] = { { .events = POLLIN }, { .events = POLLIN } };
  char line[256];
  int connection = -1;

  if (argc != 4) {
    fprintf (stderr, "usage: ivshmem-host SOCKET REGION_MIB DEVICE_MIB\n");
    return 1;
  }
  setvbuf (stdout, NULL, _IOLBF, 0);
  setvbuf (stdin, NULL, _IONBF, 0);
  keeper_init (strtoull (argv[2], NULL, 10), strtoull (argv[3], NULL, 10));
  pollers[0].fd = STDIN_FILENO;
  pollers[1].fd = socket_listen (argv[1]);
  server_start ();
  printf ("ready\n");
  for (;;) {
    if (poll (pollers, 2, -1) < 0)
      die ("poll");
    if (pollers[1].revents & POLLIN) {
      if (connection >= 0)
        close (connection);
      connection = qemu_accept (pollers[1].fd);
    }
    if (pollers[0].revents & (POLLIN | POLLHUP)) {
      if (!fgets (line, sizeof line, stdin))
        return 0;
      command_run (line);
    }
  }
}
