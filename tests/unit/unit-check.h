// SPDX-License-Identifier: BSD-3-Clause
/* A CHECK that says where and what. */

#ifndef VMSWAP_UNIT_CHECK_H
#define VMSWAP_UNIT_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf (stderr, "%s:%d: CHECK (%s) failed\n", __FILE__, __LINE__,       \
               #condition);                                                    \
      exit (1);                                                                \
    }                                                                          \
  } while (0)

#endif /* VMSWAP_UNIT_CHECK_H */
