// SPDX-License-Identifier: BSD-3-Clause
/* nbd-load: one NBD client that keeps some requests in flight on some
 * connections, for nbd-bench, which feeds it lines on stdin:
 *
 *   fill                                 writes the whole span once
 *   filled                               an earlier client did that, and nothing
 *                                        else: takes note of what it wrote
 *   write|read BYTES DEPTH CONNS MS      runs for that long, then one line of
 *                                        JSON on stdout
 *   verify                               reads the whole span and compares
 *
 * Requests go over the span in an order shuffled once per request size, so
 * that no two requests in flight meet in a page.  Data comes from the samples
 * mixed; `content` says which of its pages each page of the span must hold, and
 * every read is compared with it (but not with -n, for a server that keeps
 * nothing).  One thread; every server gets the same client.
 *
 * libnbd forbids calls on a handle from its completion callback: the callback
 * marks the slot, the loop refills it. */

#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

#include "measure.h"
#include "sample.h"

#define MAX_CONNS 4
#define MAX_DEPTH 32
#define MAX_REQUEST (128u << 10)
#define SAMPLE_PAGES 4096 /* of each sample */
#define MAX_TIMES (4u << 20)

struct slot {
  struct load *load;
  uint8_t *buffer;
  size_t page, from; /* of the span, of the sample */
  uint64_t start;
  bool busy;
};

/* The order in which the requests of one size go over the span. */
struct order {
  size_t pages; /* of a request */
  size_t n, next;
  uint32_t *block;
};

struct load {
  struct nbd_handle *conns[MAX_CONNS];
  unsigned nr_conns;
  struct slot slots[MAX_CONNS][MAX_DEPTH];
  const char *socket, *export;
  clockid_t server_clock;
  bool keeps_nothing;

  struct sample sample;
  size_t span; /* pages */
  uint32_t *content;
  struct order orders[3];
  struct dice dice;

  /* The run at hand. */
  bool writing;
  struct order *order;
  unsigned in_flight;
  uint64_t completed;
  double *times;
  size_t nr_times;
};

static void
connect_more (struct load *load, unsigned wanted)
{
  for (; load->nr_conns < wanted; load->nr_conns++) {
    struct nbd_handle *nbd = nbd_create ();

    if (!nbd || nbd_set_export_name (nbd, load->export) == -1 ||
        nbd_connect_unix (nbd, load->socket) == -1)
      fail ("%s: %s", load->socket, nbd_get_error ());
    load->conns[load->nr_conns] = nbd;
  }
}

static void
disconnect (struct load *load)
{
  while (load->nr_conns > 0) {
    struct nbd_handle *nbd = load->conns[--load->nr_conns];

    if (nbd_shutdown (nbd, 0) == -1)
      fail ("%s: %s", load->socket, nbd_get_error ());
    nbd_close (nbd);
  }
}

static void
compare (const struct load *load, const struct slot *slot)
{
  for (size_t k = 0; k < load->order->pages; k++)
    if (memcmp (slot->buffer + k * PAGE,
                sample_page (&load->sample, load->content[slot->page + k]),
                PAGE) != 0)
      fail ("%s: page %zu reads wrong", load->socket, slot->page + k);
}

static int
completed (void *opaque, int *error)
{
  struct slot *slot = opaque;
  struct load *load = slot->load;

  if (*error)
    fail ("%s: a %s of page %zu failed: %s", load->socket,
          load->writing ? "write" : "read", slot->page, strerror (*error));
  if (load->nr_times < MAX_TIMES)
    load->times[load->nr_times++] = (double) (wall_ns () - slot->start);
  if (load->writing) {
    for (size_t k = 0; k < load->order->pages; k++)
      load->content[slot->page + k] = (uint32_t) (slot->from + k);
  }
  else if (!load->keeps_nothing)
    compare (load, slot);
  slot->busy = false;
  load->in_flight--;
  load->completed++;
  return 1; /* retire the command */
}

