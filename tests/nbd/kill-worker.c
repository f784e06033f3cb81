// SPDX-License-Identifier: BSD-3-Clause
/* One connection of kill-client, and its requests.
 *
 * Owns a worker: a range of an export, its shadow, and the slots.
 *
 *   1. No two slots touch the same byte.
 *   2. The shadow of a byte that no slot touches is what the server must
 *      return.
 *   3. A change whose outcome is not known (its server died, or it was refused
 *      on the way) keeps its slot until it has been read back: every page of
 *      it, or the part of a page that it asked for, is all old or all new, and
 *      stays what it was found to be.
 *
 * Lock: none; a worker belongs to its thread. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libnbd.h>

#include "content.h"
#include "kill-client.h"

#define SAMPLE 48      /* reads after each reconnect */
#define MAX_WAIT_MS 16 /* between two attempts to connect */

static void
wait_ms (unsigned ms)
{
  nanosleep (&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

static void
slot_free (struct slot *slot)
{
  free (slot->data);
  free (slot->buf);
  *slot = (struct slot){ .kind = FREE };
}

/* Sends what a slot wants now.  -1: the connection is gone. */
static int64_t
send_request (struct worker *w, struct slot *slot)
{
  static const uint32_t zero_flags[] = { 0, LIBNBD_CMD_FLAG_NO_HOLE,
                                         LIBNBD_CMD_FLAG_FAST_ZERO };
  const nbd_completion_callback none = NBD_NULL_COMPLETION;
  const uint64_t at = w->shadow.start + slot->offset;
  const uint32_t fua = worker_dice (w, 4) == 0 ? LIBNBD_CMD_FLAG_FUA : 0;

  switch (slot->kind) {
  case WRITE:
    return nbd_aio_pwrite (w->nbd, slot->data, slot->count, at, none, fua);
  case ZERO:
    return nbd_aio_zero (w->nbd, slot->count, at, none,
                         zero_flags[worker_dice (w, 3)]);
  case TRIM:
    /* All of an export, its first page included, if that is ours. */
    if (w->owns_export && slot->count == w->shadow.size)
      return nbd_aio_trim (w->nbd, w->export_size, 0, none, fua);
    return nbd_aio_trim (w->nbd, slot->count, at, none, fua);
  case READ:
  case FREE:
    break;
  }
  slot->buf = worker_allocate (slot->count);
  slot->length = slot->count;
  return nbd_aio_pread (w->nbd, slot->buf, slot->count, at, none, 0);
}

/* Reads back the next piece, which ends where a page does. */
static int64_t
send_settling (struct worker *w, struct slot *slot)
{
  const uint64_t at = w->shadow.start + slot->offset + slot->done;
  const uint32_t left = slot->count - slot->done;
  const uint32_t most = CHUNK - at % PAGE;

  slot->length = left < most ? left : most;
  if (slot->buf == NULL)
    slot->buf = worker_allocate (CHUNK);
  return nbd_aio_pread (w->nbd, slot->buf, slot->length, at,
                        NBD_NULL_COMPLETION, 0);
}

static bool
launch (struct worker *w, struct slot *slot)
{
  const int64_t cookie =
      slot->settling ? send_settling (w, slot) : send_request (w, slot);

  /* One that could not be sent may have been sent in part. */
  slot->flying = true;
  slot->cookie = cookie;
  return cookie != -1;
}

/* False: the connection is gone. */
static bool
top_up (struct worker *w)
{
  if (worker_all_free (w))
    worker_next_mode (w);
  for (unsigned i = 0; i < w->nr_slots; ++i)
    if (w->slots[i].kind != FREE && !w->slots[i].flying &&
        !launch (w, &w->slots[i]))
      return false;
  for (unsigned i = 0; i < w->nr_slots; ++i) {
    if (w->slots[i].kind != FREE)
      continue;
    if (!worker_make_request (w, &w->slots[i]))
      break;
    if (!launch (w, &w->slots[i]))
      return false;
  }
  return true;
}

static void
check_read (struct worker *w, struct slot *slot)
{
  const uint32_t at =
      shadow_differs (&w->shadow, slot->offset, slot->count, slot->buf);

  if (at < slot->count)
    report_wrong (1,
                  "export '%s' offset %" PRIu64 ": reads %02x instead of "
                  "%02x (%u of a read of %u bytes)",
                  w->export, w->shadow.start + slot->offset + at, slot->buf[at],
                  w->shadow.data[slot->offset + at], at, slot->count);
}

/* A piece has been read back. */
static void
settle_piece (struct worker *w, struct slot *slot)
{
  uint32_t at = 0;
  const uint8_t *wanted = slot->data ? slot->data + slot->done : NULL;
  const unsigned wrong =
      shadow_settle (&w->shadow, slot->offset + slot->done, slot->length,
                     slot->buf, wanted, slot->whole_pages_are_new, &at);

  if (wrong)
    report_wrong (wrong,
                  "export '%s' offset %" PRIu64 ": a request of %u bytes that "
                  "was not answered, or done in part, left neither the old "
                  "nor the new content",
                  w->export, w->shadow.start + at, slot->count);
  slot->done += slot->length;
  if (slot->done == slot->count)
    slot_free (slot);
}

static void
start_settling (struct slot *slot)
{
  slot->settling = true;
  slot->done = 0;
}

/* The server has said: done. */
static void
acknowledged (struct worker *w, struct slot *slot)
{
  uint8_t *shadow = w->shadow.data + slot->offset;
  const uint64_t at = w->shadow.start + slot->offset;

  atomic_fetch_add (&w->requests, 1);
  atomic_fetch_add (&w->pages, (slot->count + PAGE - 1) / PAGE);
  switch (slot->kind) {
  case READ:
    check_read (w, slot);
    break;
  case WRITE:
    memcpy (shadow, slot->data, slot->count);
    break;
  case TRIM:
    /* A trim may leave parts of pages alone when there is no room. */
    if (at % PAGE || slot->count % PAGE) {
      slot->whole_pages_are_new = true;
      start_settling (slot);
      return;
    }
    memset (shadow, 0, slot->count);
    break;
  case ZERO:
    memset (shadow, 0, slot->count);
    break;
  case FREE:
    break;
  }
  slot_free (slot);
}

/* The server has not said anything, and will not. */
static void
unanswered (struct worker *w, struct slot *slot)
{
  slot->flying = false;
  if (slot->settling)
    return; /* is read again */
  if (slot->kind == READ) {
    slot_free (slot);
    return;
  }
  atomic_fetch_add (&w->unacknowledged, 1);
  start_settling (slot);
}

/* An answer, or what libnbd says in its place. */
static void
answered (struct worker *w, struct slot *slot, int err)
{
  static const char *const names[] = { "nothing", "read", "write", "zero",
                                       "trim" };

  if (err == ESHUTDOWN)
    atomic_fetch_add (&w->shutdowns, 1);
  if (err == ENOTCONN || err == ESHUTDOWN) {
    unanswered (w, slot);
    return;
  }
  atomic_fetch_add (&w->progress, 1);
  slot->flying = false;
  if (err == 0 && slot->settling)
    settle_piece (w, slot);
  else if (err == 0)
    acknowledged (w, slot);
  else if (err == ENOSPC && (slot->kind == WRITE || slot->kind == ZERO)) {
    atomic_fetch_add (&w->refused, 1);
    start_settling (slot);
  }
  else
    report_wrong (1, "export '%s' offset %" PRIu64 ": %s of %u bytes%s: %s",
                  w->export, w->shadow.start + slot->offset, names[slot->kind],
                  slot->count, slot->settling ? ", being read back" : "",
                  strerror (err));
}

static void
reap (struct worker *w)
{
  int64_t cookie;

  while ((cookie = nbd_aio_peek_command_completed (w->nbd)) > 0) {
    const int r = nbd_aio_command_completed (w->nbd, cookie);
    const int err = r == -1 ? nbd_get_errno () : 0;

    for (unsigned i = 0; i < w->nr_slots; ++i)
      if (w->slots[i].kind != FREE && w->slots[i].flying &&
          w->slots[i].cookie == (uint64_t) cookie) {
        answered (w, &w->slots[i], err);
        break;
      }
  }
}

static bool
is_gone (struct worker *w)
{
  return nbd_aio_is_dead (w->nbd) || nbd_aio_is_closed (w->nbd);
}

/* The server has died.  What it had answered before counts. */
static void
disconnect (struct worker *w)
{
  reap (w);
  nbd_close (w->nbd);
  w->nbd = NULL;
  atomic_store (&w->connected, false);
  atomic_fetch_add (&w->reconnects, 1);
  for (unsigned i = 0; i < w->nr_slots; ++i)
    if (w->slots[i].kind != FREE && w->slots[i].flying)
      unanswered (w, &w->slots[i]);
  w->nr_sample = SAMPLE;
  w->cursor = 0;
  if (w->mode == MIX && worker_dice (w, 10) == 0)
    worker_drain (w, VERIFY);
}

/* The first page is the server's: a swap header, unless everything was
 * trimmed, or there was no room. */
static bool
check_first_page (struct worker *w)
{
  uint8_t page[PAGE];

  if (nbd_pread (w->nbd, page, PAGE, 0, 0) == -1) {
    if (!is_gone (w) && nbd_get_errno () != ESHUTDOWN)
      report_wrong (1, "export '%s': first page: %s", w->export,
                    nbd_get_error ());
    return false;
  }
  if (!content_is_zero (page, PAGE) &&
      memcmp (page + PAGE - 10, "SWAPSPACE2", 10) != 0)
    report_wrong (1, "export '%s': the first page is no swap header",
                  w->export);
  return true;
}

static bool
try_connect (struct worker *w)
{
  char uri[512];

  snprintf (uri, sizeof uri, "nbd+unix:///%s?socket=%s", w->export, w->socket);
  w->nbd = nbd_create ();
  if (w->nbd == NULL || nbd_set_strict_mode (w->nbd, 0) == -1) {
    fprintf (stderr, "kill-client: %s\n", nbd_get_error ());
    exit (3);
  }
  if (nbd_connect_uri (w->nbd, uri) == -1 || !check_first_page (w)) {
    nbd_close (w->nbd);
    w->nbd = NULL;
    return false;
  }
  if ((uint64_t) nbd_get_size (w->nbd) != w->export_size ||
      nbd_is_read_only (w->nbd))
    report_wrong (1, "export '%s' has another size, or is read-only",
                  w->export);
  return true;
}

/* Until there is a server that offers the export. */
static void
connect_again (struct worker *w)
{
  struct timespec now;
  unsigned ms = 1;

  while (!try_connect (w)) {
    wait_ms (ms);
    ms = ms * 2 < MAX_WAIT_MS ? ms * 2 : MAX_WAIT_MS;
  }
  clock_gettime (CLOCK_MONOTONIC, &now);
  printf ("answer %" PRIu64 "\n",
          now.tv_sec * UINT64_C (1000000000) + now.tv_nsec);
  fflush (stdout);
  atomic_store (&w->connected, true);
}

void *
worker_run (void *opaque)
{
  struct worker *w = opaque;

  worker_next_phase (w);
  while (!atomic_load (&w->finished)) {
    if (w->nbd == NULL)
      connect_again (w);
    const bool sent = top_up (w);
    if (!sent || nbd_poll (w->nbd, 100) == -1 || is_gone (w))
      disconnect (w);
    else
      reap (w);
  }
  nbd_shutdown (w->nbd, 0);
  nbd_close (w->nbd);
  return NULL;
}
