// SPDX-License-Identifier: BSD-3-Clause
/* Editing an image behind the pool's back, for tests of what happens then. */

#ifndef VMSWAP_TEST_IMAGE_EDIT_H
#define VMSWAP_TEST_IMAGE_EDIT_H

#include <stdint.h>

#include "vmswap-image.h"

struct image_edit {
  uint8_t *base; /* the file, mapped */
  uint64_t size;
  struct vmswap_image_super *super; /* the slot that counts */
};

/* Fails the test when there is no such file. */
extern struct image_edit image_edit_open (const char *state);
extern void image_edit_close (struct image_edit *edit);

/* Makes the checksum of the superblock right again. */
extern void image_edit_seal (struct image_edit *edit);

/* Places in the image; the test fails when there is nothing there. */
extern struct vmswap_image_volume *image_edit_volume (struct image_edit *edit,
                                                      const char *name);
extern uint32_t *image_edit_entry (struct image_edit *edit, const char *volume,
                                   uint64_t page); /* names the leaf */
extern uint64_t *image_edit_word (struct image_edit *edit, const char *volume,
                                  uint64_t page);
extern uint8_t *image_edit_blob (struct image_edit *edit, const char *volume,
                                 uint64_t page); /* its header */
extern uint8_t *image_edit_group (struct image_edit *edit, const char *volume,
                                  uint64_t page); /* of a cold page */

#endif /* VMSWAP_TEST_IMAGE_EDIT_H */
