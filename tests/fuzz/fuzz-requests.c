// SPDX-License-Identifier: BSD-3-Clause
/* Fuzz target: what clients may ask of the plugin.
 *
 * The plugin's own callbacks are called as nbdkit calls them: bounds are
 * checked before, a read-only connection gets no write through.  Several peers
 * open several exports of a pool so small that it runs full, without a
 * steward; the cleaner is one more request.  A shadow of every export tells
 * what must be read:
 *
 *   a request that succeeds has done all of it, and nothing else
 *   one that fails for lack of room leaves each page as it was or as it was to
 *   be; for lack of the right to write, everything as it was
 *   holes are exactly the pages of zeroes
 *
 * First byte: the parameters.  Then one byte per request, and what it needs. */

#include "plugin.c"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "internal.h"
#include "server.h"
#include "swapheader.h"

#define SIZE (66u * POOL_PAGE_SIZE)
#define PAGES (SIZE / POOL_PAGE_SIZE)
#define SLOTS 5
#define LONGEST (128u << 10)
#define MAX_REQUESTS 200

enum { SHARE = 1, LISTED = 2, NO_HEADER = 4, CODEC_NONE = 8, ROOM = 0x30 };

/* What a client may know of an export. */
static struct shadow {
  const char *name;
  uint8_t *data; /* SIZE bytes */
  unsigned conns;
  bool listed, written, claimed;
  unsigned holder;         /* a number of peers[] */
  bool serial;             /* the holder is a single connection … */
  const struct slot *slot; /* … this one */
} shadows[] = {
  { .name = "a" },
  { .name = "b" },
  { .name = "vm/disk 1" },
  { .name = "default" },
};

#define NR_SHADOWS (sizeof shadows / sizeof shadows[0])

/* 128 bytes */
#define TOO_LONG                                                               \
  "0123456789012345678901234567890123456789012345678901234567890123"           \
  "0123456789012345678901234567890123456789012345678901234567890123"

static const char *const bad_names[] = {
  "a,b", "\x7f", "\xc3\xa4", "a\nb", TOO_LONG,
};

/* Processes that exist (a gone one is waited for), addresses, and peers that
 * nobody can tell apart from others. */
static const struct peer_kind_and_id {
  sa_family_t family;
  int64_t pid;
  uint32_t address;
} peers[] = {
  { AF_UNIX, 1, 0 },   { AF_UNIX, -1, 0 },         { AF_UNIX, 0, 0 },
  { AF_UNSPEC, 0, 0 }, { AF_INET, 0, 0x7f000001 }, { AF_INET, 0, 0x7f000002 },
};

#define NR_PEERS (sizeof peers / sizeof peers[0])

static struct slot {
  struct conn *conn;
  struct shadow *shadow;
  unsigned peer;
} slots[SLOTS];

static unsigned options;
static uint8_t *buffer; /* LONGEST bytes before a guard */
static uint8_t *before; /* likewise */

static uint8_t *
at_end (uint8_t *room, uint32_t count)
{
  return room + LONGEST - count;
}

static bool
is_zero (const uint8_t *data, size_t n)
{
  return n == 0 || (data[0] == 0 && memcmp (data, data + 1, n - 1) == 0);
}

static bool
is_serial (unsigned peer)
{
  return peers[peer].family == AF_UNSPEC ||
         (peers[peer].family == AF_UNIX && peers[peer].pid == 0);
}

static bool
is_holder (const struct shadow *shadow, const struct slot *slot)
{
  return shadow->claimed && (shadow->serial ? shadow->slot == slot
                                            : !is_serial (slot->peer) &&
                                                  shadow->holder == slot->peer);
}

/* Starting and stopping the plugin. */

static void
give (const char *key, const char *value)
{
  if (vmswap_config (key, value) != 0)
    FUZZ_FAIL ("%s=%s is refused: %s", key, value, server.line);
}

