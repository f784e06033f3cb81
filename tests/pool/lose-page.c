// SPDX-License-Identifier: BSD-3-Clause
/* A page that is made a lost one reads as an error from then on, whatever it
 * held, in a full pool and beyond a quota as well; a write or a trim mends it,
 * and no other page notices. */

#include <config.h>

#include <string.h>

#include "content.h"
#include "test.h"

#define PAGE ((uint64_t) POOL_PAGE_SIZE)
#define PAGES UINT64_C (65536)

static struct pool *pool;
static struct volume *volume;

static void
make (uint8_t *buf, uint64_t page)
{
  struct rng rng = { .state = page };

  content_page (buf, page % CONTENT_KINDS, page % 97);
  for (unsigned i = 0; page % 4 == 1 && i < PAGE; ++i)
    buf[i] = (uint8_t) rng_next (&rng);
}

static void
check_page (uint64_t page, int expected)
{
  uint8_t buf[PAGE], wanted[PAGE];

  CHECK_RC (volume_read (volume, buf, PAGE, page * PAGE), expected);
  make (wanted, page);
  if (expected == 0)
    CHECK (memcmp (buf, wanted, PAGE) == 0);
}

/* Returns how many pages there was room for. */
static uint64_t
fill (void)
{
  uint8_t buf[PAGE];
  uint64_t n;
  int rc = 0;

  for (n = 0; n < PAGES; ++n) {
    make (buf, n);
    rc = volume_write (volume, buf, PAGE, n * PAGE);
    if (rc != 0)
      break;
  }
  CHECK (n < PAGES && (rc == -EDQUOT || test_refused (rc)));
  return n;
}

/* Every third page of those there are, and one where nothing is near. */
static void
lose_and_mend (uint64_t n)
{
  struct volume_stats stats;
  uint8_t buf[PAGE];
  uint64_t lost = 0;

  for (uint64_t page = 0; page < n; page += 3, ++lost)
    CHECK_RC (volume_lose_page (volume, page * PAGE), 0);
  CHECK_RC (volume_lose_page (volume, (PAGES - 1) * PAGE), 0);
  CHECK_RC (volume_lose_page (volume, (PAGES - 1) * PAGE), 0);
  for (uint64_t page = 0; page < n; ++page)
    check_page (page, page % 3 == 0 ? -EIO : 0);
  check_page (PAGES - 1, -EIO);
  volume_get_stats (volume, &stats);
  CHECK_EQ (stats.lost_pages, lost + 1);
  POOL_CHECK (pool, true);

  for (uint64_t page = 0; page < n / 2; page += 3) {
    make (buf, page);
    CHECK_RC (volume_write (volume, buf, PAGE, page * PAGE), 0);
    check_page (page, 0);
  }
  CHECK_RC (volume_trim (volume, PAGES * PAGE, 0), 0);
  CHECK_RC (volume_read (volume, buf, PAGE, 0), 0);
  volume_get_stats (volume, &stats);
  CHECK_EQ (stats.lost_pages, 0);
  POOL_CHECK (pool, true);
}

/* In a volume at its quota, and in a full pool, pages that are far from each
 * other take no tables beyond what is allowed. */
static void
lose_far_pages (const char *name, uint64_t quota)
{
  const uint64_t step = 8192;
  struct volume_stats stats;
  struct volume *far;
  uint8_t buf[PAGE];

  CHECK_RC (volume_open (pool, name, 4000 * step * PAGE, &far, NULL), 0);
  if (quota)
    CHECK_RC (volume_set_limits (far, quota, 0), 0);
  for (uint64_t n = 0; n < 4000; ++n)
    CHECK_RC (volume_lose_page (far, n * step * PAGE), 0);
  for (uint64_t n = 0; n < 4000; ++n)
    CHECK_RC (volume_read (far, buf, PAGE, n * step * PAGE), -EIO);
  volume_get_stats (far, &stats);
  CHECK_LE (stats.charged, (quota ? quota : 16 * MIB) + 12 * 1024);
  POOL_CHECK (pool, true);
  memset (buf, 1, PAGE);
  CHECK_RC (volume_trim (far, 4000 * step * PAGE, 0), 0);
  CHECK (!volume_is_lost (far));
  CHECK_RC (volume_write (far, buf, PAGE, 7 * step * PAGE), 0);
  volume_delete (far);
}

int
main (void)
{
  const struct pool_config config = { .limit = 16 * MIB,
                                      .sharing = POOL_SHARING_ALWAYS };

  CHECK_RC (pool_create (&config, &pool), 0);
  CHECK_RC (volume_open (pool, "v", PAGES * PAGE, &volume, NULL), 0);
  CHECK_RC (volume_lose_page (volume, PAGES * PAGE), -EINVAL);
  CHECK_RC (volume_lose_page (volume, 1), -EINVAL);
  lose_and_mend (fill ());
  lose_far_pages ("bounded", MIB);
  lose_far_pages ("free", 0);
  CHECK_RC (volume_set_limits (volume, MIB, 0), 0);
  lose_and_mend (fill ());
  pool_destroy (pool);
  return 0;
}
