// SPDX-License-Identifier: BSD-3-Clause
/* The file of an arena: finding it, making it, and judging its superblock.
 *
 * Owns nothing that lasts but the lock on the file, which goes with the
 * descriptor: one process at a time serves an image.
 *
 * Invariant: an image without a whole superblock in either slot was never
 * finished, or is damaged, or is not ours.  The first has no volumes; anything
 * else is refused and left alone. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>

#include <xxhash.h>

#include "arena.h"
#include "crash-point.h"
#include "image.h"

#define SLOTS 2
#define SLOT_SIZE POOL_PAGE_SIZE

/* A pool in a file may grow to this many times its first limit. */
#define ROOM 4

/* Segments of a file beyond that.  A process that is killed leaves segments
 * nearly empty, those that it cleaned into, and the next one needs others to
 * clean into: with some to spare, even a full pool that is killed again before
 * it has got anywhere can be adopted.  They take no memory. */
#define SPARE 16u
#define SEGMENTS_MAX (POOL_MAX_LIMIT / POOL_SEGMENT_SIZE)

void
image_reason (const struct pool_config *config, const char *fmt, ...)
{
  va_list args;

  if (!config->reason || !config->reason_size)
    return;
  va_start (args, fmt);
  vsnprintf (config->reason, config->reason_size, fmt, args);
  va_end (args);
}

static uint64_t
checksum (const struct vmswap_image_super *super)
{
  return XXH64 (super, offsetof (struct vmswap_image_super, checksum), 0);
}

/* The layout follows from the counts alone. */
static void
layout (struct vmswap_image_super *super)
{
  uint64_t at = SLOTS * SLOT_SIZE;

  super->volumes_offset = at;
  at += round_up_page (super->volumes_count *
                       sizeof (struct vmswap_image_volume));
  super->segments_offset = at;
  at += round_up_page ((uint64_t) super->segments_count *
                       sizeof (struct vmswap_image_segment));
  super->frames_offset = at;
  at += (uint64_t) super->frames_count * POOL_PAGE_SIZE;
  super->data_offset = at;
  at += (uint64_t) super->segments_count * POOL_SEGMENT_SIZE;
  super->image_size = at;
}

/* A superblock for a new image with room for the given limit. */
static int
make_super (struct vmswap_image_super *super, uint64_t room)
{
  const uint64_t segments = room / POOL_SEGMENT_SIZE + SPARE;

  memset (super, 0, sizeof *super);
  memcpy (super->magic, VMSWAP_IMAGE_MAGIC, sizeof super->magic);
  super->version = VMSWAP_IMAGE_VERSION;
  super->page_size = POOL_PAGE_SIZE;
  super->segment_size = POOL_SEGMENT_SIZE;
  super->volumes_count = POOL_MAX_VOLUMES;
  super->segments_count = segments < SEGMENTS_MAX ? segments : SEGMENTS_MAX;
  /* Page tables may take the whole limit, when all pages are fill pages. */
  super->frames_count =
      super->segments_count * (POOL_SEGMENT_SIZE / POOL_PAGE_SIZE);
  layout (super);
  return getrandom (super->key, sizeof super->key, 0) == sizeof super->key
             ? 0
             : -EIO;
}

void
image_write_super (void *base, struct vmswap_image_super *super)
{
  super->generation++;
  super->checksum = checksum (super);
  uint8_t *slot = (uint8_t *) base + super->generation % SLOTS * SLOT_SIZE;
  const size_t half = sizeof *super / 2;

  /* In two halves, so that dying between them can be tested. */
  memcpy (slot, super, half);
  CRASH_POINT ("superblock half written");
  memcpy (slot + half, (uint8_t *) super + half, sizeof *super - half);
  CRASH_POINT ("superblock written");
}

