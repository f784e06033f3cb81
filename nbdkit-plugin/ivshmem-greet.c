// SPDX-License-Identifier: BSD-3-Clause
/* What is said on the connection to a QEMU: five messages, once.  Owns
 * nothing. */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ivshmem-guest.h"
#include "vmswap-ivshmem.h"

/* One number, with a descriptor unless that is -1.  A connection that was just
 * made has room for all of them, whether or not they are read. */
static int
say (int qemu, int64_t number, int fd)
{
  union {
    char room[CMSG_SPACE (sizeof fd)];
    struct cmsghdr align;
  } control = { .room = { 0 } };
  uint8_t bytes[VMSWAP_IVSHMEM_MESSAGE_SIZE];
  struct iovec part = { .iov_base = bytes, .iov_len = sizeof bytes };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
  ssize_t n;

  for (unsigned i = 0; i < sizeof bytes; ++i)
    bytes[i] = (uint8_t) ((uint64_t) number >> 8 * i);
  if (fd != -1) {
    struct cmsghdr *header;

    message.msg_control = control.room;
    message.msg_controllen = sizeof control.room;
    header = CMSG_FIRSTHDR (&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN (sizeof fd);
    memcpy (CMSG_DATA (header), &fd, sizeof fd);
  }
  n = sendmsg (qemu, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n == -1)
    return -errno;
  return n == sizeof bytes ? 0 : -EIO;
}

int
ivshmem_greet (int qemu, const struct ring *ring)
{
  const struct {
    int64_t number;
    int fd;
  } messages[] = {
    { VMSWAP_IVSHMEM_VERSION, -1 },
    { VMSWAP_IVSHMEM_GUEST, -1 },
    { VMSWAP_IVSHMEM_MEMORY, ring->region.fd },
    { VMSWAP_IVSHMEM_HOST, ring->doorbell },
    { VMSWAP_IVSHMEM_GUEST, ring->interrupt },
  };
  int r = 0;

  for (unsigned i = 0; r == 0 && i < sizeof messages / sizeof messages[0]; ++i)
    r = say (qemu, messages[i].number, messages[i].fd);
  return r;
}

void
ivshmem_refuse (int qemu)
{
  say (qemu, VMSWAP_IVSHMEM_REFUSED, -1);
  close (qemu);
}

bool
ivshmem_is_over (int qemu)
{
  char byte;

  return recv (qemu, &byte, 1, MSG_DONTWAIT) != -1 ||
         (errno != EAGAIN && errno != EINTR);
}
