// SPDX-License-Identifier: BSD-3-Clause
/* The bare codec, fingerprint and copy.  Fill pages are kept as their value
 * and incompressible ones as they are, as the pool does it, so that both
 * sides do the same work.
 *
 * Threads share nothing that changes: each worker writes entries and array
 * parts of its own. */

#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <lz4.h>
#include <xxhash.h>

#include "bare.h"
#include "measure.h"
#include "sample.h"

#define SECRET_SIZE 192
#define OUT_SIZE 4352 /* LZ4 takes its faster path when the worst case fits */

struct entry {
  uint64_t offset;
  uint64_t fingerprint;
  uint32_t fill;
  uint32_t length; /* 0: a fill page */
};

struct bare {
  struct entry *entries;
  uint8_t *array;
  size_t pages;
  uint8_t secret[SECRET_SIZE];
};

struct bare_worker {
  struct bare *bare;
  size_t start, next; /* in the array */
  LZ4_stream_t state;
  uint8_t out[OUT_SIZE];
  uint8_t page[PAGE];
};

static void *
populated (size_t size)
{
  void *p = mmap (NULL, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

  if (p == MAP_FAILED)
    fail ("no memory for the yardstick: %s", strerror (errno));
  return p;
}

struct bare *
bare_create (size_t pages)
{
  struct bare *bare = calloc (1, sizeof *bare);
  struct dice dice;

  if (!bare)
    fail ("no memory for the yardstick");
  bare->pages = pages;
  bare->entries = populated (pages * sizeof *bare->entries);
  bare->array = populated (pages * PAGE);
  dice_init (&dice, 192);
  for (size_t i = 0; i < SECRET_SIZE; i++)
    bare->secret[i] = (uint8_t) dice_roll (&dice, 256);
  return bare;
}

void
bare_free (struct bare *bare)
{
  munmap (bare->entries, bare->pages * sizeof *bare->entries);
  munmap (bare->array, bare->pages * PAGE);
  free (bare);
}

struct bare_worker *
bare_worker_create (struct bare *bare, size_t first_page)
{
  struct bare_worker *worker = aligned_alloc (64, (sizeof *worker + 63) & ~63);

  if (!worker)
    fail ("no memory for the yardstick");
  memset (worker, 0, sizeof *worker);
  worker->bare = bare;
  worker->start = worker->next = first_page * PAGE;
  return worker;
}

void
bare_worker_free (struct bare_worker *worker)
{
  free (worker);
}

void
bare_worker_rewind (struct bare_worker *worker)
{
  worker->next = worker->start;
}

void
bare_write (struct bare_worker *worker, size_t index, const uint8_t *page)
{
  struct bare *bare = worker->bare;
  struct entry *entry = &bare->entries[index];
  const void *from = worker->out;

  if (page_is_fill (page)) {
    memcpy (&entry->fill, page, sizeof entry->fill);
    entry->length = 0;
    return;
  }
  entry->fingerprint =
      XXH3_64bits_withSecret (page, PAGE, bare->secret, SECRET_SIZE);
  int n = LZ4_compress_fast_extState (&worker->state, (const char *) page,
                                      (char *) worker->out, PAGE, OUT_SIZE, 1);
  if (n >= (int) PAGE) {
    n = PAGE;
    from = page;
  }
  memcpy (bare->array + worker->next, from, (size_t) n);
  entry->offset = worker->next;
  entry->length = (uint32_t) n;
  worker->next += (size_t) n;
}

static void
read_fill (uint32_t value, uint8_t *page)
{
  for (size_t i = 0; i < PAGE; i += sizeof value)
    memcpy (page + i, &value, sizeof value);
}

void
bare_read (struct bare_worker *worker, size_t index, uint8_t *page, bool copy)
{
  const struct bare *bare = worker->bare;
  const struct entry *entry = &bare->entries[index];
  const uint8_t *data = bare->array + entry->offset;
  uint8_t *to = copy ? worker->page : page;

  if (entry->length == 0) {
    read_fill (entry->fill, page);
    return;
  }
  if (entry->length == PAGE)
    memcpy (to, data, PAGE);
  else if (LZ4_decompress_safe ((const char *) data, (char *) to,
                                (int) entry->length, PAGE) != PAGE)
    fail ("the yardstick cannot decompress page %zu", index);
  if (XXH3_64bits_withSecret (to, PAGE, bare->secret, SECRET_SIZE) !=
      entry->fingerprint)
    fail ("the yardstick read page %zu wrong", index);
  if (copy)
    memcpy (page, to, PAGE);
}