static void
issue (struct load *load, struct nbd_handle *nbd, struct slot *slot)
{
  struct order *order = load->order;
  const size_t length = order->pages * PAGE;
  const nbd_completion_callback done = { .callback = completed,
                                         .user_data = slot };
  int64_t cookie;

  slot->page = order->block[order->next] * order->pages;
  order->next = (order->next + 1) % order->n;
  slot->busy = true;
  load->in_flight++;
  slot->start = wall_ns ();
  if (load->writing) {
    slot->from = dice_roll (&load->dice, load->sample.count - order->pages + 1);
    cookie = nbd_aio_pwrite (nbd, sample_page (&load->sample, slot->from),
                             length, slot->page * PAGE, done, 0);
  }
  else
    cookie =
        nbd_aio_pread (nbd, slot->buffer, length, slot->page * PAGE, done, 0);
  if (cookie == -1)
    fail ("%s: %s", load->socket, nbd_get_error ());
}

static void
wait_for_servers (struct load *load, unsigned conns)
{
  struct pollfd fds[MAX_CONNS];

  for (unsigned c = 0; c < conns; c++) {
    const unsigned dir = nbd_aio_get_direction (load->conns[c]);

    fds[c] = (struct pollfd){
      .fd = nbd_aio_get_fd (load->conns[c]),
      .events = (dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0),
    };
  }
  const int r = poll (fds, conns, 30 * 1000);
  if (r == 0)
    fail ("%s: no reply within 30 seconds", load->socket);
  if (r < 0 && errno != EINTR)
    fail ("poll: %s", strerror (errno));
  for (unsigned c = 0; c < conns && r > 0; c++) {
    int failed = 0;

    if (fds[c].revents & (POLLIN | POLLHUP | POLLERR))
      failed = nbd_aio_notify_read (load->conns[c]);
    else if (fds[c].revents & POLLOUT)
      failed = nbd_aio_notify_write (load->conns[c]);
    if (failed == -1)
      fail ("%s: %s", load->socket, nbd_get_error ());
  }
}

/* Runs until `until` (wall clock) or for `requests` requests, then drains. */
static void
run (struct load *load, unsigned depth, unsigned conns, uint64_t until,
     uint64_t requests)
{
  uint64_t issued = 0;

  load->completed = load->nr_times = 0;
  do {
    const bool more = wall_ns () < until;

    for (unsigned d = 0; d < depth && more; d++)
      for (unsigned c = 0; c < conns && issued < requests; c++)
        if (!load->slots[c][d].busy) {
          issue (load, load->conns[c], &load->slots[c][d]);
          issued++;
        }
    if (load->in_flight == 0)
      break;
    wait_for_servers (load, conns);
  } while (true);
}

static uint64_t
server_cpu_ns (const struct load *load)
{
  struct timespec ts;

  if (clock_gettime (load->server_clock, &ts) == -1)
    fail ("%s: the server is gone: %s", load->socket, strerror (errno));
  return (uint64_t) ts.tv_sec * UINT64_C (1000000000) + (uint64_t) ts.tv_nsec;
}

static struct order *
order_of (struct load *load, size_t bytes)
{
  for (unsigned i = 0; i < 3; i++)
    if (load->orders[i].pages * PAGE == bytes)
      return &load->orders[i];
  fail ("requests are of 4096, 32768 or 131072 bytes, not %zu", bytes);
}

static void
measure (struct load *load, const char *op, size_t bytes, unsigned depth,
         unsigned conns, unsigned ms)
{
  if (depth == 0 || depth > MAX_DEPTH || conns == 0 || conns > MAX_CONNS)
    fail ("depth is 1 to %d, connections 1 to %d", MAX_DEPTH, MAX_CONNS);
  load->writing = strcmp (op, "write") == 0;
  load->order = order_of (load, bytes);
  connect_more (load, conns);

  const uint64_t start = wall_ns (), server = server_cpu_ns (load),
                 client = process_cpu_ns ();
  run (load, depth, conns, start + ms * UINT64_C (1000000), UINT64_MAX);
  const double seconds = (double) (wall_ns () - start) / 1e9;
  const double n = (double) load->completed;
  printf ("{\"per_second\":%.1f,\"server_cpu_ns\":%.1f,"
          "\"client_cpu_ns\":%.1f,\"p50_ns\":%.0f,\"p99_ns\":%.0f,"
          "\"requests\":%.0f}\n",
          n / seconds, (double) (server_cpu_ns (load) - server) / n,
          (double) (process_cpu_ns () - client) / n,
          percentile (load->times, load->nr_times, 50),
          percentile (load->times, load->nr_times, 99), n);
}

