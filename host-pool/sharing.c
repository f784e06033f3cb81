// SPDX-License-Identifier: BSD-3-Clause
/* Owns the sharing table: which entries exist, their counts and scopes.
 *
 * Invariants
 *  1. The count of an entry is the number of page words that name it, plus
 *     those about to be stored or just replaced.  Without any, the entry is
 *     free: both its words are empty.
 *  2. The word of an entry is that of a whole blob before the first page word
 *     names the entry, and stays one (the cleaner may move it) until none does.
 *  3. Two pages get the same entry only after all their bytes were compared,
 *     and if their volumes are of one scope.
 *
 * Locks: the stripes of entries, for a few instructions each; the volumes' lock
 * for the list of groups. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "crash-point.h"
#include "fingerprint.h"
#include "sharing.h"
#include "table.h"
#include "word.h"

/* Entries of a leaf of the tables. */
#define LEAF_START(entry) ((entry) - (entry) % VMSWAP_LEAF_WORDS)

struct lock *
sharing_stripe (struct pool *pool, uint32_t entry)
{
  return &pool->sharing.stripe[entry / VMSWAP_LEAF_WORDS % NR_ENTRY_STRIPES]
              .lock;
}

static void
table_init (struct pool *pool, struct volume *volume,
            struct vmswap_image_volume *image)
{
  volume->pool = pool;
  volume->image = image;
  volume->id = VMSWAP_SHARING_VOLUME;
  volume->size = VOLUME_MAX_SIZE;
}

void
sharing_init_image (struct pool *pool)
{
  *pool->sharing.blobs.image = (struct vmswap_image_volume){
    .state = VMSWAP_VOLUME_LIVE,
    .size = VOLUME_MAX_SIZE,
  };
}

int
sharing_create (struct pool *pool, enum index_mode mode)
{
  struct sharing *sharing = &pool->sharing;
  struct vmswap_image_volume *image =
      (void *) (pool->arena.base + VMSWAP_SHARING_OFFSET);

  for (unsigned i = 0; i < NR_ENTRY_STRIPES; ++i)
    lock_init (&sharing->stripe[i].lock, LOCK_ENTRY);
  table_init (pool, &sharing->counts, &sharing->counts_image);
  table_init (pool, &sharing->blobs, image);
  if (!pool->arena.adopted)
    sharing_init_image (pool);
  return index_create (&pool->index, &pool->arena, mode);
}

void
sharing_destroy (struct pool *pool)
{
  for (unsigned i = 0; i < NR_ENTRY_STRIPES; ++i)
    lock_destroy (&pool->sharing.stripe[i].lock);
}

/* Scopes: ids below POOL_MAX_VOLUMES are volumes, those from there on groups.
 * The salts of the index need not be secret, because fingerprints are. */
static uint64_t
salt_of (uint16_t scope)
{
  return (uint64_t) (scope + 1) * UINT64_C (0x9e3779b97f4a7c15);
}

uint16_t
sharing_scope (const struct volume *volume)
{
  return atomic_load_explicit (&volume->scope, memory_order_relaxed);
}

static int
scope_of_group_locked (struct sharing *sharing, uint64_t group, uint16_t *ret)
{
  unsigned i = 0;

  while (i < sharing->nr_groups && sharing->group[i] != group)
    ++i;
  if (i == POOL_MAX_VOLUMES)
    return -ENOSPC;
  if (i == sharing->nr_groups)
    sharing->group[sharing->nr_groups++] = group;
  *ret = POOL_MAX_VOLUMES + i;
  return 0;
}

int
sharing_enter_scope (struct volume *volume, uint64_t group)
{
  uint16_t scope = volume->id;
  int err = 0;

  if (group)
    err = scope_of_group_locked (&volume->pool->sharing, group, &scope);
  if (!err)
    atomic_store (&volume->scope, scope);
  return err;
}

/* --- Entries. */

static uint64_t
pack (struct entry entry)
{
  return (uint64_t) entry.units << 48 | (uint64_t) entry.scope << 32 |
         entry.count;
}

struct entry
sharing_entry_locked (struct pool *pool, uint32_t entry)
{
  const uint64_t word = table_get_locked (&pool->sharing.counts, entry);

  return (struct entry){
    .count = (uint32_t) word,
    .scope = (uint16_t) (word >> 32),
    .units = (uint16_t) (word >> 48),
  };
}

