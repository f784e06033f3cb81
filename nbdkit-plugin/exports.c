// SPDX-License-Identifier: BSD-3-Clause
/* Exports and the connections to them.
 *
 * Owns the list of exports.  Its lock guards the list, the connections of
 * every export, and the claims; it is taken when a connection opens, closes,
 * claims, or first writes to the swap header, never by any other request.
 *
 *   1. An export is claimed exactly while a connection of its holder is open.
 *   2. conn->claimed is set only while the export is claimed by its peer (or
 *      share=yes makes claims needless), so that by 1 it never needs to be
 *      cleared: it dies with the connection.
 *   3. An export without a connection is a listed one or holds data.
 */

#include <config.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "exports.h"
#include "fair.h"
#include "header.h"
#include "human.h"
#include "bounds.h"
#include "remember.h"
#include "report.h"

/* How long a new connection waits for those of a process that has ended. */
#define GONE_WAIT_SECONDS 5

struct export
{
  struct export *next;
  struct volume *volume;
  struct conn *conns;
  bool listed;
  bool written;    /* by a client, since the export exists */
  bool own_header; /* the header is ours, see header.h */
  uint64_t serial; /* of its entry in the registry, as far as this knows */
  bool claimed;
  struct peer holder;         /* while claimed */
  struct traffic_sum traffic; /* of connections that have closed */
  struct gate gate;           /* locks itself */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t released = PTHREAD_COND_INITIALIZER;
static struct export *exports;
static atomic_uint connections;
static struct pool *pool;
static const struct settings *settings;

static void
unlock (pthread_mutex_t **mutex)
{
  pthread_mutex_unlock (*mutex);
}

#define LOCK_THIS_SCOPE()                                                      \
  __attribute__ ((cleanup (unlock))) pthread_mutex_t *locked = &lock;          \
  pthread_mutex_lock (locked)

static struct export *
find_locked (const char *name)
{
  struct export *export;

  for (export = exports; export != NULL; export = export->next)
    if (strcmp (volume_name (export->volume), name) == 0)
      break;
  return export;
}

static void
report_no_volume (const char *name, int err)
{
  if (err == ENOSPC)
    report (REPORT_REFUSED,
            "export '%s': the pool holds %u exports already, the most it "
            "can: start another server for more",
            name, POOL_MAX_VOLUMES);
  else if (err == ENOMEM)
    report (REPORT_REFUSED,
            "export '%s': no memory for its page table: give the pool more "
            "with pool=, or the host",
            name);
  else
    report (REPORT_REFUSED, "export '%s' cannot be made: %s", name,
            strerror (err));
}

static const struct guest *
find_guest (const char *name)
{
  const struct guest *guest = settings->guests;

  while (guest != NULL && strcmp (guest->name, name) != 0)
    guest = guest->next;
  return guest;
}

/* An image may bring groups of its own.  With too many, the export shares with
 * itself alone, and not with a group that it has left. */
static void
enter_group (struct volume *volume)
{
  const struct guest *guest = find_guest (volume_name (volume));
  const char *group =
      guest != NULL && guest->group != NULL ? guest->group : settings->group;

  if (volume_set_group (volume, group) != 0)
    volume_set_group (volume, NULL);
}

/* At the end of the list, so that listings keep the user's order. */
static struct export *
append_locked (struct volume *volume, bool listed)
{
  struct export *export = calloc (1, sizeof *export);
  struct export **last = &exports;

  if (export == NULL)
    return NULL;
  enter_group (volume);
  export->volume = volume;
  export->listed = listed;
  fair_create (&export->gate);
  while (*last != NULL)
    last = &(*last)->next;
  *last = export;
  return export;
}

static struct export *
add_locked (const char *name, uint64_t size, bool listed)
{
  struct export *export = NULL;
  struct volume *volume;
  int r = volume_open (pool, name, size, &volume, NULL);

  if (r == 0) {
    export = append_locked (volume, listed);
    r = export == NULL ? -ENOMEM : 0;
  }
  if (r < 0) {
    report_no_volume (name, -r);
    nbdkit_set_error (-r);
  }
  return export;
}

static void
remove_locked (struct export *export)
{
  struct export **link = &exports;

  while (*link != export)
    link = &(*link)->next;
  *link = export->next;
  volume_delete (export->volume);
  fair_destroy (&export->gate);
  free (export);
}

/* Gives the export the limits that the command line says. */
static int
limit_locked (struct export *export, const struct export_limits *limits,
              char *reason, size_t reason_size)
{
  return limits_set (pool, export->volume, limits->quota.bytes,
                     limits->reserve.bytes, reason, reason_size);
}

/* Pages that are there are served, even if nothing can be reserved for them. */
static void
limit_adopted_locked (struct export *export)
{
  struct export_limits limits = settings->limits;
  char reason[512];

  if (limit_locked (export, &limits, reason, sizeof reason) == 0)
    return;
  nbdkit_error ("warning: %s (it is served without one)", reason);
  limits.reserve.bytes = 0;
  limit_locked (export, &limits, reason, sizeof reason);
}

/* What becomes of a volume that an earlier server left (state=). */
static int
adopt_volume (struct volume *volume, void *opaque)
{
  const char *name = volume_name (volume);
  const struct guest *guest = find_guest (name);
  struct human is, given;
  struct export *export;

  /* It had a new swap area made on it, and the server died just then. */
  if (volume_is_lost (volume) && header_is_new (volume))
    volume_forgive (volume);
  if (header_pages (volume) == 0 && !volume_is_lost (volume))
    volume_delete (volume);
  else if (settings->nr_guests == 0) {
    export = append_locked (volume, false);
    if (export == NULL) {
      nbdkit_error ("export '%s': %m", name);
      return -1;
    }
    limit_adopted_locked (export);
    export->written = !header_is_all (volume);
  }
  else if (guest == NULL)
    nbdkit_error ("warning: state= holds pages of '%s', which no guest= "
                  "lists: they are kept, list it to serve them",
                  name);
  else if (guest->size != volume_size (volume) &&
           volume_resize (volume, guest->size) != 0) {
    nbdkit_error ("guest=%s: it holds pages and its size is %s, not %s: give "
                  "the size it has, or a larger one",
                  name, human_size (&is, volume_size (volume)),
                  human_size (&given, guest->size));
    return -1;
  }
  return 0;
}

/* An export whose pages were in another pool. */
static int
recall_lost (struct export *export, const struct registry_entry *entry)
{
  struct volume *volume = export->volume;

  if (!volume_is_lost (volume) && !header_is_all (volume)) {
    nbdkit_error ("export '%s': state= holds pages of it, but the registry "
                  "knows of pages in another pool, since %s: if these are the "
                  "last, forget the others with vmswapctl reset --registry; "
                  "if not, give the state= that has them",
                  entry->name, entry->since);
    return -1;
  }
  nbdkit_error ("warning: export '%s': the pages that it held since %s are "
                "lost%s: reads of them fail, until a guest makes a new swap "
                "area (mkswap) or discards it all",
                entry->name, entry->since,
                registry_is_this_boot (entry) ? ""
                                              : " (the host was restarted)");
  /* Lost in an earlier life of this pool: it stays what it is. */
  if (!volume_is_lost (volume))
    header_lose (volume,
                 entry->own_header && entry->size == volume_size (volume),
                 settings->swap_header);
  return 0;
}

/* What becomes of an export that the registry knows. */
static int
recall (const struct registry_entry *entry, void *opaque)
{
  struct export *export = find_locked (entry->name);

  if (remember_is_here (entry)) {
    if (export == NULL && volume_find (pool, entry->name) == NULL)
      remember_not (entry->name, 0); /* it was empty, see adopt_volume */
    return 0;
  }
  if (export == NULL && settings->nr_guests != 0) {
    nbdkit_error ("warning: the pages of '%s' are lost, and no guest= lists "
                  "it: that stays noted, list it to serve it",
                  entry->name);
    return 0;
  }
  if (export == NULL) {
    export = add_locked (entry->name, entry->size, false);
    if (export != NULL)
      limit_adopted_locked (export);
  }
  return export == NULL ? -1 : recall_lost (export, entry);
}

/* Exports that were adopted are in the registry before anybody writes.  Not so
 * those that are lost: they have an entry, of the pool that had their pages
 * last. */
static int
remember_adopted_locked (void)
{
  for (struct export *e = exports; e != NULL; e = e->next)
    if (!volume_is_lost (e->volume) && !header_is_all (e->volume) &&
        remember_export (e->volume, header_is_ours (e->volume), &e->serial) !=
            0)
      return -1;
  return 0;
}

static int
add_listed_locked (const struct guest *guest)
{
  struct export *export = add_locked (guest->name, guest->size, true);
  char reason[512];

  if (export == NULL)
    return -1;
  if (limit_locked (export, &guest->limits, reason, sizeof reason) == 0)
    return 0;
  nbdkit_error ("%s", reason);
  return -1;
}

int
exports_start (struct pool *the_pool, const struct settings *the_settings)
{
  LOCK_THIS_SCOPE ();

  pool = the_pool;
  settings = the_settings;
  if (remember_start (pool, settings) == -1 ||
      volume_each (pool, adopt_volume, NULL) != 0)
    return -1;
  for (const struct guest *g = settings->guests; g != NULL; g = g->next)
    if (add_listed_locked (g) == -1)
      return -1;
  if (remember_each (recall, NULL) != 0)
    return -1;
  return remember_adopted_locked ();
}

/* The volumes stay: they go with the pool. */
void
exports_free (void)
{
  LOCK_THIS_SCOPE ();
  struct export *next;

  for (struct export *export = exports; export != NULL; export = next) {
    next = export->next;
    fair_destroy (&export->gate);
    free (export);
  }
  exports = NULL;
  remember_stop ();
}

struct pool *
exports_pool (void)
{
  return pool;
}

const char *
exports_default (void)
{
  if (settings->nr_guests == 0)
    return "default";
  return settings->nr_guests == 1 ? settings->guests->name : "";
}

/* One that opens by name.  Without its reserve it would be less than the
 * operator has asked for. */
static struct export *
make_locked (const char *name)
{
  struct export *export = add_locked (name, settings->size, false);
  char reason[512];
  int r;

  if (export == NULL)
    return NULL;
  r = limit_locked (export, &settings->limits, reason, sizeof reason);
  if (r == 0)
    return export;
  report (REPORT_REFUSED, "%s", reason);
  nbdkit_set_error (-r);
  remove_locked (export);
  return NULL;
}

/* Finds the export, or makes it where names are not listed. */
static struct export *
get_locked (const char *name)
{
  struct export *export = find_locked (name);
  const char *bad;

  if (export != NULL)
    return export;
  if (settings->nr_guests != 0) {
    if (name[0] == '\0')
      report (REPORT_UNNAMED, "several exports are offered: name one of "
                              "them (a listing shows the names)");
    else
      report (REPORT_REFUSED,
              "there is no such export: name one that guest= lists");
  }
  else if ((bad = settings_bad_name (name)) != NULL)
    report (REPORT_REFUSED,
            "export refused: %s: use 1 to %u printable ASCII characters "
            "without a comma",
            bad, VOLUME_NAME_MAX);
  else
    return make_locked (name);
  nbdkit_set_error (ENOENT);
  return NULL;
}

/* Makes a blank export a swap area.  If there is no room, it is served as it
 * is, and gets its header when it is next opened. */
static void
look_at_header (struct export *export)
{
  int r = 0;

  if (settings->swap_header && header_pages (export->volume) == 0)
    r = header_write (export->volume);
  if (r < 0)
    report (REPORT_FULL,
            "export '%s' has no swap header, the pool has no room for it "
            "(%s): free some, then connect again",
            volume_name (export->volume), strerror (-r));
  export->own_header = header_is_ours (export->volume);
}

static bool
claimed_by_other (const struct export *export, const struct peer *peer)
{
  return export->claimed && !peer_equal (&export->holder, peer);
}

/* A guest that is restarted may be back before the server has seen the end
 * of its old connections. */
static void
wait_for_gone_locked (const struct export *export, const struct peer *peer)
{
  struct timespec deadline;

  clock_gettime (CLOCK_REALTIME, &deadline);
  deadline.tv_sec += GONE_WAIT_SECONDS;
  while (claimed_by_other (export, peer) && peer_is_gone (&export->holder))
    if (pthread_cond_timedwait (&released, &lock, &deadline) == ETIMEDOUT)
      break;
}

struct conn *
exports_open_as (const char *name, const struct peer *peer, bool as_it_is)
{
  struct conn *conn = calloc (1, sizeof *conn);
  struct export *export;

  if (conn == NULL) {
    nbdkit_error ("no memory for a connection: %m");
    return NULL;
  }
  conn->settings = settings;
  conn->pool = pool;
  conn->peer = *peer;

  LOCK_THIS_SCOPE ();
  export = get_locked (name);
  if (export == NULL) {
    free (conn);
    return NULL;
  }
  if (export->conns == NULL && !as_it_is)
    look_at_header (export);
  conn->export = export;
  conn->volume = export->volume;
  conn->gate = &export->gate;
  conn->next = export->conns;
  atomic_fetch_add (&connections, 1);
  export->conns = conn; /* from here on the export cannot go away */
  wait_for_gone_locked (export, &conn->peer);
  conn->readonly = claimed_by_other (export, &conn->peer);
  if (conn->readonly)
    nbdkit_debug ("export '%s' is in use by another peer: read-only", name);
  return conn;
}

struct conn *
exports_open (const char *name)
{
  const struct peer peer = peer_here ();

  return exports_open_as (name, &peer, false);
}

/* Ends the claim of a peer that has no connection left. */
static void
release_locked (struct export *export)
{
  if (!export->claimed)
    return;
  for (const struct conn *c = export->conns; c != NULL; c = c->next)
    if (peer_equal (&c->peer, &export->holder))
      return;
  export->claimed = false;
  pthread_cond_broadcast (&released);
}

/* Takes the connection out of its export.  True: the export holds nothing, and
 * its entry in the registry, *name and *serial, may go. */
static bool
detach_locked (struct conn *conn, char name[VOLUME_NAME_MAX + 1],
               uint64_t *serial)
{
  struct export *export = conn->export;
  struct conn **link;
  bool forget = false;

  for (link = &export->conns; *link != conn; link = &(*link)->next)
    ;
  *link = conn->next;
  traffic_add (&export->traffic, &conn->traffic);
  atomic_fetch_sub (&connections, 1);
  release_locked (export);
  if (export->conns != NULL)
    return false;
  strcpy (name, volume_name (export->volume));
  *serial = export->serial;
  forget = *serial != 0 && header_is_all (export->volume);
  if (!export->listed && !volume_is_lost (export->volume) &&
      (!export->written || header_pages (export->volume) == 0))
    remove_locked (export);
  return forget;
}

/* The registry may wait for its disk, so the lock is not held then.  Whoever
 * claims the export meanwhile gets an entry of another serial. */
void
exports_close (struct conn *conn)
{
  char name[VOLUME_NAME_MAX + 1];
  uint64_t serial;
  bool forget;

  {
    LOCK_THIS_SCOPE ();
    forget = detach_locked (conn, name, &serial);
  }
  free (conn);
  if (forget)
    remember_not (name, serial);
}

/* -EPERM: another peer holds it. */
static int
claim_locked (struct export *export, const struct peer *peer)
{
  struct peer_text text;

  if (claimed_by_other (export, peer)) {
    report (REPORT_CLAIMED,
            "export '%s' is in use by %s: disconnect that first, or start "
            "the server with share=yes",
            volume_name (export->volume),
            peer_describe (&export->holder, &text));
    return -EPERM;
  }
  export->claimed = true;
  export->holder = *peer;
  return 0;
}

/* Again, the lock is not held while the registry waits: the export cannot go
 * away under a connection.  Of two that are here at once, the one that knows
 * less about the header changes nothing in the registry. */
static int
note (struct export *export, bool own_header)
{
  uint64_t serial;
  int r = remember_export (export->volume, own_header, &serial);

  LOCK_THIS_SCOPE ();
  if (r == 0 && serial > export->serial)
    export->serial = serial;
  return r;
}

int
exports_claim (struct conn *conn)
{
  struct export *export = conn->export;
  bool own_header;
  int r = 0;

  {
    LOCK_THIS_SCOPE ();
    if (!settings->share)
      r = claim_locked (export, &conn->peer);
    own_header = export->own_header;
  }
  if (r == 0)
    r = note (export, own_header);
  if (r < 0)
    return r;
  LOCK_THIS_SCOPE ();
  export->written = true;
  atomic_store (&conn->guarded, own_header);
  atomic_store (&conn->claimed, true);
  return 0;
}

int
exports_note_header (struct conn *conn)
{
  struct export *export = conn->export;
  int r;

  {
    LOCK_THIS_SCOPE ();
    export->own_header = false;
  }
  r = note (export, false);
  if (r == 0)
    atomic_store (&conn->guarded, false);
  return r;
}

int
exports_set_limits (const char *name, uint64_t quota, uint64_t reserve,
                    char *reason, size_t reason_size)
{
  struct export *export;

  LOCK_THIS_SCOPE ();
  export = find_locked (name);
  if (export != NULL)
    return limits_set (pool, export->volume, quota, reserve, reason,
                       reason_size);
  snprintf (reason, reason_size, "there is no export '%s'", name);
  return -ENOENT;
}

bool
exports_in_use (void)
{
  return atomic_load (&connections) != 0;
}

int
exports_each (int (*fn) (struct volume *volume, void *opaque), void *opaque)
{
  int r = 0;

  LOCK_THIS_SCOPE ();
  for (struct export *e = exports; e != NULL && r == 0; e = e->next)
    r = fn (e->volume, opaque);
  return r;
}

/* *traffic is room for the sum. */
static void
view_locked (const struct export *export, struct traffic_sum *traffic,
             struct export_view *ret)
{
  *traffic = export->traffic;
  *ret = (struct export_view){
    .volume = export->volume,
    .holder = export->claimed ? &export->holder : NULL,
    .traffic = traffic,
  };
  /* One of them has the ring, if any. */
  for (const struct conn *c = export->conns; c != NULL; c = c->next) {
    traffic_add (traffic, &c->traffic);
    ret->connections++;
    ret->region_bytes +=
        atomic_load_explicit (&c->region_bytes, memory_order_relaxed);
    ret->closed_ns |=
        atomic_load_explicit (&c->closed_ns, memory_order_relaxed);
  }
}

int
exports_view (int (*fn) (const struct export_view *view, void *opaque),
              void *opaque)
{
  struct traffic_sum traffic;
  int r = 0;

  LOCK_THIS_SCOPE ();
  for (struct export *e = exports; e != NULL && r == 0; e = e->next) {
    struct export_view view;

    view_locked (e, &traffic, &view);
    r = fn (&view, opaque);
  }
  return r;
}

/* A connection of nobody, which keeps the export from going away.  NULL: *r
 * says why. */
static struct conn *
hold_locked (const char *name, struct peer_text *who, int *r)
{
  struct export *export = find_locked (name);
  struct conn *conn;

  *r = export == NULL ? -ENOENT : export->conns != NULL ? -EBUSY : 0;
  if (*r == -EBUSY)
    peer_describe (&export->conns->peer, who);
  conn = *r == 0 ? calloc (1, sizeof *conn) : NULL;
  if (conn == NULL) {
    *r = *r == 0 ? -ENOMEM : *r;
    return NULL;
  }
  conn->settings = settings;
  conn->pool = pool;
  conn->export = export;
  conn->volume = export->volume;
  export->conns = conn;
  atomic_fetch_add (&connections, 1);
  return conn;
}

int
exports_alone (const char *name,
               int (*fn) (struct volume *volume, void *opaque), void *opaque,
               struct peer_text *who)
{
  struct conn *conn;
  bool own_header = false;
  int r;

  {
    LOCK_THIS_SCOPE ();
    conn = hold_locked (name, who, &r);
    if (conn == NULL)
      return r;
    r = fn (conn->volume, opaque);
    if (r == 0) {
      look_at_header (conn->export);
      own_header = conn->export->own_header;
    }
  }
  /* What is lost is in another pool, and its entry says so. */
  if (r == 0 && !volume_is_lost (conn->volume))
    r = note (conn->export, own_header);
  exports_close (conn);
  return r;
}