/* Makes the pool smaller than any that can be asked for: as if its fixed
 * tables took more. */
static void
shrink_pool (uint64_t room)
{
  const uint64_t capacity = pool_capacity (pool);
  const uint64_t less = (capacity - room) & ~(uint64_t) (POOL_PAGE_SIZE - 1);

  arena_charge_anyway (&pool->arena, less);
  pool->fixed_bytes += less;
  pool_weigh (pool);
}

static void
start (void)
{
  static const struct settings fresh = SETTINGS_DEFAULT;
  char size[32];

  settings = fresh;
  snprintf (size, sizeof size, "%u", SIZE);
  give ("pool", "16M");
  give ("size", size);
  if (strstr (settings_help, "registry="))
    give ("registry", "none");
  give ("share", options & SHARE ? "yes" : "no");
  give ("swap-header", options & NO_HEADER ? "no" : "yes");
  if (options & CODEC_NONE)
    give ("compressor", "none");
  for (unsigned i = 0; i < NR_SHADOWS; ++i) {
    shadows[i].listed = options & LISTED && i < 2;
    if (shadows[i].listed)
      give ("guest", shadows[i].name);
  }
  if (vmswap_config_complete () != 0 || vmswap_get_ready () != 0)
    FUZZ_FAIL ("the plugin does not start: %s", server.line);
  if (options & ROOM)
    shrink_pool ((uint64_t) (options & ROOM) << 14); /* 256 to 768 KiB */
}

static void
stop (void)
{
  vmswap_cleanup ();
  vmswap_unload ();
  pool = NULL;
  server_free ();
}

/* Checks of a pool at rest. */

static void
check_pages (const struct shadow *shadow)
{
  struct volume *volume = volume_find (pool, shadow->name);
  struct volume_stats stats;
  uint64_t pages = 0;

  for (unsigned i = 0; i < PAGES; ++i)
    pages += !is_zero (shadow->data + i * POOL_PAGE_SIZE, POOL_PAGE_SIZE);
  if (!volume) {
    if (pages || shadow->conns || shadow->listed)
      FUZZ_FAIL ("export '%s' is gone", shadow->name);
    return;
  }
  volume_get_stats (volume, &stats);
  if (stats.stored_pages != pages || stats.lost_pages ||
      stats.bad_pages)
    FUZZ_FAIL ("export '%s' counts other pages than it has", shadow->name);
}

static void
check_all (void)
{
  char report[256];

  if (pool_check (pool, true, report, sizeof report) != 0)
    FUZZ_FAIL ("the pool is not right: %s", report);
  for (unsigned i = 0; i < NR_SHADOWS; ++i)
    check_pages (&shadows[i]);
}

/* Reads through the callback and compares. */
static void
check_data (const struct slot *slot, uint32_t count, uint32_t offset)
{
  uint8_t *to = at_end (buffer, count);

  server_reset ();
  if (vmswap_pread (slot->conn, to, count, offset, 0) != 0 || server.errors)
    FUZZ_FAIL ("a read of %u at %u fails: %s", count, offset, server.line);
  if (memcmp (to, slot->shadow->data + offset, count) != 0)
    FUZZ_FAIL ("a read of %u at %u of '%s' is wrong", count, offset,
               slot->shadow->name);
}

/* Opening and closing. */

/* A blank export without connections gets a header, if there is room. */
static void
expect_header (struct slot *slot)
{
  uint8_t page[POOL_PAGE_SIZE], *read = at_end (buffer, POOL_PAGE_SIZE);
  struct shadow *shadow = slot->shadow;

  if (options & NO_HEADER || shadow->conns > 1 || !is_zero (shadow->data, SIZE))
    return;
  swapheader_make (page, shadow->name, SIZE);
  if (vmswap_pread (slot->conn, read, POOL_PAGE_SIZE, 0, 0) != 0)
    FUZZ_FAIL ("page 0 cannot be read: %s", server.line);
  if (memcmp (read, page, POOL_PAGE_SIZE) != 0 && (options & ROOM) == 0)
    FUZZ_FAIL ("there is room, and no header");
  if (memcmp (read, page, POOL_PAGE_SIZE) != 0 &&
      !is_zero (read, POOL_PAGE_SIZE))
    FUZZ_FAIL ("page 0 is neither empty nor a header");
  memcpy (shadow->data, read, POOL_PAGE_SIZE);
}

