// SPDX-License-Identifier: BSD-3-Clause
/* What a worker of kill-client asks for next.
 *
 *     MIX --(now and then)--> DRAIN --> WHOLE or VERIFY --> MIX
 *
 * Owns the mode of a worker, its dice, and the ranges of new requests: no two
 * slots touch the same byte.  Lock: none; a worker belongs to its thread. */

#include <config.h>

#include <stdio.h>
#include <stdlib.h>

#include "content.h"
#include "kill-client.h"

#define VERIFY_SLOTS 8

uint32_t
worker_dice (struct worker *w, uint32_t limit)
{
  return rng_below (&w->rng, limit);
}

void *
worker_allocate (size_t size)
{
  void *p = malloc (size);

  if (p == NULL) {
    fprintf (stderr, "kill-client: no memory\n");
    exit (3);
  }
  return p;
}

bool
worker_all_free (const struct worker *w)
{
  for (unsigned i = 0; i < w->nr_slots; ++i)
    if (w->slots[i].kind != FREE)
      return false;
  return true;
}

static bool
is_busy (const struct worker *w, uint32_t offset, uint32_t count)
{
  for (unsigned i = 0; i < w->nr_slots; ++i) {
    const struct slot *slot = &w->slots[i];

    if (slot->kind != FREE && offset < slot->offset + slot->count &&
        slot->offset < offset + count)
      return true;
  }
  return false;
}

/* A range that no slot touches: mostly whole pages, one time in five any
 * bytes. */
static bool
pick_range (struct worker *w, struct slot *slot)
{
  for (unsigned tries = 0; tries < 4; ++tries) {
    const uint32_t skew = (PAGE - w->shadow.start % PAGE) % PAGE;
    uint32_t count = (1 + worker_dice (w, 1u << worker_dice (w, 7))) * PAGE;
    uint32_t offset = skew + worker_dice (w, w->shadow.size / PAGE) * PAGE;

    if (worker_dice (w, 5) == 0) {
      offset += worker_dice (w, PAGE);
      count = 1 + worker_dice (w, count);
    }
    if (offset >= w->shadow.size)
      continue;
    if (count > w->shadow.size - offset)
      count = w->shadow.size - offset;
    if (is_busy (w, offset, count))
      continue;
    slot->offset = offset;
    slot->count = count;
    return true;
  }
  return false;
}

void
worker_next_phase (struct worker *w)
{
  static const struct {
    unsigned trims, changes;
  } phases[] = { { 3, 75 }, { 10, 50 }, { 10, 90 }, { 35, 60 } };
  const unsigned i = worker_dice (w, 4);

  w->trims = phases[i].trims;
  w->changes = phases[i].changes;
  w->phase_left = 200 + worker_dice (w, 3000);
}

static bool
make_random (struct worker *w, struct slot *slot)
{
  const unsigned dice = worker_dice (w, 100);

  if (!pick_range (w, slot))
    return false;
  if (w->nr_sample > 0) {
    w->nr_sample--;
    slot->kind = READ;
  }
  else if (dice < w->trims)
    slot->kind = worker_dice (w, 2) ? TRIM : ZERO;
  else if (dice < w->changes) {
    slot->kind = WRITE;
    slot->data = worker_allocate (slot->count);
    content_make (&w->rng, slot->data, slot->count,
                  w->shadow.start + slot->offset);
  }
  else
    slot->kind = READ;
  return true;
}

void
worker_drain (struct worker *w, enum mode next)
{
  w->mode = DRAIN;
  w->next_mode = next;
}

static bool
make_mixed (struct worker *w, struct slot *slot)
{
  if (atomic_load (&stopping)) {
    worker_drain (w, VERIFY);
    return false;
  }
  if (w->phase_left-- == 0) {
    worker_next_phase (w);
    if (worker_dice (w, 12) == 0) {
      worker_drain (w, WHOLE);
      return false;
    }
  }
  return make_random (w, slot);
}

/* The next read of all; false: none is left to be made. */
static bool
make_verify (struct worker *w, struct slot *slot)
{
  const uint32_t left = w->shadow.size - w->cursor;

  if (left == 0 || slot >= w->slots + VERIFY_SLOTS)
    return false;
  slot->kind = READ;
  slot->offset = w->cursor;
  slot->count = left < CHUNK ? left : CHUNK;
  w->cursor += slot->count;
  return true;
}

void
worker_next_mode (struct worker *w)
{
  if (w->mode == DRAIN) {
    w->mode = w->next_mode;
    w->cursor = 0;
  }
  else if (w->mode == VERIFY && w->cursor == w->shadow.size) {
    atomic_fetch_add (&w->verifies, 1);
    w->mode = MIX;
    /* It counts as the last one if nothing can have been written since. */
    if (w->next_mode == VERIFY && atomic_load (&stopping))
      atomic_store (&w->finished, true);
  }
  else if (w->mode == WHOLE)
    w->mode = MIX;
}

bool
worker_make_request (struct worker *w, struct slot *slot)
{
  switch (w->mode) {
  case MIX:
    return make_mixed (w, slot);
  case VERIFY:
    return make_verify (w, slot);
  case WHOLE:
    if (!worker_all_free (w))
      return false;
    slot->kind = TRIM;
    slot->count = w->shadow.size;
    return true;
  case DRAIN:
    break;
  }
  return false;
}
