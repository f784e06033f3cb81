// SPDX-License-Identifier: BSD-3-Clause
/* ivshmem-host: the keeper's memory, its socket, and its server. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ivshmem-host.h"
#include "vmswap-ivshmem.h"

struct shared *shared;
uint8_t *region;
struct vmswap_ring_header *header;
struct vmswap_ring_geometry geometry;
uint8_t *store;
uint8_t *present;
uint64_t store_pages;
int doorbell, interrupt;

static uint64_t region_size;
static int memory_fd;
static pid_t server;

void
die (const char *what)
{
  fprintf (stderr, "ivshmem-host: %s: %s\n", what, strerror (errno));
  exit (1);
}

void
notify (int fd)
{
  const uint64_t one = 1;

  if (write (fd, &one, sizeof one) != sizeof one)
    die ("write to an eventfd");
}

void
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

void
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

void
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

int
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

int
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
