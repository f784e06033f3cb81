// SPDX-License-Identifier: BSD-3-Clause
/* The image header stands alone; compiled as C++. */

#include "vmswap-image.h"

int
main ()
{
  return sizeof (struct vmswap_image_volume) == 0;
}
