// SPDX-License-Identifier: BSD-3-Clause
/* One guest of fair-bench: a client that floods, or one that wants its pages.
 * It takes lines on stdin:
 *
 *   fill                             writes the whole span once
 *   run OP BYTES DEPTH CONNS MS      runs for that long, then one line of JSON
 *                                    on stdout; OP is read, write or raw
 *
 * read:  random places of the span, and every page is compared.
 * write: pages that compress to about a third.
 * raw:   pages that do not compress.
 *
 * What a page holds follows from its number and its kind, so that a read can
 * tell.  One thread. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnbd.h>

#include "measure.h"
#include "sample.h"

#define MAX_CONNS 16
#define MAX_DEPTH 16
#define MAX_REQUEST (1u << 20)
#define MAX_TIMES (4u << 20)
#define RESERVED 1u /* pages at the beginning: the swap header */

enum op { READ, WRITE, RAW };

struct slot {
  struct guest *guest;
  uint8_t *buffer;
  size_t page;
  uint64_t start;
  bool busy;
};

struct guest {
  struct nbd_handle *conns[MAX_CONNS];
  unsigned nr_conns;
  struct slot slots[MAX_CONNS][MAX_DEPTH];
  const char *socket, *export;
  size_t span; /* pages */
  struct dice dice;

  /* The run at hand. */
  enum op op;
  size_t bytes;
  unsigned in_flight;
  uint64_t completed;
  double *times;
  size_t nr_times;
};

static void
make_page (uint8_t *to, size_t page, enum op op)
{
  const size_t noise = op == RAW ? PAGE : PAGE / 3;
  struct dice dice;

  dice_init (&dice, page * 2 + 1);
  memset (to, 0, PAGE);
  for (size_t i = 0; i + 8 <= noise; i += 8) {
    const uint64_t value = dice_roll (&dice, UINT64_MAX);

    memcpy (to + i, &value, 8);
  }
  memcpy (to, &page, sizeof page);
}

static void
compare (const struct guest *guest, const struct slot *slot)
{
  for (size_t k = 0; k < guest->bytes / PAGE; k++) {
    size_t page;

    memcpy (&page, slot->buffer + k * PAGE, sizeof page);
    if (page != slot->page + k)
      fail ("%s: page %zu reads wrong", guest->export, slot->page + k);
  }
}

static int
completed (void *opaque, int *error)
{
  struct slot *slot = opaque;
  struct guest *guest = slot->guest;

  if (*error)
    fail ("%s: a request at page %zu failed: %s", guest->export, slot->page,
          strerror (*error));
  if (guest->nr_times < MAX_TIMES)
    guest->times[guest->nr_times++] = (double) (wall_ns () - slot->start);
  if (guest->op == READ)
    compare (guest, slot);
  slot->busy = false;
  guest->in_flight--;
  guest->completed++;
  return 1; /* retire the command */
}

static void
issue (struct guest *guest, struct nbd_handle *nbd, struct slot *slot)
{
  const nbd_completion_callback done = { .callback = completed,
                                         .user_data = slot };
  const size_t pages = guest->bytes / PAGE;
  int64_t cookie;

  slot->page =
      RESERVED +
      dice_roll (&guest->dice, (guest->span - RESERVED) / pages) * pages;
  for (size_t k = 0; guest->op != READ && k < pages; k++) {
    const size_t page = slot->page + k;

    memcpy (slot->buffer + k * PAGE, &page, sizeof page);
  }
  slot->busy = true;
  guest->in_flight++;
  slot->start = wall_ns ();
  cookie = guest->op == READ ? nbd_aio_pread (nbd, slot->buffer, guest->bytes,
                                              slot->page * PAGE, done, 0)
                             : nbd_aio_pwrite (nbd, slot->buffer, guest->bytes,
                                               slot->page * PAGE, done, 0);
  if (cookie == -1)
    fail ("%s: %s", guest->export, nbd_get_error ());
}

static void
wait_for_server (struct guest *guest, unsigned conns)
{
  struct pollfd fds[MAX_CONNS];

  for (unsigned c = 0; c < conns; c++) {
    const unsigned dir = nbd_aio_get_direction (guest->conns[c]);

    fds[c] = (struct pollfd){
      .fd = nbd_aio_get_fd (guest->conns[c]),
      .events = (dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0),
    };
  }
  const int r = poll (fds, conns, 30 * 1000);
  if (r == 0)
    fail ("%s: no reply within 30 seconds", guest->export);
  if (r < 0 && errno != EINTR)
    fail ("poll: %s", strerror (errno));
  for (unsigned c = 0; c < conns && r > 0; c++) {
    int failed = 0;

    if (fds[c].revents & (POLLIN | POLLHUP | POLLERR))
      failed = nbd_aio_notify_read (guest->conns[c]);
    else if (fds[c].revents & POLLOUT)
      failed = nbd_aio_notify_write (guest->conns[c]);
    if (failed == -1)
      fail ("%s: %s", guest->export, nbd_get_error ());
  }
}

