// SPDX-License-Identifier: BSD-3-Clause
/* The image header stands alone; compiled as strict C. */

#include "vmswap-image.h"
#include "vmswap-image.h" /* … and may be included twice */

int
main (void)
{
  return sizeof (struct vmswap_image_super) == 0;
}
