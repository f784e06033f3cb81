// SPDX-License-Identifier: BSD-3-Clause
/* The driver: reads, writes, frees. */

#include <config.h>

#include <errno.h>
#include <string.h>

#include "driver.h"

static bool
is_fill (const uint8_t *data, uint32_t *value)
{
  memcpy (value, data, sizeof *value);
  return memcmp (data, data + sizeof *value, PAGE - sizeof *value) == 0;
}

/* May anything be published? */
static void
wait_for_host_locked (struct driver *d)
{
  while (d->quiesced && !d->dead)
    driver_wait_locked (d);
}

static bool
has_place (const struct driver *d, bool slot)
{
  return (!slot || d->nr_free > 0) &&
         d->post_head - d->post_tail < DRIVER_COUNT (d, POSTS);
}

/* A place in posts, and a slot if that is wanted.  False: the host is dead, or
 * FULL and the post needs room. */
static bool
wait_for_place_locked (struct driver *d, bool slot, bool needs_room)
{
  bool late = false;

  for (;;) {
    wait_for_host_locked (d);
    if (d->dead)
      return false;
    if (needs_room && (ACQUIRE (&d->header->host_flags) & VMSWAP_HOST_FULL))
      return false;
    driver_look_locked (d);
    if (has_place (d, slot)) {
      d->late += late;
      return true;
    }
    /* As the guest driver does: for some at once. */
    SET (&d->header->tail_event,
         d->post_tail + (d->post_head - d->post_tail) / 8);
    FULL_BARRIER ();
    driver_look_locked (d);
    late = !has_place (d, slot) && driver_wait_locked (d);
  }
}

static void
post_locked (struct driver *d, uint64_t page, uint8_t op, uint32_t arg,
             uint64_t count)
{
  const uint32_t at = d->post_head & (DRIVER_COUNT (d, POSTS) - 1);
  struct vmswap_ring_post *posts = driver_part (d, VMSWAP_RING_POSTS);

  posts[at].page = page;
  posts[at].arg = arg;
  posts[at].op = op;
  posts[at].flags = 0;
  posts[at].reserved = 0;
  d->slot_of[at] = op == VMSWAP_POST_WRITE ? arg : NO_SLOT;
  for (uint64_t p = page; p < page + count; ++p) {
    d->newest[p] = d->post_head;
    d->posted[p] = 1;
  }
  d->posts++;
  RELEASE (&d->header->post_head, ++d->post_head);
  FULL_BARRIER ();
  if (vmswap_ring_need_event (RELAXED (&d->header->post_event), d->post_head,
                              d->post_head - 1))
    driver_ring (d);
}

/* --- Requests. */

static uint32_t
take_tag_locked (struct driver *d)
{
  while (d->nr_free_tags == 0)
    driver_wait_locked (d);
  return d->free_tags[--d->nr_free_tags];
}

static void
submit_locked (struct driver *d, uint32_t tag, uint8_t op, uint64_t page,
               uint32_t count)
{
  struct vmswap_ring_request *requests = driver_part (d, VMSWAP_RING_REQUESTS);
  vmswap_le32 *submits = driver_part (d, VMSWAP_RING_SUBMITS);

  requests[tag].page = page;
  requests[tag].count = count;
  requests[tag].after = d->post_head;
  requests[tag].op = op;
  requests[tag].flags = 0;
  d->requests++;
  RELEASE (&requests[tag].serial, ++d->serial[tag]);
  SET (&submits[d->submit_head & (DRIVER_COUNT (d, SUBMITS) - 1)], tag);
  RELEASE (&d->header->submit_head, ++d->submit_head);
  FULL_BARRIER ();
  if (vmswap_ring_need_event (RELAXED (&d->header->submit_event),
                              d->submit_head, d->submit_head - 1))
    driver_ring (d);
}

static bool
is_done (const struct driver *d, uint32_t tag)
{
  const struct vmswap_ring_result *results =
      driver_part (d, VMSWAP_RING_RESULTS);

  return ACQUIRE (&results[tag].serial) == d->serial[tag];
}

/* Looks for a while, without the lock. */
static bool
spin (const struct driver *d, uint32_t tag)
{
  const uint64_t until = d->spin_ns ? driver_now_ns () + d->spin_ns : 0;

  while (!is_done (d, tag))
    for (unsigned i = 0; i < 32 && !is_done (d, tag); ++i)
      if (i == 31 && (until == 0 || driver_now_ns () > until))
        return false;
  return true;
}