static void
open_slot (struct slot *slot, uint8_t which, unsigned peer)
{
  const unsigned n = which % (NR_SHADOWS + 6);
  struct shadow *shadow = n < NR_SHADOWS ? &shadows[n] : NULL;

  server.export = shadow ? shadow->name : bad_names[(n - NR_SHADOWS) % 5];
  if (n == NR_SHADOWS + 5) { /* nbdkit asks for the name of "" */
    server.export = vmswap_default_export (0, 0);
    shadow = options & LISTED ? NULL : &shadows[3];
  }
  server.family = peers[peer].family;
  server.pid = peers[peer].pid == -1 ? getpid () : peers[peer].pid;
  server.address = peers[peer].address;
  server_reset ();
  slot->conn = vmswap_open (0);
  if (!shadow || (options & LISTED && !shadow->listed)) {
    if (slot->conn || server.error == 0 || server.errors > 1)
      FUZZ_FAIL ("'%s' can be opened", server.export);
    return;
  }
  if (!slot->conn)
    FUZZ_FAIL ("'%s' cannot be opened: %s", shadow->name, server.line);
  slot->shadow = shadow;
  slot->peer = peer;
  shadow->conns++;
  FUZZ_CHECK (vmswap_get_size (slot->conn) == SIZE);
  FUZZ_CHECK (vmswap_export_description (slot->conn) != NULL);
  if (vmswap_can_write (slot->conn) !=
      (!shadow->claimed || is_holder (shadow, slot)))
    FUZZ_FAIL ("'%s' may be written: %d", shadow->name,
               vmswap_can_write (slot->conn));
  expect_header (slot);
}

/* The claim ends with the last connection of its holder; an export that
 * nobody has written to ends with its last connection. */
static void
close_slot (struct slot *slot)
{
  struct shadow *shadow = slot->shadow;
  bool held = false;

  if (!slot->conn)
    return;
  server_reset ();
  vmswap_close (slot->conn);
  slot->conn = NULL;
  slot->shadow = NULL;
  shadow->conns--;
  for (unsigned i = 0; i < SLOTS; ++i)
    held |= slots[i].shadow == shadow && is_holder (shadow, &slots[i]);
  shadow->claimed &= held;
  if (shadow->conns || shadow->listed)
    return;
  if (!shadow->written || is_zero (shadow->data, SIZE)) {
    memset (shadow->data, 0, SIZE);
    shadow->written = false;
    if (volume_find (pool, shadow->name))
      FUZZ_FAIL ("'%s' holds nothing and is still there", shadow->name);
  }
}

/* Requests. */

/* False: it must fail, because the export is another's. */
static bool
claim_shadow (struct slot *slot)
{
  struct shadow *shadow = slot->shadow;

  if (!(options & SHARE)) {
    if (shadow->claimed && !is_holder (shadow, slot))
      return false;
    if (!shadow->claimed) {
      shadow->claimed = true;
      shadow->holder = slot->peer;
      shadow->serial = is_serial (slot->peer);
      shadow->slot = slot;
    }
  }
  shadow->written = true;
  return true;
}

/* After a request that stopped somewhere: each page is as it was, or as it
 * was to be, which is in *before. */
