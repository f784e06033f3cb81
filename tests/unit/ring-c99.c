// SPDX-License-Identifier: BSD-3-Clause
/* The ring's headers stand alone; compiled as strict C99 (and, as ring-c11, as
 * strict C11). */

#include "vmswap-ring.h"
#include "vmswap-ring.h" /* … and may be included twice */

#include "vmswap-ivshmem.h"
#include "vmswap-ivshmem.h"

int
main (void)
{
  struct vmswap_ring_geometry geometry;

  if (vmswap_ring_geometry_for_size (VMSWAP_RING_SIZE_DEFAULT, &geometry) != 0)
    return 1;
  return VMSWAP_IVSHMEM_RING_HOST != 0 ||
         !vmswap_ring_range_is_right (0, 1, 1) ||
         vmswap_ring_need_event (0, 0, 0) ||
         vmswap_ring_cache_set_of (7, 1) != 0;
}
