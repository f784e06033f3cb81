// SPDX-License-Identifier: BSD-3-Clause
/* Owns the open proposals of a volume, its credits, and the windows of its
 * streams.
 *
 * Invariants
 *  1. A proposal lies in the volume, and was not open before.
 *  2. Credits never fall below 0, so nothing is proposed that is not paid for.
 *  3. What a stream borrows is counted in its loan; a stream that is replaced
 *     takes its loan with it, so a volume lends its allowance once.
 *
 * No lock, no memory but the caller's. */

#include <config.h>

#include <stdbool.h>
#include <string.h>

#include "prefetch-trail.h"
#include "prefetch.h"

#define GROW 4 /* windows foretold, until one doubles */
#define NR_OPEN (PREFETCH_SETS * PREFETCH_WAYS)
#define LATENESS_UNIT 256 /* of a request */
#define LATENESS_MAX (PREFETCH_WINDOW_MAX - PREFETCH_WINDOW_HIT)
#define CREDIT_MAX (PREFETCH_WINDOW_MAX * PREFETCH_COST)
#define CREDIT_STREAM (16 * PREFETCH_COST)

/* An open proposal: page, the generation of its stream, its stream plus 1. */
#define OPEN_PAGE_SHIFT 16
#define OPEN_GENERATION_SHIFT 8

_Static_assert(PREFETCH_TRAIL + 1 < 1 << OPEN_GENERATION_SHIFT,
               "the number of a stream has 8 bits");

/* -- open proposals -------------------------------------------------------- */

static uint64_t *
open_set (struct prefetch *p, uint64_t page)
{
  const uint64_t hash = (page + 1) * UINT64_C (0x9e3779b97f4a7c15);

  return p->open[(hash >> 32) % PREFETCH_SETS];
}

/* When it was proposed. */
static uint8_t *
open_asked (struct prefetch *p, const uint64_t *entry)
{
  return &p->asked[0][0] + (entry - &p->open[0][0]);
}

/* Where an open proposal is kept, NULL if the page is none. */
static uint64_t *
open_find (struct prefetch *p, uint64_t page)
{
  uint64_t *set = open_set (p, page);

  for (unsigned i = 0; i < PREFETCH_WAYS; ++i)
    if (set[i] != 0 && set[i] >> OPEN_PAGE_SHIFT == page)
      return &set[i];
  return NULL;
}

/* The oldest of a full set is forgotten: at worst it is proposed again. */
static void
open_add (struct prefetch *p, unsigned stream, uint64_t page)
{
  uint64_t *set = open_set (p, page);
  unsigned room = 0;

  while (room < PREFETCH_WAYS - 1 && set[room] != 0)
    room++;
  memmove (set + 1, set, room * sizeof *set);
  memmove (open_asked (p, set + 1), open_asked (p, set), room);
  *open_asked (p, set) = p->streams.stream[stream].reads;
  set[0] = page << OPEN_PAGE_SHIFT |
           (uint64_t) p->streams.stream[stream].generation
               << OPEN_GENERATION_SHIFT |
           (stream + 1);
}

/* Closes a proposal.  Returns its stream, NULL if that is replaced. */
static struct prefetch_stream *
open_close (struct prefetch *p, uint64_t *entry)
{
  const unsigned number = (*entry & 0xff) - 1;
  const uint8_t generation = *entry >> OPEN_GENERATION_SHIFT;
  struct prefetch_stream *stream = &p->streams.stream[number];

  *entry = 0;
  return stream->generation == generation ? stream : NULL;
}

/* -- credits --------------------------------------------------------------- */

static void
credit_add (int32_t *credit, int32_t parts)
{
  *credit += parts;
  if (*credit > CREDIT_MAX)
    *credit = CREDIT_MAX;
}

/* What so many reads allow the volume to lend. */
static void
credit_earn (struct prefetch *p, uint64_t reads)
{
  credit_add (&p->credit,
              reads < CREDIT_MAX ? reads * PREFETCH_EARNED : CREDIT_MAX);
}

