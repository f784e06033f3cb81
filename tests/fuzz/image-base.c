// SPDX-License-Identifier: BSD-3-Clause
/* Makes the image that fuzz-image damages, and takes stock of it. */

#include <config.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "image-base.h"
#include "internal.h"
#include "word.h"

struct base base;

static uint32_t next_content = 1;

/* 2 TiB and 4 GiB: two roots. */
#define DB1_PAGES ((UINT64_C (1) << 29) + (1u << 20))

static const struct {
  const char *name;
  uint64_t size;
} volumes[BASE_VOLUMES] = {
  { "web1", UINT64_C (16) << 20 },
  { "db1", DB1_PAGES *POOL_PAGE_SIZE },
  { "tmp", 10 * POOL_PAGE_SIZE },
};

/* Runs of pages, in all three levels of the page tables. */
static const struct {
  unsigned volume;
  uint32_t first;
  unsigned n;
} runs[] = {
  { 0, 0, 20 },
  { 0, 3 * 512 - 2, 4 },
  { 0, 4093, 3 },
  { 1, (1u << 29) + 1, 2 },
  { 1, (1u << 29) + 512 * 1024 - 1, 2 },
  { 1, DB1_PAGES - 601, 1 },
  { 1, DB1_PAGES - 1, 1 },
  { 2, 0, 5 },
};

/* Pages that become what another page of the catalogue is; neither was written
 * a second time. */
static const struct {
  unsigned page, like;
} alike[] = { { 33, 3 }, { 35, 5 }, { 15, 11 }, { 21, 17 }, { 23, 5 } };

/* Cold are the runs up to this one; of these pages of the catalogue, none is
 * written again, so their groups stay whole. */
#define LAST_COLD_RUN 4
#define WHOLE_FIRST 8
#define WHOLE_END 20

static bool
stays_whole (unsigned i)
{
  return i >= WHOLE_FIRST && i < WHOLE_END;
}

/* Pages of a volume that is deleted: the cleaner has something to do then. */
#define GONE 30

static void
write_page (struct volume *volume, struct base_page *page)
{
  uint8_t *bytes = malloc (POOL_PAGE_SIZE);

  page->before = page->content;
  page->old_bytes = page->bytes;
  page->content = next_content++;
  page->bytes = bytes;
  fuzz_content (bytes, page->content);
  if (volume_write (volume, bytes, POOL_PAGE_SIZE,
                    (uint64_t) page->page * POOL_PAGE_SIZE) != 0)
    fuzz_die ("volume_write");
}

static void
write_alike (struct volume *volume, struct base_page *page,
             const struct base_page *like)
{
  page->before = page->content;
  page->old_bytes = page->bytes;
  page->content = like->content;
  page->bytes = like->bytes;
  if (volume_write (volume, page->bytes, POOL_PAGE_SIZE,
                    (uint64_t) page->page * POOL_PAGE_SIZE) != 0)
    fuzz_die ("volume_write");
}

static void
waste (struct pool *pool)
{
  struct volume *volume;
  uint8_t page[POOL_PAGE_SIZE];

  if (volume_open (pool, "gone", GONE * POOL_PAGE_SIZE, &volume, NULL) != 0)
    fuzz_die ("volume_open");
  for (unsigned i = 0; i < GONE; ++i) {
    fuzz_content (page, 7 + 8 * i);
    if (volume_write (volume, page, sizeof page, i * sizeof page) != 0)
      fuzz_die ("volume_write");
  }
  volume_delete (volume);
}

static void
fill_volumes (struct pool *pool)
{
  struct volume *volume[BASE_VOLUMES];

  for (unsigned i = 0; i < BASE_VOLUMES; ++i)
    if (volume_open (pool, volumes[i].name, volumes[i].size, &volume[i],
                     NULL) != 0)
      fuzz_die ("volume_open");
  if (volume_set_group (volume[0], "group") != 0 ||
      volume_set_group (volume[2], "group") != 0)
    fuzz_die ("volume_set_group");
  for (unsigned r = 0; r < sizeof runs / sizeof runs[0]; ++r) {
    for (unsigned i = 0; i < runs[r].n; ++i) {
      struct base_page *page = &base.page[base.nr_pages++];

      *page = (struct base_page){ .volume = runs[r].volume,
                                  .page = runs[r].first + i };
      write_page (volume[page->volume], page);
    }
    if (r == 1)
      waste (pool);
    if (r == 2)
      cleaner_seal (pool);
    if (r == LAST_COLD_RUN) {
      cleaner_seal (pool);
      cold_finish (pool);
    }
  }
  /* The first segment is half dead then. */
  for (unsigned i = 0; i < base.nr_pages; i += 2)
    if (!stays_whole (i))
      write_page (volume[base.page[i].volume], &base.page[i]);
  cleaner_seal (pool);
  /* And one is open, as a killed process leaves it. */
  for (unsigned i = 1; i < base.nr_pages; i += 6)
    if (!stays_whole (i))
      write_page (volume[base.page[i].volume], &base.page[i]);
  for (unsigned i = 0; i < sizeof alike / sizeof alike[0]; ++i) {
    struct base_page *page = &base.page[alike[i].page];

    write_alike (volume[page->volume], page, &base.page[alike[i].like]);
  }
}

static uint64_t
frame_at (uint32_t frame)
{
  return base.super.frames_offset + (uint64_t) frame * POOL_PAGE_SIZE;
}

