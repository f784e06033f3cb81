// SPDX-License-Identifier: BSD-3-Clause
/* The driver: its life, and its interrupts. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"
#include "vmswap-ivshmem.h"

void
driver_die (const struct driver *d, const char *format, ...)
{
  va_list args;

  fprintf (stderr, "%s: ", d->path);
  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fprintf (stderr, "\n");
  _exit (1);
}

uint64_t
driver_random (uint64_t *state)
{
  uint64_t z = *state += UINT64_C (0x9e3779b97f4a7c15);

  z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t
driver_now_ns (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (uint64_t) ts.tv_sec * UINT64_C (1000000000) + (uint64_t) ts.tv_nsec;
}

void *
driver_part (const struct driver *d, unsigned part)
{
  return d->region + d->geometry.parts[part].offset;
}

uint8_t *
driver_page (const struct driver *d, unsigned part, uint32_t n)
{
  return (uint8_t *) driver_part (d, part) + (size_t) n * PAGE;
}

void
driver_ring (struct driver *d)
{
  const uint64_t one = 1;

  if (write (d->doorbell, &one, sizeof one) != sizeof one)
    driver_die (d, "the doorbell: %s", strerror (errno));
  __atomic_fetch_add (&d->rings, 1, __ATOMIC_RELAXED);
}

/* One message of the server; -ECONNRESET: it has closed the connection. */
static int
hear (struct driver *d, int64_t *number, int *fd)
{
  union {
    char room[CMSG_SPACE (sizeof *fd)];
    struct cmsghdr align;
  } control;
  struct iovec part = { .iov_base = number, .iov_len = sizeof *number };
  struct msghdr message = { .msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.room,
                            .msg_controllen = sizeof control.room };
  const ssize_t n = recvmsg (d->socket, &message, MSG_CMSG_CLOEXEC);
  const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR (&message) : NULL;

  *fd = -1;
  if (header != NULL && header->cmsg_type == SCM_RIGHTS)
    memcpy (fd, CMSG_DATA (header), sizeof *fd);
  if (n == 0 || (n == -1 && errno == ECONNRESET))
    return -ECONNRESET;
  if (n != sizeof *number)
    driver_die (d, "a message of %zd bytes", n);
  return 0;
}

static int
expect (struct driver *d, int64_t wanted, int *fd)
{
  int64_t number;
  int got;
  const int r = hear (d, &number, &got);

  if (r < 0)
    return r;
  if (number == VMSWAP_IVSHMEM_REFUSED && got == -1)
    return -EBUSY;
  if (number != wanted || (got != -1) != (fd != NULL))
    driver_die (d, "message %lld with descriptor %d instead of %lld",
                (long long) number, got, (long long) wanted);
  if (fd != NULL)
    *fd = got;
  return 0;
}

static void
map (struct driver *d)
{
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
  struct stat st;
  const char *wrong;

  if (fstat (d->memory, &st) == -1 ||
      (fcntl (d->memory, F_GET_SEALS) & seals) != seals)
    driver_die (d, "the memory is not sealed");
  d->size = (uint64_t) st.st_size;
  d->region =
      mmap (NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED, d->memory, 0);
  if (d->region == MAP_FAILED)
    driver_die (d, "mmap: %s", strerror (errno));
  d->header = (struct vmswap_ring_header *) d->region;
  if (memcmp (d->header->magic, VMSWAP_RING_MAGIC, 8) != 0 ||
      d->header->version != VMSWAP_RING_VERSION ||
      d->header->page_size != PAGE || d->header->region_size != d->size)
    driver_die (d, "the header is not right");
  vmswap_ring_geometry_load (d->header, &d->geometry);
  wrong = vmswap_ring_geometry_check (&d->geometry, d->size);
  if (wrong != NULL)
    driver_die (d, "%s", wrong);
  d->device_pages = d->header->device_pages;
}

