// SPDX-License-Identifier: BSD-3-Clause
/* guest-pages: in a guest of zram-bench or doors-bench, takes pages from a disk
 * into memory, has the kernel swap them out, and brings them back.
 *
 * Owns one anonymous mapping, and is alone in a memory cgroup, through which it
 * sees and makes that its pages are gone from memory: not only unmapped, but
 * written and freed.  The disk is read past the page cache.
 *
 * It obeys one command per line on stdin and answers each with one line:
 *
 *   load PAGES   map so many, and read them from the start of the disk
 *   pageout      swap all out; ends when none is left in memory
 *   touch        read a byte of each, in order
 *   pick         the same, in an order that nobody guesses
 *   compare      compare all with the disk
 *   quit
 *
 *   ok pages=N swapped=N bad_pages=N ms=N
 *   error MESSAGE
 *
 * usage: guest-pages DISK
 */

#define _GNU_SOURCE /* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define CHUNK (256 * PAGE)
#define GROUP "/sys/fs/cgroup/pages"
#define PATIENCE 300000 /* ms, for a swap-out */
#define LEFT                                                                   \
  (32 * PAGE) /* bytes that may stay: kernel 6.12 keeps a few pages            \
               * in per-CPU batches */

static int disk;
static uint8_t *base, *chunk;
static uint64_t npages, bad_pages;