static void
resync (struct slot *slot, uint32_t count, uint32_t offset)
{
  uint8_t *data = slot->shadow->data;
  const uint8_t *wanted = at_end (before, count);
  const uint32_t end = offset + count;
  uint8_t old[POOL_PAGE_SIZE], new[POOL_PAGE_SIZE], now[POOL_PAGE_SIZE];

  for (uint32_t page = offset / POOL_PAGE_SIZE * POOL_PAGE_SIZE; page < end;
       page += POOL_PAGE_SIZE) {
    const uint32_t from = page < offset ? offset : page;
    const uint32_t upto =
        page + POOL_PAGE_SIZE < end ? page + POOL_PAGE_SIZE : end;

    memcpy (old, data + page, POOL_PAGE_SIZE);
    memcpy (new, old, POOL_PAGE_SIZE);
    memcpy (new + (from - page), wanted + (from - offset), upto - from);
    if (vmswap_pread (slot->conn, now, POOL_PAGE_SIZE, page, 0) != 0)
      FUZZ_FAIL ("a page cannot be read after a failed request");
    if (memcmp (now, old, sizeof now) != 0 &&
        memcmp (now, new, sizeof now) != 0)
      FUZZ_FAIL ("a page is neither as it was nor as it was to be");
    memcpy (data + page, now, POOL_PAGE_SIZE);
  }
}

/* What came of a request that was to make the range what *before holds. */
static void
judge (struct slot *slot, int r, bool allowed, bool may_lack_room,
       uint32_t count, uint32_t offset)
{
  if (r == 0) {
    if (!allowed)
      FUZZ_FAIL ("two peers can write to '%s'", slot->shadow->name);
    if (server.errors)
      FUZZ_FAIL ("it went well, and yet: %s", server.line);
    memcpy (slot->shadow->data + offset, at_end (before, count), count);
    return;
  }
  if (r != -1 || server.errors > 1 ||
      server.error != (allowed ? ENOSPC : EPERM) || (allowed && !may_lack_room))
    FUZZ_FAIL ("a change fails: %d, error %d, %s", r, server.error,
               server.line);
  if (allowed)
    resync (slot, count, offset);
  check_data (slot, count, offset);
}

static void
make_content (uint8_t *to, uint32_t count, uint8_t kind, uint32_t seed)
{
  uint8_t page[POOL_PAGE_SIZE];

  if (kind % 4 == 0) {
    memset (to, kind & 0x10 ? (int) seed : 0, count);
    return;
  }
  for (uint32_t done = 0; done < count; done += POOL_PAGE_SIZE) {
    const uint32_t n =
        count - done < POOL_PAGE_SIZE ? count - done : POOL_PAGE_SIZE;

    fuzz_content (page, (seed += 8) | (kind % 4 == 1 ? 7 : 0));
    memcpy (to + done, page, n);
  }
}

static bool
may_change (const struct slot *slot)
{
  return vmswap_can_write (slot->conn) != 0;
}

static void
request_write (struct slot *slot, struct input *input, uint32_t count,
               uint32_t offset)
{
  uint8_t *from = at_end (before, count);
  const uint8_t kind = input_u8 (input);

  make_content (from, count, kind, input_u8 (input));
  if (!may_change (slot))
    return;
  const bool allowed = claim_shadow (slot);
  server_reset ();
  judge (slot, vmswap_pwrite (slot->conn, from, count, offset, 0), allowed,
         true, count, offset);
}

static void
request_zero (struct slot *slot, struct input *input, uint32_t count,
              uint32_t offset)
{
  const uint8_t flags = input_u8 (input);

  if (!may_change (slot))
    return;
  const bool allowed = claim_shadow (slot);
  memset (at_end (before, count), 0, count);
  server_reset ();
  judge (slot,
         vmswap_zero (slot->conn, count, offset,
                      (flags & 1 ? NBDKIT_FLAG_MAY_TRIM : 0) |
                          (flags & 2 ? NBDKIT_FLAG_FUA : 0) |
                          (flags & 4 ? NBDKIT_FLAG_FAST_ZERO : 0)),
         allowed, true, count, offset);
}