int
driver_connect (struct driver *d, const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int r;

  memset (d, 0, sizeof *d);
  d->path = path;
  d->socket = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  d->memory = d->doorbell = d->interrupt = -1;
  snprintf (address.sun_path, sizeof address.sun_path, "%s", path);
  if (connect (d->socket, (struct sockaddr *) &address, sizeof address) == -1)
    r = -errno;
  else {
    r = expect (d, VMSWAP_IVSHMEM_VERSION, NULL);
    r = r ? r : expect (d, VMSWAP_IVSHMEM_GUEST, NULL);
    r = r ? r : expect (d, VMSWAP_IVSHMEM_MEMORY, &d->memory);
    r = r ? r : expect (d, VMSWAP_IVSHMEM_HOST, &d->doorbell);
    r = r ? r : expect (d, VMSWAP_IVSHMEM_GUEST, &d->interrupt);
  }
  if (r < 0) {
    close (d->socket);
    return r;
  }
  map (d);
  pthread_mutex_init (&d->lock, NULL);
  pthread_cond_init (&d->cond, NULL);
  return 0;
}

/* --- Interrupts. */

/* Another server has taken over. */
static void
resync_locked (struct driver *d, uint32_t generation)
{
  struct vmswap_ring_geometry now;

  vmswap_ring_geometry_load (d->header, &now);
  if (memcmp (&now, &d->geometry, sizeof now) != 0)
    driver_die (d, "the geometry has changed");
  d->generation = generation;
  d->resyncs++;
  pthread_cond_broadcast (&d->cond);
  driver_ring (d);
}

static void
look_at_host_locked (struct driver *d)
{
  const uint32_t state = ACQUIRE (&d->header->host_state);
  const uint32_t generation = ACQUIRE (&d->header->generation);

  if (state == VMSWAP_HOST_DEAD && !d->dead) {
    d->dead = true;
    RELEASE (&d->header->guest_state, VMSWAP_GUEST_DEAD);
  }
  if (d->dead)
    return;
  if (state == VMSWAP_HOST_QUIESCED && !d->quiesced) {
    d->quiesced = true;
    d->quiesces++;
    RELEASE (&d->header->guest_state, VMSWAP_GUEST_QUIESCED);
    driver_ring (d);
  }
  else if (state == VMSWAP_HOST_LIVE && d->quiesced) {
    d->quiesced = false;
    RELEASE (&d->header->guest_state, VMSWAP_GUEST_LIVE);
    pthread_cond_broadcast (&d->cond);
  }
  if (generation != d->generation)
    resync_locked (d, generation);
}

/* Takes note of posts that are done. */
void
driver_look_locked (struct driver *d)
{
  const uint32_t tail = ACQUIRE (&d->header->post_tail);
  const uint32_t mask = DRIVER_COUNT (d, POSTS) - 1;

  if (tail - d->post_tail > d->post_head - d->post_tail)
    driver_die (d, "post_tail is %u, between %u and %u it should be", tail,
                d->post_tail, d->post_head);
  for (; d->post_tail != tail; ++d->post_tail)
    if (d->slot_of[d->post_tail & mask] != NO_SLOT)
      d->free_slots[d->nr_free++] = d->slot_of[d->post_tail & mask];
}

/* Sleeps until something may have changed.  Events are set.  True: nobody said
 * so. */
bool
driver_wait_locked (struct driver *d)
{
  pthread_cond_wait (&d->cond, &d->lock);
  return d->by_time;
}

static void *
take_interrupts (void *opaque)
{
  struct driver *d = opaque;

  while (!RELAXED (&d->ending)) {
    struct pollfd fds = { .fd = d->interrupt, .events = POLLIN };
    const int n = poll (&fds, 1, 1000);
    uint64_t count;

    if (n == 1 && read (d->interrupt, &count, sizeof count) == sizeof count)
      d->interrupts++;
    pthread_mutex_lock (&d->lock);
    if (n == 0 && d->post_head != d->post_tail)
      driver_ring (d);
    look_at_host_locked (d);
    d->by_time = n == 0;
    pthread_cond_broadcast (&d->cond);
    pthread_mutex_unlock (&d->lock);
  }
  return NULL;
}

/* --- Sessions. */

static void *
room (const struct driver *d, size_t n, size_t size)
{
  void *p = calloc (n, size);

  if (p == NULL)
    driver_die (d, "no memory");
  return p;
}

