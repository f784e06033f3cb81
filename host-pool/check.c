// SPDX-License-Identifier: BSD-3-Clause
/* pool_check: the invariants of the other files, executed.
 *
 * Owns nothing that lasts.  It holds the lock of the cleaner, of the volumes
 * and of every stripe and lane while it looks, so no page word changes; blobs
 * may still be in flight, and requests may wait to publish. */

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleanup.h"
#include "internal.h"
#include "sharing.h"
#include "table.h"
#include "word.h"

struct check {
  struct pool *pool;
  bool verify;
  bool quiescent; /* no request is under way: counts are exact */
  char *report;
  size_t report_size;

  struct segment_sum {
    uint32_t bytes; /* of blobs that page words name */
    uint32_t blobs;
  } * segment;
  uint32_t *leaves;   /* of the sharing table: their first entries, in order */
  uint64_t nr_leaves; /* of these */
  uint32_t *named;    /* per entry of those: words that name it */
  uint32_t entries;   /* that exist */
  uint64_t frames;    /* that page tables use */
  uint64_t reserved, unfilled, promised;
  struct tally sum;
};

static int __attribute__ ((format (printf, 2, 3)))
broken (struct check *check, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  if (check->report_size)
    vsnprintf (check->report, check->report_size, fmt, args);
  va_end (args);
  return -EUCLEAN;
}

static void
cleanup_free (void *p)
{
  free (*(void **) p);
}

/* A word that names a blob or a group: is it there? */
static int
check_place (struct check *check, struct volume *volume, uint32_t page,
             uint64_t word)
{
  struct pool *pool = check->pool;
  const struct place at = word_place (word);
  const uint32_t size = word_size (word);
  uint8_t data[POOL_PAGE_SIZE];

  if (at.segment >= pool->segments.nr || at.offset + size > POOL_SEGMENT_SIZE)
    return broken (check, "%s page %u: its blob lies outside the arena",
                   volume_name (volume), page);
  switch (segment_state (&pool->segments, at.segment)) {
  case VMSWAP_SEGMENT_FREE:
  case VMSWAP_SEGMENT_LIMBO:
    return broken (check, "%s page %u: its segment %u is free",
                   volume_name (volume), page, at.segment);
  default:
    break;
  }
  if (check->verify && page_decode (volume, page, word, 0, data) != 0)
    return broken (check, "%s page %u: content fails its fingerprint",
                   volume_name (volume), page);
  return 0;
}

/* Counts what the word names, for the first word that does. */
static void
sum_place (struct check *check, uint64_t word)
{
  const struct place at = word_place (word);

  check->segment[at.segment].bytes += word_size (word);
  check->segment[at.segment].blobs++;
}

/* A word that names a blob: is it there, and is it this page's? */
static int
check_blob (struct check *check, struct volume *volume, uint32_t page,
            uint64_t word)
{
  struct pool *pool = check->pool;
  const struct place at = word_place (word);
  const int err = check_place (check, volume, page, word);

  if (err)
    return err;

  const struct blob blob =
      blob_unpack (arena_segment (&pool->arena, at.segment) + at.offset);
  if (blob.volume != volume->id || blob.page != page ||
      blob.length != word_length (word))
    return broken (check, "%s page %u: the blob at %u+%u is not its own",
                   volume_name (volume), page, at.segment, at.offset);
  sum_place (check, word);
  tally_word (&check->sum, word, 1);
  return 0;
}

/* A word of a leaf that names a group: is it there, and is the page in it? */
static int
check_group (struct check *check, struct volume *volume, uint32_t first,
             const uint64_t *words, unsigned i)
{
  const uint64_t word = words[i];
  const int err = check_place (check, volume, first + i, word);
  unsigned present;

  if (err)
    return err;
  if (!group_is_sound (volume, first + i, word, &present))
    return broken (check, "%s page %u: the group at %u+%u is not its own",
                   volume_name (volume), first + i, word_place (word).segment,
                   word_place (word).offset);
  tally_word (&check->sum, word, 1);
  if (!group_is_first_named (words, i))
    return 0;
  sum_place (check, word);
  tally_group (&check->sum, word, 1);
  return 0;
}

