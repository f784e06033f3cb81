// SPDX-License-Identifier: BSD-3-Clause
/* What all fuzz targets share.
 *
 * The pool is compiled with some names replaced: getrandom gives the same
 * keys in every run; mmap and munmap put a page that cannot be touched on both
 * sides of what they map, so that no overrun of the arena or of a table goes
 * unnoticed; and madvise populates nothing, for most of it is not used, and
 * memory comes when it is touched.
 *
 * The ring itself (ring-*.c; what it calls has the real one) is compiled with
 * another clock: what waits for half a second is reached in a millisecond, and
 * again by the same input; and without locked memory, which costs much and
 * changes nothing. */

#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define GUARD 4096u

extern void *fuzz_mmap (void *at, size_t size, int protection, int flags,
                        int fd, off_t offset);
extern int fuzz_munmap (void *at, size_t size);
extern int fuzz_madvise (void *at, size_t size, int advice);
extern ssize_t fuzz_getrandom (void *to, size_t size, unsigned flags);
extern int fuzz_mlock2 (const void *at, size_t size, unsigned flags);
extern int fuzz_clock_gettime (clockid_t clock, struct timespec *now);

static char folder[256];
static uint64_t random_state;
static uint64_t clock_ns, clock_look_ns;

void
fuzz_fail (const char *file, int line, const char *fmt, ...)
{
  va_list args;

  va_start (args, fmt);
  fprintf (stderr, "\n%s:%d: FOUND: ", file, line);
  vfprintf (stderr, fmt, args);
  fprintf (stderr, "\n");
  va_end (args);
  abort ();
}

void
fuzz_die (const char *what)
{
  fprintf (stderr, "the fuzz target cannot run: %s: %s\n", what,
           strerror (errno));
  _exit (1);
}

static uint64_t
input_bytes (struct input *input, unsigned n)
{
  uint64_t value = 0;

  for (unsigned i = 0; i < n && input->at < input->end; ++i)
    value |= (uint64_t) *input->at++ << 8 * i;
  return value;
}

uint8_t
input_u8 (struct input *input)
{
  return (uint8_t) input_bytes (input, 1);
}

uint16_t
input_u16 (struct input *input)
{
  return (uint16_t) input_bytes (input, 2);
}

uint32_t
input_u32 (struct input *input)
{
  return (uint32_t) input_bytes (input, 4);
}

uint64_t
input_u64 (struct input *input)
{
  return input_bytes (input, 8);
}

static uint64_t
next_random (uint64_t *state)
{
  *state += UINT64_C (0x9e3779b97f4a7c15);
  uint64_t z = *state;
  z = (z ^ z >> 30) * UINT64_C (0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C (0x94d049bb133111eb);
  return z ^ z >> 31;
}

void
fuzz_content (uint8_t *page, uint32_t number)
{
  uint64_t state = number, word = next_random (&state);
  const unsigned kind = number % 8;

  if (kind == 0)
    word = (uint32_t) word * UINT64_C (0x100000001);
  for (unsigned i = 0; i < POOL_PAGE_SIZE; i += sizeof word) {
    memcpy (page + i, &word, sizeof word);
    if (kind >= 6 || (kind != 0 && i % 64 == 0))
      word = next_random (&state);
  }
}

void *
fuzz_mmap (void *at, size_t size, int protection, int flags, int fd,
           off_t offset)
{
  uint8_t *base = mmap (NULL, size + 2 * GUARD, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

  if (at != NULL)
    abort (); /* nobody asks for a place */
  if (base == MAP_FAILED)
    return MAP_FAILED;
  at = mmap (base + GUARD, size, protection, flags | MAP_FIXED, fd, offset);
  if (at == MAP_FAILED)
    munmap (base, size + 2 * GUARD);
  return at;
}

int
fuzz_munmap (void *at, size_t size)
{
  return munmap ((uint8_t *) at - GUARD, size + 2 * GUARD);
}

int
fuzz_madvise (void *at, size_t size, int advice)
{
  return advice == MADV_POPULATE_WRITE ? 0 : madvise (at, size, advice);
}

ssize_t
fuzz_getrandom (void *to, size_t size, unsigned flags)
{
  (void) flags;
  for (size_t i = 0; i < size; ++i)
    ((uint8_t *) to)[i] = (uint8_t) next_random (&random_state);
  return (ssize_t) size;
}

void
fuzz_restart_random (void)
{
  random_state = 1;
}

int
fuzz_mlock2 (const void *at, size_t size, unsigned flags)
{
  (void) at;
  (void) size;
  (void) flags;
  return 0;
}

int
fuzz_clock_gettime (clockid_t clock, struct timespec *now)
{
  (void) clock;
  clock_ns += clock_look_ns;
  now->tv_sec = (time_t) (clock_ns / 1000000000);
  now->tv_nsec = (long) (clock_ns % 1000000000);
  return 0;
}

/* Not at 0, which is the time of nothing. */
void
fuzz_clock_restart (uint64_t look_ns)
{
  clock_ns = UINT64_C (1000000000);
  clock_look_ns = look_ns;
}

void
fuzz_clock_advance (uint64_t ns)
{
  clock_ns += ns;
}

uint8_t *
fuzz_guarded (size_t size)
{
  const size_t whole = (size + GUARD - 1) & ~(size_t) (GUARD - 1);
  uint8_t *at = fuzz_mmap (NULL, whole, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (at == MAP_FAILED)
    fuzz_die ("mmap");
  return at + whole - size;
}

static void
remove_folder (void)
{
  char file[300];

  snprintf (file, sizeof file, "%s/pool.vmswap", folder);
  unlink (file);
  rmdir (folder);
}

const char *
fuzz_folder (void)
{
  const char *parent = getenv ("VMSWAP_FUZZ_TMPFS");

  if (folder[0] != '\0')
    return folder;
  snprintf (folder, sizeof folder, "%s/vmswap-fuzz.XXXXXX",
            parent && parent[0] ? parent : "/dev/shm");
  if (!mkdtemp (folder))
    fuzz_die (folder);
  atexit (remove_folder);
  return folder;
}