static void
make_notes (struct driver *d)
{
  const uint32_t slots = DRIVER_COUNT (d, SLOTS);

  d->newest = room (d, d->device_pages, sizeof *d->newest);
  d->posted = room (d, d->device_pages, 1);
  d->slot_of = room (d, DRIVER_COUNT (d, POSTS), sizeof *d->slot_of);
  d->free_slots = room (d, slots, sizeof *d->free_slots);
  d->free_tags = room (d, DRIVER_COUNT (d, REQUESTS), sizeof *d->free_tags);
  d->nr_free = d->nr_free_tags = 0;
  while (d->nr_free < slots) {
    d->free_slots[d->nr_free] = slots - 1 - d->nr_free;
    d->nr_free++;
  }
}

static void
take_indices (struct driver *d)
{
  struct vmswap_ring_header *h = d->header;
  struct vmswap_ring_request *requests = driver_part (d, VMSWAP_RING_REQUESTS);
  const struct vmswap_ring_result *results =
      driver_part (d, VMSWAP_RING_RESULTS);

  d->generation = ACQUIRE (&h->generation);
  d->post_head = d->post_tail = ACQUIRE (&h->post_tail);
  if (RELAXED (&h->post_head) != d->post_head)
    driver_die (d, "post_tail is not post_head after session_ack");
  d->submit_head = RELAXED (&h->submit_head);
  d->hint_head = RELAXED (&h->hint_head);
  d->complete_tail = ACQUIRE (&h->complete_head);
  for (uint32_t tag = 0; tag < DRIVER_COUNT (d, REQUESTS); ++tag) {
    d->serial[tag] = RELAXED (&results[tag].serial);
    SET (&requests[tag].serial, d->serial[tag]);
    d->free_tags[d->nr_free_tags++] = tag;
  }
  SET (&h->complete_event, d->complete_tail);
  SET (&h->tail_event, d->post_tail - 1);
}

int
driver_start (struct driver *d, uint64_t features, unsigned ms)
{
  struct vmswap_ring_header *h = d->header;
  const uint64_t until = driver_now_ns () + ms * UINT64_C (1000000);
  uint32_t session = RELAXED (&h->session) + 1;

  if (session == 0 || session == RELAXED (&h->session_ack))
    session += 2;
  d->features = features;
  d->dead = d->quiesced = false;
  RELEASE (&h->guest_state, VMSWAP_GUEST_STARTING);
  SET (&h->guest_features, features);
  RELEASE (&h->session, session);
  while (ACQUIRE (&h->session_ack) != session) {
    struct pollfd fds = { .fd = d->interrupt, .events = POLLIN };
    uint64_t count;

    driver_ring (d);
    if (driver_now_ns () > until)
      return ACQUIRE (&h->host_state) == VMSWAP_HOST_DEAD ? -EPROTO
                                                          : -ETIMEDOUT;
    if (poll (&fds, 1, 20) == 1 &&
        read (d->interrupt, &count, sizeof count) == -1)
      return -errno;
  }
  make_notes (d);
  take_indices (d);
  RELEASE (&h->guest_state, VMSWAP_GUEST_LIVE);
  d->ending = false;
  if (pthread_create (&d->thread, NULL, take_interrupts, d) != 0)
    driver_die (d, "no thread");
  d->running = true;
  return 0;
}

void
driver_forget (struct driver *d)
{
  const uint64_t one = 1;

  if (d->running) {
    RELEASE (&d->ending, true);
    if (write (d->interrupt, &one, sizeof one) != sizeof one)
      driver_die (d, "the interrupt: %s", strerror (errno));
    pthread_join (d->thread, NULL);
  }
  d->running = false;
  free (d->newest);
  free (d->posted);
  free (d->slot_of);
  free (d->free_slots);
  free (d->free_tags);
  d->newest = d->slot_of = d->free_slots = d->free_tags = NULL;
  d->posted = NULL;
}

void
driver_detach (struct driver *d)
{
  driver_drain (d);
  RELEASE (&d->header->guest_state, VMSWAP_GUEST_DEAD);
  driver_ring (d);
  driver_forget (d);
}

void
driver_close (struct driver *d)
{
  driver_forget (d);
  munmap (d->region, d->size);
  close (d->memory);
  close (d->doorbell);
  close (d->interrupt);
  close (d->socket);
  pthread_mutex_destroy (&d->lock);
  pthread_cond_destroy (&d->cond);
}
