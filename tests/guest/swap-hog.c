// SPDX-License-Identifier: BSD-3-Clause
/* swap-hog: the workload inside a test guest.
 *
 * Owns one anonymous mapping, larger than the guest's memory, of pages whose
 * content follows from (seed, page index, version) alone.  Looking at a page
 * therefore tells whether it is the right page in the right version: a page
 * that was lost, swapped with another, torn or rolled back is counted.
 *
 * It obeys one command per line on stdin and answers each with one line:
 *
 *   fill MIB          map MIB and write every page
 *   check             check every page
 *   verify            the same, and rewrite one run of pages in eight
 *   rewrite           the same, and rewrite all of them
 *   churn on|off      check and rewrite random pages in a thread, meanwhile
 *   keep MIB          give back all but the first MIB
 *   grow MIB          add pages one MiB at a time until the kernel logs an
 *                     error of the swap device, or MIB are there
 *   mix usual|random  what the pages after this command are made of
 *   pageout           have the kernel swap out what it can of the pages
 *   mercy on|off      from now on a page that the kernel cannot read is
 *                     counted, given back and passed over, instead of ending
 *                     this
 *   quit
 *
 *   ok pages=N bad_pages=N bus_errors=N rewritten=N ms=N longest_ms=N
 *      base=ADDRESS
 *   error MESSAGE
 *
 * bad_pages and bus_errors (pages that could not be read) count since the
 * start; longest_ms is what the slowest page since the start took, to some
 * ms.  Invariants: while the churn thread runs, only it touches the pages;
 * the main thread touches them after joining it.  version 0: that page was
 * lost, and is not looked at.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "page-content.h"

#define MIB (UINT64_C (1) << 20)
#define PAGES_PER_MIB (MIB / PAGE_BYTES)
#define RUN_PAGES 32u

#ifndef MADV_PAGEOUT /* Linux 5.4 */
#define MADV_PAGEOUT 21
#endif

static uint8_t *base;     /* the pages */
static uint8_t *versions; /* version of each page */
static uint64_t npages;
static uint64_t seed;
static enum page_mix mix;

static uint64_t bad_pages;
static uint64_t bus_errors;
static sigjmp_buf past_page; /* where to go on after a page that is lost */
static uint64_t rewritten;
static uint64_t longest_ms;
static atomic_bool stop_churn;
static pthread_t churn_thread;
static bool churning;

/* What this needs to count lost pages is static, so that mercy can lock it. */
#define STACK_BYTES (256u << 10)
static uint8_t churn_stack[STACK_BYTES] __attribute__ ((aligned (4096)));
static char answer[4096];

static uint64_t
now_ms (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/* A clock that costs next to nothing, even where time is emulated. */
static uint64_t
coarse_ms (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC_COARSE, &ts);
  return (uint64_t) ts.tv_sec * 1000 + (uint64_t) ts.tv_nsec / 1000000;
}

/* A page was begun then, and is done. */
static void
note_time (uint64_t begun_ms)
{
  uint64_t took = coarse_ms () - begun_ms;

  if (took > longest_ms)
    longest_ms = took;
}

static void
page_write (uint64_t i)
{
  page_make (base + i * PAGE_BYTES, seed, i, versions[i], mix);
}

static void
page_rewrite (uint64_t i)
{
  /* 0 is for lost pages. */
  versions[i] = versions[i] == UINT8_MAX ? 1 : versions[i] + 1;
  page_write (i);
  rewritten++;
}

/* Says of the first few bad pages what is wrong with them. */
static void
report_bad (uint64_t i, const uint8_t *want)
{
  const uint8_t *have = base + i * PAGE_BYTES;
  unsigned first = 0, differ = 0;

  for (unsigned k = PAGE_BYTES; k-- > 0;)
    if (have[k] != want[k]) {
      first = k;
      differ++;
    }
  if (bad_pages++ < 5)
    fprintf (stderr,
             "vmswap-bad-page: index=%" PRIu64 " version=%u kind=%s "
             "first=%u bytes=%u\n",
             i, (unsigned) versions[i], page_kind_name (seed, i, mix), first,
             differ);
}