int
sharing_set_entry_locked (struct pool *pool, uint32_t entry,
                          struct entry content)
{
  uint64_t old;

  return table_set_locked (&pool->sharing.counts, entry,
                           content.count ? pack (content) : 0, &old);
}

/* The first free entry from *at on in its leaf; false: there is none. */
static bool
find_free_locked (struct pool *pool, uint32_t *at)
{
  const uint64_t *leaf = table_leaf_locked (&pool->sharing.counts, *at);
  const uint32_t end = LEAF_START (*at) + VMSWAP_LEAF_WORDS;

  if (leaf)
    while (*at < end && leaf[*at % VMSWAP_LEAF_WORDS] != 0)
      ++*at;
  return *at < end;
}

/* Stores the word of the entry's blob, and releases what it named.  -EAGAIN:
 * frames are needed; never where there is a word already. */
static int
set_blob_locked (struct pool *pool, uint32_t entry, uint64_t word)
{
  struct volume *blobs = &pool->sharing.blobs;
  struct tally tally = { 0 };
  uint64_t old;
  int err = table_set_locked (blobs, entry, word, &old);

  if (err)
    return err;
  page_release_locked (blobs, entry, &tally, old);
  tally_word (&tally, word, 1);
  tally_apply (blobs, &tally, 0);
  return 0;
}

/* Makes both words of a free entry not empty; that of the blob is a
 * placeholder. */
static int
take_entry_locked (struct pool *pool, uint32_t at, struct entry content)
{
  int err = sharing_set_entry_locked (pool, at, content);

  if (err)
    return err;
  err = set_blob_locked (pool, at, VMSWAP_WORD_LOST);
  if (err)
    sharing_set_entry_locked (pool, at, (struct entry){ 0 });
  return err;
}

/* Where to look for a free entry: on from the last one, and from the start
 * again when most of those passed by are free. */
static uint32_t
first_candidate (struct sharing *sharing)
{
  const uint32_t cursor = atomic_load (&sharing->cursor);

  if (cursor / 2 <= atomic_load (&sharing->entries) + VMSWAP_LEAF_WORDS)
    return cursor;
  atomic_store (&sharing->cursor, 0);
  return 0;
}

/* -EAGAIN: there are no frames for its leaves. */
static int
entry_alloc (struct pool *pool, struct entry content, uint32_t *ret)
{
  struct sharing *sharing = &pool->sharing;
  uint32_t at = first_candidate (sharing);
  int err = -ENOENT;

  while (err == -ENOENT) {
    if (at >= UINT32_MAX - VMSWAP_LEAF_WORDS)
      return -ENOSPC;
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, at));
    if (find_free_locked (pool, &at))
      err = take_entry_locked (pool, at, content);
  }
  if (err)
    return err;
  atomic_store (&sharing->cursor, at + 1);
  atomic_fetch_add (&sharing->entries, 1);
  *ret = at;
  return 0;
}

static void
free_entry_locked (struct pool *pool, uint32_t entry)
{
  CRASH_POINT ("entry unnamed");
  set_blob_locked (pool, entry, 0);
  sharing_set_entry_locked (pool, entry, (struct entry){ 0 });
  atomic_fetch_sub (&pool->sharing.entries, 1);
}

/* Gives a count back.  Returns the size of the blob. */
static uint32_t
entry_put (struct pool *pool, uint32_t entry)
{
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, entry));
  struct entry content = sharing_entry_locked (pool, entry);
  const uint32_t bytes = entry_bytes (content);

  if (content.count > 1) {
    content.count--;
    sharing_set_entry_locked (pool, entry, content);
  }
  else if (content.count == 1)
    free_entry_locked (pool, entry);
  return bytes;
}

void
share_put (struct pool *pool, struct tally *tally, uint64_t word)
{
  tally->shared_bytes -= entry_put (pool, word_entry (word));
}

uint32_t
share_bytes (struct pool *pool, uint64_t word)
{
  const uint32_t entry = word_entry (word);

  if (!word_is_shared (word))
    return 0;
  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, entry));
  return entry_bytes (sharing_entry_locked (pool, entry));
}

