// SPDX-License-Identifier: BSD-3-Clause
/* Random requests of odd sizes against a shadow copy, from several threads.
 *
 *     torture URI THREADS SECONDS SEED
 *
 * Every thread has a connection and a range of the export of its own; the
 * ranges meet in the middle of pages, so that neighbours change different
 * parts of one page at the same time.  A write or zero request that fails
 * with ENOSPC must leave every page as it was, or as it should become.
 *
 * Prints the number of requests and of those refused; exits 1 with a line
 * that says what was wrong.
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

#include "shadow.h"

#define MAX_REQUEST (1u << 20)
#define MAX_THREADS 64

struct worker {
  pthread_t thread;
  struct nbd_handle *nbd;
  uint64_t start; /* of its range */
  uint32_t size;
  uint8_t *shadow;
  uint8_t *buf; /* MAX_REQUEST */
  uint64_t random;
  uint64_t requests;
  uint64_t refused;
};

static time_t deadline;

static void
die (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  fprintf (stderr, "torture: ");
  vfprintf (stderr, format, args);
  fprintf (stderr, "\n");
  va_end (args);
  exit (EXIT_FAILURE);
}

/* xorshift64*, after Marsaglia and Vigna. */
static uint64_t
next_random (struct worker *w)
{
  w->random ^= w->random >> 12;
  w->random ^= w->random << 25;
  w->random ^= w->random >> 27;
  return w->random * UINT64_C (0x2545f4914f6cdd1d);
}

static uint32_t
below (struct worker *w, uint32_t limit)
{
  return (next_random (w) >> 32) % limit;
}

/* As many small ones as large ones. */
static uint32_t
random_count (struct worker *w)
{
  const uint32_t count = 1 + below (w, 1u << below (w, 21));

  return count < w->size ? count : w->size;
}

/* Noise, text, a repeated value, nothing, or a bit of each. */
static void
fill_random (struct worker *w, uint8_t *buf, uint32_t count)
{
  uint32_t n;

  for (uint32_t i = 0; i < count; i += n) {
    n = 1 + below (w, 3 * PAGE);
    if (n > count - i || below (w, 2) != 0)
      n = count - i;
    switch (below (w, 4)) {
    case 0:
      for (uint32_t j = 0; j < n; ++j)
        buf[i + j] = next_random (w) >> 56;
      break;
    case 1:
      for (uint32_t j = 0; j < n; ++j)
        buf[i + j] = "swap"[j & 3] + (j % 61 == 0 ? below (w, 20) : 0);
      break;
    case 2:
      memset (buf + i, 1 + below (w, 255), n);
      break;
    default:
      memset (buf + i, 0, n);
    }
  }
}

static void
check_read (struct worker *w, uint32_t offset, uint32_t count)
{
  if (nbd_pread (w->nbd, w->buf, count, w->start + offset, 0) == -1)
    die ("read: %s", nbd_get_error ());
  for (uint32_t i = 0; i < count; ++i)
    if (w->buf[i] != w->shadow[offset + i])
      die ("offset %" PRIu64 " reads %02x instead of %02x (%u of a read of "
           "%u bytes)",
           w->start + offset + i, w->buf[i], w->shadow[offset + i], i, count);
}

/* After a request that may have done a part. */
static void
adopt_parts (struct worker *w, uint32_t offset, uint32_t count,
             const uint8_t *wanted, bool whole_pages_are_new)
{
  struct shadow shadow = { w->start, w->size, w->shadow };
  uint32_t at;

  if (nbd_pread (w->nbd, w->buf, count, w->start + offset, 0) == -1)
    die ("read after the request: %s", nbd_get_error ());
  if (shadow_settle (&shadow, offset, count, w->buf, wanted,
                     whole_pages_are_new, &at))
    die ("offset %" PRIu64 ": a request that did a part left neither the "
         "old nor the new content",
         w->start + at);
}

/* ret: what the request returned. */
static void
settle (struct worker *w, int ret, const char *what, uint32_t offset,
        uint32_t count, const uint8_t *wanted)
{
  if (ret == 0)
    memcpy (w->shadow + offset, wanted, count);
  else if (nbd_get_errno () == ENOSPC) {
    w->refused++;
    adopt_parts (w, offset, count, wanted, false);
  }
  else
    die ("%s: %s", what, nbd_get_error ());
}

static void
do_write (struct worker *w, uint32_t offset, uint32_t count)
{
  uint8_t *data = malloc (count);
  const uint32_t flags = below (w, 4) == 0 ? LIBNBD_CMD_FLAG_FUA : 0;

  if (data == NULL)
    die ("no memory");
  fill_random (w, data, count);
  settle (w, nbd_pwrite (w->nbd, data, count, w->start + offset, flags),
          "write", offset, count, data);
  free (data);
}

