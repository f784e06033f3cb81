// SPDX-License-Identifier: BSD-3-Clause
/* swap-reader: a workload that reads its swapped pages in a known order.
 *
 *   swap-reader MIB STEP READS
 *
 * Owns one anonymous mapping of MIB, fills it from the front to the back, says
 * "filled", waits for SIGUSR1, reads READS pages and says how many of them held
 * something else than what was written.
 *
 * STEP: a page, then the page so many further (or, below 0, before it); at the
 * end once more from one page further on, or before.  0: pages at random.
 */

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "page-content.h"

#define PAGES_PER_MIB 256u
#define WORDS (PAGE_BYTES / sizeof (uint64_t))

static uint64_t *base;
static int64_t npages;

/* Two words of a page tell it from all others; the rest compresses. */
static void
fill (void)
{
  for (int64_t i = 0; i < npages; ++i)
    base[i * WORDS] = base[i * WORDS + 200] = mix64 (i + 1);
}

static int
is_bad (int64_t i)
{
  return base[i * WORDS] != mix64 (i + 1) ||
         base[i * WORDS + 200] != mix64 (i + 1);
}

/* The page to read after page i; rounds is how often the end was reached. */
static int64_t
next_page (int64_t i, int64_t step, int64_t *rounds)
{
  if (step == 0)
    return mix64 (i + ++*rounds) % npages;
  i += step;
  if (i >= 0 && i < npages)
    return i;
  ++*rounds;
  return step > 0 ? *rounds % step : npages - 1 - *rounds % -step;
}

static long
read_pages (int64_t step, long reads)
{
  int64_t rounds = 0;
  int64_t i = step < 0 ? npages - 1 : 0;
  long bad = 0;

  while (reads-- > 0) {
    bad += is_bad (i);
    i = next_page (i, step, &rounds);
  }
  return bad;
}

int
main (int argc, char *argv[])
{
  sigset_t set;
  int sig;

  if (argc != 4) {
    fprintf (stderr, "usage: swap-reader MIB STEP READS\n");
    return 1;
  }
  npages = atol (argv[1]) * PAGES_PER_MIB;
  base = mmap (NULL, npages * PAGE_BYTES, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (npages <= 0 || base == MAP_FAILED) {
    fprintf (stderr, "swap-reader: cannot map %s MiB\n", argv[1]);
    return 1;
  }
  sigemptyset (&set);
  sigaddset (&set, SIGUSR1);
  sigprocmask (SIG_BLOCK, &set, NULL);
  fill ();
  printf ("filled\n");
  fflush (stdout);
  sigwait (&set, &sig);
  printf ("bad_pages=%ld\n", read_pages (atol (argv[2]), atol (argv[3])));
  return 0;
}
