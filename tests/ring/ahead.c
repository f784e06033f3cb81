// SPDX-License-Identifier: BSD-3-Clause
/* What a guest finds in its cache when it reads in this order:
 *
 *   ahead SOCKET PATTERN READS PACE_NS [SEED]
 *
 * PATTERN: in-row, taken (in a row, and each is freed at once, as swap is),
 * back, stride:N, four-in-turn, four-mixed (whose turn it is
 * is left to chance), four-threads, random; or the requests of a real guest on
 * stdin (tests/unit/streams/README.md), as many as READS.  What that guest read
 * ahead is asked for at once (replay-rows), or, as the driver of the ring has
 * it by default, page by page, in the direction in which it went (replay).
 * PACE_NS is what the guest does with a page before it reads the next one; 0:
 * nothing.
 *
 * All pages are written first, so that the oldest are in the pool.  Prints
 * "reads posts cache pool": how many pages were read, and what they were served
 * from.  Every page is compared. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

#define STREAMS 4u
#define ROW (VMSWAP_RING_TAGS_MAX / 16) /* pages of a recording, at once */
#define SLEEP_NS 20000u /* paces from here on are slept, not counted down */

/* One that reads. */
struct reader {
  uint64_t first, pages; /* where: a part of the volume */
  int64_t step;          /* 0: at random */
  int64_t at;
  uint64_t rounds, random;
};

static struct driver driver;
static struct reader readers[STREAMS];
static uint8_t *version; /* per page: how often it was written; 0: never */
static uint64_t pace_ns;

/* A page that compresses, as most do, and is like no other. */
static void
fill (uint8_t *data, uint64_t page)
{
  uint64_t state = page << 8 | version[page];

  memset (data, 0, PAGE);
  if (version[page] == 0)
    return;
  for (unsigned i = 0; i < PAGE / 4; i += sizeof state) {
    const uint64_t word = driver_random (&state);

    memcpy (data + i, &word, sizeof word);
  }
}

static void
write_page (uint64_t page)
{
  uint8_t data[PAGE];

  version[page] += version[page] == UINT8_MAX ? 2 : 1; /* never 0 again */
  fill (data, page);
  if (driver_write (&driver, page, data) != 0)
    driver_die (&driver, "page %" PRIu64 " cannot be written", page);
}

static void
compare (uint64_t page, const uint8_t *data)
{
  uint8_t right[PAGE];

  fill (right, page);
  if (memcmp (data, right, PAGE) != 0)
    driver_die (&driver, "page %" PRIu64 " reads wrong", page);
}

static void
pause_once (void)
{
  const uint64_t end = driver_now_ns () + pace_ns;
  const struct timespec sleep = { .tv_nsec = (long) pace_ns };

  if (pace_ns >= SLEEP_NS)
    nanosleep (&sleep, NULL);
  while (pace_ns != 0 && driver_now_ns () < end)
    ;
}

static void
read_page (uint64_t page)
{
  uint8_t data[PAGE];

  if (driver_read (&driver, page, data, NULL) != 0)
    driver_die (&driver, "page %" PRIu64 " cannot be read", page);
  compare (page, data);
  pause_once ();
}

/* --- Orders. */

static void
reader_begin (struct reader *r, uint64_t first, uint64_t pages, int64_t step,
              uint64_t seed)
{
  *r = (struct reader){
    .first = first, .pages = pages, .step = step, .random = seed
  };
  r->at = step < 0 ? (int64_t) pages - 1 : 0;
}

/* The next page; at the end once more, from one page further on. */
static uint64_t
reader_next (struct reader *r)
{
  const uint64_t page = r->first + (uint64_t) r->at;

  if (r->step == 0)
    r->at = (int64_t) (driver_random (&r->random) % r->pages);
  else
    r->at += r->step;
  if (r->at < 0)
    r->at = (int64_t) (r->pages - 1 - ++r->rounds % (uint64_t) -r->step);
  else if ((uint64_t) r->at >= r->pages)
    r->at = (int64_t) (++r->rounds % (uint64_t) r->step);
  return page;
}

static void
read_one_way (int64_t step, uint64_t reads, uint64_t seed)
{
  reader_begin (&readers[0], 0, driver.device_pages, step, seed);
  while (reads-- > 0)
    read_page (reader_next (&readers[0]));
}

static void
take_in_row (uint64_t reads)
{
  for (uint64_t page = 0; page < reads; ++page) {
    read_page (page);
    if (driver_free (&driver, page, 1) != 0)
      driver_die (&driver, "page %" PRIu64 " cannot be freed", page);
    version[page] = 0;
  }
}

static void
four_begin (void)
{
  static const int64_t steps[STREAMS] = { 1, -1, 16, 7 };

  for (unsigned i = 0; i < STREAMS; ++i)
    reader_begin (&readers[i], i * driver.device_pages / STREAMS,
                  driver.device_pages / STREAMS, steps[i], 0);
}

static void
read_four (uint64_t reads, bool mixed, uint64_t seed)
{
  four_begin ();
  for (uint64_t i = 0; i < reads; ++i)
    read_page (
        reader_next (&readers[(mixed ? driver_random (&seed) : i) % STREAMS]));
}

static uint64_t reads_each;

static void *
read_alone (void *opaque)
{
  for (uint64_t i = 0; i < reads_each; ++i)
    read_page (reader_next (opaque));
  return NULL;
}

