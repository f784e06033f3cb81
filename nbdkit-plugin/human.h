// SPDX-License-Identifier: BSD-3-Clause
/* Sizes as people write them: 40K, 8G, 1.5M. */

#ifndef VMSWAP_HUMAN_H
#define VMSWAP_HUMAN_H

#include <stdint.h>

struct human {
  char text[24];
};

/* Returns human->text. */
extern const char *human_size (struct human *human, uint64_t bytes);

/* The same, never more than bytes, and human_parse takes it: for limits. */
extern const char *human_at_most (struct human *human, uint64_t bytes);

/* The opposite: digits and perhaps one of B, K, M, G, T, P, E, in either case.
 * 0, or -EINVAL: it is none, or too large. */
extern int human_parse (const char *text, uint64_t *ret);

#endif /* VMSWAP_HUMAN_H */