/* Where the words that name the entry are counted; NULL: there is no such
 * entry. */
static uint32_t *
find_named (struct check *check, uint32_t entry)
{
  uint64_t low = 0, high = check->nr_leaves;

  while (low < high) {
    const uint64_t middle = (low + high) / 2;

    if (check->leaves[middle] + VMSWAP_LEAF_WORDS - 1 < entry)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == check->nr_leaves || check->leaves[low] > entry)
    return NULL;
  return &check->named[low * VMSWAP_LEAF_WORDS + entry - check->leaves[low]];
}

static int
check_shared (struct check *check, struct volume *volume, uint32_t page,
              uint64_t word)
{
  struct pool *pool = check->pool;
  const uint32_t at = word_entry (word);
  const struct entry entry = sharing_entry_locked (pool, at);
  uint32_t *named = find_named (check, at);
  uint8_t data[POOL_PAGE_SIZE];

  if (volume == &pool->sharing.blobs || !named || *named == entry.count)
    return broken (check, "%s page %u: entry %u has %u counts, more words",
                   volume_name (volume), page, at, entry.count);
  ++*named;
  if (check->verify &&
      share_decode (pool, word, table_get_locked (&pool->sharing.blobs, at),
                    data) != 0)
    return broken (check, "%s page %u: content fails its fingerprint",
                   volume_name (volume), page);
  check->sum.shared_pages++;
  check->sum.shared_bytes += entry_bytes (entry);
  return 0;
}

static int
check_leaf (struct check *check, struct volume *volume, uint32_t first)
{
  struct pool *pool = check->pool;
  const uint64_t *leaf = table_leaf_locked (volume, first);
  unsigned words = 0;
  int err;

  for (unsigned i = 0; i < VMSWAP_LEAF_WORDS; ++i) {
    if (leaf[i] == 0)
      continue;
    words++;
    if (!word_is_sound (leaf[i]))
      return broken (check, "%s page %u: word %#llx makes no sense",
                     volume_name (volume), first + i,
                     (unsigned long long) leaf[i]);
    switch (word_tag (leaf[i])) {
    case VMSWAP_WORD_BLOB:
      err = check_blob (check, volume, first + i, leaf[i]);
      if (err)
        return err;
      break;
    case VMSWAP_WORD_COLD:
      err = check_group (check, volume, first, leaf, i);
      if (err)
        return err;
      break;
    case VMSWAP_WORD_SHARED:
      err = check_shared (check, volume, first + i, leaf[i]);
      if (err)
        return err;
      break;
    case VMSWAP_WORD_FILL:
      check->sum.fill_pages++;
      break;
    case VMSWAP_WORD_LOST:
      check->sum.lost_pages++;
      break;
    case VMSWAP_WORD_EMPTY:
      break;
    }
  }

  const uint32_t frame =
      ((const uint8_t *) leaf - pool->arena.frames) / POOL_PAGE_SIZE;
  if (words == 0 || words != pool->frames.words[frame])
    return broken (check, "%s page %u: leaf has %u words, its count says %u",
                   volume_name (volume), first, words,
                   pool->frames.words[frame]);
  return 0;
}

static int
check_volume_counts (struct check *check, struct volume *volume,
                     const struct tally *before)
{
  const struct tally *sum = &check->sum;
  struct volume_stats stats;

  volume_get_stats (volume, &stats);
  if (check->quiescent &&
      (stats.blob_pages != sum->blob_pages - before->blob_pages ||
       stats.raw_pages != sum->raw_pages - before->raw_pages ||
       stats.fill_pages != sum->fill_pages - before->fill_pages ||
       stats.lost_pages != sum->lost_pages - before->lost_pages ||
       stats.cold_pages != sum->cold_pages - before->cold_pages ||
       stats.cold_bytes != sum->cold_bytes - before->cold_bytes ||
       stats.shared_pages != sum->shared_pages - before->shared_pages ||
       stats.shared_bytes != sum->shared_bytes - before->shared_bytes ||
       stats.blob_bytes != sum->blob_bytes - before->blob_bytes ||
       stats.data_bytes != sum->data_bytes - before->data_bytes))
    return broken (check, "%s: counters differ from the page table",
                   volume_name (volume));
  return 0;
}

