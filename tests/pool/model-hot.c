// SPDX-License-Identifier: BSD-3-Clause
/* All threads on the same few pages.  There is no exact shadow; instead every
 * write is stamped, and a read must return something that could have been
 * there.
 *
 * A page is cut into cells of 512 bytes.  A write covers whole cells, and
 * everything in a cell follows from its stamp:
 *
 *   tick (32)     when the write began, by one clock that all threads share
 *   thread (8)    who wrote
 *   first (4)     the first and
 *   last (4)      the last cell of this page that the write covers
 *   kind (4)      how the rest of the cell is made
 *   page (8)      which page it was written to
 *   1 (4)         so that a stamp is never zero
 *
 * A read has gone wrong when it returns
 *   broken   a cell that is not what its stamp says, or of another page
 *   torn     two cells of one page from two writes that both cover both: a
 *            page changes at once
 *   stale    a write that, before the read began, was certainly gone: its
 *            thread had finished a later one to this cell, or any thread had
 *            finished one that began after it ended
 * and zeroes likewise, when every zeroing had ended before a finished write
 * began.
 *
 * Whoever is refused room has perhaps changed some pages and perhaps not; the
 * records then say only that the attempt is over.
 *
 * The records are atomics, one set for each cell.  A thread writes its own
 * slots alone, and newest with a compare-and-swap. */

#include <config.h>

#include <inttypes.h>
#include <string.h>

#include "model.h"

#define HOT_PAGES 48u
#define CELL 512u
#define CELLS 8u /* in a page */
#define MAX_PAGES 4u
#define WORDS (CELL / 8)
#define RUNNING UINT32_MAX /* as an end: not over yet */

struct record {
  _Atomic uint64_t last[MODEL_MAX_THREADS]; /* finished write: start, end */
  _Atomic uint64_t zero[MODEL_MAX_THREADS]; /* end of the last zeroing */
  _Atomic uint64_t newest; /* latest start among finished changes */
};

static struct record records[HOT_PAGES * CELLS];
static _Atomic uint32_t clock_now = 1;

enum { KIND_FILL, KIND_TEXT, KIND_NOISE, KINDS };

/* Cells first..first+count-1 of the hot set; may cross pages. */
struct span {
  unsigned first;
  unsigned count;
};

struct before {
  uint64_t newest[MAX_PAGES * CELLS];
  uint64_t last[MAX_PAGES * CELLS][MODEL_MAX_THREADS];
};

static uint64_t
make_stamp (uint32_t tick, unsigned thread, unsigned page, unsigned first,
            unsigned last, unsigned kind)
{
  return (uint64_t) tick | (uint64_t) thread << 32 | (uint64_t) first << 40 |
         (uint64_t) last << 44 | (uint64_t) kind << 48 | (uint64_t) page << 52 |
         UINT64_C (1) << 60;
}

#define STAMP_TICK(s) ((uint32_t) (s))
#define STAMP_THREAD(s) ((unsigned) ((s) >> 32 & 0xff))
#define STAMP_FIRST(s) ((unsigned) ((s) >> 40 & 0xf))
#define STAMP_LAST(s) ((unsigned) ((s) >> 44 & 0xf))
#define STAMP_KIND(s) ((unsigned) ((s) >> 48 & 0xf))
#define STAMP_PAGE(s) ((unsigned) ((s) >> 52 & 0xff))

/* Word i of a cell at this place in the hot set. */
static uint64_t
cell_word (uint64_t stamp, unsigned cell, unsigned i)
{
  if (i == 0 || STAMP_KIND (stamp) == KIND_FILL)
    return stamp;
  if (STAMP_KIND (stamp) == KIND_TEXT)
    return stamp + i % 5 + cell;
  return test_mix (stamp ^ (uint64_t) (cell * WORDS + i) << 17);
}

static void
make_cell (uint8_t *buf, uint64_t stamp, unsigned cell)
{
  for (unsigned i = 0; i < WORDS; i++) {
    const uint64_t word = cell_word (stamp, cell, i);
    memcpy (buf + 8 * i, &word, 8);
  }
}

/* The stamp of a cell that was read; 0 for zeroes. */
static uint64_t
read_cell (const uint8_t *buf, unsigned cell)
{
  uint64_t stamp, word;

  memcpy (&stamp, buf, 8);
  for (unsigned i = 0; i < WORDS; i++) {
    memcpy (&word, buf + 8 * i, 8);
    if (word != (stamp ? cell_word (stamp, cell, i) : 0))
      FAIL ("cell %u of page %u: word %u is %016" PRIx64
            ", which does not follow from stamp %016" PRIx64,
            cell % CELLS, cell / CELLS, i, word, stamp);
  }
  if (stamp &&
      (STAMP_PAGE (stamp) != cell / CELLS ||
       cell % CELLS < STAMP_FIRST (stamp) || cell % CELLS > STAMP_LAST (stamp)))
    FAIL ("cell %u of page %u holds stamp %016" PRIx64
          ", which belongs elsewhere",
          cell % CELLS, cell / CELLS, stamp);
  return stamp;
}

