// SPDX-License-Identifier: BSD-3-Clause
/* The cells of the table of guests, and the width of text. */

#ifndef VMSWAPCTL_CELLS_H
#define VMSWAPCTL_CELLS_H

#include <jansson.h>
#include <stddef.h>

struct screen_data;

/* A guest at two moments; what is NULL was not there. */
struct cells_row {
  const char *id;
  const json_t *now;
  const json_t *before;
  const json_t *latency;
  const json_t *latency_before;
  const json_t *bounds; /* of the buckets in latency, in nanoseconds */
  double seconds;       /* between the two; 0: there is one only */
  double key;           /* for the caller to sort by */
};

/* All guests; the caller frees it.  NULL: no memory, or no guests. */
extern struct cells_row *cells_rows (const struct screen_data *data, size_t *n);

/* Seconds between the two moments; 0: there is one only. */
extern double cells_seconds (const struct screen_data *data);

/* How fast a counter rises, times unit, as a size; "-": nobody knows. */
extern void cells_rate (const json_t *now, const json_t *before,
                        const char *figure, double unit, double seconds,
                        char *text, size_t size);

typedef void cell_fn (const struct cells_row *row, char *text, size_t size);
extern cell_fn cell_size, cell_stored, cell_held, cell_saved, cell_ratio;
extern cell_fn cell_out, cell_in, cell_trim, cell_requests, cell_errors;
extern cell_fn cell_cold, cell_quota, cell_read_p50, cell_read_p99,
    cell_write_p99, cell_state;

/* To sort by. */
extern double cells_held (const struct cells_row *row);
extern double cells_out (const struct cells_row *row);
extern double cells_in (const struct cells_row *row);
extern double cells_read_p99 (const struct cells_row *row);

/* As much of the text as fits into so many columns, and bytes; padded with
 * spaces, or not. */
extern void cells_pad (const char *text, unsigned columns, char *to,
                       size_t size);
extern void cells_fit (const char *text, unsigned columns, char *to,
                       size_t size);

#endif /* VMSWAPCTL_CELLS_H */
