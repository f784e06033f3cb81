// SPDX-License-Identifier: BSD-3-Clause
/* Owns the slots of the index.
 *
 * Invariants
 *  1. A slot is one 64-bit word, loaded and stored whole: whoever finds one
 *     finds what somebody put there.
 *  2. The slots in use have memory, and are charged; no others are, but for a
 *     moment, and but for pages of 4 KiB that a late insertion touched after
 * they were given up: one a worker at the most, until the next time.
 *
 *    63        44   43    42   41     32 31        0
 *   +------------+------+-----+---------+-----------+
 *   |    tag     | used |  0  | volume  |   page    |
 *   |            |      |  1  |    0    |   entry   |
 *   +------------+------+-----+---------+-----------+
 *
 * No lock. */

#include <config.h>

#include <errno.h>

#include "index.h"
#include "word.h"

/* Slots that a page may be in: two neighbouring cache lines.  With two thirds
 * of all slots in use, one page in 200 finds its bucket full. */
#define BUCKET 16
#define TAG_SHIFT 44
#define USED (UINT64_C (1) << 43)
#define SHARED (UINT64_C (1) << 42)

_Static_assert(POOL_MAX_VOLUMES <= 1024, "the id of a volume has 10 bits");

static uint64_t
used_bytes (const struct index *index)
{
  return atomic_load_explicit (&index->used, memory_order_relaxed) *
         sizeof *index->slots;
}

static uint64_t
sample_bytes (const struct index *index)
{
  return index->nr / INDEX_SAMPLE * sizeof *index->slots;
}

int
index_create (struct index *index, struct arena *arena, enum index_mode mode)
{
  /* The sample fills whole pages. */
  uint64_t nr = (uint64_t) INDEX_SAMPLE * POOL_PAGE_SIZE / sizeof (uint64_t);

  while (nr < arena->limit / POOL_PAGE_SIZE * 2)
    nr *= 2;
  *index = (struct index){ .arena = arena, .nr = nr };
  atomic_store (&index->used, nr / INDEX_SAMPLE);
  atomic_store (&index->mode, mode == INDEX_NONE ? INDEX_NONE : INDEX_SAMPLED);
  if (mode == INDEX_NONE)
    return 0;
  index->slots =
      arena_alloc_part (arena, nr * sizeof *index->slots, sample_bytes (index));
  return index->slots ? 0 : -ENOMEM;
}

uint64_t
index_extra_bytes (const struct index *index)
{
  return used_bytes (index) - sample_bytes (index);
}

void
index_set_mode (struct index *index, enum index_mode mode)
{
  const uint64_t kept = sample_bytes (index);
  const uint64_t used = used_bytes (index);

  if (index_mode (index) == INDEX_NONE || index_mode (index) == mode)
    return;
  atomic_store (&index->mode, mode);
  if (used == kept)
    return;
  /* Somebody may still look there: then it finds zeroes. */
  atomic_store (&index->used, index->nr / INDEX_SAMPLE);
  arena_table_drop (index->arena, (uint8_t *) index->slots + kept, used - kept);
}

int
index_fit (struct index *index, uint64_t pages)
{
  const uint64_t used = atomic_load (&index->used);
  uint64_t want = used;
  int err;

  if (index_mode (index) != INDEX_ALL)
    return 0;
  while (want < index->nr && pages + pages / 2 > want)
    want *= 2;
  if (want == used)
    return 0;
  err = arena_table_back (index->arena, (void *) (index->slots + used),
                          (want - used) * sizeof *index->slots);
  if (err)
    return err;
  /* Half of what is there would be looked for elsewhere from now on. */
  for (uint64_t i = 0; i < used; ++i)
    atomic_store_explicit (&index->slots[i], 0, memory_order_relaxed);
  atomic_store (&index->used, want);
  return 1;
}

/* The finalizer of MurmurHash3: every bit of the key moves every other. */
static uint64_t
mix (uint64_t key)
{
  key ^= key >> 33;
  key *= UINT64_C (0xff51afd7ed558ccd);
  key ^= key >> 33;
  key *= UINT64_C (0xc4ceb9fe1a85ec53);
  return key ^ key >> 33;
}

static _Atomic uint64_t *
bucket_of (const struct index *index, uint64_t hash)
{
  const uint64_t buckets =
      atomic_load_explicit (&index->used, memory_order_relaxed) / BUCKET;

  return index->slots + hash % buckets * BUCKET;
}

static uint64_t
hash_of (uint64_t print, uint64_t salt)
{
  return mix ((print & WORD_MASK (PRINT_BITS)) ^ salt);
}

bool
index_find (struct index *index, uint64_t print, uint64_t salt,
            struct target *ret)
{
  const uint64_t hash = hash_of (print, salt);
  const _Atomic uint64_t *bucket = bucket_of (index, hash);

  for (unsigned i = 0; i < BUCKET; ++i) {
    const uint64_t slot =
        atomic_load_explicit (&bucket[i], memory_order_relaxed);

    if (slot >> TAG_SHIFT == hash >> TAG_SHIFT && slot & USED) {
      *ret = (struct target){
        .shared = slot & SHARED,
        .volume = slot >> 32 & WORD_MASK (10),
        .page = (uint32_t) slot,
      };
      return true;
    }
  }
  return false;
}

/* In the place of one with the same tag, which is older, or of none, or of any:
 * bits of the hash that nothing else uses say which. */
void
index_insert (struct index *index, uint64_t print, uint64_t salt,
              struct target target)
{
  const uint64_t hash = hash_of (print, salt);
  _Atomic uint64_t *bucket = bucket_of (index, hash);
  unsigned victim = hash >> 40 & (BUCKET - 1);
  bool found = false;

  for (unsigned i = 0; i < BUCKET && !found; ++i) {
    const uint64_t slot =
        atomic_load_explicit (&bucket[i], memory_order_relaxed);

    found = slot >> TAG_SHIFT == hash >> TAG_SHIFT;
    if (found || !(slot & USED))
      victim = i;
  }
  atomic_store_explicit (&bucket[victim],
                         hash >> TAG_SHIFT << TAG_SHIFT | USED |
                             (target.shared ? SHARED : 0) |
                             (uint64_t) target.volume << 32 | target.page,
                         memory_order_relaxed);
}
