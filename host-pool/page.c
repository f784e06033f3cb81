// SPDX-License-Identifier: BSD-3-Clause
/* The data path of one page: encode, place, publish; and decode.
 *
 * Owns nothing; the state is the caller's worker.
 *
 * Invariants
 *  1. Publish last: the page word changes only when the blob is complete.  On
 *     any error before that the page is what it was.
 *  2. What page_decode returns 0 for has the fingerprint that was stored with
 *     it.
 *
 * Locks: the stripe of the page, for the few instructions in which the word
 * changes. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "cold.h"
#include "crash-point.h"
#include "fingerprint.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"
#include "word.h"

/* Bytes of a segment after which writers look at how full the pool is. */
#define WEIGH_EVERY (16u << 10)

/* … and lend a hand if there is little room: a nearly full pool moves some
 * seven bytes for each that is written at random. */
#define HELP_EVERY (POOL_SEGMENT_SIZE / 8)

/* Is the page one 32-bit value repeated? */
static bool
is_fill (const uint8_t *data, uint32_t *value)
{
  uint64_t first, last;

  /* Nearly every other page differs here already. */
  memcpy (&first, data, sizeof first);
  memcpy (&last, data + POOL_PAGE_SIZE - sizeof last, sizeof last);
  if (first != last || (uint32_t) first != first >> 32)
    return false;
  if (memcmp (data, data + sizeof first, POOL_PAGE_SIZE - sizeof first) != 0)
    return false;
  *value = (uint32_t) first;
  return true;
}

uint64_t
page_encode (struct volume *volume, struct worker *worker, uint32_t page,
             const void *data, uint64_t print)
{
  struct pool *pool = volume->pool;
  uint8_t *out = worker->blob + VMSWAP_BLOB_HEADER_SIZE;
  struct blob blob = {
    .volume = volume->id,
    .page = page,
    .codec = pool->codec->id,
    .fingerprint = (uint32_t) print,
  };

  size_t length = pool->codec->compress (worker->codec_state, data, out);
  if (length >= POOL_PAGE_SIZE) {
    length = POOL_PAGE_SIZE;
    blob.codec = VMSWAP_CODEC_NONE;
    memcpy (out, data, POOL_PAGE_SIZE);
  }
  blob.length = length;
  blob_pack (worker->blob, &blob);
  return word_blob ((struct place){ 0, 0 }, length, print);
}

/* Copies the blob in worker->blob to its place and completes the word. */
static void
put_blob (struct pool *pool, const struct worker *worker, struct place at,
          uint64_t *word)
{
  CRASH_POINT ("blob reserved");
  memcpy (arena_segment (&pool->arena, at.segment) + at.offset, worker->blob,
          VMSWAP_BLOB_HEADER_SIZE + word_length (*word));
  CRASH_POINT ("blob copied");
  *word = word_moved (*word, at);
}

/* Puts the blob in worker->blob into a segment and completes the word. */
static int
place (struct volume *volume, struct worker *worker, uint32_t page,
       uint64_t *word)
{
  struct pool *pool = volume->pool;
  const uint32_t length = word_length (*word);
  struct place at;
  int err;

  err = page_admit (volume, page, *word);
  if (err)
    return err;
  while ((err = lane_reserve (&pool->lanes, blob_size (length), &at)) ==
         -ENOSPC) {
    err = pool_reclaim (pool, RECLAIM_SEGMENT);
    if (err)
      return err;
  }
  if (err)
    return err;
  put_blob (pool, worker, at, word);
  if (at.offset % WEIGH_EVERY < blob_size (length))
    pool_weigh (pool);
  if (at.offset % HELP_EVERY < blob_size (length))
    pool_lend_a_hand (pool);
  return 0;
}