/* One pass over the whole span. */
static void
whole_span (struct load *load, bool writing)
{
  load->writing = writing;
  load->order = order_of (load, MAX_REQUEST);
  connect_more (load, 1);
  run (load, 8, 1, UINT64_MAX, load->order->n);
  puts ("{}");
}

/* The same dice as an earlier client's. */
static void
assume_filled (struct load *load)
{
  const struct order *order = order_of (load, MAX_REQUEST);

  for (size_t i = 0; i < order->n; i++) {
    const size_t from =
        dice_roll (&load->dice, load->sample.count - order->pages + 1);

    for (size_t k = 0; k < order->pages; k++)
      load->content[order->block[i] * order->pages + k] = (uint32_t) (from + k);
  }
  puts ("{}");
}

static void
make_orders (struct load *load)
{
  static const size_t pages[3] = { 1, 8, MAX_REQUEST / PAGE };

  for (unsigned i = 0; i < 3; i++) {
    struct order *order = &load->orders[i];

    order->pages = pages[i];
    order->n = load->span / pages[i];
    order->block = calloc (order->n, sizeof *order->block);
    if (!order->block)
      fail ("no memory for %zu requests", order->n);
    for (size_t k = 0; k < order->n; k++) {
      const size_t j = dice_roll (&load->dice, k + 1);
      order->block[k] = order->block[j];
      order->block[j] = (uint32_t) k;
    }
  }
}

static void
load_init (struct load *load)
{
  load->content = calloc (load->span, sizeof *load->content);
  load->times = calloc (MAX_TIMES, sizeof *load->times);
  if (!load->content || !load->times)
    fail ("no memory");
  dice_init (&load->dice, 10809);
  make_orders (load);
  for (unsigned c = 0; c < MAX_CONNS; c++)
    for (unsigned d = 0; d < MAX_DEPTH; d++) {
      struct slot *slot = &load->slots[c][d];

      slot->load = load;
      slot->buffer = aligned_alloc (PAGE, MAX_REQUEST);
      if (!slot->buffer)
        fail ("no memory");
      memset (slot->buffer, 1, MAX_REQUEST);
    }
}

static void
command (struct load *load, const char *line)
{
  unsigned depth, conns, ms;
  size_t bytes;
  char op[8];

  if (strcmp (line, "fill\n") == 0)
    whole_span (load, true);
  else if (strcmp (line, "filled\n") == 0)
    assume_filled (load);
  else if (strcmp (line, "verify\n") == 0)
    whole_span (load, false);
  else if (sscanf (line, "%7s %zu %u %u %u", op, &bytes, &depth, &conns, &ms) ==
               5 &&
           (strcmp (op, "write") == 0 || strcmp (op, "read") == 0))
    measure (load, op, bytes, depth, conns, ms);
  else
    fail ("no such command: %s", line);
  fflush (stdout);
}

static void
usage (void)
{
  fail ("usage: nbd-load [-n] [-e EXPORT] [-s BYTES] SOCKET PID SAMPLE...");
}

int
main (int argc, char *argv[])
{
  static struct load load = { .export = "", .span = (96u << 20) / PAGE };
  char line[128];
  int c;

  while ((c = getopt (argc, argv, "e:ns:")) != -1) {
    if (c == 'e')
      load.export = optarg;
    else if (c == 'n')
      load.keeps_nothing = true;
    else if (c == 's')
      load.span = strtoul (optarg, NULL, 0) / PAGE;
    else
      usage ();
  }
  if (argc - optind < 3 || load.span < MAX_REQUEST / PAGE)
    usage ();
  load.socket = argv[optind];
  if (clock_getcpuclockid (atoi (argv[optind + 1]), &load.server_clock) != 0)
    fail ("%s: there is no such process", argv[optind + 1]);
  sample_load_mix (&load.sample, argv + optind + 2,
                   (size_t) (argc - optind - 2), SAMPLE_PAGES,
                   SAMPLE_DROP_FILL);
  load_init (&load);
  while (fgets (line, sizeof line, stdin))
    command (&load, line);
  disconnect (&load);
  return EXIT_SUCCESS;
}