/* What a stream earns and cannot hold, others may use. */
static void
credit_pay (struct prefetch *p, struct prefetch_stream *stream, int32_t parts)
{
  const int32_t room = CREDIT_STREAM - stream->credit;

  if (parts > room) {
    credit_add (&p->credit, parts - room);
    parts = room;
  }
  stream->credit += parts;
}

/* A stream that could have foretold this read, had it been let, and most of
 * those before, may try. */
static void
credit_trust (struct prefetch *p, struct prefetch_stream *stream)
{
  const bool trail = stream == &p->streams.stream[PREFETCH_TRAIL];

  if (stream->on_track && (trail || trend_regular (&stream->trend)))
    credit_pay (p, stream, PREFETCH_TRUST);
}

/* Pays for a page, from what the stream has or the volume lends. */
static bool
credit_take (struct prefetch *p, struct prefetch_stream *stream)
{
  if (stream->credit >= PREFETCH_COST) {
    stream->credit -= PREFETCH_COST;
    return true;
  }
  if (p->credit < PREFETCH_COST)
    return false;
  p->credit -= PREFETCH_COST;
  stream->loan++;
  return true;
}

/* The price of a page comes back: to the volume, if it lent it. */
static void
credit_return (struct prefetch *p, struct prefetch_stream *stream)
{
  if (stream == NULL)
    credit_add (&p->credit, PREFETCH_COST);
  else if (stream->loan > 0) {
    stream->loan--;
    credit_add (&p->credit, PREFETCH_COST);
  }
  else
    credit_pay (p, stream, PREFETCH_COST);
}

/* -- windows ------------------------------------------------------------- */

static void
window_halve (struct prefetch_stream *stream)
{
  stream->window /= 2;
  if (stream->window < PREFETCH_WINDOW_MIN)
    stream->window = PREFETCH_WINDOW_MIN;
  stream->good = 0;
}

static void
window_grow (struct prefetch_stream *stream)
{
  if (stream->window >= PREFETCH_WINDOW_HIT)
    return;
  stream->window *= 2;
  stream->good = 0;
}

/* A page was read so many requests of its stream after it was proposed, and was
 * there, or was not.  A guess, as it is in between; it falls until it is too
 * low. */
static void
lateness_learn (struct prefetch *p, unsigned age, bool there)
{
  const unsigned least = age * LATENESS_UNIT;

  if (!there && least + LATENESS_UNIT > p->lateness)
    p->lateness += (least + LATENESS_UNIT - p->lateness + 3) / 4;
  else if (there && least < p->lateness)
    p->lateness -= (p->lateness - least + 7) / 8;
  else if (there && p->lateness > 0)
    p->lateness--;
  if (p->lateness > LATENESS_MAX * LATENESS_UNIT)
    p->lateness = LATENESS_MAX * LATENESS_UNIT;
}

/* -- what was foretold ----------------------------------------------------- */

/* An open proposal was read. */
static void
redeem (struct prefetch *p, uint64_t *entry)
{
  struct prefetch_stream *stream = open_close (p, entry);

  p->stats.foretold++;
  credit_return (p, stream);
  if (stream == NULL)
    return;
  p->age = stream->reads + 1 - *open_asked (p, entry);
  credit_pay (p, stream, PREFETCH_BONUS);
  if (++stream->good >= GROW * stream->window)
    window_grow (stream);
}

/* Closes the open proposals that a request read.  Returns their number. */
static unsigned
redeem_all (struct prefetch *p, uint64_t first, uint64_t last)
{
  uint64_t *all = &p->open[0][0];
  uint64_t *entry;
  unsigned n = 0;

  if (last - first < NR_OPEN) {
    for (uint64_t page = first; page <= last; ++page)
      if ((entry = open_find (p, page)) != NULL)
        redeem (p, entry), n++;
    return n;
  }
  for (unsigned i = 0; i < NR_OPEN; ++i)
    if (all[i] != 0 && all[i] >> OPEN_PAGE_SHIFT >= first &&
        all[i] >> OPEN_PAGE_SHIFT <= last)
      redeem (p, &all[i]), n++;
  return n;
}

