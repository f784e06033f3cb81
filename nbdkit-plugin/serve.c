// SPDX-License-Identifier: BSD-3-Clause
/* Requests of one connection, on the pool.
 *
 * Nothing here allocates, and only the first change of a connection locks, to
 * claim its export, and the first to the pages of the swap header.  What a
 * request that changes data does:
 *
 *     claim the export (once per connection)
 *     pass the gate of the guest (fair.h), try, leave --> done
 *         \-> no room --> full=error: fail with ENOSPC
 *                     \-> full=stall: wait for room (in the pool, or below
 *                         the quota of the export), try again; with STALL_MAX
 *                         waiting already, fail with ENOSPC
 */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fair.h"
#include "header.h"
#include "human.h"
#include "report.h"
#include "serve.h"
#include "swapheader.h"

/* A waiting write looks this often whether the client or the server has
 * gone. */
#define STALL_SLICE_MS 100

/* A request that may need room. */
struct request {
  enum { WRITE, ZERO } kind;
  const void *buf; /* WRITE */
  uint32_t count;
  uint64_t offset;
};

int
serve_fail (struct conn *conn, int err, const char *what, uint64_t offset)
{
  const char *name = volume_name (conn->volume);
  struct volume_stats stats;
  struct human limit;

  traffic_fail (&conn->traffic, err);
  switch (err) {
  case ESHUTDOWN: /* nbdkit_nanosleep has told the story */
    break;
  case ENOSPC:
    report (REPORT_FULL,
            "export '%s': no room to %s: the pool is full (pool=%s%s): free "
            "swap in a guest, or give the pool more with pool=",
            name, what, human_size (&limit, conn->settings->pool),
            pool_unfilled (conn->pool) ? ", the rest is reserved" : "");
    break;
  case EDQUOT:
    err = ENOSPC; /* no NBD client knows of quotas */
    volume_get_stats (conn->volume, &stats);
    report (REPORT_QUOTA,
            "export '%s': no room to %s: its quota is reached (quota=%s): free "
            "swap in that guest, or give it more with quota=",
            name, what, human_size (&limit, stats.quota));
    break;
  case ENOMEM:
    report (REPORT_MEMORY,
            "export '%s': cannot %s: the host has no memory for the pool: "
            "free some, or raise the memory limit of the server",
            name, what);
    break;
  case EIO:
    if (volume_is_lost (conn->volume))
      report (REPORT_LOST,
              "export '%s': cannot %s at offset %" PRIu64 ": a page there is "
              "lost, with an earlier server or because it failed its check",
              name, what, offset);
    else
      report (REPORT_DAMAGED,
              "export '%s': cannot %s at offset %" PRIu64 ": a page failed its "
              "check and is lost: host memory or the server is at fault (or "
              "it was posted by a ring, and found no room)",
              name, what, offset);
    break;
  default:
    report (REPORT_OTHER, "export '%s': cannot %s at offset %" PRIu64 ": %s",
            name, what, offset, strerror (err));
  }
  nbdkit_set_error (err);
  return -1;
}

/* What exports_claim and the like have reported. */
static int
fail_reported (struct conn *conn, int err)
{
  traffic_fail (&conn->traffic, err);
  nbdkit_set_error (err);
  return -1;
}

static int
attempt (const struct conn *conn, const struct request *request)
{
  int r;

  fair_enter (conn->gate);
  if (request->kind == WRITE)
    r = volume_write (conn->volume, request->buf, request->count,
                      request->offset);
  else
    r = volume_zero (conn->volume, request->count, request->offset);
  fair_leave (conn->gate);
  return r;
}

/* Was there no room in the pool, or below the quota? */
static bool
lacks_room (int r)
{
  return r == -ENOSPC || r == -EDQUOT;
}

/* Tries again whenever there may be room, until there is, or there is nobody
 * to do it for.  r says which kind of room is missing. */
static int
wait_and_retry (struct conn *conn, const struct request *request, int r)
{
  do {
    if (r == -EDQUOT)
      volume_wait_space (conn->volume, STALL_SLICE_MS);
    else
      pool_wait_space (conn->pool, STALL_SLICE_MS);
    if (nbdkit_nanosleep (0, 1) == -1)
      return -ESHUTDOWN;
    r = attempt (conn, request);
  } while (lacks_room (r));
  return r;
}

static int
stall (struct conn *conn, const struct request *request, int r)
{
  if (atomic_fetch_add (&conn->stalled, 1) < STALL_MAX)
    r = wait_and_retry (conn, request, r);
  atomic_fetch_sub (&conn->stalled, 1);
  return r;
}

static int
claim (struct conn *conn)
{
  if (atomic_load_explicit (&conn->claimed, memory_order_relaxed))
    return 0;
  return exports_claim (conn);
}

static bool
touches_header (const struct conn *conn, const struct request *request)
{
  return atomic_load_explicit (&conn->guarded, memory_order_relaxed) &&
         swapheader_touched (request->offset, request->count,
                             volume_size (conn->volume) / POOL_PAGE_SIZE);
}

/* What comes before any change.  Errors have been reported. */
static int
admit (struct conn *conn, const struct request *request)
{
  int r = claim (conn);

  if (r == 0 && touches_header (conn, request))
    r = exports_note_header (conn);
  return r;
}

