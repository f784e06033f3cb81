// SPDX-License-Identifier: BSD-3-Clause
/* The memory of a region: made, mapped, given up.  Owns the memfd and the
 * mapping.  The memfd is sealed before anybody else has it, so that nobody can
 * take memory away that is mapped here. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

void *
ring_part (const struct ring *ring, unsigned part)
{
  return ring->region.base + ring->region.geometry.parts[part].offset;
}

uint8_t *
ring_page_at (const struct ring *ring, unsigned part, uint32_t n)
{
  return (uint8_t *) ring_part (ring, part) +
         (size_t) n * VMSWAP_RING_PAGE_SIZE;
}

/* Locking it is worth a try: the guest's reads are not to wait for the host's
 * swap. */
static int
map (struct ring_region *region)
{
  region->base = mmap (NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED,
                       region->fd, 0);
  if (region->base == MAP_FAILED) {
    region->base = NULL;
    return -errno;
  }
  mlock2 (region->base, region->size, MLOCK_ONFAULT);
  madvise (region->base, region->size, MADV_DONTDUMP);
  region->header = (struct vmswap_ring_header *) region->base;
  return 0;
}

void
ring_region_free (struct ring_region *region)
{
  if (region->base != NULL)
    munmap (region->base, region->size);
  if (region->fd != -1)
    close (region->fd);
  *region = (struct ring_region){ .fd = -1 };
}

static int
make_memory (struct ring_region *region)
{
  region->fd = memfd_create ("vmswap-region", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (region->fd == -1 || ftruncate (region->fd, region->size) == -1 ||
      fcntl (region->fd, F_ADD_SEALS, SEALS) == -1)
    return -errno;
  return map (region);
}

int
ring_region_make (struct ring_region *region, uint64_t size, const char *volume,
                  uint64_t device_pages)
{
  struct vmswap_ring_header *header;
  int r;

  *region = (struct ring_region){ .fd = -1, .size = size };
  if (vmswap_ring_geometry_for_size (size, &region->geometry) == -1)
    return -EINVAL;
  r = make_memory (region);
  if (r < 0) {
    ring_region_free (region);
    return r;
  }
  header = region->header;
  header->version = VMSWAP_RING_VERSION;
  header->page_size = VMSWAP_RING_PAGE_SIZE;
  header->region_size = size;
  header->features = VMSWAP_RING_FEATURES;
  vmswap_ring_geometry_store (&region->geometry, header);
  snprintf ((char *) header->volume, sizeof header->volume, "%s", volume);
  header->device_pages = device_pages;
  return 0;
}

/* The header is the guest's to write, by now: one copy of it, which is
 * checked. */
static const char *
check (struct ring_region *region)
{
  const struct vmswap_ring_header copy =
      *(volatile struct vmswap_ring_header *) region->header;

  if (memcmp (copy.magic, VMSWAP_RING_MAGIC, sizeof copy.magic) != 0)
    return "it has no magic";
  if (copy.version != VMSWAP_RING_VERSION)
    return "it is of another version";
  if (copy.page_size != VMSWAP_RING_PAGE_SIZE ||
      copy.region_size != region->size)
    return "it tells a wrong size";
  vmswap_ring_geometry_load (&copy, &region->geometry);
  return vmswap_ring_geometry_check (&region->geometry, region->size);
}

int
ring_region_map (struct ring_region *region, int fd, const char **why)
{
  struct stat st;
  int r;

  *why = NULL;
  *region = (struct ring_region){ .fd = fd };
  if (fstat (fd, &st) == -1)
    return -errno;
  region->size = st.st_size;
  if (!vmswap_ring_size_is_right (region->size) ||
      (fcntl (fd, F_GET_SEALS) & SEALS) != SEALS) {
    *why = "it is no sealed memory of a right size";
    return -EINVAL;
  }
  r = map (region);
  if (r < 0)
    return r;
  *why = check (region);
  return *why == NULL ? 0 : -EINVAL;
}
