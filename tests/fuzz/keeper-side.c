// SPDX-License-Identifier: BSD-3-Clause
/* vmswap-keep, with its functions laid open. */

#include <config.h>

#define main keep_main
#include "../../service/keep.c"
#undef main

#include "keeper-side.h"

extern int keep_main (int argc, char *argv[]);

static void
check_guests (void)
{
  FUZZ_CHECK (nr_guests <= VMSWAP_KEEPER_GUESTS);
  for (unsigned i = 0; i < nr_guests; ++i) {
    FUZZ_CHECK (guests[i].name[0] != '\0');
    FUZZ_CHECK (find (guests[i].name) == &guests[i]);
    FUZZ_CHECK (mask_of (&guests[i]) != 0);
  }
}

/* There is one answer, and it has the descriptors that it says. */
static void
check_answer (int socket)
{
  struct vmswap_keeper_message answer;
  int fd[VMSWAP_KEEPER_FDS];

  FUZZ_CHECK (keep_receive (socket, &answer, fd) == 0);
  keep_close (fd, ~0u);
  FUZZ_CHECK (answer.status == 0 || answer.status == ENOENT ||
              answer.status == EINVAL || answer.status == ENOSPC);
}

static void
forget_guests (void)
{
  while (nr_guests > 0) {
    keep_close (guests[0].fd, ~0u);
    remove_if_empty (&guests[0]);
  }
}

void
keeper_hears (struct input *input, int descriptor)
{
  int pair[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == -1)
    fuzz_die ("socketpair");
  while (!input_is_over (input)) {
    keeper_say (input, pair[0], descriptor);
    if (serve (pair[1]) < 0)
      break;
    check_answer (pair[0]);
    check_guests ();
  }
  close (pair[0]);
  close (pair[1]);
  forget_guests ();
}
