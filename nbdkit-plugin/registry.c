// SPDX-License-Identifier: BSD-3-Clause
/* The registry of exports that hold pages.
 *
 * Owns the file and what was read from it.
 *
 *   1. A line is written by one pwrite of one aligned block of 512 bytes, so
 *      that a disk has the old line or the new one.
 *   2. entry[i] is what line i + 1 says; its name is "" where that is free.
 *   3. Only one process writes the file: it holds a lock on the folder.
 *
 * Lock: registry->lock guards the entries and the file, disk writes included.
 * Nobody takes another lock inside. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "registry.h"

#define FILE_NAME "registry"
#define NEW_NAME "registry.new"
#define HEADLINE "vmswap-registry 1"
#define LINE 512
#define FILE_SIZE ((REGISTRY_ENTRIES + 1) * (off_t) LINE)

static const char no_check[] = "check=0000000000000000 ";

struct registry {
  pthread_mutex_t lock;
  int fd;
  int dir; /* locked, unless it was opened to look */
  char boot[37];
  struct registry_entry entry[REGISTRY_ENTRIES];
  uint64_t serial[REGISTRY_ENTRIES]; /* of its last registry_add */
  uint64_t last_serial;
};

/* Where registry_open says why it fails. */
struct reason {
  const char *dir;
  char *text;
  size_t size;
};

static int __attribute__ ((format (printf, 3, 4)))
refuse (const struct reason *reason, int err, const char *fmt, ...)
{
  char what[256];
  va_list args;

  va_start (args, fmt);
  vsnprintf (what, sizeof what, fmt, args);
  va_end (args);
  snprintf (reason->text, reason->size, "registry %s: %s", reason->dir, what);
  return -err;
}

static void
read_boot_id (char boot[37])
{
  FILE *f = fopen ("/proc/sys/kernel/random/boot_id", "re");

  if (f == NULL || fscanf (f, "%36[0-9a-f-]", boot) != 1)
    strcpy (boot, "unknown");
  if (f != NULL)
    fclose (f);
}

bool
registry_is_this_boot (const struct registry_entry *entry)
{
  char boot[37];

  read_boot_id (boot);
  return strcmp (boot, entry->boot) == 0;
}

/* --- Lines. */

/* Fills the rest of a line. */
static void
pad (char line[LINE], size_t length)
{
  memset (line + length, ' ', LINE - 1 - length);
  line[LINE - 1] = '\n';
}

static void
format_line (char line[LINE], const struct registry_entry *entry)
{
  char *check;
  char hash[17];
  int n;

  if (entry->name[0] == '\0') {
    memcpy (line, "free", 4);
    pad (line, 4);
    return;
  }
  n = snprintf (line, LINE,
                "live size=%" PRIu64 " pool=%016" PRIx64
                " header=%s boot=%s since=%s %sname=\"%s\"",
                entry->size, entry->pool,
                entry->own_header ? "server" : "guest", entry->boot,
                entry->since, no_check, entry->name);
  pad (line, n);
  check = strstr (line, no_check) + strlen ("check=");
  snprintf (hash, sizeof hash, "%016" PRIx64, (uint64_t) XXH64 (line, LINE, 0));
  memcpy (check, hash, 16);
}

/* What the line says goes to *entry; formatting that again must give the same
 * line.  That checks all of it, the hash included. */
static bool
parse_line (const char line[LINE], struct registry_entry *entry)
{
  char text[LINE], again[LINE], header[8];
  char *name, *end;

  memset (entry, 0, sizeof *entry);
  memcpy (text, line, LINE);
  text[LINE - 1] = '\0';
  if (strncmp (text, "free ", 5) != 0) {
    if (sscanf (text,
                "live size=%" SCNu64 " pool=%16" SCNx64
                " header=%7s boot=%36s since=%20s ",
                &entry->size, &entry->pool, header, entry->boot,
                entry->since) != 5)
      return false;
    entry->own_header = strcmp (header, "server") == 0;
    name = strstr (text, " name=\"");
    end = strrchr (text, '"');
    if (name == NULL || end < (name += strlen (" name=\"")) ||
        end - name > VOLUME_NAME_MAX || end == name)
      return false;
    memcpy (entry->name, name, end - name);
  }
  format_line (again, entry);
  return memcmp (line, again, LINE) == 0;
}

/* --- The file. */

static int
write_fully (int fd, const char *data, size_t size)
{
  while (size > 0) {
    const ssize_t n = write (fd, data, size);

    if (n == -1 && errno == EINTR)
      continue;
    if (n == -1)
      return -errno;
    data += n;
    size -= n;
  }
  return 0;
}

