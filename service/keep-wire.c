// SPDX-License-Identifier: BSD-3-Clause
/* Messages between a server and its keeper.  Owns nothing. */

#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keep-wire.h"

union room {
  char bytes[CMSG_SPACE (VMSWAP_KEEPER_FDS * sizeof (int))];
  struct cmsghdr align;
};

int
keep_send (int socket, const struct vmswap_keeper_message *message,
           const int fd[VMSWAP_KEEPER_FDS])
{
  union room room = { .bytes = { 0 } };
  struct iovec part = { .iov_base = (void *) message,
                        .iov_len = sizeof *message };
  struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
  unsigned n = 0;
  int list[VMSWAP_KEEPER_FDS];

  for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
    if (message->has >> i & 1)
      list[n++] = fd[i];
  if (n > 0) {
    struct cmsghdr *control;

    header.msg_control = room.bytes;
    header.msg_controllen = CMSG_SPACE (n * sizeof list[0]);
    control = CMSG_FIRSTHDR (&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN (n * sizeof list[0]);
    memcpy (CMSG_DATA (control), list, n * sizeof list[0]);
  }
  return sendmsg (socket, &header, MSG_NOSIGNAL) == sizeof *message ? 0
                                                                    : -errno;
}

void
keep_close (int fd[VMSWAP_KEEPER_FDS], uint32_t which)
{
  for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
    if (which >> i & 1 && fd[i] != -1) {
      close (fd[i]);
      fd[i] = -1;
    }
}

/* The descriptors of a message, as many as it says. */
static int
sort (struct msghdr *header, const struct vmswap_keeper_message *message,
      int fd[VMSWAP_KEEPER_FDS])
{
  const struct cmsghdr *control = CMSG_FIRSTHDR (header);
  int list[VMSWAP_KEEPER_FDS];
  unsigned came = 0, n = 0;

  if (control != NULL && control->cmsg_level == SOL_SOCKET &&
      control->cmsg_type == SCM_RIGHTS) {
    came = (control->cmsg_len - CMSG_LEN (0)) / sizeof list[0];
    if (came > VMSWAP_KEEPER_FDS) /* cannot be: see keep_receive */
      came = VMSWAP_KEEPER_FDS;
    memcpy (list, CMSG_DATA (control), came * sizeof list[0]);
  }
  for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
    if (message->has >> i & 1 && n < came)
      fd[i] = list[n++];
  if (n == came && n == (unsigned) __builtin_popcount (message->has))
    return 0;
  keep_close (fd, ~0u);
  for (; n < came; ++n)
    close (list[n]);
  return -EPROTO;
}

int
keep_receive (int socket, struct vmswap_keeper_message *message,
              int fd[VMSWAP_KEEPER_FDS])
{
  union room room;
  struct iovec part = { .iov_base = message, .iov_len = sizeof *message };
  struct msghdr header = { .msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = room.bytes,
                           /* CMSG_SPACE has room for one more. */
                           .msg_controllen = CMSG_LEN (VMSWAP_KEEPER_FDS *
                                                       sizeof (int)) };
  ssize_t n;
  int r;

  for (unsigned i = 0; i < VMSWAP_KEEPER_FDS; ++i)
    fd[i] = -1;
  memset (message, 0, sizeof *message);
  do
    n = recvmsg (socket, &header, MSG_CMSG_CLOEXEC);
  while (n == -1 && errno == EINTR);
  if (n == -1)
    return -errno;
  r = sort (&header, message, fd);
  if (n == 0) /* descriptors may come with nothing, too */
    r = -ECONNRESET;
  if (r == 0 &&
      (n != sizeof *message || message->magic != VMSWAP_KEEPER_MAGIC ||
       message->name[sizeof message->name - 1] != '\0' ||
       message->path[sizeof message->path - 1] != '\0' ||
       (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)) {
    keep_close (fd, ~0u);
    r = -EPROTO;
  }
  return r;
}
