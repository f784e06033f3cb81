// SPDX-License-Identifier: BSD-3-Clause
/* sample-info: what the samples are made of. */

#include <config.h>

#include <stdlib.h>

#include "measure.h"
#include "sample.h"

static void
report (const char *path)
{
  struct sample sample;
  size_t classes[8] = { 0 }; /* of 512 bytes */

  sample_load (&sample, path, SIZE_MAX / PAGE, SAMPLE_KEEP_FILL);
  for (size_t i = 0; i < sample.count; i++)
    if (sample.stored[i])
      classes[(sample.stored[i] - 1) / 512]++;

  const double pages = (double) sample.count;
  const double blobs = pages - (double) sample.fill;
  finding_begin ("samples", "LZ4 bytes a page", sample.name,
                 (double) sample.lz4_bytes / blobs, "B", NULL, 0);
  finding_number ("pages", pages);
  finding_number ("zero_percent", 100 * (double) sample.zero / pages);
  finding_number ("fill_percent", 100 * (double) sample.fill / pages);
  finding_number ("raw_percent", 100 * (double) sample.raw / pages);
  for (size_t i = 0; i < 8; i++) {
    static const char *const keys[8] = { "to_512_percent",  "to_1024_percent",
                                         "to_1536_percent", "to_2048_percent",
                                         "to_2560_percent", "to_3072_percent",
                                         "to_3584_percent", "to_4096_percent" };
    finding_number (keys[i], 100 * (double) classes[i] / pages);
  }
  finding_end ();
  sample_free (&sample);
}

int
main (int argc, char *argv[])
{
  if (argc < 2)
    fail ("usage: sample-info SAMPLE...");
  for (int i = 1; i < argc; i++)
    report (argv[i]);
  return EXIT_SUCCESS;
}