/* What is wrong with a superblock whose checksum is right; NULL: nothing. */
static const char *
fault_of (const struct vmswap_image_super *super, uint64_t file_size)
{
  struct vmswap_image_super expected = *super;

  if (super->version < VMSWAP_IMAGE_OLDEST ||
      super->version > VMSWAP_IMAGE_VERSION)
    return "it was written by another version of vmswap";
  layout (&expected);
  if (super->page_size != POOL_PAGE_SIZE ||
      super->segment_size != POOL_SEGMENT_SIZE ||
      super->volumes_count != POOL_MAX_VOLUMES || super->segments_count == 0 ||
      super->segments_count > SEGMENTS_MAX ||
      /* Whoever needs a frame counts on the limit to end before they do. */
      super->frames_count / (POOL_SEGMENT_SIZE / POOL_PAGE_SIZE) <
          super->segments_count ||
      super->frames_count > POOL_MAX_LIMIT / POOL_PAGE_SIZE ||
      /* The next one would be older than this one. */
      super->generation == UINT64_MAX ||
      memcmp (&expected, super, sizeof expected) != 0)
    return "its geometry makes no sense";
  if (file_size < super->image_size)
    return "it is cut short";
  return NULL;
}

/* Are there no volumes, nor anything else where they would be? */
static bool
tables_are_blank (int fd)
{
  uint8_t page[POOL_PAGE_SIZE];
  off_t at = SLOTS * SLOT_SIZE;
  ssize_t n;

  for (unsigned i = 0; i < POOL_MAX_VOLUMES / 16; ++i, at += sizeof page) {
    n = pread (fd, page, sizeof page, at);
    if (n < 0)
      return false;
    for (ssize_t j = 0; j < n; ++j)
      if (page[j])
        return false;
  }
  return true;
}

/* Reads both slots and picks the one that counts.  1: found.  0: the file
 * holds nothing yet. */
static int
read_super (const struct pool_config *config, int fd,
            struct vmswap_image_super *super)
{
  static const struct vmswap_image_super zero;
  struct vmswap_image_super slot;
  bool foreign = false, good = false;
  const char *fault;
  struct stat st;

  if (fstat (fd, &st) == -1)
    return -errno;
  for (unsigned i = 0; i < SLOTS; ++i) {
    memset (&slot, 0, sizeof slot);
    if (pread (fd, &slot, sizeof slot, i * SLOT_SIZE) == -1)
      return -errno;
    if (memcmp (&slot, &zero, sizeof slot) == 0)
      continue;
    if (memcmp (slot.magic, VMSWAP_IMAGE_MAGIC, sizeof slot.magic) != 0)
      foreign = true;
    else if (slot.checksum == checksum (&slot) &&
             (!good || slot.generation > super->generation)) {
      *super = slot;
      good = true;
    }
  }
  /* Nobody can have lost a page in an image without volumes: it is new, or
   * its maker died before it was done. */
  if (!good && !foreign && tables_are_blank (fd))
    return 0;
  fault = good ? fault_of (super, st.st_size)
               : "its superblock is damaged, or it is something else";
  if (!fault)
    return 1;
  image_reason (config,
                "%s/%s cannot be adopted: %s; move it away to start empty "
                "(the pages in it are lost then)",
                config->state, IMAGE_FILE, fault);
  return -EUCLEAN;
}

/* Is the directory on tmpfs, and is that large enough for the limit? */
static int
check_file_system (const struct pool_config *config, int dir)
{
  struct statfs fs;

  if (fstatfs (dir, &fs) == -1)
    return -errno;
  if (fs.f_type != TMPFS_MAGIC) {
    image_reason (config,
                  "%s is not on tmpfs: guests' pages would be written to its "
                  "disk; use a directory that findmnt -t tmpfs shows, or "
                  "mount one",
                  config->state);
    return -EINVAL;
  }
  const uint64_t room = (uint64_t) fs.f_blocks * fs.f_bsize;
  if (room != 0 && room < config->limit) {
    image_reason (config,
                  "the tmpfs of %s holds at most %llu MiB, less than pool=: "
                  "mount one of its own there (mount -t tmpfs -o size=...)",
                  config->state, (unsigned long long) room >> 20);
    return -ENOSPC;
  }
  return 0;
}