/* -- proposals ------------------------------------------------------------- */

/* The way ahead of a stream: blocks of pages as long as the last request, each
 * a trend away from the one before. */
struct way {
  int64_t page;   /* the next page, if the stream went straight on */
  int64_t real;   /* where that is; below 0: nobody knows */
  int64_t sign;   /* the direction */
  int64_t jump;   /* from block to block */
  uint64_t block; /* pages in one */
  uint64_t left;  /* pages of this block from here on */
};

static void
way_step (struct prefetch *p, const struct prefetch_stream *stream,
          struct way *way)
{
  if (--way->left > 0) {
    way->page += way->sign;
    way->real = streams_cross (&p->streams, stream, way->real, way->sign);
  }
  else {
    way->page += way->jump;
    way->real = streams_next (&p->streams, stream, way->real);
    way->left = way->block;
  }
}

/* The way from the last request, or from the block of the frontier if that is
 * ahead.  Returns how many pages the frontier is ahead, nearly. */
static uint64_t
way_begin (const struct prefetch *p, const struct prefetch_stream *stream,
           struct way *way)
{
  const int64_t trend = stream->trend.delta;
  const int64_t sign = trend < 0 ? -1 : 1;
  const uint64_t block = trend == sign ? 1 : stream->last - stream->first + 1;
  const int64_t edge = stream_edge (stream);
  const int64_t ahead = (stream->frontier - edge) * sign;
  const int64_t step = trend * sign + block - 1;
  int64_t blocks = 0, from;

  if (stream->leads && ahead > 0)
    blocks = step == 1 ? ahead : ahead / step;
  from = edge + blocks * step * sign;
  *way = (struct way){ .page = from + trend,
                       .sign = sign,
                       .jump = trend,
                       .block = block,
                       .left = block };
  way->real = streams_next (&p->streams, stream,
                            blocks > 0 ? from + stream->shift : from);
  return blocks * block;
}

/* Proposes one page, unless it is open already.  False: no credit. */
static bool
propose (struct prefetch *p, struct prefetch_stream *stream, uint64_t page,
         uint64_t *proposals, unsigned *n)
{
  if (open_find (p, page) != NULL)
    return true;
  if (!credit_take (p, stream)) {
    p->stats.withheld++;
    return false;
  }
  open_add (p, stream - p->streams.stream, page);
  proposals[(*n)++] = page;
  return true;
}

/* Pages to be ahead: at least as many as the guest asks for at once, and those
 * that it asks for until one that is proposed now is there. */
static uint64_t
window_of (const struct prefetch *p, const struct prefetch_stream *stream)
{
  const uint64_t block = stream->last - stream->first + 1;
  uint64_t window = block < stream->window ? stream->window : block;

  if (stream->lent)
    window = block;
  window += block * (p->lateness / LATENESS_UNIT);
  return window < p->widest ? window : p->widest;
}

/* Has the way been proposed up to here? */
static bool
is_behind (const struct prefetch_stream *stream, const struct way *way)
{
  return stream->leads && (stream->frontier - way->page) * way->sign >= 0;
}

/* As propose_ahead, with the trail. */
static unsigned
propose_trail (struct prefetch *p, struct prefetch_stream *stream,
               uint64_t *proposals, unsigned max)
{
  struct prefetch_trail *trail = &p->streams.trail;
  uint64_t window;
  unsigned n = 0;

  if (!stream->leads)
    stream->window = PREFETCH_WINDOW_MIN, stream->good = 0;
  stream->leads = true;
  window = window_of (p, stream);
  if (trail_ahead (trail) > window / 2)
    return 0;
  while (trail_ahead (trail) < window && n < max) {
    const int64_t page = trail_peek (trail);
    const bool read = page >= stream->first && page <= stream->last;

    if ((uint64_t) page >= p->pages) /* or below 0 */
      break;
    if (!read && !propose (p, stream, page, proposals, &n))
      break;
    trail_advance (trail);
  }
  p->stats.proposed += n;
  return n;
}

