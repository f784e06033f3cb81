// SPDX-License-Identifier: BSD-3-Clause
/* Samples: pages of real processes, as make-samples wrote them. */

#ifndef VMSWAP_BENCH_SAMPLE_H
#define VMSWAP_BENCH_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096u

struct sample {
  char name[32];
  uint8_t *pages;   /* count * PAGE bytes */
  uint16_t *stored; /* per page: min (LZ4 length, PAGE); 0: a fill page */
  size_t count;
  size_t zero;        /* pages of zeroes */
  size_t fill;        /* pages of one repeated word, those of zeroes included */
  size_t raw;         /* pages that LZ4 does not make shorter */
  uint64_t lz4_bytes; /* the sum of stored */
};

enum sample_fill { SAMPLE_KEEP_FILL, SAMPLE_DROP_FILL };

/* Loads up to max_pages of a file.  Ends the program where it cannot. */
extern void sample_load (struct sample *sample, const char *path,
                         size_t max_pages, enum sample_fill fill);

/* Several samples as one, in turns of 2 MiB, as guests would share a pool. */
extern void sample_mix (struct sample *ret, const struct sample *samples,
                        size_t n);

/* Loads up to max_pages of each file and mixes them.  At most MAX_SAMPLES. */
#define MAX_SAMPLES 16
extern void sample_load_mix (struct sample *ret, char **paths, size_t n,
                             size_t max_pages, enum sample_fill fill);

extern void sample_free (struct sample *sample);

static inline const uint8_t *
sample_page (const struct sample *sample, size_t i)
{
  return sample->pages + i * PAGE;
}

/* Is the page one repeated 32-bit value? */
extern bool page_is_fill (const uint8_t *page);

#endif /* VMSWAP_BENCH_SAMPLE_H */