/* In the page at base: cells at i and j from two writes of which each covers
 * both. */
static void
check_torn (const uint64_t *stamps, const struct span *span, unsigned i)
{
  for (unsigned j = i + 1; j < span->count; j++) {
    const uint64_t a = stamps[i], b = stamps[j];
    const unsigned ci = (span->first + i) % CELLS;
    const unsigned cj = (span->first + j) % CELLS;

    if ((span->first + i) / CELLS != (span->first + j) / CELLS)
      break;
    if (a && b && a != b && STAMP_LAST (a) >= cj && STAMP_FIRST (b) <= ci)
      FAIL ("page %u is torn: cells %u and %u hold stamps %016" PRIx64
            " and %016" PRIx64,
            (span->first + i) / CELLS, ci, cj, a, b);
  }
}

static void
check_stale (unsigned threads, uint64_t stamp, unsigned cell,
             uint64_t newest_before, const uint64_t *last_before)
{
  struct record *record = &records[cell];
  uint64_t end = 0;

  if (stamp) {
    const unsigned who = STAMP_THREAD (stamp);
    const uint64_t last = atomic_load (&record->last[who]);

    if (who >= threads || STAMP_TICK (stamp) >= atomic_load (&clock_now))
      FAIL ("stamp %016" PRIx64 " was never written", stamp);
    if (STAMP_TICK (stamp) < last_before[who] >> 32)
      FAIL ("cell %u: stale: stamp %016" PRIx64 " but its thread had "
            "finished a later write, of tick %" PRIu64,
            cell, stamp, last_before[who] >> 32);
    /* Only of the last write do we know when it ended. */
    end = last >> 32 == STAMP_TICK (stamp) ? (uint32_t) last : RUNNING;
  }
  else {
    for (unsigned i = 0; i < threads; i++) {
      const uint64_t zero = atomic_load (&record->zero[i]);
      end = zero > end ? zero : end;
    }
  }
  if (newest_before > end)
    FAIL ("cell %u: stale: stamp %016" PRIx64 " ended at tick %" PRIu64
          ", but a change that began at %" PRIu64 " was finished",
          cell, stamp, end, newest_before);
}

static void
do_read (struct model_thread *t, const struct span *span)
{
  struct volume *volume = t->model->volumes[0].volume;
  const unsigned threads = t->model->opt.threads;
  uint64_t stamps[MAX_PAGES * CELLS];
  struct before before;

  for (unsigned i = 0; i < span->count; i++) {
    struct record *record = &records[span->first + i];

    before.newest[i] = atomic_load (&record->newest);
    for (unsigned j = 0; j < threads; j++)
      before.last[i][j] = atomic_load (&record->last[j]);
  }
  CHECK_RC (volume_read (volume, t->probe, span->count * CELL,
                         (uint64_t) span->first * CELL),
            0);
  for (unsigned i = 0; i < span->count; i++)
    stamps[i] = read_cell (t->probe + i * CELL, span->first + i);
  for (unsigned i = 0; i < span->count; i++) {
    check_torn (stamps, span, i);
    check_stale (threads, stamps[i], span->first + i, before.newest[i],
                 before.last[i]);
  }
}

static void
raise_newest (struct record *record, uint64_t start)
{
  uint64_t old = atomic_load (&record->newest);

  while (old < start &&
         !atomic_compare_exchange_weak (&record->newest, &old, start))
    ;
}

static void
make_span (uint8_t *buf, const struct span *span, uint32_t tick,
           unsigned thread, unsigned kind)
{
  const unsigned end = span->first + span->count;

  for (unsigned cell = span->first; cell < end; cell++) {
    const unsigned page = cell / CELLS;
    const unsigned first = span->first > page * CELLS ? span->first % CELLS : 0;
    const unsigned last =
        end < (page + 1) * CELLS ? (end - 1) % CELLS : CELLS - 1;

    make_cell (buf + (cell - span->first) * CELL,
               make_stamp (tick, thread, page, first, last, kind), cell);
  }
}

static void
check_rc (struct model_thread *t, int rc)
{
  if (rc == 0)
    return;
  if (!t->model->opt.full || !test_refused (rc))
    FAIL ("a write or zero returned %d", rc);
  t->counts.refused++;
}

static void
do_write (struct model_thread *t, const struct span *span)
{
  struct volume *volume = t->model->volumes[0].volume;
  const uint32_t start = atomic_fetch_add (&clock_now, 1);
  uint32_t end;
  int rc;

  make_span (t->buf, span, start, t->id, rng_below (&t->rng, KINDS));
  rc = volume_write (volume, t->buf, span->count * CELL,
                     (uint64_t) span->first * CELL);
  end = atomic_fetch_add (&clock_now, 1);
  check_rc (t, rc);
  if (rc != 0)
    return;
  for (unsigned i = 0; i < span->count; i++) {
    struct record *record = &records[span->first + i];

    atomic_store (&record->last[t->id], (uint64_t) start << 32 | end);
    raise_newest (record, start);
  }
}

