// SPDX-License-Identifier: BSD-3-Clause
/* Fuzz target: what a server and its keeper say to each other.
 *
 * First byte: which of them is the input.  Then messages (keeper_say): of any
 * length, with any number of descriptors.  What must hold:
 *
 *   keeper   answers each message that is one, and gives descriptors as the
 *            answer says; a guest has a name of its own and something to keep
 *   plugin   every question ends, with 0 or an error
 *   both     no descriptor is left open when all is over */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper-side.h"

#define MAX_SENT 8u /* descriptors; more than any message has */
#define FIRST_FDS 128

enum { TO_PLUGIN = 1 };

static const uint32_t masks[] = { 0,
                                  VMSWAP_KEEPER_REGION,
                                  VMSWAP_KEEPER_SOCKET,
                                  VMSWAP_KEEPER_REGION | VMSWAP_KEEPER_SOCKET,
                                  1,
                                  0x80000000u };

/* How many descriptors are open, of the first: the others come after them. */
static unsigned
count_open (void)
{
  struct pollfd fds[FIRST_FDS];
  unsigned n = 0;

  for (int i = 0; i < FIRST_FDS; ++i)
    fds[i] = (struct pollfd){ .fd = i };
  if (poll (fds, FIRST_FDS, 0) == -1)
    fuzz_die ("poll");
  for (int i = 0; i < FIRST_FDS; ++i)
    n += (fds[i].revents & POLLNVAL) == 0;
  return n;
}

static void
send_message (int socket, const void *bytes, size_t size, unsigned nr,
              int descriptor)
{
  union {
    char bytes[CMSG_SPACE (MAX_SENT * sizeof (int))];
    struct cmsghdr align;
  } room = { .bytes = { 0 } };
  struct iovec part = { .iov_base = (void *) bytes, .iov_len = size };
  struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };

  if (nr > 0) {
    header.msg_control = room.bytes;
    header.msg_controllen = CMSG_SPACE (nr * sizeof descriptor);
    struct cmsghdr *control = CMSG_FIRSTHDR (&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN (nr * sizeof descriptor);
    for (unsigned i = 0; i < nr; ++i)
      memcpy (CMSG_DATA (control) + i * sizeof descriptor, &descriptor,
              sizeof descriptor);
  }
  if (sendmsg (socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == -1 &&
      errno != EAGAIN && errno != EPIPE)
    fuzz_die ("sendmsg");
}

void
keeper_say (struct input *input, int socket, int descriptor)
{
  struct {
    struct vmswap_keeper_message message;
    uint8_t more[8];
  } said = { .message.magic = VMSWAP_KEEPER_MAGIC };
  struct vmswap_keeper_message *message = &said.message;
  const uint8_t how = input_u8 (input), what = input_u8 (input);
  size_t size = sizeof *message;
  unsigned nr;

  message->op = how & 7;
  message->has = masks[what % (sizeof masks / sizeof masks[0])];
  nr = __builtin_popcount (message->has);
  message->index = what >> 5;
  message->flags = what >> 3 & 3;
  message->pool = how;
  message->name[0] = "abc\0"[how >> 3 & 3];
  message->path[0] = '/';
  if (how & 0x20)
    nr = input_u8 (input) % (MAX_SENT + 1);
  if (how & 0x40)
    size = input_u16 (input) % (sizeof said + 1);
  for (unsigned n = how & 0x80 ? input_u8 (input) % 8 : 0; n > 0; --n) {
    const uint16_t at = input_u16 (input);

    ((uint8_t *) &said)[at % sizeof said] = input_u8 (input);
  }
  send_message (socket, &said, size, nr, descriptor);
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static int descriptor = -1;
  struct input input = { data, data + size };
  const uint8_t how = input_u8 (&input);

  if (descriptor == -1)
    descriptor = open ("/dev/null", O_RDWR | O_CLOEXEC);
  if (descriptor == -1)
    fuzz_die ("/dev/null");
  const unsigned before = count_open ();

  if (how & TO_PLUGIN)
    plugin_hears (&input, descriptor);
  else
    keeper_hears (&input, descriptor);
  if (count_open () != before)
    FUZZ_FAIL ("a descriptor was left open");
  return 0;
}