/* Parts of pages at the edges may stay what they are. */
static void
request_trim (struct slot *slot, struct input *input, uint32_t count,
              uint32_t offset)
{
  (void) input;
  if (!may_change (slot))
    return;
  const bool allowed = claim_shadow (slot);
  memset (at_end (before, count), 0, count);
  server_reset ();
  const int r = vmswap_trim (slot->conn, count, offset, 0);
  if (r == 0 && allowed) {
    const uint32_t first = (offset + POOL_PAGE_SIZE - 1) / POOL_PAGE_SIZE;
    const uint32_t end = (offset + count) / POOL_PAGE_SIZE;

    resync (slot, count, offset);
    if (first < end &&
        !is_zero (slot->shadow->data + (size_t) first * POOL_PAGE_SIZE,
                  (size_t) (end - first) * POOL_PAGE_SIZE))
      FUZZ_FAIL ("pages were trimmed and are there");
    memcpy (at_end (before, count), slot->shadow->data + offset, count);
  }
  judge (slot, r, allowed, false, count, offset);
}

static void
request_read (struct slot *slot, struct input *input, uint32_t count,
              uint32_t offset)
{
  (void) input;
  check_data (slot, count, offset);
}

/* A page is in a hole exactly if it is zeroes. */
static void
look_at_extent (void *opaque, uint64_t offset, uint64_t length, uint32_t type)
{
  const struct slot *slot = opaque;
  const uint64_t end = offset + length;

  for (uint64_t page = offset / POOL_PAGE_SIZE; page * POOL_PAGE_SIZE < end;
       ++page)
    if (is_zero (slot->shadow->data + page * POOL_PAGE_SIZE, POOL_PAGE_SIZE) !=
        (type != 0))
      FUZZ_FAIL ("page %llu of '%s': the extents say %u",
                 (unsigned long long) page, slot->shadow->name, type);
}

static void
request_extents (struct slot *slot, struct input *input, uint32_t count,
                 uint32_t offset)
{
  struct nbdkit_extents extents = { .start = offset,
                                    .end = offset + count,
                                    .upto = offset,
                                    .fn = look_at_extent,
                                    .opaque = slot };
  const uint32_t flags = input_u8 (input) & 1 ? NBDKIT_FLAG_REQ_ONE : 0;

  server_reset ();
  if (vmswap_extents (slot->conn, count, offset, flags, &extents) != 0 ||
      server.errors)
    FUZZ_FAIL ("extents fail: %s", server.line);
  if (flags ? extents.upto <= extents.start : extents.upto != extents.end)
    FUZZ_FAIL ("extents end at %llu", (unsigned long long) extents.upto);
}

static void
request_rest (struct slot *slot, struct input *input, uint32_t count,
              uint32_t offset)
{
  (void) input;
  server_reset ();
  if (vmswap_cache (slot->conn, count, offset, 0) != 0 ||
      vmswap_flush (slot->conn, 0) != 0 || server.errors)
    FUZZ_FAIL ("cache or flush fails: %s", server.line);
}

/* What the operator and the steward do meanwhile. */
static void
compact (void)
{
  const int err = pool_compact (pool);

  if (err != 0 && err != -ENOSPC)
    FUZZ_FAIL ("cleaning: error %d", err);
  server.exports = 0;
  server_reset ();
  FUZZ_CHECK (vmswap_list_exports (0, 0, NULL) == 0);
  FUZZ_CHECK (server.exports > 0 && server.errors == 0);
}

typedef void request_fn (struct slot *slot, struct input *input, uint32_t count,
                         uint32_t offset);

static request_fn *const requests[] = {
  request_read, request_write, request_write,   request_zero,
  request_trim, request_write, request_extents, request_rest,
};