static void
read_threads (uint64_t reads)
{
  pthread_t threads[STREAMS];

  four_begin ();
  reads_each = reads / STREAMS;
  for (unsigned i = 0; i < STREAMS; ++i)
    if (pthread_create (&threads[i], NULL, read_alone, &readers[i]) != 0)
      driver_die (&driver, "no thread");
  for (unsigned i = 0; i < STREAMS; ++i)
    pthread_join (threads[i], NULL);
}

/* --- A recording. */

/* Does the request adjoin, from below, one of those before? */
static bool
goes_back (uint64_t page, uint64_t count)
{
  static uint64_t firsts[64];
  static unsigned n;
  bool back = false;

  for (unsigned i = 0; i < 64; ++i)
    back |= firsts[i] == page + count;
  firsts[n++ % 64] = page;
  return back;
}

static void
read_each (uint64_t page, uint64_t count)
{
  const bool back = goes_back (page, count);

  for (uint64_t i = 0; i < count; ++i)
    read_page (back ? page + count - 1 - i : page + i);
}

/* Pages that a guest asked for at once. */
static void
read_row (uint64_t page, uint64_t count)
{
  static uint8_t data[ROW * PAGE];
  uint64_t pages[ROW];
  const uint64_t end = page + count;

  for (uint64_t from = page, n; from < end; from += n) {
    n = end - from < ROW ? end - from : ROW;
    for (uint64_t i = 0; i < n; ++i)
      pages[i] = from + i;
    if (driver_read_many (&driver, pages, (unsigned) n, data) != 0)
      driver_die (&driver, "pages from %" PRIu64 " cannot be read", from);
    for (uint64_t i = 0; i < n; ++i)
      compare (from + i, data + i * PAGE);
  }
  for (; page < end; ++page)
    pause_once ();
}

static void
replay_line (const char *line, uint64_t next[128], bool rows)
{
  char op;
  int64_t distance;
  uint64_t count = 1, page;

  if (sscanf (line, "%c %" SCNd64 " %" SCNu64, &op, &distance, &count) < 2)
    driver_die (&driver, "what is %s", line);
  page = next[op & 127] + (uint64_t) distance;
  next[op & 127] = page + count;
  if (page >= driver.device_pages || count > driver.device_pages - page)
    driver_die (&driver, "the volume is smaller than that of %s", line);
  if (op == 'r' && rows)
    read_row (page, count);
  else if (op == 'r')
    read_each (page, count);
  for (uint64_t p = page; op == 'w' && p < page + count; ++p)
    write_page (p);
  if (op != 't')
    return;
  if (driver_free (&driver, page, (uint32_t) count) != 0)
    driver_die (&driver, "pages cannot be freed");
  memset (version + page, 0, count);
}

static void
replay (uint64_t requests, bool rows)
{
  uint64_t next[128] = { 0 };
  char line[64];

  while (requests-- > 0 && fgets (line, sizeof line, stdin))
    replay_line (line, next, rows);
}

static void
run (const char *pattern, uint64_t reads, uint64_t seed)
{
  int64_t step;

  if (sscanf (pattern, "stride:%" SCNd64, &step) == 1 && step != 0)
    read_one_way (step, reads, seed);
  else if (strcmp (pattern, "in-row") == 0)
    read_one_way (1, reads, seed);
  else if (strcmp (pattern, "taken") == 0 && reads <= driver.device_pages)
    take_in_row (reads);
  else if (strcmp (pattern, "back") == 0)
    read_one_way (-1, reads, seed);
  else if (strcmp (pattern, "random") == 0)
    read_one_way (0, reads, seed);
  else if (strcmp (pattern, "four-in-turn") == 0)
    read_four (reads, false, seed);
  else if (strcmp (pattern, "four-mixed") == 0)
    read_four (reads, true, seed);
  else if (strcmp (pattern, "four-threads") == 0)
    read_threads (reads);
  else if (strcmp (pattern, "replay") == 0)
    replay (reads, false);
  else if (strcmp (pattern, "replay-rows") == 0)
    replay (reads, true);
  else
    driver_die (&driver, "what is %s", pattern);
}

int
main (int argc, char *argv[])
{
  uint64_t seed = 1;

  if (argc < 5)
    return 2;
  alarm (300);
  pace_ns = strtoull (argv[4], NULL, 10);
  if (argc > 5)
    seed = strtoull (argv[5], NULL, 10);
  if (driver_connect (&driver, argv[1]) != 0 ||
      driver_start (&driver, VMSWAP_RING_FEATURES, 10000) != 0)
    driver_die (&driver, "there is no region");
  driver.spin_ns = 50000;
  version = calloc (driver.device_pages, 1);
  if (version == NULL)
    driver_die (&driver, "no memory");
  for (uint64_t page = 0; page < driver.device_pages; ++page)
    write_page (page);
  driver_drain (&driver);
  run (argv[2], strtoull (argv[3], NULL, 10), seed);
  printf ("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
          driver.reads[FROM_POST] + driver.reads[FROM_CACHE] +
              driver.reads[FROM_POOL],
          driver.reads[FROM_POST], driver.reads[FROM_CACHE],
          driver.reads[FROM_POOL]);
  driver_detach (&driver);
  driver_close (&driver);
  return 0;
}