/* Roots, directories and leaves, from the tables themselves; the count of
 * leaves of a directory is right (check_directories). */
static uint64_t
count_frames (struct volume *volume)
{
  const struct frames *frames = &volume->pool->frames;
  uint64_t sum = 0;

  for (unsigned r = 0; r < VMSWAP_VOLUME_ROOTS; ++r) {
    const uint32_t root = volume->image->root[r];
    const uint32_t *directory = arena_frame (frames->arena, root);

    if (root == 0)
      continue;
    sum++;
    for (unsigned d = 0; d < VMSWAP_DIRECTORY_ENTRIES; ++d)
      sum += directory[d] ? 1 + frames->words[directory[d]] : 0;
  }
  return sum;
}

/* What the volume is charged follows from its page table, and what is missing
 * to its reserve from that. */
static int
check_charge (struct check *check, struct volume *volume,
              const struct tally *before)
{
  const uint64_t reserve = atomic_load (&volume->limits.reserve);
  const uint64_t unfilled = atomic_load (&volume->limits.unfilled);
  const uint64_t granted = atomic_load (&volume->limits.granted);
  const uint64_t promised = atomic_load (&volume->limits.promised);
  const uint64_t held = check->sum.blob_bytes - before->blob_bytes +
                        count_frames (volume) * POOL_PAGE_SIZE;
  const uint64_t charge = held + check->sum.shared_bytes - before->shared_bytes;

  check->reserved += reserve;
  check->unfilled += unfilled;
  check->promised += promised;
  if (!check->quiescent)
    return 0;
  if (quota_charge (volume) != charge || quota_fill (volume) != held)
    return broken (check, "%s: %llu bytes charged, its page table holds %llu",
                   volume_name (volume),
                   (unsigned long long) quota_charge (volume),
                   (unsigned long long) charge);
  if (granted > reserve || unfilled != (held < reserve ? reserve - held : 0) ||
      promised != (held < granted ? granted - held : 0))
    return broken (check, "%s: %llu bytes held, %llu of %llu reserved unfilled",
                   volume_name (volume), (unsigned long long) held,
                   (unsigned long long) unfilled, (unsigned long long) reserve);
  return 0;
}

/* volumes_lock is held, so limits do not change. */
static int
check_reserves (struct check *check)
{
  struct pool *pool = check->pool;

  if (check->reserved != atomic_load (&pool->reserved))
    return broken (check, "%llu bytes reserved, volumes reserve %llu",
                   (unsigned long long) atomic_load (&pool->reserved),
                   (unsigned long long) check->reserved);
  if (check->quiescent && (check->unfilled != atomic_load (&pool->unfilled) ||
                           check->promised != atomic_load (&pool->promised)))
    return broken (check,
                   "%llu bytes unfilled, those of volumes add up to "
                   "%llu",
                   (unsigned long long) atomic_load (&pool->unfilled),
                   (unsigned long long) check->unfilled);
  return 0;
}

static int
check_directories (struct check *check, struct volume *volume)
{
  uint32_t wrong = table_miscounted_locked (volume);

  return wrong ? broken (check, "%s: directory in frame %u is miscounted",
                         volume_name (volume), wrong)
               : 0;
}

static int
check_volume (struct check *check, struct volume *volume)
{
  const struct tally before = check->sum;
  const uint64_t end = volume->size / POOL_PAGE_SIZE;
  uint64_t page = 0;
  int err;

  while ((page = table_skip_holes_locked (volume, page, end)) < end) {
    page -= page % VMSWAP_LEAF_WORDS;
    err = check_leaf (check, volume, page);
    if (err)
      return err;
    page += VMSWAP_LEAF_WORDS;
  }
  check->frames += atomic_load (&volume->frames);
  err = check_directories (check, volume);
  if (!err)
    err = check_charge (check, volume, &before);
  return err ? err : check_volume_counts (check, volume, &before);
}

