// SPDX-License-Identifier: BSD-3-Clause
/* Dropping whole pages, leaf by leaf: the work is in proportion to what is
 * there, not to the length of the range.  Owns nothing. */

#include <config.h>

#include <string.h>

#include "cleanup.h"
#include "crash-point.h"
#include "internal.h"
#include "table.h"
#include "word.h"

/* Empties the words of [page, page + n), all in one leaf. */
static void
clear_in_leaf (struct volume *volume, struct tally *tally, uint32_t page,
               unsigned n)
{
  uint64_t *words;
  unsigned emptied = 0;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  words = table_leaf_locked (volume, page);
  if (!words)
    return;
  words += page % VMSWAP_LEAF_WORDS;
  for (unsigned i = 0; i < n; ++i) {
    const uint64_t old = words[i];

    if (old == 0)
      continue;
    __atomic_store_n (&words[i], 0, __ATOMIC_RELEASE);
    CRASH_POINT ("word cleared");
    page_release_locked (volume, page + i, tally, old);
    emptied++;
  }
  if (emptied)
    table_emptied_locked (volume, page, emptied);
  tally->pages_trimmed += emptied;
}

void
clear_pages (struct volume *volume, struct tally *tally, uint64_t first,
             uint64_t end)
{
  uint64_t page = first;

  while ((page = table_skip_holes (volume, page, end)) < end) {
    const uint64_t leaf_end =
        (page / VMSWAP_LEAF_WORDS + 1) * VMSWAP_LEAF_WORDS;
    const uint64_t stop = leaf_end < end ? leaf_end : end;

    clear_in_leaf (volume, tally, page, stop - page);
    page = stop;
  }
}
