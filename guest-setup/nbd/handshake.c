// SPDX-License-Identifier: BSD-3-Clause
/* The handshake: fixed newstyle, NBD_OPT_GO, no TLS, no structured replies
 * (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md).
 *
 * It is here and not libnbd's because this process is locked into memory, of
 * guests that are short of it.  A program that connects with libnbd 1.14 locks
 * 47 MB (VmLck): libnbd brings gnutls, libxml2 and ICU.  If only what it has
 * touched is locked (MCL_ONFAULT) 6.7 MB stay, but then the paths that run
 * first in an outage are read from a file in that outage.  This program locks
 * 2.6 MB, all of itself (tests/guest/nbd-outages.sh prints it).
 *
 * Allocates nothing; every wait ends at the deadline; the server is not
 * trusted: lengths are checked, and its words are made printable.
 */

#include <config.h>

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "handshake.h"
#include "say.h"
#include "server.h"

#define PACKED __attribute__ ((packed))

#define GREETING UINT64_C (0x4e42444d41474943) /* NBDMAGIC */
#define OPTION UINT64_C (0x49484156454f5054)   /* IHAVEOPT */
#define OPTION_REPLY UINT64_C (0x0003e889045565a9)

#define FIXED_NEWSTYLE (1 << 0)
#define NO_ZEROES (1 << 1)
#define OPT_GO 7
#define REP_ACK 1
#define REP_INFO 3
#define REP_ERROR (UINT32_C (1) << 31)
#define INFO_EXPORT 0

/* More, or longer, replies are no handshake. */
#define REPLIES_MAX 32
#define REPLY_MAX 4096

struct PACKED greeting {
  uint64_t magic, option;
  uint16_t flags;
};

struct PACKED opening {
  uint32_t flags;
  uint64_t magic;
  uint32_t option, length, name_length;
};

struct PACKED reply {
  uint64_t magic;
  uint32_t option, type, length;
};

struct PACKED info_export {
  uint16_t type;
  uint64_t size;
  uint16_t flags;
};

/* Waits for the socket; 0, or -1 and why. */
static int
wait_for (int fd, short events, int64_t deadline, char *why)
{
  struct pollfd ready = { .fd = fd, .events = events };
  int64_t left = deadline - clock_ms ();

  if (left > 0 && poll (&ready, 1, left) == 1)
    return 0;
  snprintf (why, WHY_SIZE, "it does not answer in time");
  return -1;
}

static int
send_all (int fd, const void *data, size_t length, int64_t deadline, char *why)
{
  const char *at = data;

  while (length > 0) {
    ssize_t n;

    if (wait_for (fd, POLLOUT, deadline, why) == -1)
      return -1;
    n = send (fd, at, length, MSG_NOSIGNAL);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (n == -1) {
      snprintf (why, WHY_SIZE, "it hung up: %s", strerror (errno));
      return -1;
    }
    at += n;
    length -= n;
  }
  return 0;
}

static int
recv_all (int fd, void *data, size_t length, int64_t deadline, char *why)
{
  char *at = data;

  while (length > 0) {
    ssize_t n;

    if (wait_for (fd, POLLIN, deadline, why) == -1)
      return -1;
    n = recv (fd, at, length, 0);
    if (n == -1 && (errno == EAGAIN || errno == EINTR))
      continue;
    if (n <= 0) {
      snprintf (why, WHY_SIZE, "it hung up in the handshake%s%s",
                n == -1 ? ": " : "", n == -1 ? strerror (errno) : "");
      return -1;
    }
    at += n;
    length -= n;
  }
  return 0;
}

static int
greet (int fd, int64_t deadline, char *why)
{
  struct greeting greeting;

  if (recv_all (fd, &greeting, sizeof greeting, deadline, why) == -1)
    return -1;
  if (be64toh (greeting.magic) == GREETING &&
      be64toh (greeting.option) == OPTION &&
      be16toh (greeting.flags) & FIXED_NEWSTYLE)
    return 0;
  snprintf (why, WHY_SIZE, "it is not an NBD server of this century");
  return -1;
}

/* Asks for the export, and for nothing else. */
static int
ask (int fd, const char *name, int64_t deadline, char *why)
{
  const size_t length = strlen (name);
  const uint16_t infos = 0;
  const struct opening opening = {
    .flags = htobe32 (FIXED_NEWSTYLE | NO_ZEROES),
    .magic = htobe64 (OPTION),
    .option = htobe32 (OPT_GO),
    .length = htobe32 (sizeof opening.name_length + length + sizeof infos),
    .name_length = htobe32 (length),
  };
  char message[sizeof opening + EXPORT_NAME_MAX + sizeof infos];

  memcpy (message, &opening, sizeof opening);
  memcpy (message + sizeof opening, name, length);
  memcpy (message + sizeof opening + length, &infos, sizeof infos);
  return send_all (fd, message, sizeof opening + length + sizeof infos,
                   deadline, why);
}