static int
change (struct conn *conn, const struct request *request)
{
  int r = admit (conn, request);

  if (r < 0)
    return fail_reported (conn, -r);
  r = attempt (conn, request);
  if (lacks_room (r) && conn->settings->stall)
    r = stall (conn, request, r);
  if (r < 0)
    return serve_fail (conn, -r, request->kind == WRITE ? "write" : "zero",
                 request->offset);
  return 0;
}

/* A write to page 0 of an export that has lost pages.  A guest that makes a new
 * swap area does not want the old pages back. */
static void
forgive_if_new (struct conn *conn)
{
  if (header_is_new (conn->volume)) {
    volume_forgive (conn->volume);
    nbdkit_debug ("export '%s' is a new swap area: nothing is lost any more",
                  volume_name (conn->volume));
  }
}

static int
change_lost (struct conn *conn, const struct request *request)
{
  int r = change (conn, request);

  if (r == 0)
    forgive_if_new (conn);
  return r;
}

/* Every request is counted, with the time that it took, when it has ended. */
static int
count (struct conn *conn, enum traffic_op op, uint32_t bytes, uint64_t start,
       int r)
{
  traffic_count (&conn->traffic, op, bytes, start);
  return r;
}

int
serve_write (struct conn *conn, const void *buf, uint32_t bytes,
             uint64_t offset)
{
  const uint64_t start = traffic_clock ();
  const struct request request = {
    .kind = WRITE, .buf = buf, .count = bytes, .offset = offset
  };
  const bool lost = offset < POOL_PAGE_SIZE && volume_is_lost (conn->volume);

  return count (conn, TRAFFIC_WRITE, bytes, start,
                lost ? change_lost (conn, &request) : change (conn, &request));
}

int
serve_zero (struct conn *conn, uint32_t bytes, uint64_t offset)
{
  const uint64_t start = traffic_clock ();
  const struct request request = { .kind = ZERO,
                                   .count = bytes,
                                   .offset = offset };

  return count (conn, TRAFFIC_ZERO, bytes, start, change (conn, &request));
}

static int
trim (struct conn *conn, uint32_t bytes, uint64_t offset)
{
  int r = claim (conn);

  if (r < 0)
    return fail_reported (conn, -r);
  fair_enter (conn->gate);
  r = volume_trim (conn->volume, bytes, offset);
  fair_leave (conn->gate);
  return r < 0 ? serve_fail (conn, -r, "trim", offset) : 0;
}

int
serve_trim (struct conn *conn, uint32_t bytes, uint64_t offset)
{
  const uint64_t start = traffic_clock ();

  return count (conn, TRAFFIC_TRIM, bytes, start, trim (conn, bytes, offset));
}

int
serve_read (struct conn *conn, void *buf, uint32_t bytes, uint64_t offset)
{
  const uint64_t start = traffic_clock ();
  int r;

  fair_enter (conn->gate);
  r = volume_read (conn->volume, buf, bytes, offset);
  fair_leave (conn->gate);
  return count (conn, TRAFFIC_READ, bytes, start,
                r < 0 ? serve_fail (conn, -r, "read", offset) : 0);
}

int
serve_try_read (struct conn *conn, void *buf, uint32_t bytes, uint64_t offset)
{
  const uint64_t start = traffic_clock ();
  int r;

  fair_enter (conn->gate);
  r = volume_read (conn->volume, buf, bytes, offset);
  fair_leave (conn->gate);
  return count (conn, TRAFFIC_READ, bytes, start, r);
}

int
serve_try_write (struct conn *conn, const void *buf, uint32_t bytes,
                 uint64_t offset)
{
  const uint64_t start = traffic_clock ();
  const struct request request = {
    .kind = WRITE, .buf = buf, .count = bytes, .offset = offset
  };
  const bool lost = offset < POOL_PAGE_SIZE && volume_is_lost (conn->volume);
  int r = admit (conn, &request);

  if (r == 0)
    r = attempt (conn, &request);
  if (r == 0 && lost)
    forgive_if_new (conn);
  return count (conn, TRAFFIC_WRITE, bytes, start, r);
}

int
serve_try_trim (struct conn *conn, uint32_t bytes, uint64_t offset)
{
  const uint64_t start = traffic_clock ();
  int r;

  fair_enter (conn->gate);
  r = volume_trim (conn->volume, bytes, offset);
  fair_leave (conn->gate);
  return count (conn, TRAFFIC_TRIM, bytes, start, r);
}

struct walk {
  struct nbdkit_extents *extents;
  bool only_one;
};

/* Ends the walk with -1 when nbdkit takes no more (it has said why), with 1
 * when the client wants no more. */
static int
add_extent (void *opaque, uint64_t offset, uint64_t length,
            enum volume_extent kind)
{
  const struct walk *walk = opaque;
  const uint32_t type =
      kind == VOLUME_EXTENT_HOLE ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;

  if (nbdkit_add_extent (walk->extents, offset, length, type) == -1)
    return -1;
  return walk->only_one;
}

int
serve_extents (struct conn *conn, uint32_t count, uint64_t offset,
               bool only_one, struct nbdkit_extents *extents)
{
  struct walk walk = { .extents = extents, .only_one = only_one };
  int r;

  fair_enter (conn->gate);
  r = volume_extents (conn->volume, count, offset, add_extent, &walk);
  fair_leave (conn->gate);
  if (r < -1)
    return serve_fail (conn, -r, "map", offset);
  return r < 0 ? -1 : 0;
}