static void
do_clear (struct worker *w, uint32_t offset, uint32_t count)
{
  static const uint32_t flags[] = { 0, LIBNBD_CMD_FLAG_NO_HOLE,
                                    LIBNBD_CMD_FLAG_FAST_ZERO };
  uint8_t *zeroes = calloc (1, count);
  const uint64_t at = w->start + offset;

  if (zeroes == NULL)
    die ("no memory");
  if (below (w, 2) == 0) {
    if (nbd_trim (w->nbd, count, at, 0) == -1)
      die ("trim: %s", nbd_get_error ());
    /* A trim may leave parts of pages alone when there is no room. */
    adopt_parts (w, offset, count, zeroes, true);
  }
  else
    settle (w, nbd_zero (w->nbd, count, at, flags[below (w, 3)]), "zero",
            offset, count, zeroes);
  free (zeroes);
}

/* What is said to be a hole must read as zeroes. */
static int
check_extents (void *opaque, const char *context, uint64_t offset,
               uint32_t *entries, size_t nr_entries, int *error)
{
  const struct worker *w = opaque;
  uint64_t at = offset - w->start;

  for (size_t i = 0; i + 1 < nr_entries; at += entries[i], i += 2)
    for (uint64_t j = at;
         entries[i + 1] != 0 && j < at + entries[i] && j < w->size; ++j)
      if (w->shadow[j] != 0)
        die ("offset %" PRIu64 " holds data but maps as a hole", w->start + j);
  return 0;
}

static void
do_map (struct worker *w, uint32_t offset, uint32_t count)
{
  nbd_extent_callback callback = { .callback = check_extents, .user_data = w };

  if (nbd_block_status (w->nbd, count, w->start + offset, callback,
                        below (w, 2) ? LIBNBD_CMD_FLAG_REQ_ONE : 0) == -1)
    die ("block status: %s", nbd_get_error ());
}

static void *
run_worker (void *opaque)
{
  struct worker *w = opaque;

  while (time (NULL) < deadline) {
    const uint32_t count = random_count (w);
    const uint32_t offset = below (w, w->size - count + 1);
    const uint32_t dice = below (w, 100);

    if (dice < 45)
      do_write (w, offset, count);
    else if (dice < 70)
      check_read (w, offset, count);
    else if (dice < 94)
      do_clear (w, offset, count);
    else
      do_map (w, offset, count);
    w->requests++;
  }
  for (uint32_t at = 0, n; at < w->size; at += n) {
    n = w->size - at < MAX_REQUEST ? w->size - at : MAX_REQUEST;
    check_read (w, at, n);
  }
  return NULL;
}

static void
start_worker (struct worker *w, const char *uri, unsigned index,
              unsigned threads, uint64_t seed)
{
  uint64_t size, end;

  w->nbd = nbd_create ();
  if (w->nbd == NULL ||
      nbd_add_meta_context (w->nbd, LIBNBD_CONTEXT_BASE_ALLOCATION) == -1 ||
      nbd_set_strict_mode (w->nbd, 0) == -1 ||
      nbd_connect_uri (w->nbd, uri) == -1)
    die ("%s", nbd_get_error ());
  size = nbd_get_size (w->nbd);
  /* Odd borders: 1001 is no divisor of anything here. */
  w->start = index == 0 ? 0 : size / threads * index / 1001 * 1001;
  end =
      index + 1 == threads ? size : size / threads * (index + 1) / 1001 * 1001;
  w->size = end - w->start;
  w->shadow = malloc (w->size);
  w->buf = malloc (MAX_REQUEST);
  if (w->shadow == NULL || w->buf == NULL)
    die ("no memory");
  w->random = seed * UINT64_C (0x9e3779b97f4a7c15) + index + 1;
  /* Whatever is there to begin with, such as a swap header. */
  for (uint32_t at = 0, n; at < w->size; at += n) {
    n = w->size - at < MAX_REQUEST ? w->size - at : MAX_REQUEST;
    if (nbd_pread (w->nbd, w->shadow + at, n, w->start + at, 0) == -1)
      die ("first read: %s", nbd_get_error ());
  }
}

int
main (int argc, char *argv[])
{
  static struct worker workers[MAX_THREADS];
  uint64_t requests = 0, refused = 0;
  unsigned threads;

  if (argc != 5)
    die ("usage: torture URI THREADS SECONDS SEED");
  threads = atoi (argv[2]);
  if (threads < 1 || threads > MAX_THREADS)
    die ("1 to %d threads", MAX_THREADS);
  for (unsigned i = 0; i < threads; ++i)
    start_worker (&workers[i], argv[1], i, threads, atoll (argv[4]));
  deadline = time (NULL) + atoi (argv[3]);
  for (unsigned i = 0; i < threads; ++i)
    if (pthread_create (&workers[i].thread, NULL, run_worker, &workers[i]))
      die ("cannot start a thread");
  for (unsigned i = 0; i < threads; ++i) {
    pthread_join (workers[i].thread, NULL);
    requests += workers[i].requests;
    refused += workers[i].refused;
    nbd_shutdown (workers[i].nbd, 0);
    nbd_close (workers[i].nbd);
    free (workers[i].shadow);
    free (workers[i].buf);
  }
  printf ("requests %" PRIu64 " refused %" PRIu64 "\n", requests, refused);
  return EXIT_SUCCESS;
}