/* Opens the file in config->state to be looked at, and keeps servers off. */
static int
open_to_look (const struct pool_config *config)
{
  char path[4096];
  struct stat st;
  int fd, err = 0;

  if (snprintf (path, sizeof path, "%s/%s", config->state, IMAGE_FILE) >=
      (int) sizeof path)
    return -ENAMETOOLONG;
  fd = open (path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd == -1 || fstat (fd, &st) == -1)
    err = -errno;
  else if (!S_ISREG (st.st_mode))
    err = -EINVAL;
  else if (flock (fd, LOCK_SH | LOCK_NB) == -1)
    err = errno == EWOULDBLOCK ? -EBUSY : -errno;
  if (err == -EBUSY)
    image_reason (config,
                  "%s is in use by a server: stop that first, or look "
                  "at a copy of the file",
                  path);
  else if (err)
    image_reason (config, "%s: %s", path, strerror (-err));
  if (err && fd >= 0)
    close (fd);
  return err ? err : fd;
}

/* Opens and locks the file in config->state. */
static int
open_file (const struct pool_config *config)
{
  struct stat st;
  int dir, fd, err;

  dir = open (config->state, O_DIRECTORY | O_PATH | O_CLOEXEC);
  if (dir == -1) {
    err = -errno;
    image_reason (config, "%s: %s: make it a directory on tmpfs", config->state,
                  strerror (-err));
    return err;
  }
  err = check_file_system (config, dir);
  if (err) {
    close (dir);
    return err;
  }
  fd =
      openat (dir, IMAGE_FILE, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  err = fd == -1 ? -errno : 0;
  close (dir);
  if (!err && (fstat (fd, &st) == -1 || !S_ISREG (st.st_mode)))
    err = -EINVAL;
  /* It may have been there before, with any mode. */
  if (!err && fchmod (fd, 0600) == -1)
    err = -errno;
  if (!err && flock (fd, LOCK_EX | LOCK_NB) == -1) {
    err = errno == EWOULDBLOCK ? -EBUSY : -errno;
    image_reason (config, "%s/%s is in use by another server: stop that first",
                  config->state, IMAGE_FILE);
  }
  else if (err)
    image_reason (config, "%s/%s: %s", config->state, IMAGE_FILE,
                  strerror (-err));
  if (err && fd >= 0)
    close (fd);
  return err ? err : fd;
}

/* Without the segments to spare.  The largest image has none; nor had those
 * that were made before there were any: these may keep the limit that they
 * have. */
static uint64_t
room_of (const struct vmswap_image_super *super)
{
  const uint64_t all = (uint64_t) super->segments_count * POOL_SEGMENT_SIZE;
  const uint64_t spare = (uint64_t) SPARE * POOL_SEGMENT_SIZE;
  const uint64_t room = all < POOL_MAX_LIMIT && all > spare ? all - spare : all;

  if (room >= super->limit)
    return room;
  return super->limit < all ? super->limit : all;
}

/* A superblock found must have room for the limit of today. */
static int
check_room (const struct pool_config *config,
            const struct vmswap_image_super *super)
{
  const uint64_t room = room_of (super);

  if (config->limit <= room)
    return 0;
  image_reason (config,
                "%s/%s was made for pools of at most %llu MiB: give pool= "
                "that or less, or move the file away to start empty (the "
                "pages in it are lost then)",
                config->state, IMAGE_FILE, (unsigned long long) room >> 20);
  return -EINVAL;
}

int
image_open (const struct pool_config *config, struct vmswap_image_super *super,
            bool *found)
{
  uint64_t room = config->limit;
  int fd, r = 0;

  fd = config->look_only ? open_to_look (config)
       : config->state   ? open_file (config)
                         : memfd_create ("vmswap", MFD_CLOEXEC);
  if (fd < 0)
    return config->state ? fd : -errno;
  if (config->look_only) {
    r = read_super (config, fd, super);
    if (r == 0)
      r = -ENODATA;
  }
  else if (config->state) {
    r = read_super (config, fd, super);
    room = config->limit > POOL_MAX_LIMIT / ROOM ? POOL_MAX_LIMIT
                                                 : config->limit * ROOM;
  }
  *found = r == 1;
  if (r == 1 && !config->look_only)
    r = check_room (config, super);
  else if (r == 0) {
    r = make_super (super, room);
    /* To nothing first: a process may have died before it was done. */
    if (r == 0 &&
        (ftruncate (fd, 0) == -1 || ftruncate (fd, super->image_size) == -1))
      r = -errno;
  }
  if (r < 0) {
    close (fd);
    return r;
  }
  return fd;
}