/* Finds the way to a page in the table whose roots are there, as the header of
 * the image describes it: roots, directory, leaf, word.  Returns the word. */
static uint64_t
find_word (uint64_t at, uint32_t page, struct stretch way[4])
{
  const uint32_t leaf = page / VMSWAP_LEAF_WORDS;
  const uint32_t index[] = {
    leaf / VMSWAP_DIRECTORY_ENTRIES / VMSWAP_DIRECTORY_ENTRIES,
    leaf / VMSWAP_DIRECTORY_ENTRIES % VMSWAP_DIRECTORY_ENTRIES,
    leaf % VMSWAP_DIRECTORY_ENTRIES
  };
  uint64_t word;

  at += offsetof (struct vmswap_image_volume, root);
  for (unsigned level = 0; level < 3; ++level) {
    uint32_t frame;

    way[level] = (struct stretch){ at + index[level] * 4, 4 };
    memcpy (&frame, base.map + way[level].at, sizeof frame);
    if (frame >= base.frames_end)
      base.frames_end = frame + 1;
    at = frame_at (frame);
  }
  at += page % VMSWAP_LEAF_WORDS * sizeof word;
  way[3] = (struct stretch){ at, sizeof word };
  memcpy (&word, base.map + at, sizeof word);
  return word;
}

static void
find_way (struct base_page *page)
{
  uint64_t word =
      find_word (base.super.volumes_offset +
                     page->volume * sizeof (struct vmswap_image_volume),
                 page->page, &page->way[WAY_ROOT]);

  page->word = word;
  if (word_is_shared (word))
    word = find_word (VMSWAP_SHARING_OFFSET, word_entry (word),
                      &page->way[WAY_SHARED]);
  if (!word_has_place (word))
    return;
  const struct place place = word_place (word);
  page->way[WAY_BLOB] =
      (struct stretch){ base.super.data_offset +
                            (uint64_t) place.segment * POOL_SEGMENT_SIZE +
                            place.offset,
                        word_is_cold (word) ? word_size (word)
                                            : VMSWAP_BLOB_HEADER_SIZE +
                                                  word_length (word) };
  if (place.segment >= base.segments_end)
    base.segments_end = place.segment + 1;
}

/* Copies everything that is not a hole. */
static void
copy_file (void)
{
  const uint64_t pages = base.size / POOL_PAGE_SIZE;
  off_t at = 0;

  base.used = malloc (pages * sizeof *base.used);
  while ((at = lseek (base.fd, at, SEEK_DATA)) != -1) {
    const off_t end = lseek (base.fd, at, SEEK_HOLE);

    for (; at < end; at += POOL_PAGE_SIZE)
      base.used[base.nr_used++] = at / POOL_PAGE_SIZE;
  }
  base.copy = malloc ((size_t) base.nr_used * POOL_PAGE_SIZE);
  for (unsigned i = 0; i < base.nr_used; ++i)
    memcpy (base.copy + (size_t) i * POOL_PAGE_SIZE,
            base.map + (uint64_t) base.used[i] * POOL_PAGE_SIZE,
            POOL_PAGE_SIZE);
}

void
base_make (void)
{
  const struct pool_config config = { .limit = BASE_LIMIT,
                                      .sharing = POOL_SHARING_ALWAYS,
                                      .cold = { .on = true, .level = 1 },
                                      .state = fuzz_folder () };
  unsigned shared = 0, cold = 0;
  struct pool *pool;
  char name[300];
  struct stat st;

  fuzz_restart_random ();
  if (pool_create (&config, &pool) != 0)
    fuzz_die ("pool_create (is the folder on tmpfs?)");
  fill_volumes (pool);
  base.super = pool->arena.super;
  pool_destroy (pool);

  snprintf (name, sizeof name, "%s/pool.vmswap", config.state);
  base.fd = open (name, O_RDWR | O_CLOEXEC);
  if (base.fd == -1 || fstat (base.fd, &st) == -1)
    fuzz_die (name);
  base.size = (uint64_t) st.st_size;
  base.map =
      mmap (NULL, base.size, PROT_READ | PROT_WRITE, MAP_SHARED, base.fd, 0);
  if (base.map == MAP_FAILED)
    fuzz_die ("mmap");
  for (unsigned i = 0; i < base.nr_pages; ++i) {
    find_way (&base.page[i]);
    shared += word_is_shared (base.page[i].word);
    cold += word_is_cold (base.page[i].word);
  }
  if (cold < 7) /* half of the pages do not shrink */
    FUZZ_FAIL ("only %u pages are cold", cold);
  if (shared < sizeof alike / sizeof alike[0])
    fuzz_die ("nothing is shared");
  copy_file ();
}

const struct base_page *
base_find (unsigned volume, uint64_t page)
{
  for (unsigned i = 0; i < base.nr_pages; ++i)
    if (base.page[i].page == page && base.page[i].volume == volume)
      return &base.page[i];
  return NULL;
}

const uint8_t *
base_original (uint32_t file_page)
{
  static const uint8_t zeroes[POOL_PAGE_SIZE];
  unsigned low = 0, high = base.nr_used;

  while (low < high) {
    const unsigned middle = (low + high) / 2;

    if (base.used[middle] < file_page)
      low = middle + 1;
    else
      high = middle;
  }
  return low < base.nr_used && base.used[low] == file_page
             ? base.copy + (size_t) low * POOL_PAGE_SIZE
             : zeroes;
}