static void
connect_more (struct guest *guest, unsigned wanted)
{
  for (; guest->nr_conns < wanted; guest->nr_conns++) {
    struct nbd_handle *nbd = nbd_create ();

    if (!nbd || nbd_set_export_name (nbd, guest->export) == -1 ||
        nbd_connect_unix (nbd, guest->socket) == -1)
      fail ("%s: %s", guest->socket, nbd_get_error ());
    guest->conns[guest->nr_conns] = nbd;
  }
}

static void
prepare (struct guest *guest)
{
  for (unsigned c = 0; c < MAX_CONNS; c++)
    for (unsigned d = 0; d < MAX_DEPTH; d++) {
      uint8_t *buffer = guest->slots[c][d].buffer;

      for (size_t k = 0; guest->op != READ && k < guest->bytes / PAGE; k++)
        make_page (buffer + k * PAGE, c * MAX_DEPTH + d + k * 1000, guest->op);
    }
}

/* Runs until `until` (wall clock), then drains. */
static void
run (struct guest *guest, unsigned depth, unsigned conns, uint64_t until)
{
  guest->completed = guest->nr_times = 0;
  do {
    const bool more = wall_ns () < until;

    for (unsigned d = 0; d < depth && more; d++)
      for (unsigned c = 0; c < conns; c++)
        if (!guest->slots[c][d].busy)
          issue (guest, guest->conns[c], &guest->slots[c][d]);
    if (guest->in_flight == 0)
      break;
    wait_for_server (guest, conns);
  } while (true);
}

static void
measure (struct guest *guest, unsigned depth, unsigned conns, unsigned ms)
{
  const uint64_t start = wall_ns ();

  if (depth == 0 || depth > MAX_DEPTH || conns == 0 || conns > MAX_CONNS ||
      guest->bytes % PAGE || guest->bytes == 0 || guest->bytes > MAX_REQUEST)
    fail ("depth is 1 to %d, connections 1 to %d, requests whole pages",
          MAX_DEPTH, MAX_CONNS);
  connect_more (guest, conns);
  prepare (guest);
  run (guest, depth, conns, start + ms * UINT64_C (1000000));
  printf ("{\"per_second\":%.1f,\"p50_ns\":%.0f,\"p99_ns\":%.0f,"
          "\"requests\":%" PRIu64 "}\n",
          (double) guest->completed * 1e9 / (double) (wall_ns () - start),
          percentile (guest->times, guest->nr_times, 50),
          percentile (guest->times, guest->nr_times, 99), guest->completed);
}

static void
fill (struct guest *guest)
{
  uint8_t *buffer = guest->slots[0][0].buffer;

  connect_more (guest, 1);
  for (size_t page = RESERVED; page < guest->span; page++) {
    make_page (buffer, page, WRITE);
    if (nbd_pwrite (guest->conns[0], buffer, PAGE, page * PAGE, 0) == -1)
      fail ("%s: %s", guest->export, nbd_get_error ());
  }
  puts ("{}");
}

static void
command (struct guest *guest, const char *line)
{
  static const char *const names[] = { "read", "write", "raw" };
  unsigned depth, conns, ms;
  char op[8];

  if (strcmp (line, "fill\n") == 0)
    fill (guest);
  else if (sscanf (line, "run %7s %zu %u %u %u", op, &guest->bytes, &depth,
                   &conns, &ms) == 5) {
    guest->op = READ;
    while (strcmp (op, names[guest->op]) != 0)
      if (++guest->op > RAW)
        fail ("there is no %s", op);
    measure (guest, depth, conns, ms);
  }
  else
    fail ("no such command: %s", line);
  fflush (stdout);
}

int
main (int argc, char *argv[])
{
  static struct guest guest;
  char line[128];

  if (argc != 4)
    fail ("usage: fair-load SOCKET EXPORT PAGES");
  guest.socket = argv[1];
  guest.export = argv[2];
  guest.span = strtoul (argv[3], NULL, 0);
  if (guest.span < 2 * MAX_REQUEST / PAGE)
    fail ("PAGES is at least %u", 2 * MAX_REQUEST / PAGE);
  dice_init (&guest.dice, 10809);
  guest.times = calloc (MAX_TIMES, sizeof *guest.times);
  if (!guest.times)
    fail ("no memory");
  for (unsigned c = 0; c < MAX_CONNS; c++)
    for (unsigned d = 0; d < MAX_DEPTH; d++) {
      struct slot *slot = &guest.slots[c][d];

      slot->guest = &guest;
      slot->buffer = aligned_alloc (PAGE, MAX_REQUEST);
      if (!slot->buffer)
        fail ("no memory");
    }
  while (fgets (line, sizeof line, stdin))
    command (&guest, line);
  return EXIT_SUCCESS;
}
