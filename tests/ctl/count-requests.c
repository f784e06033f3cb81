// SPDX-License-Identifier: BSD-3-Clause
/* count-requests URI COUNT SEED
 * count-requests URI FILE SEED
 *
 * Sends COUNT random requests, or as many as it can while FILE is there, to an
 * export that holds nothing, and prints what they should have made of its
 * figures, as a JSON object, by a shadow of its own. At the end it compares all
 * content.
 *
 * Requests of one connection are carried out in order, so many may be under
 * way. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libnbd.h>

#include "../pool/test.h"

#define PAGE 4096u
#define PAGES 4096u /* of the export that are used */
#define MAX_PAGES 8u
#define DEPTH 64u

enum op { READ, WRITE, ZERO, TRIM, OPS };
static const char *const op_names[] = { "read", "write", "zero", "trim" };

static struct {
  uint64_t requests[OPS];
  uint64_t bytes[OPS];
  uint64_t small;
  uint64_t pages_written, pages_read, pages_trimmed;
} shadow;

static uint8_t content[PAGES * PAGE];
static uint8_t *buffers[DEPTH];
static bool busy[DEPTH];
static struct nbd_handle *nbd;
static uint64_t seed;

static uint32_t
random_below (uint32_t n)
{
  seed = seed * UINT64_C (6364136223846793005) + UINT64_C (1442695040888963407);
  return (uint32_t) ((seed >> 33) % n);
}

static void
must (int64_t r)
{
  if (r == -1)
    FAIL ("%s", nbd_get_error ());
}

static bool
is_zero (const uint8_t *page)
{
  return page[0] == 0 && memcmp (page, page + 1, PAGE - 1) == 0;
}

static bool
is_fill (const uint8_t *page)
{
  return !is_zero (page) && memcmp (page, page + 4, PAGE - 4) == 0;
}

/* A page as guests have them: empty, one value, noise, something between. */
static void
make_page (uint8_t *page)
{
  const uint32_t kind = random_below (8);

  memset (page, kind == 1 ? random_below (256) : 0, PAGE);
  if (kind < 2)
    return;
  for (uint32_t i = 0; i < (kind == 2 ? PAGE : 1000); i += 4) {
    const uint32_t word = random_below (UINT32_MAX);

    memcpy (page + i, &word, 4);
  }
}

static void
empty_pages (uint64_t first, uint64_t n)
{
  for (uint64_t page = first; page < first + n; ++page) {
    shadow.pages_trimmed += !is_zero (content + page * PAGE);
    memset (content + page * PAGE, 0, PAGE);
  }
}

static int
done (void *opaque, int *error)
{
  if (*error)
    FAIL ("a request failed: %s", strerror (*error));
  *(bool *) opaque = false;
  return 1;
}

static unsigned
free_slot (void)
{
  for (;;) {
    for (unsigned i = 0; i < DEPTH; ++i)
      if (!busy[i])
        return i;
    must (nbd_poll (nbd, -1));
  }
}

/* One in ten reads and writes is of a part of a page. */
static void
send_request (enum op op)
{
  const unsigned slot = free_slot ();
  const nbd_completion_callback completion = { .callback = done,
                                               .user_data = &busy[slot] };
  const bool small = op <= WRITE && random_below (10) == 0;
  const uint32_t n = small ? 1 : 1 + random_below (MAX_PAGES);
  const uint64_t first = random_below (PAGES - n + 1);
  const uint64_t part = small ? 512 * random_below (8) : 0;
  const uint64_t offset = first * PAGE + part;
  const uint32_t count = small ? 512 : n * PAGE;

  busy[slot] = true;
  shadow.requests[op]++;
  shadow.bytes[op] += count;
  shadow.small += small;
  switch (op) {
  case READ:
    shadow.pages_read += n;
    must (nbd_aio_pread (nbd, buffers[slot], count, offset, completion, 0));
    break;
  case WRITE:
    for (uint32_t i = 0; i < n; ++i)
      make_page (buffers[slot] + i * PAGE);
    memcpy (content + offset, buffers[slot], count);
    shadow.pages_written += n;
    must (nbd_aio_pwrite (nbd, buffers[slot], count, offset, completion, 0));
    break;
  case ZERO:
    empty_pages (first, n);
    must (nbd_aio_zero (nbd, count, offset, completion, 0));
    break;
  default:
    empty_pages (first, n);
    must (nbd_aio_trim (nbd, count, offset, completion, 0));
  }
}

static void
compare_content (void)
{
  static uint8_t got[PAGES * PAGE];

  for (uint64_t at = 0; at < sizeof got; at += 1 << 20) {
    must (nbd_pread (nbd, got + at, 1 << 20, at, 0));
    shadow.requests[READ]++;
    shadow.bytes[READ] += 1 << 20;
    shadow.pages_read += (1 << 20) / PAGE;
  }
  if (memcmp (got, content, sizeof got) != 0)
    FAIL ("the content differs");
}

static void
print_shadow (void)
{
  uint64_t stored = 0, fill = 0;

  for (uint64_t page = 0; page < PAGES; ++page) {
    stored += !is_zero (content + page * PAGE);
    fill += is_fill (content + page * PAGE);
  }
  printf ("{");
  for (unsigned op = 0; op < OPS; ++op)
    printf ("\"%s_requests\": %" PRIu64 ", \"%s_bytes\": %" PRIu64 ", ",
            op_names[op], shadow.requests[op], op_names[op], shadow.bytes[op]);
  printf ("\"small_requests\": %" PRIu64 ", \"written_pages\": %" PRIu64
          ", \"read_pages\": %" PRIu64 ", \"trimmed_pages\": %" PRIu64
          ", \"stored_pages\": %" PRIu64 ", \"fill_pages\": %" PRIu64
          ", \"full_errors\": 0, \"io_errors\": 0, \"bad_pages\": 0}\n",
          shadow.small, shadow.pages_written, shadow.pages_read,
          shadow.pages_trimmed, stored, fill);
}

int
main (int argc, char **argv)
{
  CHECK (argc == 4);
  const char *file = argv[2][0] == '/' ? argv[2] : NULL;
  const uint64_t count = file ? UINT64_MAX : strtoull (argv[2], NULL, 10);

  seed = strtoull (argv[3], NULL, 10);
  nbd = nbd_create ();
  if (!nbd)
    FAIL ("%s", nbd_get_error ());
  must (nbd_connect_uri (nbd, argv[1]));
  for (unsigned i = 0; i < DEPTH; ++i)
    CHECK ((buffers[i] = malloc (MAX_PAGES * PAGE)) != NULL);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t kind = random_below (10);

    if (file && i % 256 == 0 && access (file, F_OK) == -1)
      break;
    send_request (kind < 4 ? READ : kind < 8 ? WRITE : kind < 9 ? ZERO : TRIM);
  }
  for (unsigned i = 0; i < DEPTH; ++i)
    while (busy[i])
      must (nbd_poll (nbd, -1));
  compare_content ();
  must (nbd_shutdown (nbd, 0));
  nbd_close (nbd);
  for (unsigned i = 0; i < DEPTH; ++i)
    free (buffers[i]);
  print_shadow ();
  return 0;
}
