// SPDX-License-Identifier: BSD-3-Clause
/* The ring's headers stand alone; compiled as C++. */

#include "vmswap-ring.h"

#include "vmswap-ivshmem.h"

int
main ()
{
  vmswap_ring_geometry geometry;

  if (vmswap_ring_geometry_for_size (VMSWAP_RING_SIZE_DEFAULT, &geometry) != 0)
    return 1;
  return VMSWAP_IVSHMEM_RING_HOST != 0 ||
         vmswap_ring_geometry_check (&geometry, VMSWAP_RING_SIZE_DEFAULT) !=
             nullptr;
}