uint64_t
share_place (struct pool *pool, uint64_t word)
{
  const uint32_t entry = word_entry (word);

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, entry));
  return table_get_locked (&pool->sharing.blobs, entry);
}

int
share_decode (struct pool *pool, uint64_t word, uint64_t place, void *data)
{
  uint64_t print;
  int err;

  if (!word_has_place (place))
    return -EIO;
  err = blob_decode (&pool->sharing.blobs, word_entry (word), place, data,
                     &print);
  return err || word_shared_matches (word, print) ? err : -EIO;
}

/* --- Finding the same page. */

/* One page about to be written. */
struct seeker {
  struct volume *volume;
  struct worker *worker; /* in an epoch */
  struct tally *tally;
  uint32_t page;
  uint16_t scope; /* of the volume, when it began to look */
  const void *data;
  uint64_t print;
};

/* Is what the word names the seeker's page, byte for byte? */
static bool
is_same (const struct seeker *seeker, struct volume *owner, uint32_t page,
         uint64_t word)
{
  return word_has_place (word) &&
         blob_has_print (owner, page, word, seeker->print) &&
         blob_decode (owner, page, word, seeker->worker->blob, NULL) == 0 &&
         memcmp (seeker->worker->blob, seeker->data, POOL_PAGE_SIZE) == 0;
}

/* Takes a count of an entry, if its blob is still the one that was compared:
 * in the epoch, no other can have come to that place. */
static bool
take_count (const struct seeker *seeker, uint32_t at, uint64_t place)
{
  struct pool *pool = seeker->volume->pool;

  ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, at));
  struct entry entry = sharing_entry_locked (pool, at);

  if (entry.count == 0 || entry.count == UINT32_MAX ||
      entry.scope != seeker->scope ||
      table_get_locked (&pool->sharing.blobs, at) != place)
    return false;
  entry.count++;
  sharing_set_entry_locked (pool, at, entry);
  seeker->tally->shared_bytes += entry_bytes (entry);
  return true;
}

static uint64_t
join (const struct seeker *seeker, uint32_t entry)
{
  struct pool *pool = seeker->volume->pool;
  const uint64_t word = word_shared (entry, seeker->print);
  const uint64_t place = share_place (pool, word);

  if (!is_same (seeker, &pool->sharing.blobs, entry, place) ||
      !take_count (seeker, entry, place))
    return 0;
  return word;
}

/* The blob of a page that is to be shared: where it is, and its word. */
struct original {
  const uint8_t *at;
  uint64_t word;
};

/* A cold page has none: the seeker's, which is the same, is compressed. */
static struct original
find_original (const struct seeker *seeker, uint64_t word)
{
  struct pool *pool = seeker->volume->pool;
  const struct place from = word_place (word);

  if (!word_is_cold (word))
    return (struct original){
      .at = arena_segment (&pool->arena, from.segment) + from.offset,
      .word = word,
    };
  return (struct original){
    .at = seeker->worker->blob,
    .word = page_encode (&pool->sharing.blobs, seeker->worker, 0, seeker->data,
                         seeker->print),
  };
}

/* Copies a blob to the end of the log, as that of the entry.  False: there is
 * no room in an open segment. */
static bool
copy_blob (struct pool *pool, uint32_t entry, const struct original *original,
           uint64_t *ret)
{
  const uint32_t length = word_length (original->word);
  struct blob blob = blob_unpack (original->at);
  struct place to;
  uint8_t *new;

  if (!lane_try (&pool->lanes, blob_size (length), &to))
    return false;
  blob.volume = VMSWAP_SHARING_VOLUME;
  blob.page = entry;
  new = arena_segment (&pool->arena, to.segment) + to.offset;
  blob_pack (new, &blob);
  memcpy (new + VMSWAP_BLOB_HEADER_SIZE,
          original->at + VMSWAP_BLOB_HEADER_SIZE, length);
  CRASH_POINT ("shared blob copied");
  *ret = word_moved (original->word, to);
  return true;
}

/* The other page names the entry, too, if it has not changed since. */
static bool
redirect (const struct seeker *seeker, struct volume *other, uint32_t page,
          uint64_t word, uint64_t shared, uint32_t bytes)
{
  struct tally tally = { 0 };
  uint64_t old;

  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (other, page));
    if (table_get_locked (other, page) != word)
      return false;
    table_set_locked (other, page, shared, &old);
    CRASH_POINT ("other page shared");
    page_release_locked (other, page, &tally, old);
  }
  tally_word (&tally, shared, 1);
  tally.shared_bytes = bytes;
  tally_apply (other, &tally, seeker->worker->shard);
  return true;
}