/* Does a word name this place?  With a group, any of four. */
static bool
is_named_locked (struct pool *pool, const struct blob *blob, struct place at)
{
  struct volume *volume = volume_of_blob (pool, blob->volume);
  const unsigned n = blob_nr_owners (blob);

  for (unsigned i = 0; volume && i < n; ++i) {
    const uint64_t page = (uint64_t) blob->page + i;
    const uint64_t word = page < volume->size / POOL_PAGE_SIZE
                              ? table_get_locked (volume, page)
                              : 0;
    const struct place named = word_place (word);

    if (word_has_place (word) && named.segment == at.segment &&
        named.offset == at.offset)
      return true;
  }
  return false;
}

/* Walks the blobs of a segment: those that words name must be among them, so
 * no two of them overlap. */
static int
check_chain (struct check *check, uint32_t segment)
{
  struct pool *pool = check->pool;
  const uint8_t *base = arena_segment (&pool->arena, segment);
  const uint32_t used = pool->arena.segments[segment].used;
  struct place at = { .segment = segment };
  uint32_t named = 0;

  while (at.offset + VMSWAP_BLOB_HEADER_SIZE <= used) {
    const struct blob blob = blob_unpack (base + at.offset);

    named += is_named_locked (pool, &blob, at);
    at.offset += blob_extent (&blob);
  }
  if (at.offset != used || named != check->segment[segment].blobs)
    return broken (check, "segment %u: %u of its %u blobs are in the chain",
                   segment, named, check->segment[segment].blobs);
  return 0;
}

static int
check_segment (struct check *check, uint32_t i)
{
  struct segments *segments = &check->pool->segments;
  const uint32_t live = atomic_load (&segments->segment[i].live);
  const uint32_t inflight = atomic_load (&segments->segment[i].inflight);
  const uint32_t sum = check->segment[i].bytes;

  if (live < sum || (inflight == 0 && live != sum))
    return broken (check, "segment %u: %u bytes live, page words name %u", i,
                   live, sum);
  if (segment_state (segments, i) == VMSWAP_SEGMENT_SEALED && inflight == 0 &&
      !segments->segment[i].adopted)
    return check_chain (check, i);
  return 0;
}

static int
check_account (struct check *check)
{
  struct pool *pool = check->pool;
  const uint64_t used = atomic_load (&pool->arena.used);
  uint64_t sum = pool_fixed_bytes (pool);

  if (used > pool->arena.limit + pool->arena.excess)
    return broken (check, "%llu bytes used, the limit is %llu",
                   (unsigned long long) used,
                   (unsigned long long) pool->arena.limit);
  /* The steward charges and gives back between locks. */
  if (!check->quiescent || pool->steward.running)
    return 0;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->segments.lock);
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->frames.lock);
  sum += (uint64_t) pool->segments.nr_charged * POOL_SEGMENT_SIZE;
  sum += (uint64_t) (pool->frames.nr_taken + pool->frames.nr_ready) *
         POOL_PAGE_SIZE;
  if (sum != used)
    return broken (check, "%llu bytes used, the parts add up to %llu",
                   (unsigned long long) used, (unsigned long long) sum);
  if (check->frames != pool->frames.nr_taken)
    return broken (check, "%u frames taken, page tables use %llu",
                   pool->frames.nr_taken, (unsigned long long) check->frames);
  return 0;
}