void
tally_word (struct tally *tally, uint64_t word, int64_t sign)
{
  switch (word_tag (word)) {
  case VMSWAP_WORD_BLOB:
    tally->blob_pages += sign;
    tally->raw_pages += word_is_raw (word) ? sign : 0;
    tally->data_bytes += sign * (int64_t) word_length (word);
    tally->blob_bytes += sign * (int64_t) blob_size (word_length (word));
    break;
  case VMSWAP_WORD_COLD: /* its bytes are counted with its group */
    tally->cold_pages += sign;
    break;
  case VMSWAP_WORD_FILL:
    tally->fill_pages += sign;
    break;
  case VMSWAP_WORD_SHARED: /* its bytes are counted with its entry */
    tally->shared_pages += sign;
    break;
  case VMSWAP_WORD_LOST:
    tally->lost_pages += sign;
    break;
  case VMSWAP_WORD_EMPTY:
    break;
  }
}

/* A damaged word may name anything. */
static bool
is_in_arena (const struct pool *pool, uint64_t word)
{
  return word_has_place (word) && word_place (word).segment < pool->segments.nr;
}

uint32_t
page_freeable_locked (struct volume *volume, uint32_t page, uint64_t word)
{
  if (!word_has_place (word) || group_is_named_locked (volume, page, word))
    return 0;
  return word_size (word);
}

void
page_release_locked (struct volume *volume, uint32_t page, struct tally *tally,
                     uint64_t word)
{
  struct pool *pool = volume->pool;
  const uint32_t bytes = page_freeable_locked (volume, page, word);

  tally_word (tally, word, -1);
  if (word_is_shared (word))
    share_put (pool, tally, word);
  else if (word_is_cold (word) && bytes == 0)
    cold_torn (volume, word);
  else if (word_is_cold (word))
    tally_group (tally, word, -1);
  if (bytes && is_in_arena (pool, word))
    segment_debit (&pool->segments, word_place (word).segment, bytes);
}

/* A blob is known by its word and the birth of its segment: the same word in
 * another life of the segment may be another blob.  The same goes for the blob
 * of a shared page, whose entry may have had another life as well. */
void
page_expect_locked (struct volume *volume, uint32_t page, struct expected *ret)
{
  struct pool *pool = volume->pool;
  uint64_t blob;

  *ret = (struct expected){ .word = table_get_locked (volume, page) };
  blob = ret->word;
  if (word_is_shared (blob))
    blob = ret->place = share_place (pool, ret->word);
  if (is_in_arena (pool, blob))
    ret->birth = pool->arena.segments[word_place (blob).segment].birth;
}

/* Does the page still hold what it held? */
static bool
unchanged_locked (struct volume *volume, uint32_t page,
                  const struct expected *expected)
{
  struct expected now;

  page_expect_locked (volume, page, &now);
  return now.word == expected->word && now.place == expected->place &&
         now.birth == expected->birth;
}

/* Stores the word, and releases what the old one named. */
static int
publish (struct volume *volume, struct tally *tally, uint32_t page,
         uint64_t word, const struct expected *if_still)
{
  struct pool *pool = volume->pool;
  struct lock *stripe = table_stripe (volume, page);
  const uint64_t ahead = tally->ahead;
  uint64_t old;
  int err;

  for (;;) {
    lock_acquire (stripe);
    if (if_still && !unchanged_locked (volume, page, if_still)) {
      lock_release (stripe);
      return -EAGAIN;
    }
    if (volume_is_limited (volume) && word != 0) {
      err = quota_take_locked (volume, tally, page, word);
      if (err) {
        lock_release (stripe);
        /* Directories that lost their last leaf are charged until then. */
        if (table_prune (volume))
          continue;
        return err;
      }
    }
    err = table_set_locked (volume, page, word, &old);
    CRASH_POINT ("word published");
    if (err == 0)
      page_release_locked (volume, page, tally, old);
    lock_release (stripe);
    if (err == 0)
      break;

    quota_give_back (volume, tally, ahead);
    pool_weigh (pool);
    err = page_admit (volume, page, word);
    if (err)
      return err;
    while ((err = frames_prepare (&pool->frames)) == -ENOSPC) {
      err = pool_reclaim (pool, RECLAIM_FRAMES);
      if (err)
        return err;
    }
    if (err)
      return err;
  }
  tally_word (tally, word, 1);
  return 0;
}