/* The seeker's page and another are the same: makes an entry of both. */
static uint64_t
promote (const struct seeker *seeker, struct volume *other, uint32_t page,
         uint64_t word)
{
  struct pool *pool = other->pool;
  const struct original original = find_original (seeker, word);
  const uint32_t size = word_size (original.word);
  const struct entry entry = {
    .count = 2,
    .scope = seeker->scope,
    .units = size / VMSWAP_BLOB_ALIGN,
  };
  uint64_t shared, place;
  uint32_t at;

  /* The other's reserve would miss what its page takes now, and there may be
   * no room to keep for it. */
  if (atomic_load (&pool->reserved) || word_is_cold (word)) {
    pool_weigh (pool);
    if (atomic_load (&pool->tight))
      return 0;
  }
  /* The other's charge would grow by a blob, and its group stay. */
  if (word_is_cold (word) && volume_is_limited (other))
    return 0;
  if (entry_alloc (pool, entry, &at) != 0)
    return 0;
  shared = word_shared (at, seeker->print);
  if (!copy_blob (pool, at, &original, &place)) {
    entry_put (pool, at);
    entry_put (pool, at);
    return 0;
  }
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (sharing_stripe (pool, at));
    set_blob_locked (pool, at, place);
  }
  segment_published (&pool->segments, word_place (place).segment);
  CRASH_POINT ("shared blob named");
  if (!redirect (seeker, other, page, word, shared, size))
    entry_put (pool, at);
  seeker->tally->shared_bytes += size;
  share_note (seeker->volume, (struct target){ .shared = true, .page = at },
              seeker->print);
  return shared;
}

static uint64_t
share_with_page (const struct seeker *seeker, struct target target)
{
  struct pool *pool = seeker->volume->pool;
  struct volume *other =
      __atomic_load_n (&pool->volume[target.volume], __ATOMIC_ACQUIRE);
  uint64_t word;

  if (!other || sharing_scope (other) != seeker->scope ||
      target.page >=
          __atomic_load_n (&other->size, __ATOMIC_RELAXED) / POOL_PAGE_SIZE ||
      (other == seeker->volume && target.page == seeker->page))
    return 0;
  {
    ACQUIRE_LOCK_FOR_CURRENT_SCOPE (table_stripe (other, target.page));
    word = table_get_locked (other, target.page);
  }
  if (word_is_shared (word)) /* the index is behind */
    return join (seeker, word_entry (word));
  return is_same (seeker, other, target.page, word)
             ? promote (seeker, other, target.page, word)
             : 0;
}

/* What a new entry may need: an epoch is no place for system calls, because no
 * memory comes free as long as it lasts. */
static int
prepare_promotion (struct pool *pool)
{
  const int err = frames_prepare (&pool->frames);

  return err ? err : lane_prepare (&pool->lanes, blob_size (POOL_PAGE_SIZE));
}

uint64_t
share_find (struct volume *volume, struct worker *worker, struct tally *tally,
            uint32_t page, const void *data, uint64_t print)
{
  struct pool *pool = volume->pool;
  const struct seeker seeker = {
    .volume = volume,
    .worker = worker,
    .tally = tally,
    .page = page,
    .scope = sharing_scope (volume),
    .data = data,
    .print = print,
  };
  struct target target;
  uint64_t word;

  tally->share_lookups++;
  if (!share_known (volume, print, &target))
    return 0;
  if (!target.shared && prepare_promotion (pool) != 0)
    return 0;
  worker_enter (&pool->workers, worker);
  word = target.shared ? join (&seeker, target.page)
                       : share_with_page (&seeker, target);
  worker_leave (worker);
  tally->share_hits += word != 0;
  return word;
}

bool
share_known (struct volume *volume, uint64_t print, struct target *ret)
{
  return index_find (&volume->pool->index, print,
                     salt_of (sharing_scope (volume)), ret);
}

void
share_note (struct volume *volume, struct target target, uint64_t print)
{
  index_insert (&volume->pool->index, print, salt_of (sharing_scope (volume)),
                target);
}