/* Writes a file of free lines. */
static int
write_blank (int fd)
{
  static const struct registry_entry none;
  char line[LINE];
  int err;

  memcpy (line, HEADLINE, strlen (HEADLINE));
  pad (line, strlen (HEADLINE));
  err = write_fully (fd, line, LINE);
  format_line (line, &none);
  for (unsigned i = 0; i < REGISTRY_ENTRIES && err == 0; ++i)
    err = write_fully (fd, line, LINE);
  if (err == 0 && fsync (fd) == -1)
    err = -errno;
  return err;
}

static int
make_file (int dir)
{
  int fd = openat (dir, NEW_NAME,
                   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  int err;

  if (fd == -1)
    return -errno;
  err = write_blank (fd);
  if (close (fd) == -1 && err == 0)
    err = -errno;
  if (err == 0 && renameat (dir, NEW_NAME, dir, FILE_NAME) == -1)
    err = -errno;
  if (err == 0 && fsync (dir) == -1)
    err = -errno;
  if (err < 0)
    unlinkat (dir, NEW_NAME, 0);
  return err;
}

/* Is there an entry of that name before? */
static bool
is_double (const struct registry *registry, unsigned i)
{
  if (registry->entry[i].name[0] != '\0')
    for (unsigned j = 0; j < i; ++j)
      if (strcmp (registry->entry[j].name, registry->entry[i].name) == 0)
        return true;
  return false;
}

/* Reads all lines into the entries. */
static int
load (struct registry *registry, const struct reason *reason)
{
  char line[LINE];
  struct stat st;

  if (fstat (registry->fd, &st) == -1)
    return refuse (reason, errno, "%s", strerror (errno));
  if (!S_ISREG (st.st_mode) || st.st_size != FILE_SIZE ||
      pread (registry->fd, line, LINE, 0) != LINE ||
      strncmp (line, HEADLINE " ", strlen (HEADLINE " ")) != 0)
    return refuse (reason, EUCLEAN,
                   "%s there is damaged, or of another version: if no guest "
                   "has pages here, remove it",
                   FILE_NAME);
  for (unsigned i = 0; i < REGISTRY_ENTRIES; ++i) {
    const ssize_t n = pread (registry->fd, line, LINE, (i + 1) * (off_t) LINE);

    if (n == -1)
      return refuse (reason, errno, "%s", strerror (errno));
    if (n != LINE || !parse_line (line, &registry->entry[i]) ||
        is_double (registry, i))
      return refuse (reason, EUCLEAN,
                     "line %u is damaged: it may name a guest whose pages "
                     "are lost; if no guest has pages here, remove %s",
                     i + 2, FILE_NAME);
  }
  return 0;
}

/* So that a folder just made is there after the host dies. */
static void
sync_parent (int dir)
{
  const int parent = openat (dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (parent >= 0) {
    fsync (parent);
    close (parent);
  }
}

static int
open_dir (const struct reason *reason, bool look, int *dir)
{
  const bool made = !look && mkdir (reason->dir, 0700) == 0;

  if (!look && !made && errno != EEXIST)
    return refuse (reason, errno,
                   "%s: make it a folder on a disk that the server may write",
                   strerror (errno));
  *dir = open (reason->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*dir == -1)
    return refuse (reason, errno,
                   "%s: make it a folder on a disk that the server may write",
                   strerror (errno));
  if (made)
    sync_parent (*dir);
  if (!look && flock (*dir, LOCK_EX | LOCK_NB) == -1)
    return refuse (reason, errno == EWOULDBLOCK ? EBUSY : errno, "%s",
                   errno == EWOULDBLOCK
                       ? "it is in use by another server: give each its own "
                         "registry="
                       : strerror (errno));
  return 0;
}

static int
open_file (struct registry *registry, const struct reason *reason, bool look)
{
  const int flags = (look ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC;
  int err = 0;

  registry->fd = openat (registry->dir, FILE_NAME, flags);
  if (registry->fd == -1 && errno == ENOENT && !look) {
    err = make_file (registry->dir);
    if (err == 0)
      registry->fd = openat (registry->dir, FILE_NAME, flags);
  }
  if (err == 0 && registry->fd == -1)
    err = -errno;
  if (err == -ENOSPC || err == -EDQUOT)
    return refuse (reason, -err,
                   "%s: half a MiB is all that it takes, free some or choose "
                   "another folder with registry=",
                   strerror (-err));
  if (err < 0)
    return refuse (reason, -err,
                   "%s: choose a folder that the server may "
                   "write with registry=",
                   strerror (-err));
  return 0;
}

int
registry_open (const char *dir, bool look, char *text, size_t text_size,
               struct registry **ret)
{
  const struct reason reason = { .dir = dir, .text = text, .size = text_size };
  struct registry *registry = calloc (1, sizeof *registry);
  int err;

  if (registry == NULL)
    return refuse (&reason, ENOMEM, "%s", strerror (ENOMEM));
  registry->fd = registry->dir = -1;
  pthread_mutex_init (&registry->lock, NULL);
  read_boot_id (registry->boot);
  err = open_dir (&reason, look, &registry->dir);
  if (err == 0)
    err = open_file (registry, &reason, look);
  if (err == 0)
    err = load (registry, &reason);
  /* A server may be writing one of the lines. */
  for (unsigned again = 0; again < 3 && look && err == -EUCLEAN; ++again)
    err = load (registry, &reason);
  if (err < 0) {
    registry_close (registry);
    return err;
  }
  *ret = registry;
  return 0;
}

void
registry_close (struct registry *registry)
{
  if (registry == NULL)
    return;
  if (registry->fd >= 0)
    close (registry->fd);
  if (registry->dir >= 0)
    close (registry->dir);
  pthread_mutex_destroy (&registry->lock);
  free (registry);
}

/* --- Entries. */

int
registry_each (struct registry *registry,
               int (*fn) (const struct registry_entry *entry, void *opaque),
               void *opaque)
{
  int r = 0;

  for (unsigned i = 0; i < REGISTRY_ENTRIES && r == 0; ++i) {
    const struct registry_entry entry = registry->entry[i];

    if (entry.name[0] != '\0')
      r = fn (&entry, opaque);
  }
  return r;
}

/* The entry of that name ("" for a free one), or NULL. */
static struct registry_entry *
find_locked (struct registry *registry, const char *name)
{
  for (unsigned i = 0; i < REGISTRY_ENTRIES; ++i)
    if (strcmp (registry->entry[i].name, name) == 0)
      return &registry->entry[i];
  return NULL;
}

/* Writes the line of a slot; the entry itself is changed by the caller, once
 * the line is there. */
static int
write_line_locked (struct registry *registry, const struct registry_entry *slot,
                   const struct registry_entry *entry)
{
  const off_t at = (slot - registry->entry + 1) * (off_t) LINE;
  char line[LINE];
  ssize_t n;

  format_line (line, entry);
  n = pwrite (registry->fd, line, LINE, at);
  if (n == -1)
    return -errno;
  return n == LINE ? 0 : -EIO;
}

static bool
same (const struct registry_entry *a, const struct registry_entry *b)
{
  return a->size == b->size && a->pool == b->pool &&
         a->own_header == b->own_header;
}

int
registry_add (struct registry *registry, const struct registry_entry *entry,
              uint64_t *serial)
{
  struct registry_entry new = *entry;
  struct registry_entry *slot;
  const time_t now = time (NULL);
  struct tm tm;
  int err = 0;

  strcpy (new.boot, registry->boot);
  strftime (new.since, sizeof new.since, "%Y-%m-%dT%H:%M:%SZ",
            gmtime_r (&now, &tm));

  pthread_mutex_lock (&registry->lock);
  slot = find_locked (registry, new.name);
  /* Two connections may be here at once, and the later one may know less. */
  if (slot != NULL && slot->pool == new.pool && !slot->own_header)
    new.own_header = false;
  if (slot == NULL)
    slot = find_locked (registry, "");
  if (slot == NULL)
    err = -ENOSPC;
  else if (slot->name[0] == '\0' || !same (slot, &new)) {
    err = write_line_locked (registry, slot, &new);
    if (err == 0 && fdatasync (registry->fd) == -1)
      err = -errno;
    if (err == 0)
      *slot = new;
  }
  if (err == 0) {
    registry->serial[slot - registry->entry] = ++registry->last_serial;
    if (serial)
      *serial = registry->last_serial;
  }
  pthread_mutex_unlock (&registry->lock);
  return err;
}

int
registry_remove (struct registry *registry, const char *name, uint64_t serial)
{
  static const struct registry_entry none;
  struct registry_entry *slot;
  int err = 0;

  pthread_mutex_lock (&registry->lock);
  slot = find_locked (registry, name);
  if (slot == NULL)
    err = -ENOENT;
  else if (serial != 0 && registry->serial[slot - registry->entry] != serial)
    err = -ESTALE;
  else {
    err = write_line_locked (registry, slot, &none);
    if (err == 0)
      *slot = none;
  }
  pthread_mutex_unlock (&registry->lock);
  return err;
}
