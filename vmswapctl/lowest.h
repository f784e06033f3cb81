// SPDX-License-Identifier: BSD-3-Clause
/* The lowest of the numbers that were added, in any order, and how many there
 * were. */

#ifndef VMSWAPCTL_LOWEST_H
#define VMSWAPCTL_LOWEST_H

#include <stdint.h>

#define LOWEST_MAX 8

struct lowest {
  uint64_t count;
  uint64_t kept[LOWEST_MAX]; /* ascending */
};

extern void lowest_add (struct lowest *lowest, uint64_t number);

/* How many are kept. */
static inline unsigned
lowest_kept (const struct lowest *lowest)
{
  return lowest->count < LOWEST_MAX ? lowest->count : LOWEST_MAX;
}

#endif /* VMSWAPCTL_LOWEST_H */
