// SPDX-License-Identifier: BSD-3-Clause
/* What vmswapctl top shows, as lines of text, whatever shows them. */

#ifndef VMSWAPCTL_SCREEN_H
#define VMSWAPCTL_SCREEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Two looks at the server; earlier may be NULL: then there are no rates, and
 * times are those since the export is there. */
struct screen_data {
  const json_t *now;
  const json_t *latency;
  const json_t *earlier;
  const json_t *earlier_latency;
  const char *complaint; /* why "now" is old; "" if it is not */
};

enum screen_attribute { SCREEN_PLAIN, SCREEN_TITLE, SCREEN_BAR, SCREEN_HINT };

/* What the user has chosen. */
struct screen_choice {
  unsigned sort;   /* below screen_nr_sorts () */
  unsigned scroll; /* guests that are left out at the top; it is set right */
};

extern unsigned screen_nr_sorts (void);
extern const char *screen_sort_name (unsigned sort);

/* Calls fn with each line, none wider than width columns; there are as many
 * guests and hints as height allows (0: all). */
typedef void screen_fn (void *opaque, enum screen_attribute attribute,
                        const char *line);
extern void screen_render (const struct screen_data *data,
                           struct screen_choice *choice, unsigned width,
                           unsigned height, screen_fn *fn, void *opaque);

#endif /* VMSWAPCTL_SCREEN_H */