static const char *
error_text (uint32_t type)
{
  switch (type & ~REP_ERROR) {
  case 2:
    return "it refuses the export by its policy";
  case 5:
    return "it demands TLS, which this kernel's nbd cannot speak";
  case 6:
    return "it has no such export";
  case 7:
    return "it is shutting down";
  default:
    return "it refuses the export";
  }
}

/* The server's own words, if any, made printable. */
static void
refused (uint32_t type, const char *words, size_t length, char *why)
{
  char text[128];
  size_t i;

  if (length >= sizeof text)
    length = sizeof text - 1;
  for (i = 0; i < length; i++)
    text[i] = words[i] >= ' ' && words[i] <= '~' ? words[i] : '?';
  text[length] = '\0';
  snprintf (why, WHY_SIZE, "%s%s%s", error_text (type), length > 0 ? ": " : "",
            text);
}

/* What the kernel may be told: it takes a device that rotates for slow, and
 * never discards what it no longer swaps there.
 */
static uint16_t
known_flags (uint16_t flags)
{
  return flags & (EXPORT_HAS_FLAGS | EXPORT_READ_ONLY | EXPORT_FLUSH |
                  EXPORT_FUA | EXPORT_TRIM | EXPORT_ZEROES);
}

static int
check_found (struct export *found, char *why)
{
  const uint64_t size = found->size & -(uint64_t) BLOCK_SIZE;

  if (found->flags & EXPORT_READ_ONLY)
    snprintf (why, WHY_SIZE, "the export is read-only");
  else if (size == 0 || size > INT64_MAX)
    snprintf (why, WHY_SIZE, "the export has no usable size: %llu bytes",
              (unsigned long long) found->size);
  else {
    found->size = size;
    return 0;
  }
  return -1;
}

/* One reply to the question: 1 for the last. */
static int
take_reply (int fd, int64_t deadline, struct export *found, char *why)
{
  struct reply reply;
  char data[REPLY_MAX];
  struct info_export info;
  uint32_t length;

  if (recv_all (fd, &reply, sizeof reply, deadline, why) == -1)
    return -1;
  length = be32toh (reply.length);
  if (be64toh (reply.magic) != OPTION_REPLY ||
      be32toh (reply.option) != OPT_GO || length > sizeof data) {
    snprintf (why, WHY_SIZE, "its answer is garbage");
    return -1;
  }
  if (recv_all (fd, data, length, deadline, why) == -1)
    return -1;
  if (be32toh (reply.type) & REP_ERROR) {
    refused (be32toh (reply.type), data, length, why);
    return -1;
  }
  if (be32toh (reply.type) == REP_ACK)
    return 1;
  memcpy (&info, data, sizeof info);
  if (be32toh (reply.type) == REP_INFO && length == sizeof info &&
      be16toh (info.type) == INFO_EXPORT) {
    found->size = be64toh (info.size);
    found->flags = known_flags (be16toh (info.flags));
  }
  return 0;
}

int
handshake (int fd, const char *name, int64_t deadline, struct export *found,
           char *why)
{
  unsigned replies;

  memset (found, 0, sizeof *found);
  if (greet (fd, deadline, why) == -1 || ask (fd, name, deadline, why) == -1)
    return -1;
  for (replies = 0; replies < REPLIES_MAX; replies++) {
    int rc = take_reply (fd, deadline, found, why);

    if (rc == -1)
      return -1;
    if (rc == 1)
      return check_found (found, why);
  }
  snprintf (why, WHY_SIZE, "it answers without end");
  return -1;
}

int
export_compare (const struct export *was, const struct export *now, char *why)
{
  /* The kernel goes on to send what the export could do at first. */
  const uint16_t lost = was->flags & ~now->flags;

  if (now->size < was->size)
    snprintf (why, WHY_SIZE,
              "the export has %llu bytes now, and had %llu: serve it with its "
              "old size",
              (unsigned long long) now->size, (unsigned long long) was->size);
  else if (lost != 0)
    snprintf (
        why, WHY_SIZE, "the export no longer takes%s%s%s%s: serve it as before",
        lost & EXPORT_FLUSH ? " flush" : "", lost & EXPORT_FUA ? " FUA" : "",
        lost & EXPORT_TRIM ? " trim" : "",
        lost & EXPORT_ZEROES ? " write-zeroes" : "");
  else
    return 0;
  return -1;
}
