// SPDX-License-Identifier: BSD-3-Clause
/* The image that fuzz-image damages: made by the pool itself, with three
 * volumes, two of which share pages, with groups of cold pages, whole ones and
 * such that have lost some, and a catalogue of where every page of it lies. */

#ifndef VMSWAP_FUZZ_IMAGE_BASE_H
#define VMSWAP_FUZZ_IMAGE_BASE_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"
#include "vmswap-image.h"

#define BASE_LIMIT POOL_MIN_LIMIT
#define BASE_VOLUMES 3
#define BASE_MAX_PAGES 64

/* A stretch of the image. */
struct stretch {
  uint64_t at, length;
};

/* A page that the image holds. */
struct base_page {
  unsigned volume;
  uint32_t page;
  uint32_t content;   /* number of what it holds: fuzz_content */
  uint32_t before;    /* of what it held before; 0: nothing */
  uint8_t *bytes;     /* both, as they are */
  uint8_t *old_bytes; /* NULL: none */
  uint64_t word;
  /* What leads to it: entries of root, directory and leaf, the page word, and
   * the blob or group (length 0: none).  Of a shared page, these lead to its entry in
   * the sharing table, then come the same of that, and the blob is the entry's.
   */
  struct stretch way[9];
};

enum {
  WAY_ROOT,
  WAY_DIRECTORY,
  WAY_LEAF,
  WAY_WORD,
  WAY_BLOB,
  WAY_SHARED, /* root, directory, leaf, word; length 0: it is not shared */
  WAY_SHARED_WORD = WAY_SHARED + 3,
};

struct base {
  int fd;
  uint8_t *map;  /* the file, writable */
  uint64_t size; /* of the file */
  struct vmswap_image_super super;
  struct base_page page[BASE_MAX_PAGES];
  unsigned nr_pages;

  /* Pages of the file that are not a hole, and what they held. */
  uint32_t *used;
  uint8_t *copy;
  unsigned nr_used;
  uint32_t frames_end;   /* frames from here on are holes */
  uint32_t segments_end; /* so are segments */
};

extern struct base base;

/* Makes it in fuzz_folder. */
extern void base_make (void);

/* The page of the catalogue, or NULL. */
extern const struct base_page *base_find (unsigned volume, uint64_t page);

/* What the file held there; zeroes in a hole. */
extern const uint8_t *base_original (uint32_t file_page);

#endif /* VMSWAP_FUZZ_IMAGE_BASE_H */