static void
do_zero (struct model_thread *t, const struct span *span, bool trim)
{
  struct volume *volume = t->model->volumes[0].volume;
  const uint64_t offset = (uint64_t) span->first * CELL;
  const uint64_t length = span->count * CELL;
  const uint32_t start = atomic_fetch_add (&clock_now, 1);
  uint32_t end;
  int rc;

  for (unsigned i = 0; i < span->count; i++)
    atomic_store (&records[span->first + i].zero[t->id], RUNNING);
  rc = trim ? volume_trim (volume, length, offset)
            : volume_zero (volume, length, offset);
  if (trim)
    CHECK_RC (rc, 0);
  end = atomic_fetch_add (&clock_now, 1);
  check_rc (t, rc);
  for (unsigned i = 0; i < span->count; i++) {
    struct record *record = &records[span->first + i];

    atomic_store (&record->zero[t->id], end);
    if (rc == 0)
      raise_newest (record, start);
  }
}

/* Whole pages more often than not; a trim always, because at its edges it
 * may leave parts of pages as they are. */
static struct span
pick_span (struct model_thread *t, enum model_op op)
{
  struct span span;

  if (op == MODEL_TRIM || rng_below (&t->rng, 100) < 60) {
    span.count = (1 + rng_below (&t->rng, MAX_PAGES)) * CELLS;
    span.first = rng_below (&t->rng, HOT_PAGES) * CELLS;
  }
  else {
    span.count = 1 + rng_below (&t->rng, 2 * CELLS);
    span.first = rng_below (&t->rng, HOT_PAGES * CELLS);
  }
  if (span.first + span.count > HOT_PAGES * CELLS)
    span.count = HOT_PAGES * CELLS - span.first;
  return span;
}

/* The upper half of the last volume keeps the cleaner busy, or the pool full:
 * then it holds what no codec shrinks, and more of it than the pool takes. */
static int
write_ballast (struct model *m, struct rng *rng, uint8_t *page, uint64_t at)
{
  struct volume *volume = m->volumes[m->opt.volumes - 1].volume;
  enum content_kind kind = rng_below (rng, CONTENT_KINDS);

  if (m->opt.full && rng_below (rng, 8) != 0)
    kind = CONTENT_RANDOM;
  content_page (page, kind, rng_next (rng));
  return volume_write (volume, page, POOL_PAGE_SIZE, at * POOL_PAGE_SIZE);
}

static void
do_ballast (struct model_thread *t)
{
  struct model *m = t->model;
  struct volume *volume = m->volumes[m->opt.volumes - 1].volume;
  const uint64_t half = m->opt.size / 2 / POOL_PAGE_SIZE;
  const uint64_t at = half + rng_below (&t->rng, half);

  if (m->opt.full && rng_below (&t->rng, 8) == 0)
    CHECK_RC (volume_trim (volume, POOL_PAGE_SIZE, at * POOL_PAGE_SIZE), 0);
  else
    check_rc (t, write_ballast (m, &t->rng, t->buf, at));
}

static void
one_op (struct model_thread *t)
{
  const unsigned dice = rng_below (&t->rng, 100);
  const enum model_op op = dice < 42   ? MODEL_READ
                           : dice < 85 ? MODEL_WRITE
                           : dice < 92 ? MODEL_ZERO
                           : dice < 99 ? MODEL_TRIM
                                       : MODEL_STATS;
  const struct span span = pick_span (t, op);

  t->counts.ops[op]++;
  t->counts.bytes[op] += span.count * CELL;
  switch (op) {
  case MODEL_READ:
    do_read (t, &span);
    break;
  case MODEL_WRITE:
    if (dice < 52)
      do_ballast (t);
    else
      do_write (t, &span);
    break;
  case MODEL_ZERO:
  case MODEL_TRIM:
    do_zero (t, &span, op == MODEL_TRIM);
    break;
  default:
    model_sample_stats (t->model);
    break;
  }
}

void
model_hot_init (struct model *m)
{
  const uint64_t half = m->opt.size / 2 / POOL_PAGE_SIZE;
  struct rng rng = { m->opt.seed };
  uint8_t page[POOL_PAGE_SIZE];
  uint64_t refused = 0;

  if (half < HOT_PAGES)
    FAIL ("--hot needs --size 1M or more");
  if (!m->opt.full)
    return;
  for (uint64_t at = half; at < 2 * half; at++)
    refused += write_ballast (m, &rng, page, at) != 0;
  if (refused == 0)
    FAIL ("--hot --full: the pool is not full: give more --size");
}

void *
model_hot_thread (void *arg)
{
  struct model_thread *t = arg;

  do
    one_op (t);
  while (model_tick (t->model));
  /* Every cell once more, while others may still write. */
  for (unsigned page = 0; page < HOT_PAGES; page += MAX_PAGES)
    do_read (t, &(struct span){ page * CELLS, MAX_PAGES * CELLS });
  return NULL;
}
