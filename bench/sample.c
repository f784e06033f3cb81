// SPDX-License-Identifier: BSD-3-Clause
/* Loads samples and knows what the bare codec makes of each page.  A sample
 * does not change after it is made, so threads share it without a lock. */

#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lz4.h>

#include "measure.h"
#include "sample.h"

bool
page_is_fill (const uint8_t *page)
{
  return memcmp (page, page + 4, PAGE - 4) == 0;
}

/* Page-aligned and touched, so that no measurement pays for its faults. */
static void *
get_memory (size_t size)
{
  void *p = mmap (NULL, size, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

  if (p == MAP_FAILED)
    fail ("no memory for a sample of %zu bytes: %s", size, strerror (errno));
  return p;
}

static void
set_name (struct sample *sample, const char *path)
{
  const char *base = strrchr (path, '/');
  base = base ? base + 1 : path;
  const size_t length = strcspn (base, ".");

  if (length == 0 || length >= sizeof sample->name)
    fail ("%s: the name of a sample has 1 to %zu letters before its dot", path,
          sizeof sample->name - 1);
  memcpy (sample->name, base, length);
  sample->name[length] = '\0';
}

static void
read_pages (struct sample *sample, const char *path, size_t max_pages)
{
  struct stat st;
  const int fd = open (path, O_RDONLY | O_CLOEXEC);

  if (fd == -1 || fstat (fd, &st) == -1)
    fail ("%s: %s (make-samples makes it)", path, strerror (errno));
  sample->count = (size_t) st.st_size / PAGE;
  if (sample->count > max_pages)
    sample->count = max_pages;
  if (sample->count == 0)
    fail ("%s: the sample holds no page; delete it and make it anew", path);

  sample->pages = get_memory (sample->count * PAGE);
  for (size_t done = 0; done < sample->count * PAGE;) {
    ssize_t r = pread (fd, sample->pages + done, sample->count * PAGE - done,
                       (off_t) done);
    if (r <= 0)
      fail ("%s: %s", path, r ? strerror (errno) : "the file shrank");
    done += (size_t) r;
  }
  close (fd);
}

/* Counts the page that goes to place i. */
static void
classify (struct sample *sample, size_t i, LZ4_stream_t *state)
{
  const uint8_t *page = sample_page (sample, i);
  char out[LZ4_COMPRESSBOUND (PAGE)];

  if (page_is_fill (page)) {
    sample->stored[i] = 0;
    sample->fill++;
    sample->zero +=
        page[0] == 0 && page[1] == 0 && page[2] == 0 && page[3] == 0;
    return;
  }
  int n = LZ4_compress_fast_extState (state, (const char *) page, out, PAGE,
                                      sizeof out, 1);
  if (n <= 0)
    fail ("LZ4 failed on page %zu of %s", i, sample->name);
  if ((unsigned) n >= PAGE) {
    n = PAGE;
    sample->raw++;
  }
  sample->stored[i] = (uint16_t) n;
  sample->lz4_bytes += (uint64_t) n;
}

static void
classify_all (struct sample *sample, enum sample_fill fill)
{
  LZ4_stream_t *state = malloc (sizeof *state);
  size_t kept = 0;

  sample->stored = calloc (sample->count, sizeof *sample->stored);
  if (!state || !sample->stored)
    fail ("no memory to classify sample %s", sample->name);
  for (size_t i = 0; i < sample->count; i++) {
    if (fill == SAMPLE_DROP_FILL && page_is_fill (sample_page (sample, i)))
      continue;
    if (kept != i)
      memcpy (sample->pages + kept * PAGE, sample_page (sample, i), PAGE);
    classify (sample, kept++, state);
  }
  if (kept == 0)
    fail ("sample %s holds fill pages only", sample->name);
  free (state);

  /* Keep free what the dropped pages leave: density measures RSS. */
  munmap (sample->pages + kept * PAGE, (sample->count - kept) * PAGE);
  sample->count = kept;
}

void
sample_load (struct sample *sample, const char *path, size_t max_pages,
             enum sample_fill fill)
{
  memset (sample, 0, sizeof *sample);
  set_name (sample, path);
  read_pages (sample, path, max_pages);
  classify_all (sample, fill);
}

void
sample_mix (struct sample *ret, const struct sample *samples, size_t n)
{
  const size_t run = (2u << 20) / PAGE;
  size_t total = 0, longest = 0, at = 0;

  memset (ret, 0, sizeof *ret);
  snprintf (ret->name, sizeof ret->name, "all");
  for (size_t s = 0; s < n; s++) {
    total += samples[s].count;
    if (samples[s].count > longest)
      longest = samples[s].count;
  }
  ret->pages = get_memory (total * PAGE);
  ret->count = total;
  for (size_t i = 0; i < longest; i += run) {
    for (size_t s = 0; s < n; s++) {
      if (i >= samples[s].count)
        continue;
      const size_t left = samples[s].count - i;
      const size_t take = left < run ? left : run;
      memcpy (ret->pages + at * PAGE, sample_page (&samples[s], i),
              take * PAGE);
      at += take;
    }
  }
  classify_all (ret, SAMPLE_KEEP_FILL);
}

void
sample_load_mix (struct sample *ret, char **paths, size_t n, size_t max_pages,
                 enum sample_fill fill)
{
  struct sample samples[MAX_SAMPLES];

  if (n == 0 || n > MAX_SAMPLES)
    fail ("give 1 to %d samples, not %zu", MAX_SAMPLES, n);
  for (size_t i = 0; i < n; i++)
    sample_load (&samples[i], paths[i], max_pages, fill);
  sample_mix (ret, samples, n);
  for (size_t i = 0; i < n; i++)
    sample_free (&samples[i]);
}

void
sample_free (struct sample *sample)
{
  if (sample->pages)
    munmap (sample->pages, sample->count * PAGE);
  free (sample->stored);
  memset (sample, 0, sizeof *sample);
}
