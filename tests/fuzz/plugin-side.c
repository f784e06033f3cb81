// SPDX-License-Identifier: BSD-3-Clause
/* The plugin's side of its keeper, laid open. */

#include <config.h>

#include <fcntl.h>

#include "../../nbdkit-plugin/keep.c"

#include "keeper-side.h"

#define MAX_QUESTIONS 8u

static void
close_one (struct kept *kept)
{
  keep_close (kept->fd, VMSWAP_KEEPER_REGION);
}

static void
ask_something (struct input *input, int descriptor)
{
  struct kept region = { .name = "a",
                         .pool = 1,
                         .fd = { descriptor, descriptor, descriptor, descriptor,
                                 -1 } };
  const uint8_t what = input_u8 (input);
  int r = 0;

  switch (what % 4) {
  case 0:
    region.greeting = what / 4 % 2;
    r = keep_region (&region);
    break;
  case 1:
    r = keep_listener ("a", "/b", descriptor);
    break;
  case 2:
    if (what / 4 % 2)
      keep_forget ("a");
    else
      keep_drop ("a");
    break;
  default:
    keep_each (close_one);
  }
  FUZZ_CHECK (r <= 0);
}

/* All that the keeper will ever say is there before it is asked. */
void
plugin_hears (struct input *input, int descriptor)
{
  const unsigned answers = input_u8 (input) % 16;
  int pair[2], r;

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                  pair) == -1)
    fuzz_die ("socketpair");
  for (unsigned n = 0; n < answers; ++n)
    keeper_say (input, pair[1], descriptor);
  keeper = pair[0];
  keeper_path = "keeper";
  on = true;
  r = hear_hello (keeper);
  FUZZ_CHECK (r <= 0);
  if (r == 0) {
    r = take_all ();
    FUZZ_CHECK (r == 0 || r == -1);
    for (unsigned n = 0; n < MAX_QUESTIONS && !input_is_over (input); ++n)
      ask_something (input, descriptor);
  }
  keep_stop ();
  close (pair[1]);
}
