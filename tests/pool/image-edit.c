// SPDX-License-Identifier: BSD-3-Clause
/* Walks the page tables of an image in a file, by proto/vmswap-image.h alone.
 * Owns the mapping in struct image_edit. */

#include <config.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "image-edit.h"
#include "test.h"
#include "word.h"

#define SLOT_SIZE 4096

struct image_edit
image_edit_open (const char *state)
{
  struct image_edit edit;
  char path[4096];
  struct stat st;
  int fd;

  snprintf (path, sizeof path, "%s/pool.vmswap", state);
  fd = open (path, O_RDWR | O_CLOEXEC);
  if (fd == -1 || fstat (fd, &st) == -1)
    FAIL ("%s: %s", path, strerror (errno));
  edit.size = st.st_size;
  edit.base = mmap (NULL, edit.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  CHECK (edit.base != MAP_FAILED);
  close (fd);

  struct vmswap_image_super *first = (void *) edit.base;
  struct vmswap_image_super *second = (void *) (edit.base + SLOT_SIZE);
  edit.super = second->generation > first->generation ? second : first;
  CHECK (memcmp (edit.super->magic, VMSWAP_IMAGE_MAGIC, 8) == 0);
  return edit;
}

void
image_edit_close (struct image_edit *edit)
{
  munmap (edit->base, edit->size);
}

void
image_edit_seal (struct image_edit *edit)
{
  edit->super->checksum =
      XXH64 (edit->super, offsetof (struct vmswap_image_super, checksum), 0);
}

struct vmswap_image_volume *
image_edit_volume (struct image_edit *edit, const char *name)
{
  struct vmswap_image_volume *volume =
      (void *) (edit->base + edit->super->volumes_offset);

  for (unsigned i = 0; i < edit->super->volumes_count; ++i, ++volume)
    if (volume->state == VMSWAP_VOLUME_LIVE && strcmp (volume->name, name) == 0)
      return volume;
  FAIL ("no volume %s in the image", name);
}

static void *
frame (struct image_edit *edit, uint32_t number)
{
  CHECK (number != 0);
  return edit->base + edit->super->frames_offset +
         (uint64_t) number * POOL_PAGE_SIZE;
}

uint32_t *
image_edit_entry (struct image_edit *edit, const char *name, uint64_t page)
{
  const uint64_t leaf = page / VMSWAP_LEAF_WORDS;
  const uint64_t directory = leaf / VMSWAP_DIRECTORY_ENTRIES;
  struct vmswap_image_volume *volume = image_edit_volume (edit, name);
  uint32_t *entry =
      frame (edit, volume->root[directory / VMSWAP_DIRECTORY_ENTRIES]);

  entry = frame (edit, entry[directory % VMSWAP_DIRECTORY_ENTRIES]);
  return entry + leaf % VMSWAP_DIRECTORY_ENTRIES;
}

uint64_t *
image_edit_word (struct image_edit *edit, const char *volume, uint64_t page)
{
  uint64_t *words = frame (edit, *image_edit_entry (edit, volume, page));

  return words + page % VMSWAP_LEAF_WORDS;
}

static uint8_t *
blob_at (struct image_edit *edit, struct place at)
{
  return edit->base + edit->super->data_offset +
         (uint64_t) at.segment * POOL_SEGMENT_SIZE + at.offset;
}

uint8_t *
image_edit_blob (struct image_edit *edit, const char *volume, uint64_t page)
{
  const uint64_t word = *image_edit_word (edit, volume, page);

  CHECK (word_is_blob (word));
  return blob_at (edit, word_place (word));
}

uint8_t *
image_edit_group (struct image_edit *edit, const char *volume, uint64_t page)
{
  const uint64_t word = *image_edit_word (edit, volume, page);

  CHECK (word_is_cold (word));
  return blob_at (edit, word_place (word));
}