/* Lengths from one byte to half a megabyte, at any offset where they fit. */
static void
request (struct input *input, uint8_t code)
{
  struct slot *slot = &slots[(code >> 3) % SLOTS];
  const uint8_t size = input_u8 (input);
  const uint32_t low = input_u16 (input);
  uint32_t count, offset = input_u16 (input);

  if (!slot->conn)
    return;
  switch (size % 4) {
  case 0:
    count = 1 + low % 64;
    break;
  case 1:
    count = 1 + low % (3 * POOL_PAGE_SIZE);
    break;
  case 2:
    count = (1 + low % 16) * POOL_PAGE_SIZE;
    break;
  default:
    count = 1 + low * 8 % LONGEST;
  }
  if (size & 4)
    offset *= 16;
  else
    offset = offset % PAGES * POOL_PAGE_SIZE;
  offset %= SIZE - count + 1;
  requests[code % 8](slot, input, count, offset);
}

/* New limits for an export, while its requests go on; only where pools may be
 * full anyway: the requests are judged alike. */
static void
change_limits (struct input *input)
{
  const uint8_t n = input_u8 (input);
  const char *name = shadows[n % NR_SHADOWS].name;
  const uint64_t quota = (uint64_t) input_u8 (input) * POOL_PAGE_SIZE;
  const uint64_t reserve =
      n & 0x80 ? (uint64_t) input_u8 (input) * POOL_PAGE_SIZE : 0;
  char reason[512] = "";
  int r;

  server_reset ();
  r = exports_set_limits (name, quota, reserve, reason, sizeof reason);
  FUZZ_CHECK (server.errors == 0);
  FUZZ_CHECK (r == 0 || r == -ENOENT || r == -EINVAL || r == -ENOSPC);
  FUZZ_CHECK ((r == 0) == (reason[0] == '\0') && !strchr (reason, '\n'));
  if (r != -ENOENT)
    FUZZ_CHECK ((r == -EINVAL) == (limits_bad (quota, reserve) != NULL));
}

static void
step (struct input *input)
{
  const uint8_t code = input_u8 (input);
  struct slot *slot;

  if (code < 200) {
    request (input, code);
    return;
  }
  slot = &slots[code % SLOTS];
  switch (code / SLOTS % 6) {
  case 0:
    compact ();
    break;
  case 1:
    check_all ();
    if (options & ROOM)
      change_limits (input);
    break;
  case 2:
    close_slot (slot);
    break;
  default:
    close_slot (slot);
    const uint8_t name = input_u8 (input);
    open_slot (slot, name, input_u8 (input) % NR_PEERS);
  }
}

static void
prepare (void)
{
  if (!buffer) {
    buffer = fuzz_guarded (LONGEST);
    before = fuzz_guarded (LONGEST);
    for (unsigned i = 0; i < NR_SHADOWS; ++i)
      shadows[i].data = malloc (SIZE);
  }
  for (unsigned i = 0; i < NR_SHADOWS; ++i) {
    struct shadow *shadow = &shadows[i];

    if (!is_zero (shadow->data, SIZE) || shadow->written)
      memset (shadow->data, 0, SIZE);
    shadow->conns = 0;
    shadow->written = shadow->claimed = false;
  }
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  struct input input = { data, data + size };

  options = input_u8 (&input);
  prepare ();
  fuzz_restart_random ();
  server_reset ();
  start ();
  for (unsigned i = 0; i < 3; ++i)
    open_slot (&slots[i], options & LISTED ? i % 2 : i, i);
  for (unsigned n = 0; n < MAX_REQUESTS && !input_is_over (&input); ++n)
    step (&input);
  for (unsigned i = 0; i < SLOTS; ++i)
    for (uint32_t at = 0; slots[i].conn && at < SIZE; at += SIZE / 3)
      check_data (&slots[i], SIZE / 3, at);
  check_all ();
  for (unsigned i = 0; i < SLOTS; ++i)
    close_slot (&slots[i]);
  check_all ();
  stop ();
  return 0;
}
