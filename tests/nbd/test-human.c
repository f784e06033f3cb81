// SPDX-License-Identifier: BSD-3-Clause
/* Sizes come out as people write them, at every border. */

#include <config.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "human.h"

static const struct {
  uint64_t bytes;
  const char *text;
} cases[] = {
  { 0, "0" },
  { 1, "1" },
  { 1023, "1023" },
  { 1024, "1K" },
  { 1536, "1.5K" },
  { 4096, "4K" },
  { 40960, "40K" },
  { 10 * 1024 + 512, "11K" },
  { 10 * 1024 + 511, "10K" },
  { 10 * 1024 - 1, "10K" },
  { (1 << 20) - 1, "1024K" },
  { 1 << 20, "1M" },
  { 6239027, "5.9M" }, /* below 5.95 by a byte, and above */
  { 6239028, "6M" },
  { 212 << 20, "212M" },
  { UINT64_C (8) << 30, "8G" },
  { UINT64_C (16) << 40, "16T" },
  { UINT64_C (3) << 39, "1.5T" },
  { UINT64_MAX, "16E" },
};

static const struct {
  uint64_t bytes;
  const char *text;
} most[] = {
  { 0, "0" },
  { 10239, "10239" },
  { 10240, "10K" },
  { 56356045, "53M" },
  { UINT64_C (2047) << 20, "2047M" },
  { (UINT64_C (10) << 30) - 1, "10239M" },
  { UINT64_C (10) << 30, "10G" },
  { UINT64_MAX, "15E" },
};

int
main (void)
{
  int failed = 0;
  struct human human;

  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
    if (strcmp (human_size (&human, cases[i].bytes), cases[i].text) != 0) {
      fprintf (stderr, "%" PRIu64 ": '%s' instead of '%s'\n", cases[i].bytes,
               human.text, cases[i].text);
      failed = 1;
    }
  for (size_t i = 0; i < sizeof most / sizeof most[0]; ++i) {
    uint64_t back;

    human_at_most (&human, most[i].bytes);
    if (strcmp (human.text, most[i].text) != 0 ||
        human_parse (human.text, &back) != 0 || back > most[i].bytes) {
      fprintf (stderr, "at most %" PRIu64 ": '%s' instead of '%s'\n",
               most[i].bytes, human.text, most[i].text);
      failed = 1;
    }
  }
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