static uint64_t
now_ms (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

static int
write_text (const char *path, const char *text)
{
  const int fd = open (path, O_WRONLY | O_CLOEXEC);
  ssize_t n;

  if (fd == -1)
    return -errno;
  n = write (fd, text, strlen (text));
  const int err = n == -1 ? -errno : 0;
  close (fd);
  return err;
}

/* A line of the group's memory.stat, in bytes. */
static uint64_t
group_bytes (const char *key)
{
  FILE *fp = fopen (GROUP "/memory.stat", "re");
  char name[64];
  uint64_t value, found = UINT64_MAX;

  if (!fp)
    return UINT64_MAX;
  while (fscanf (fp, "%63s %" SCNu64, name, &value) == 2)
    if (strcmp (name, key) == 0)
      found = value;
  fclose (fp);
  return found;
}

/* Pages that the page table says are swapped out. */
static uint64_t
count_swapped (void)
{
  const int fd = open ("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  uint64_t words[512], swapped = 0;
  uint64_t at = (uintptr_t) base / PAGE * sizeof words[0];

  for (uint64_t left = npages; fd != -1 && left > 0;) {
    const size_t n = left < 512 ? left : 512;

    if (pread (fd, words, n * sizeof words[0], (off_t) at) !=
        (ssize_t) (n * sizeof words[0]))
      break;
    for (size_t i = 0; i < n; i++)
      swapped += words[i] >> 62 & 1;
    at += n * sizeof words[0];
    left -= n;
  }
  close (fd);
  return swapped;
}

static int
read_disk (uint8_t *to, uint64_t at, size_t length)
{
  const ssize_t n = pread (disk, to, length, (off_t) at);

  return n == (ssize_t) length ? 0 : n == -1 ? -errno : -ENODATA;
}

static int
cmd_load (uint64_t pages)
{
  int err = 0;

  if (base || pages == 0)
    return -EINVAL;
  base = mmap (NULL, pages * PAGE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED)
    return -errno;
  /* Single pages, as they were in the process they are from. */
  madvise (base, pages * PAGE, MADV_NOHUGEPAGE);
  npages = pages;
  for (uint64_t at = 0; at < pages * PAGE && !err; at += CHUNK) {
    const uint64_t left = pages * PAGE - at;
    const size_t n = left < CHUNK ? left : CHUNK;

    err = read_disk (chunk, at, n);
    if (!err)
      memcpy (base + at, chunk, n);
  }
  return err;
}

/* What is written asynchronously stays in the swap cache until somebody looks
 * for memory; that is what memory.reclaim does. */
static int
cmd_pageout (void)
{
  const struct timespec slice = { .tv_nsec = 2000000 };
  const uint64_t end = now_ms () + PATIENCE;
  int err;

  if (madvise (base, npages * PAGE, MADV_PAGEOUT) == -1)
    return -errno;
  while (group_bytes ("anon") + group_bytes ("swapcached") > LEFT) {
    if (now_ms () > end)
      return -ETIMEDOUT;
    err = write_text (GROUP "/memory.reclaim", "4M");
    if (err == -EAGAIN) /* under way */
      nanosleep (&slice, NULL);
    else if (err)
      return err;
  }
  return 0;
}

static void
cmd_touch (void)
{
  for (uint64_t i = 0; i < npages; i++)
    (void) *(volatile uint8_t *) (base + i * PAGE);
}

/* x -> 5 x + 3 has one cycle through all numbers below a power of two. */
static void
cmd_pick (void)
{
  uint64_t mask = 1;

  while (mask < npages)
    mask *= 2;
  mask--;
  for (uint64_t i = 0, x = 0; i <= mask; i++) {
    uint64_t at = x ^ x >> 7;

    x = (5 * x + 3) & mask;
    if (at < npages)
      (void) *(volatile uint8_t *) (base + at * PAGE);
  }
}

static int
cmd_compare (void)
{
  int err = 0;

  for (uint64_t at = 0; at < npages * PAGE && !err; at += CHUNK) {
    const uint64_t left = npages * PAGE - at;
    const size_t n = left < CHUNK ? left : CHUNK;

    err = read_disk (chunk, at, n);
    for (size_t k = 0; k < n && !err; k += PAGE)
      bad_pages += memcmp (chunk + k, base + at + k, PAGE) != 0;
  }
  return err;
}

static int
run_command (const char *verb, uint64_t number)
{
  if (strcmp (verb, "load") == 0)
    return cmd_load (number);
  if (!base)
    return -ENODATA;
  if (strcmp (verb, "pageout") == 0)
    return cmd_pageout ();
  if (strcmp (verb, "compare") == 0)
    return cmd_compare ();
  if (strcmp (verb, "touch") == 0)
    cmd_touch ();
  else if (strcmp (verb, "pick") == 0)
    cmd_pick ();
  else
    return -EINVAL;
  return 0;
}

static void
die (const char *what)
{
  fprintf (stderr, "guest-pages: %s: %s\n", what, strerror (errno));
  exit (EXIT_FAILURE);
}

int
main (int argc, char *argv[])
{
  char line[128], verb[32];
  uint64_t number;

  if (argc != 2) {
    fprintf (stderr, "usage: guest-pages DISK, then commands on stdin\n");
    return EXIT_FAILURE;
  }
  setvbuf (stdout, NULL, _IOLBF, 0);
  if (mkdir (GROUP, 0755) == -1 && errno != EEXIST)
    die (GROUP);
  disk = open (argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
  chunk = aligned_alloc (PAGE, CHUNK);
  if (disk == -1 || !chunk)
    die (argv[1]);
  errno = -write_text (GROUP "/cgroup.procs", "0");
  if (errno)
    die (GROUP "/cgroup.procs");
  while (fgets (line, sizeof line, stdin)) {
    number = 0;
    if (sscanf (line, "%31s %" SCNu64, verb, &number) < 1)
      continue;
    if (strcmp (verb, "quit") == 0)
      break;
    const uint64_t start = now_ms ();
    const int err = run_command (verb, number);
    const uint64_t ms = now_ms () - start;

    if (err)
      printf ("error %s: %s\n", verb, strerror (-err));
    else
      printf ("ok pages=%" PRIu64 " swapped=%" PRIu64 " bad_pages=%" PRIu64
              " ms=%" PRIu64 "\n",
              npages, base ? count_swapped () : 0, bad_pages, ms);
  }
  return EXIT_SUCCESS;
}