static int
wait_for_result_locked (struct driver *d, uint32_t tag)
{
  const struct vmswap_ring_result *results =
      driver_part (d, VMSWAP_RING_RESULTS);
  bool late = false;
  uint32_t status;

  pthread_mutex_unlock (&d->lock);
  spin (d, tag);
  pthread_mutex_lock (&d->lock);
  while (!is_done (d, tag)) {
    if (d->dead)
      return -EIO;
    SET (&d->header->complete_event, ACQUIRE (&d->header->complete_head));
    FULL_BARRIER ();
    late = !is_done (d, tag) && driver_wait_locked (d);
  }
  d->late += late;
  status = RELAXED (&results[tag].status);
  return -(int) status;
}

static void
give_tag_locked (struct driver *d, uint32_t tag)
{
  d->free_tags[d->nr_free_tags++] = tag;
  pthread_cond_broadcast (&d->cond);
}

/* Forgets posts of the page that are before the request which is done. */
static void
forget_posts_locked (struct driver *d, uint64_t page, uint64_t count)
{
  driver_look_locked (d);
  for (uint64_t p = page; p < page + count; ++p)
    if (d->newest[p] - d->post_tail >= d->post_head - d->post_tail)
      d->posted[p] = 0;
}

static int
request (struct driver *d, uint8_t op, uint64_t page, uint32_t count,
         const void *from, void *to)
{
  uint32_t tag;
  int r = -EIO;

  pthread_mutex_lock (&d->lock);
  wait_for_host_locked (d);
  tag = take_tag_locked (d);
  if (from != NULL)
    memcpy (driver_page (d, VMSWAP_RING_TAG_PAGES, tag), from, PAGE);
  if (!d->dead) {
    submit_locked (d, tag, op, page, count);
    r = wait_for_result_locked (d, tag);
  }
  if (r == 0 && to != NULL)
    memcpy (to, driver_page (d, VMSWAP_RING_TAG_PAGES, tag), PAGE);
  if (r == 0 && to == NULL)
    forget_posts_locked (d, page, count);
  give_tag_locked (d, tag);
  pthread_mutex_unlock (&d->lock);
  return r;
}

int
driver_discard (struct driver *d, uint64_t page, uint32_t count)
{
  return request (d, VMSWAP_REQUEST_DISCARD, page, count, NULL, NULL);
}

int
driver_write_slowly (struct driver *d, uint64_t page, const void *data)
{
  return request (d, VMSWAP_REQUEST_WRITE, page, 1, data, NULL);
}

/* --- Posts. */

int
driver_write (struct driver *d, uint64_t page, const void *data)
{
  uint32_t value, slot = NO_SLOT;
  const bool fill =
      (d->features & VMSWAP_RING_FEATURE_FILL) != 0 && is_fill (data, &value);
  bool can;

  pthread_mutex_lock (&d->lock);
  can = wait_for_place_locked (d, !fill, true);
  if (can && !fill) {
    slot = d->free_slots[--d->nr_free];
    pthread_mutex_unlock (&d->lock);
    memcpy (driver_page (d, VMSWAP_RING_SLOTS, slot), data, PAGE);
    pthread_mutex_lock (&d->lock);
    can = wait_for_place_locked (d, false, false);
  }
  if (can)
    post_locked (d, page, fill ? VMSWAP_POST_FILL : VMSWAP_POST_WRITE,
                 fill ? value : slot, 1);
  pthread_mutex_unlock (&d->lock);
  if (can)
    return 0;
  return d->dead ? -EIO : driver_write_slowly (d, page, data);
}

int
driver_free (struct driver *d, uint64_t page, uint32_t count)
{
  bool can;

  pthread_mutex_lock (&d->lock);
  can = wait_for_place_locked (d, false, false);
  if (can)
    post_locked (d, page, VMSWAP_POST_FREE, count, count);
  pthread_mutex_unlock (&d->lock);
  return can ? 0 : -EIO;
}

void
driver_drain (struct driver *d)
{
  bool late = false;

  pthread_mutex_lock (&d->lock);
  driver_look_locked (d);
  while (d->post_tail != d->post_head && !d->dead) {
    SET (&d->header->tail_event, d->post_head - 1);
    FULL_BARRIER ();
    driver_look_locked (d);
    late = d->post_tail != d->post_head && driver_wait_locked (d);
    driver_look_locked (d);
  }
  d->late += late;
  pthread_mutex_unlock (&d->lock);
}

/* --- Reads. */

