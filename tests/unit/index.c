// SPDX-License-Identifier: BSD-3-Clause
/* The index: what is put in is found, in its scope and in no other, and the
 * memory for all slots comes and goes. */

#include <config.h>

#include <errno.h>

#include "unit.h"

#define N 3000u

static uint64_t
print_of (uint64_t i)
{
  return (i * UINT64_C (0x9e3779b97f4a7c15)) >> (64 - PRINT_BITS);
}

static unsigned
count_found (struct index *index, uint64_t salt)
{
  struct target target;
  unsigned found = 0;

  for (unsigned i = 0; i < N; ++i)
    if (index_find (index, print_of (i), salt, &target)) {
      CHECK (target.shared == (i % 3 == 0));
      CHECK (target.page == i * 7);
      CHECK (target.volume == (i % 3 ? i % 1000 : 0));
      found++;
    }
  return found;
}

int
main (void)
{
  struct pool *pool = unit_pool (64);
  struct index *index = &pool->index;
  const uint64_t used = atomic_load (&pool->arena.used);
  unsigned wanted = 0;

  CHECK (index_mode (index) == INDEX_SAMPLED);
  for (unsigned i = 0; i < N; ++i)
    wanted += index_wants (index, print_of (i));
  CHECK (wanted > N / INDEX_SAMPLE / 2 && wanted < N / INDEX_SAMPLE * 2);
  CHECK (count_found (index, 1) == 0);

  CHECK (index_fit (index, N) == 0); /* not for the sample */
  index_set_mode (index, INDEX_ALL);
  CHECK (index_mode (index) == INDEX_ALL);
  CHECK (index_extra_bytes (index) == 0);
  CHECK (index_fit (index, N) == 1);
  CHECK (index_fit (index, N) == 0);
  CHECK (atomic_load (&pool->arena.used) == used + index_extra_bytes (index));
  CHECK (index_extra_bytes (index) > 0);
  CHECK (index_wants (index, 1) && index_wants (index, 16));
  for (unsigned i = 0; i < N; ++i)
    index_insert (index, print_of (i), 1,
                  (struct target){ .shared = i % 3 == 0,
                                   .volume = i % 3 ? i % 1000 : 0,
                                   .page = i * 7 });
  /* Three quarters of the slots at the most are full: few buckets overflow. */
  CHECK (count_found (index, 1) > N - N / 20);
  CHECK (count_found (index, 2) == 0);

  CHECK (index_fit (index, UINT32_MAX) == 1);
  CHECK (index_extra_bytes (index) ==
         (index->nr - index->nr / INDEX_SAMPLE) * sizeof (uint64_t));

  index_set_mode (index, INDEX_SAMPLED);
  CHECK (atomic_load (&pool->arena.used) == used);
  index_set_mode (index, INDEX_ALL);
  CHECK (index_fit (index, UINT32_MAX) == 1);
  CHECK (count_found (index, 1) < N / 4); /* the memory came back empty */
  index_set_mode (index, INDEX_SAMPLED);
  index_set_mode (index, INDEX_ALL);

  /* Without memory it stays as it is. */
  CHECK (arena_charge (&pool->arena, arena_left (&pool->arena)));
  CHECK (index_fit (index, N) == -ENOSPC);
  CHECK (index_mode (index) == INDEX_ALL);
  CHECK (index_extra_bytes (index) == 0);
  arena_uncharge (&pool->arena, atomic_load (&pool->arena.used) - used);
  pool_destroy (pool);
  return 0;
}
