// SPDX-License-Identifier: BSD-3-Clause
/* Keeps the shadow in step with the volume: content changes after the pool has
 * taken the pages, so that a refused write leaves both as they were.  One
 * thread. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store.h"

#define MAX_REQUEST 512 /* pages */

uint64_t
held_bytes (void)
{
  FILE *fp = fopen ("/proc/self/status", "re");
  char line[256];
  uint64_t kib, sum = 0;
  int found = 0;

  if (!fp)
    fail ("/proc/self/status: %s", strerror (errno));
  while (fgets (line, sizeof line, fp)) {
    if (sscanf (line, "RssAnon: %" SCNu64, &kib) == 1 ||
        sscanf (line, "RssShmem: %" SCNu64, &kib) == 1) {
      sum += kib << 10;
      found++;
    }
  }
  fclose (fp);
  if (found != 2)
    fail ("/proc/self/status has no RssAnon and RssShmem");
  return sum;
}

void
store_open (struct store *store, const struct sample *sample, size_t pages,
            uint64_t limit)
{
  /* The yardstick is every page, compressed. */
  const struct pool_config config = { .limit = limit,
                                      .sharing = POOL_SHARING_OFF };

  *store = (struct store){ .sample = sample, .pages = pages, .limit = limit };
  store->content = malloc (pages * sizeof *store->content);
  store->buffer = malloc (MAX_REQUEST * PAGE);
  if (!store->content || !store->buffer)
    fail ("no memory for the shadow of %zu pages", pages);
  memset (store->content, 0xff, pages * sizeof *store->content);
  memset (store->buffer, 1, MAX_REQUEST * PAGE);

  store->base_rss = held_bytes ();
  int r = pool_create (&config, &store->pool);
  if (r < 0)
    fail ("pool_create: %s", strerror (-r));
  r = pool_start_steward (store->pool);
  if (r < 0)
    fail ("pool_start_steward: %s", strerror (-r));
  r = volume_open (store->pool, "bench", (uint64_t) pages * PAGE,
                   &store->volume, NULL);
  if (r < 0)
    fail ("volume_open: %s", strerror (-r));
}

void
store_close (struct store *store)
{
  pool_stop_steward (store->pool);
  pool_destroy (store->pool);
  free (store->content);
  free (store->buffer);
}

static void
set_content (struct store *store, size_t page, uint32_t content)
{
  const uint16_t *stored = store->sample->stored;
  const uint32_t old = store->content[page];

  if (old != STORE_EMPTY) {
    store->live_bytes -= stored[old];
    store->live_pages -= stored[old] != 0;
  }
  if (content != STORE_EMPTY) {
    store->live_bytes += stored[content];
    store->live_pages += stored[content] != 0;
  }
  store->content[page] = content;
}

int
store_write (struct store *store, size_t first, size_t n, size_t from)
{
  const int r = volume_write (store->volume, sample_page (store->sample, from),
                              n * PAGE, (uint64_t) first * PAGE);

  if (r == -ENOSPC || r == -ENOMEM)
    return r;
  if (r < 0)
    fail ("volume_write: %s", strerror (-r));
  for (size_t i = 0; i < n; i++)
    set_content (store, first + i, (uint32_t) (from + i));
  return 0;
}

void
store_trim (struct store *store, size_t first, size_t n)
{
  const int r =
      volume_trim (store->volume, (uint64_t) n * PAGE, (uint64_t) first * PAGE);

  if (r < 0)
    fail ("volume_trim: %s", strerror (-r));
  for (size_t i = 0; i < n; i++)
    set_content (store, first + i, STORE_EMPTY);
}

static void
check_page (const struct store *store, size_t page, const uint8_t *got)
{
  static const uint8_t zeroes[PAGE];
  const uint32_t content = store->content[page];
  const uint8_t *expected =
      content == STORE_EMPTY ? zeroes : sample_page (store->sample, content);

  if (memcmp (got, expected, PAGE) != 0)
    fail ("sample %s: page %zu of the volume reads wrong", store->sample->name,
          page);
}

void
store_verify (struct store *store)
{
  char report[256] = "";

  for (size_t first = 0; first < store->pages; first += MAX_REQUEST) {
    const size_t left = store->pages - first;
    const size_t n = left < MAX_REQUEST ? left : MAX_REQUEST;
    int r = volume_read (store->volume, store->buffer, n * PAGE,
                         (uint64_t) first * PAGE);

    if (r < 0)
      fail ("volume_read: %s", strerror (-r));
    for (size_t i = 0; i < n; i++)
      check_page (store, first + i, store->buffer + i * PAGE);
  }
  int r = pool_check (store->pool, false, report, sizeof report);
  if (r < 0)
    fail ("pool_check: %s: %s", strerror (-r), report);
}

size_t
store_fill (struct store *store, double share)
{
  struct pool_stats stats;
  size_t i;

  for (i = 0; i < store->pages; i++) {
    pool_get_stats (store->pool, &stats);
    if ((double) stats.blob_bytes >= share * (double) stats.capacity)
      break;
    if (store_write (store, i, 1, i % store->sample->count) < 0)
      fail ("the pool refuses pages at %.0f%% of its capacity",
            100 * (double) stats.blob_bytes / (double) stats.capacity);
  }
  return i;
}

double
store_settle (struct store *store, double seconds)
{
  const struct timespec slice = { .tv_nsec = 20 * 1000 * 1000 };
  const uint64_t start = wall_ns ();
  uint64_t last = start, used = 0;
  struct pool_stats stats;

  do {
    pool_get_stats (store->pool, &stats);
    if (stats.used != used) {
      used = stats.used;
      last = wall_ns ();
    }
    nanosleep (&slice, NULL);
  } while (wall_ns () - last < UINT64_C (500000000) &&
           (double) (wall_ns () - start) / 1e9 < seconds);
  return (double) (last - start) / 1e9;
}