static void
page_check (uint64_t i)
{
  uint8_t want[PAGE_BYTES];

  page_make (want, seed, i, versions[i], mix);
  if (memcmp (base + i * PAGE_BYTES, want, PAGE_BYTES) != 0)
    report_bad (i, want);
}

/* The kernel could not read a page that it had swapped out. */
static void
on_sigbus (int sig)
{
  (void) sig;
  siglongjmp (past_page, 1);
}

static void
page_lose (uint64_t i)
{
  bus_errors++;
  versions[i] = 0;
  madvise (base + i * PAGE_BYTES, PAGE_BYTES, MADV_DONTNEED);
}

/* Checks a page and, if asked, rewrites it; with mercy, survives its loss. */
static void
page_visit (uint64_t i, bool rewrite)
{
  uint64_t begun_ms = coarse_ms ();

  if (versions[i] == 0)
    return;
  if (sigsetjmp (past_page, 1) != 0) {
    page_lose (i);
    return;
  }
  page_check (i);
  if (rewrite)
    page_rewrite (i);
  note_time (begun_ms);
}

/* Makes room for more pages; their versions start at 1. */
static int
map_pages (uint64_t mib)
{
  void *p;

  if (base) {
    munmap (base, npages * PAGE_BYTES);
    free (versions);
    base = NULL;
    npages = 0;
  }
  p = mmap (NULL, mib * MIB, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED)
    return -errno;
  versions = malloc (mib * PAGES_PER_MIB);
  if (versions == NULL) {
    munmap (p, mib * MIB);
    return -ENOMEM;
  }
  /* If they were lost, nothing could be told; best effort. */
  mlock (versions, mib * PAGES_PER_MIB);
  memset (versions, 1, mib * PAGES_PER_MIB);
  base = p;
  npages = mib * PAGES_PER_MIB;
  return 0;
}

static int
cmd_fill (uint64_t mib)
{
  int r = map_pages (mib);

  if (r < 0)
    return r;
  for (uint64_t i = 0; i < npages; ++i) {
    uint64_t begun_ms = coarse_ms ();

    if (sigsetjmp (past_page, 1) != 0)
      page_lose (i);
    else
      page_write (i);
    note_time (begun_ms);
  }
  return 0;
}

/* Even runs upwards, then odd ones: neither the order of writing nor one that
 * readahead always guesses.  Rewrites so many runs in eight. */
static int
cmd_verify (unsigned rewrite)
{
  for (unsigned parity = 0; parity < 2; ++parity)
    for (uint64_t i = 0; i < npages; ++i) {
      uint64_t run = i / RUN_PAGES;

      if (run % 2 != parity)
        continue;
      page_visit (i, (run + 5) % 8 < rewrite);
    }
  return 0;
}

static void *
churn_loop (void *unused)
{
  uint64_t x = seed | 1;

  while (!stop_churn) {
    uint64_t i;

    x = mix64 (x + 1);
    i = x % npages;
    page_visit (i, x >> 62 == 0);
  }
  return NULL;
}

static int
cmd_churn (bool on)
{
  pthread_attr_t attr;
  int r = 0;

  if (on == churning)
    return -EALREADY;
  if (!on) {
    stop_churn = true;
    pthread_join (churn_thread, NULL);
    churning = false;
    return 0;
  }
  if (npages == 0)
    return -ENODATA;
  stop_churn = false;
  pthread_attr_init (&attr);
  pthread_attr_setstack (&attr, churn_stack, STACK_BYTES);
  r = pthread_create (&churn_thread, &attr, churn_loop, NULL);
  pthread_attr_destroy (&attr);
  churning = r == 0;
  return -r;
}

static int
cmd_keep (uint64_t mib)
{
  uint64_t keep = mib * PAGES_PER_MIB;

  if (keep >= npages)
    return 0;
  /* The mapping stays, so that map_pages and this agree on its length. */
  if (munmap (base + keep * PAGE_BYTES, (npages - keep) * PAGE_BYTES) < 0)
    return -errno;
  npages = keep;
  return 0;
}

