// SPDX-License-Identifier: BSD-3-Clause
/* What an operator may do to a running server.  Owns nothing; exports_alone
 * keeps clients away meanwhile. */

#include <config.h>

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exports.h"
#include "header.h"
#include "human.h"
#include "operate.h"
#include "pool.h"
#include "text.h"

static void say (struct operation *ret, int status, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

static void
say (struct operation *ret, int status, const char *format, ...)
{
  va_list args;

  ret->status = status;
  va_start (args, format);
  vsnprintf (ret->line, sizeof ret->line, format, args);
  va_end (args);
}

/* What all operations can fail with. */
static void
say_why_not (struct operation *ret, const char *name,
             const struct peer_text *who, int err)
{
  switch (err) {
  case ENOENT:
    say (ret, 404, "there is no export '%s': see vmswapctl status", name);
    break;
  case EBUSY:
    say (ret, 409,
         "export '%s' is in use by %s: detach it there first, or shut that "
         "guest down",
         name, who->text);
    break;
  case EIO:
    say (ret, 503,
         "export '%s': done, but the registry cannot be written: see to the "
         "disk of registry=, then do this again",
         name);
    break;
  default:
    say (ret, 503, "export '%s': %s", name, strerror (err));
  }
}

struct grow {
  uint64_t size;
  uint64_t before;
  int err; /* of volume_resize */
  bool fresh;
};

/* A header that is all there is would tell the old size. */
static int
grow_alone (struct volume *volume, void *opaque)
{
  struct grow *grow = opaque;

  grow->before = volume_size (volume);
  grow->fresh = header_is_all (volume);
  if (grow->fresh)
    volume_trim (volume, POOL_PAGE_SIZE, 0);
  grow->err = -volume_resize (volume, grow->size);
  return 0;
}

static void
say_grown (struct operation *ret, const char *name, const struct grow *grow)
{
  struct human before, now;

  human_size (&before, grow->before);
  human_size (&now, grow->size);
  if (grow->err == EBUSY)
    say (ret, 409,
         "export '%s' stays at %s: pages beyond %s hold data: swapoff and "
         "discard the disk in the guest, or reset the export",
         name, before.text, now.text);
  else if (grow->err != 0)
    say (ret, 503, "export '%s' stays at %s: %s", name, before.text,
         strerror (grow->err));
  else
    say (ret, 200,
         "export '%s' is %s now, it was %s%s; give guest= or size= that value, "
         "too, before the server is started again",
         name, now.text, before.text,
         grow->fresh ? "" : ": in the guest, mkswap makes use of it");
}

void
operate_grow (const char *guest, uint64_t size, struct operation *ret)
{
  struct grow grow = { .size = size };
  struct peer_text who;
  struct text_name name;
  struct human least, most;
  int r;

  text_utf8 (guest, &name);
  if (size < EXPORT_MIN_SIZE || size > EXPORT_MAX_SIZE ||
      size % POOL_PAGE_SIZE != 0) {
    say (ret, 400, "a size is a multiple of %u, from %s to %s", POOL_PAGE_SIZE,
         human_size (&least, EXPORT_MIN_SIZE),
         human_size (&most, EXPORT_MAX_SIZE));
    return;
  }
  r = exports_alone (guest, grow_alone, &grow, &who);
  if (r < 0)
    say_why_not (ret, name.text, &who, -r);
  else
    say_grown (ret, name.text, &grow);
}

struct reset {
  bool all;
  bool lost;
  uint64_t pages; /* that are dropped */
};

static int
reset_alone (struct volume *volume, void *opaque)
{
  struct reset *reset = opaque;

  reset->lost = volume_is_lost (volume);
  volume_forgive (volume);
  if (reset->all) {
    reset->pages = header_pages (volume);
    volume_trim (volume, volume_size (volume), 0);
  }
  return 0;
}

void
operate_reset (const char *guest, bool all, struct operation *ret)
{
  struct reset reset = { .all = all };
  struct peer_text who;
  struct text_name name;
  const int r = exports_alone (guest, reset_alone, &reset, &who);

  text_utf8 (guest, &name);
  if (r < 0)
    say_why_not (ret, name.text, &who, -r);
  else if (all)
    say (ret, 200,
         "export '%s' is as new: %" PRIu64 " pages are dropped%s; a guest that "
         "had swapped to it must be started anew",
         name.text, reset.pages,
         reset.lost ? ", and what was lost is forgotten" : "");
  else if (reset.lost)
    say (ret, 200,
         "export '%s': what was lost reads as zeroes from now on; a guest that "
         "had swapped to it must be started anew",
         name.text);
  else
    say (ret, 200, "export '%s' has lost nothing: it stays as it is",
         name.text);
}

void
operate_limit (const char *guest, uint64_t quota, uint64_t reserve,
               struct operation *ret)
{
  char reason[sizeof ret->line];
  struct peer_text nobody = { 0 };
  struct text_name name;
  const int r =
      exports_set_limits (guest, quota, reserve, reason, sizeof reason);

  text_utf8 (guest, &name);
  if (r == -ENOENT)
    say_why_not (ret, name.text, &nobody, ENOENT);
  else if (r < 0)
    say (ret, r == -EINVAL ? 400 : 409, "%s", reason);
  else
    say (ret, 200,
         "export '%s' has new limits; give guest= the same, too, before the "
         "server is started again",
         name.text);
}