/* One entry: its count, and its blob. */
static int
check_entry (struct check *check, uint32_t at, uint32_t named)
{
  struct pool *pool = check->pool;
  const struct entry entry = sharing_entry_locked (pool, at);
  const uint64_t place = table_get_locked (&pool->sharing.blobs, at);

  /* Whoever only looks drops no entry that a killed process has left. */
  if ((entry.count != 0) != (place != 0) &&
      !(pool->arena.look_only && entry.count == 0))
    return broken (check, "entry %u: %u counts, its word is %#llx", at,
                   entry.count, (unsigned long long) place);
  if (check->quiescent && entry.count != named)
    return broken (check, "entry %u: %u counts, %u words name it", at,
                   entry.count, named);
  /* An adopted entry may have been cold then, and its size a guess. */
  if (word_is_blob (place) && !pool->arena.adopted &&
      entry_bytes (entry) != word_size (place))
    return broken (check, "entry %u: its size is not that of its blob", at);
  check->entries += entry.count != 0;
  return 0;
}

static int
check_entries (struct check *check)
{
  struct sharing *sharing = &check->pool->sharing;
  int err = 0;

  for (uint64_t i = 0; i < check->nr_leaves * VMSWAP_LEAF_WORDS && !err; ++i)
    err = check_entry (
        check, check->leaves[i / VMSWAP_LEAF_WORDS] + i % VMSWAP_LEAF_WORDS,
        check->named[i]);
  if (err)
    return err;
  if (check->quiescent && check->entries != atomic_load (&sharing->entries))
    return broken (check, "%u entries exist, the count says %u", check->entries,
                   atomic_load (&sharing->entries));
  check->frames += atomic_load (&sharing->counts.frames);
  return check_directories (check, &sharing->counts);
}

/* The first entries of the leaves of the sharing table, from this one on; their
 * number. */
static uint64_t
list_entry_leaves (struct check *check, uint32_t *leaves)
{
  struct volume *counts = &check->pool->sharing.counts;
  const uint64_t end = counts->size / POOL_PAGE_SIZE;
  uint64_t page = 0, n = 0;

  while ((page = table_skip_holes_locked (counts, page, end)) < end) {
    page -= page % VMSWAP_LEAF_WORDS;
    if (leaves)
      leaves[n] = page;
    n++;
    page += VMSWAP_LEAF_WORDS;
  }
  return n;
}

/* Room to count the words that name each entry. */
static int
count_entries (struct check *check)
{
  const uint64_t n = list_entry_leaves (check, NULL);

  check->leaves = calloc (n + 1, sizeof *check->leaves);
  check->named = calloc (n * VMSWAP_LEAF_WORDS + 1, sizeof *check->named);
  if (!check->leaves || !check->named)
    return -ENOMEM;
  check->nr_leaves = list_entry_leaves (check, check->leaves);
  return 0;
}

static int
check_locked (struct check *check)
{
  struct pool *pool = check->pool;
  int err = count_entries (check);

  for (unsigned i = 0; i < POOL_MAX_VOLUMES && !err; ++i)
    if (pool->volume[i])
      err = check_volume (check, pool->volume[i]);
  if (!err)
    err = check_volume (check, &pool->sharing.blobs);
  if (!err)
    err = check_entries (check);
  for (uint32_t i = 0; i < pool->segments.nr && !err; ++i)
    err = check_segment (check, i);
  if (!err)
    err = check_reserves (check);
  return err ? err : check_account (check);
}

int
pool_check (struct pool *pool, bool verify, char *report, size_t report_size)
{
  struct check check = {
    .pool = pool,
    .verify = verify,
    .report = report,
    .report_size = report_size,
  };
  int err;

  if (report_size)
    report[0] = '\0';
  __attribute__ ((cleanup (cleanup_free))) void *sums =
      calloc (pool->segments.nr, sizeof *check.segment);
  if (!sums)
    return -ENOMEM;
  check.segment = sums;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->cleaner.lock);
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (&pool->volumes_lock);
  stripes_lock_all (pool);
  lanes_lock_all (&pool->lanes);
  check.quiescent = workers_idle (&pool->workers);

  err = check_locked (&check);

  lanes_unlock_all (&pool->lanes);
  stripes_unlock_all (pool);
  free (check.named);
  free (check.leaves);
  return err;
}
