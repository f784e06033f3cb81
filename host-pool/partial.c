// SPDX-License-Identifier: BSD-3-Clause
/* Reads and writes of a part of a page: a decode, and a read-modify-write.
 *
 * Owns the striped locks that keep partial writers of one page apart.  Writers
 * of whole pages, trims and the cleaner do not take them: a read-modify-write
 * notices such a change when it publishes, and starts again. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "internal.h"
#include "table.h"
#include "word.h"

/* Decodes the page into worker->page and tells what it was made from. */
static int
fetch (struct volume *volume, struct worker *worker, uint32_t page,
       struct expected *expected)
{
  struct pool *pool = volume->pool;
  int err = 0;

  worker_enter (&pool->workers, worker);
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    page_expect_locked (volume, page, expected);
  }
  if (page_decode_run (volume, page, &expected->word, &expected->place, 1,
                       worker->page) == 0)
    err = -EIO;
  worker_leave (worker);
  return err;
}

int
partial_read (struct volume *volume, struct worker *worker, struct tally *tally,
              uint32_t page, unsigned offset, unsigned length, void *data)
{
  struct expected ignored;
  const int err = fetch (volume, worker, page, &ignored);

  tally->pages_read++;
  if (err) {
    tally->bad_pages++;
    return err;
  }
  memcpy (data, worker->page + offset, length);
  return 0;
}

int
partial_write (struct volume *volume, struct worker *worker,
               struct tally *tally, uint32_t page, unsigned offset,
               unsigned length, const void *data)
{
  struct stripe *partial =
      &volume->pool->partial[(page + volume->id) % NR_PARTIAL_LOCKS];
  struct expected expected;
  int err;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&partial->lock);
  /* Ends: each round more means that somebody else's write was done, or that
   * the cleaner moved the page. */
  do {
    err = fetch (volume, worker, page, &expected);
    if (err) {
      tally->bad_pages++;
      return err;
    }
    if (data)
      memcpy (worker->page + offset, data, length);
    else if (word_tag (expected.word) == VMSWAP_WORD_EMPTY)
      return 0;
    else
      memset (worker->page + offset, 0, length);
    err = page_write (volume, worker, tally, page, worker->page, &expected);
  } while (err == -EAGAIN);
  return err;
}