/* Fills the window once it is half empty. */
static unsigned
propose_ahead (struct prefetch *p, struct prefetch_stream *stream,
               uint64_t *proposals, unsigned max)
{
  uint64_t window;
  struct way way;
  unsigned n = 0;
  uint64_t ahead = way_begin (p, stream, &way);

  if (!stream->leads)
    stream->window = PREFETCH_WINDOW_MIN, stream->good = 0;
  window = window_of (p, stream);
  if (ahead > window / 2)
    return 0;
  for (; ahead < window && n < max; ++ahead, way_step (p, stream, &way)) {
    if ((uint64_t) way.real >= p->pages) /* or below 0 */
      break;
    if (is_behind (stream, &way))
      continue;
    if (!propose (p, stream, way.real, proposals, &n))
      break;
    stream->frontier = way.page;
    stream->shift = way.real - way.page;
    stream->leads = true;
  }
  p->stats.proposed += n;
  return n;
}

/* -- the interface --------------------------------------------------------- */

void
prefetch_init (struct prefetch *p, uint64_t pages, unsigned room)
{
  const unsigned widest = room / 4;

  *p = (struct prefetch){
    .pages = pages < PREFETCH_MOST_PAGES ? pages : PREFETCH_MOST_PAGES,
    .widest = widest < PREFETCH_WINDOW_MAX ? widest : PREFETCH_WINDOW_MAX,
    .credit = PREFETCH_START * PREFETCH_COST,
  };
  streams_forget (&p->streams);
}

unsigned
prefetch_read (struct prefetch *p, uint64_t page, uint64_t count, uint64_t hits,
               uint64_t *proposals, unsigned max)
{
  struct prefetch_stream *stream;
  unsigned foretold, n;

  if (count == 0 || page >= p->pages || count > p->pages - page)
    return 0;
  if (hits > count)
    hits = count;
  p->stats.reads += count;
  p->stats.hits += hits;
  p->stats.misses += count - hits;
  credit_earn (p, count);
  p->age = 0;
  foretold = redeem_all (p, page, page + count - 1);
  if (p->age > 0)
    lateness_learn (p, p->age, hits >= foretold);
  stream = streams_follow (&p->streams, page, page + count - 1);
  p->window = 0;
  if (stream->trend.delta == 0)
    return 0;
  if (foretold == 0)
    credit_trust (p, stream);
  if (hits < count && foretold == 0 && stream->leads)
    window_halve (stream);
  if (stream == &p->streams.stream[PREFETCH_TRAIL])
    n = propose_trail (p, stream, proposals, max);
  else
    n = propose_ahead (p, stream, proposals, max);
  p->window = stream->leads ? window_of (p, stream) : 0;
  return n;
}

void
prefetch_waste (struct prefetch *p, uint64_t page)
{
  uint64_t *entry = open_find (p, page);
  struct prefetch_stream *stream;

  p->stats.wasted++;
  if (entry == NULL)
    return;
  stream = open_close (p, entry);
  if (stream != NULL)
    window_halve (stream);
}

void
prefetch_refuse (struct prefetch *p, uint64_t page)
{
  uint64_t *entry = open_find (p, page);

  p->stats.refused++;
  if (entry != NULL)
    credit_return (p, open_close (p, entry));
}

void
prefetch_forget (struct prefetch *p)
{
  streams_forget (&p->streams);
  memset (p->open, 0, sizeof p->open);
}

unsigned
prefetch_window (const struct prefetch *p)
{
  return p->window;
}

void
prefetch_get_stats (const struct prefetch *p, struct prefetch_stats *stats)
{
  *stats = p->stats;
}