/* Has the kernel logged an error of the swap device since the last look? */
static bool
kernel_complains (int fd)
{
  char record[2048];
  ssize_t n;
  bool found = false;

  while ((n = read (fd, record, sizeof record - 1)) > 0 || errno == EPIPE) {
    if (n <= 0)
      continue;
    record[n] = '\0';
    if (strstr (record, "rror on swap-device"))
      found = true;
  }
  return found;
}

static int
cmd_grow (uint64_t mib)
{
  uint64_t limit;
  int fd, r;

  fd = open ("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0)
    return -errno;
  lseek (fd, 0, SEEK_END);
  r = map_pages (mib);
  if (r < 0) {
    close (fd);
    return r;
  }
  limit = npages;
  for (npages = 0; npages < limit; ++npages) {
    if (npages % 64 == 0 && kernel_complains (fd))
      break;
    page_write (npages);
  }
  /* What was never written holds zeroes, not the content of version 1. */
  if (npages < limit)
    munmap (base + npages * PAGE_BYTES, (limit - npages) * PAGE_BYTES);
  close (fd);
  return 0;
}

static int
cmd_pageout (void)
{
  if (npages == 0)
    return -ENODATA;
  return madvise (base, npages * PAGE_BYTES, MADV_PAGEOUT) < 0 ? -errno : 0;
}

/* Keeps what this needs to count out of swap: not the pages. */
static int
cmd_mercy (bool on)
{
  struct sigaction action = { .sa_handler = on ? on_sigbus : SIG_DFL };

  if (on && mlockall (MCL_CURRENT) < 0)
    return -errno;
  return sigaction (SIGBUS, &action, NULL) < 0 ? -errno : 0;
}

static int
run_command (const char *verb, const char *arg)
{
  uint64_t mib = strtoull (arg, NULL, 10);

  if (churning && strcmp (verb, "churn") != 0)
    return -EBUSY;
  if (strcmp (verb, "fill") == 0 && mib > 0)
    return cmd_fill (mib);
  if (strcmp (verb, "grow") == 0 && mib > 0)
    return cmd_grow (mib);
  if (strcmp (verb, "keep") == 0)
    return cmd_keep (mib);
  if (strcmp (verb, "check") == 0)
    return cmd_verify (0);
  if (strcmp (verb, "verify") == 0)
    return cmd_verify (1);
  if (strcmp (verb, "rewrite") == 0)
    return cmd_verify (8);
  if (strcmp (verb, "churn") == 0)
    return cmd_churn (strcmp (arg, "on") == 0);
  if (strcmp (verb, "pageout") == 0)
    return cmd_pageout ();
  if (strcmp (verb, "mercy") == 0) {
    if (npages > 0)
      return -EBUSY;
    return cmd_mercy (strcmp (arg, "on") == 0);
  }
  if (strcmp (verb, "mix") == 0) {
    if (npages > 0)
      return -EBUSY;
    mix = strcmp (arg, "random") == 0 ? MIX_RANDOM : MIX_USUAL;
    return 0;
  }
  return -EINVAL;
}

int
main (int argc, char *argv[])
{
  char line[128], verb[32], arg[32];

  if (argc != 2) {
    fprintf (stderr, "usage: swap-hog SEED, then commands on stdin\n");
    return 1;
  }
  seed = strtoull (argv[1], NULL, 10);
  setvbuf (stdout, answer, _IOLBF, sizeof answer);
  while (fgets (line, sizeof line, stdin)) {
    uint64_t start = now_ms ();
    int r;

    verb[0] = arg[0] = '\0';
    if (sscanf (line, "%31s %31s", verb, arg) < 1)
      continue;
    if (strcmp (verb, "quit") == 0)
      break;
    r = run_command (verb, arg);
    if (r < 0)
      printf ("error %s %s: %s\n", verb, arg, strerror (-r));
    else
      printf ("ok pages=%" PRIu64 " bad_pages=%" PRIu64 " bus_errors=%" PRIu64
              " rewritten=%" PRIu64 " ms=%" PRIu64 " longest_ms=%" PRIu64
              " base=%p\n",
              npages, bad_pages, bus_errors, rewritten, now_ms () - start,
              longest_ms, (void *) base);
  }
  return 0;
}