static bool
read_post (struct driver *d, uint64_t page, uint8_t *data)
{
  const struct vmswap_ring_post *posts = driver_part (d, VMSWAP_RING_POSTS);
  const struct vmswap_ring_post *post;

  driver_look_locked (d);
  if (!d->posted[page] ||
      d->newest[page] - d->post_tail >= d->post_head - d->post_tail) {
    d->posted[page] = 0;
    return false;
  }
  post = &posts[d->newest[page] & (DRIVER_COUNT (d, POSTS) - 1)];
  if (post->op == VMSWAP_POST_WRITE)
    memcpy (data, driver_page (d, VMSWAP_RING_SLOTS, post->arg), PAGE);
  else
    for (unsigned i = 0; i < PAGE; i += 4) {
      const uint32_t value = post->op == VMSWAP_POST_FILL ? post->arg : 0;

      memcpy (data + i, &value, sizeof value);
    }
  return true;
}

static bool
read_entry (const struct driver *d, uint32_t n, uint64_t page, uint8_t *data)
{
  struct vmswap_ring_cache_set *sets = driver_part (d, VMSWAP_RING_CACHE);
  struct vmswap_ring_cache_entry *entry =
      &sets[n / VMSWAP_RING_CACHE_WAYS].ways[n % VMSWAP_RING_CACHE_WAYS];
  const uint32_t sequence = ACQUIRE (&entry->sequence);

  if (sequence == 0 || sequence % 2 != 0 || RELAXED (&entry->page) != page)
    return false;
  memcpy (data, driver_page (d, VMSWAP_RING_CACHE_PAGES, n), PAGE);
  __atomic_thread_fence (__ATOMIC_ACQUIRE);
  return RELAXED (&entry->sequence) == sequence;
}

static void
hint (struct driver *d, uint64_t page)
{
  vmswap_le64 *hints = driver_part (d, VMSWAP_RING_HINTS);

  if ((d->features & VMSWAP_RING_FEATURE_HINTS) == 0)
    return;
  SET (&hints[d->hint_head & (DRIVER_COUNT (d, HINTS) - 1)], page);
  RELEASE (&d->header->hint_head, ++d->hint_head);
  FULL_BARRIER ();
  if (vmswap_ring_need_event (RELAXED (&d->header->hint_event), d->hint_head,
                              d->hint_head - 1))
    driver_ring (d);
}

static bool
read_cache (struct driver *d, uint64_t page, uint8_t *data)
{
  const uint32_t sets = DRIVER_COUNT (d, CACHE);
  uint32_t first;

  if (sets == 0)
    return false;
  first = VMSWAP_RING_CACHE_WAYS * vmswap_ring_cache_set_of (page, sets);
  for (uint32_t n = first; n < first + VMSWAP_RING_CACHE_WAYS; ++n)
    if (read_entry (d, n, page, data)) {
      hint (d, page);
      return true;
    }
  return false;
}

int
driver_read (struct driver *d, uint64_t page, void *data,
             enum driver_source *source)
{
  enum driver_source from = FROM_POOL;
  int r = 0;
  bool posted;

  pthread_mutex_lock (&d->lock);
  posted = read_post (d, page, data);
  pthread_mutex_unlock (&d->lock);
  if (posted)
    from = FROM_POST;
  else if (read_cache (d, page, data))
    from = FROM_CACHE;
  else
    r = request (d, VMSWAP_REQUEST_READ, page, 1, NULL, data);
  __atomic_fetch_add (&d->reads[from], 1, __ATOMIC_RELAXED);
  if (source != NULL)
    *source = from;
  return r;
}

/* Posts and the cache are looked at first, as for one. */
int
driver_read_many (struct driver *d, const uint64_t *pages, unsigned n,
                  uint8_t *data)
{
  uint32_t tag[VMSWAP_RING_TAGS_MAX / 4];
  int r = 0;

  pthread_mutex_lock (&d->lock);
  for (unsigned i = 0; i < n; ++i) {
    enum driver_source from = FROM_POOL;

    tag[i] = NO_SLOT;
    if (read_post (d, pages[i], data + (size_t) i * PAGE))
      from = FROM_POST;
    else if (read_cache (d, pages[i], data + (size_t) i * PAGE))
      from = FROM_CACHE;
    __atomic_fetch_add (&d->reads[from], 1, __ATOMIC_RELAXED);
    if (from != FROM_POOL)
      continue;
    tag[i] = take_tag_locked (d);
    submit_locked (d, tag[i], VMSWAP_REQUEST_READ, pages[i], 1);
  }
  for (unsigned i = 0; i < n; ++i) {
    if (tag[i] == NO_SLOT)
      continue;
    r = r ? r : wait_for_result_locked (d, tag[i]);
    memcpy (data + (size_t) i * PAGE,
            driver_page (d, VMSWAP_RING_TAG_PAGES, tag[i]), PAGE);
    give_tag_locked (d, tag[i]);
  }
  pthread_mutex_unlock (&d->lock);
  return r;
}
