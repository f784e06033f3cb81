// SPDX-License-Identifier: BSD-3-Clause
/* Stands in for the nbdkit server.  One thread. */

#include <config.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fuzz.h"
#include "server.h"

struct server server;

static struct interned {
  struct interned *next;
  char text[];
} * interned;

void
server_reset (void)
{
  server.errors = server.warnings = 0;
  server.error = 0;
  server.line[0] = '\0';
}

void
server_free (void)
{
  while (interned) {
    struct interned *next = interned->next;

    free (interned);
    interned = next;
  }
}

/* A message is one line of printable characters that fits a terminal. */
void
nbdkit_verror (const char *format, va_list args)
{
  const int n = vsnprintf (server.line, sizeof server.line, format, args);

  server.errors++;
  server.warnings += strncmp (server.line, "warning: ", 9) == 0;
  if (n <= 0 || (size_t) n >= sizeof server.line)
    FUZZ_FAIL ("a message of %d bytes", n);
  for (int i = 0; i < n; ++i)
    if (server.line[i] < 0x20 || server.line[i] == 0x7f)
      FUZZ_FAIL ("a message with a byte that cannot be printed: %s",
                 server.line);
}

void
nbdkit_error (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  nbdkit_verror (format, args);
  va_end (args);
}

void
nbdkit_debug (const char *format, ...)
{
  char line[1024];
  va_list args;

  va_start (args, format);
  vsnprintf (line, sizeof line, format, args);
  va_end (args);
}

void
nbdkit_set_error (int error)
{
  server.error = error;
}

const char *
nbdkit_export_name (void)
{
  return server.export;
}

int64_t
nbdkit_peer_pid (void)
{
  return server.pid;
}

int64_t
nbdkit_peer_uid (void)
{
  return 0;
}

int
nbdkit_peer_name (struct sockaddr *address, socklen_t *length)
{
  struct sockaddr_in in = { .sin_family = server.family,
                            .sin_addr.s_addr = htonl (server.address) };

  if (server.family == AF_UNSPEC)
    return -1;
  memcpy (address, &in, sizeof in < *length ? sizeof in : *length);
  *length = sizeof in;
  return 0;
}

int
nbdkit_nanosleep (unsigned seconds, unsigned nanoseconds)
{
  (void) seconds;
  (void) nanoseconds;
  return 0;
}

const char *
nbdkit_strndup_intern (const char *text, size_t n)
{
  struct interned *new = malloc (sizeof *new + n + 1);

  if (!new)
    fuzz_die ("malloc");
  n = strnlen (text, n);
  memcpy (new->text, text, n);
  new->text[n] = '\0';
  new->next = interned;
  interned = new;
  return new->text;
}

const char *
nbdkit_strdup_intern (const char *text)
{
  return nbdkit_strndup_intern (text, strlen (text));
}

char *
nbdkit_absolute_path (const char *path)
{
  char *absolute;

  if (asprintf (&absolute, "%s%s", path[0] == '/' ? "" : "/there/", path) == -1)
    fuzz_die ("asprintf");
  return absolute;
}

/* A number and perhaps one suffix, as nbdkit(1) describes it. */
int64_t
nbdkit_parse_size (const char *text)
{
  static const char suffixes[] = "bkmgtpe";
  const char *suffix;
  char *end;
  uint64_t size;
  unsigned shift = 0;

  errno = 0;
  size = strtoull (text, &end, 10);
  if (end == text || errno || text[0] == '-') {
    nbdkit_error ("could not parse size");
    return -1;
  }
  if (*end == 's' || *end == 'S')
    shift = 9;
  else if (*end && (suffix = strchr (suffixes, *end | 0x20)) != NULL)
    shift = (unsigned) (suffix - suffixes) * 10;
  if (*end && end[1]) {
    nbdkit_error ("could not parse size: trailing data");
    return -1;
  }
  if (size > (uint64_t) INT64_MAX >> shift) {
    nbdkit_error ("could not parse size: overflow");
    return -1;
  }
  return (int64_t) (size << shift);
}

int
nbdkit_add_export (struct nbdkit_exports *list, const char *name,
                   const char *description)
{
  (void) list;
  if (!name || (description && strlen (description) > 4096))
    FUZZ_FAIL ("an export without a name, or with a long description");
  server.exports++;
  return 0;
}

int
nbdkit_add_extent (struct nbdkit_extents *extents, uint64_t offset,
                   uint64_t length, uint32_t type)
{
  if (offset != extents->upto || length == 0 ||
      (type != 0 && type != (NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO)))
    FUZZ_FAIL ("extent %llu+%llu of type %u, expected from %llu on",
               (unsigned long long) offset, (unsigned long long) length, type,
               (unsigned long long) extents->upto);
  extents->upto = offset + length;
  extents->fn (extents->opaque, offset, length, type);
  return 0;
}