/* A page of zeroes is as good as empty, where empty does not mean lost. */
static uint64_t
fill (struct volume *volume, uint32_t page, uint32_t value)
{
  return value || loss_covers (volume, page) ? word_fill (value) : 0;
}

int
page_zero (struct volume *volume, struct tally *tally, uint32_t page)
{
  return publish (volume, tally, page, fill (volume, page, 0), NULL);
}

/* … and gives the count of a shared word back if it cannot be stored. */
static int
publish_shared (struct volume *volume, struct tally *tally, uint32_t page,
                uint64_t word, const struct expected *if_still)
{
  const int err = publish (volume, tally, page, word, if_still);

  if (err)
    share_put (volume->pool, tally, word);
  return err;
}

/* Stores the word of a blob that is in its place; or lets go of it. */
static int
publish_blob (struct volume *volume, struct tally *tally, uint32_t page,
              uint64_t word, const struct expected *if_still)
{
  struct segments *segments = &volume->pool->segments;
  const int err = publish (volume, tally, page, word, if_still);

  if (err)
    segment_debit (segments, word_place (word).segment,
                   blob_size (word_length (word)));
  segment_published (segments, word_place (word).segment);
  return err;
}

/* Stores the page in a blob of its own. */
static int
store (struct volume *volume, struct worker *worker, struct tally *tally,
       uint32_t page, const void *data, uint64_t print,
       const struct expected *if_still)
{
  uint64_t word = page_encode (volume, worker, page, data, print);
  const int err = place (volume, worker, page, &word);

  return err ? err : publish_blob (volume, tally, page, word, if_still);
}

int
page_restore (struct volume *volume, struct worker *worker, struct tally *tally,
              uint32_t page, const void *data, uint64_t print,
              const struct expected *expected)
{
  struct pool *pool = volume->pool;
  uint64_t word = page_encode (volume, worker, page, data, print);
  struct place at;
  int err = lane_reserve (&pool->lanes, blob_size (word_length (word)), &at);

  if (err)
    return err;
  put_blob (pool, worker, at, &word);
  return publish_blob (volume, tally, page, word, expected);
}

int
page_write (struct volume *volume, struct worker *worker, struct tally *tally,
            uint32_t page, const void *data, const struct expected *if_still)
{
  struct index *index = &volume->pool->index;
  uint32_t value;
  uint64_t print, word;
  int err;

  if (is_fill (data, &value))
    return publish (volume, tally, page, fill (volume, page, value), if_still);

  print = fingerprint (volume->pool->arena.super.key, data);
  if (index_wants (index, print)) {
    word = share_find (volume, worker, tally, page, data, print);
    if (word)
      return publish_shared (volume, tally, page, word, if_still);
  }
  err = store (volume, worker, tally, page, data, print, if_still);
  if (err == 0 && index_wants (index, print))
    share_note (volume, (struct target){ .volume = volume->id, .page = page },
                print);
  return err;
}

void
page_share (struct volume *volume, struct worker *worker, struct tally *tally,
            uint32_t page)
{
  struct pool *pool = volume->pool;
  struct expected expected;
  uint64_t print, word;
  int err = 0;

  worker_enter (&pool->workers, worker);
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
    page_expect_locked (volume, page, &expected);
  }
  if (word_has_place (expected.word))
    err = blob_decode (volume, page, expected.word, worker->page, &print);
  worker_leave (worker);
  if (err || !word_has_place (expected.word))
    return;
  word = share_find (volume, worker, tally, page, worker->page, print);
  if (word)
    publish_shared (volume, tally, page, word, &expected);
  else
    share_note (volume, (struct target){ .volume = volume->id, .page = page },
                print);
}

/* The blob that the word names, if it is one of this page. */
static const uint8_t *
find_blob (const struct volume *owner, uint32_t page, uint64_t word,
           struct blob *blob)
{
  const struct arena *arena = &owner->pool->arena;
  const struct place at = word_place (word);
  const uint32_t length = word_length (word);

  if (at.segment >= arena->nr_segments ||
      at.offset + blob_size (length) > POOL_SEGMENT_SIZE)
    return NULL;
  const uint8_t *from = arena_segment (arena, at.segment) + at.offset;

  *blob = blob_unpack (from);
  return blob->volume == owner->id && blob->page == page &&
                 blob->length == length
             ? from
             : NULL;
}

bool
blob_print (const struct volume *owner, uint32_t page, uint64_t word,
            uint64_t *print)
{
  struct blob blob;

  if (word_is_cold (word))
    return group_print (owner, page, word, print);
  if (!find_blob (owner, page, word, &blob))
    return false;
  *print = word_print (word, blob.fingerprint);
  return true;
}

bool
blob_has_print (const struct volume *owner, uint32_t page, uint64_t word,
                uint64_t print)
{
  uint64_t known;

  return blob_print (owner, page, word, &known) &&
         known == (print & WORD_MASK (PRINT_BITS));
}

int
blob_decode (const struct volume *owner, uint32_t page, uint64_t word,
             void *data, uint64_t *print)
{
  struct blob blob;
  const uint8_t *from;
  const struct codec *codec;
  uint64_t actual;

  if (word_is_cold (word))
    return group_decode (owner, page, &word, 1, data, print) == 1 ? 0 : -EIO;
  from = find_blob (owner, page, word, &blob);
  codec = from ? codec_by_id (blob.codec) : NULL;
  if (!codec || codec->decompress (from + VMSWAP_BLOB_HEADER_SIZE, blob.length,
                                   data) != 0)
    return -EIO;
  actual = fingerprint (owner->pool->arena.super.key, data);
  if (print)
    *print = actual;
  return word_fingerprint_matches (word, blob.fingerprint, actual) ? 0 : -EIO;
}

int
page_decode (struct volume *volume, uint32_t page, uint64_t word,
             uint64_t place, void *data)
{
  if (!word_is_sound (word))
    return -EIO;
  switch (word_tag (word)) {
  case VMSWAP_WORD_EMPTY:
    if (loss_covers (volume, page))
      return -EIO;
    memset (data, 0, POOL_PAGE_SIZE);
    return 0;
  case VMSWAP_WORD_FILL:
    for (uint8_t *p = data; p < (uint8_t *) data + POOL_PAGE_SIZE; p += 4) {
      const uint32_t value = word_fill_value (word);

      memcpy (p, &value, sizeof value);
    }
    return 0;
  case VMSWAP_WORD_BLOB:
  case VMSWAP_WORD_COLD:
    return blob_decode (volume, page, word, data, NULL);
  case VMSWAP_WORD_SHARED:
    return share_decode (volume->pool, word, place, data);
  case VMSWAP_WORD_LOST:
    break;
  }
  return -EIO; /* lost */
}

unsigned
page_decode_run (struct volume *volume, uint32_t page, const uint64_t *words,
                 const uint64_t *places, unsigned n, void *data)
{
  if (word_is_cold (words[0])) {
    cold_touch (volume, page);
    return group_decode (volume, page, words, n, data, NULL);
  }
  if (word_is_shared (words[0]) && word_is_cold (places[0]))
    cold_touch (&volume->pool->sharing.blobs, word_entry (words[0]));
  return page_decode (volume, page, words[0], places[0], data) == 0;
}

void
page_look_run (struct volume *volume, uint32_t page, unsigned n,
               uint64_t *words, uint64_t *places)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (volume, page));
  table_get_run_locked (volume, page, n, words);
  /* Now, because a page may let go of its entry, and the entry be another's. */
  for (unsigned i = 0; i < n; ++i)
    if (word_is_shared (words[i]))
      places[i] = share_place (volume->pool, words[i]);
}
