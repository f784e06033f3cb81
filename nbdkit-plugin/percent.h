// SPDX-License-Identifier: BSD-3-Clause
/* Parts of the pool, as people write them: 25%. */

#ifndef VMSWAP_PERCENT_H
#define VMSWAP_PERCENT_H

#include <stdint.h>

/* Digits and a percent sign, 1% to 100%.  0, or -EINVAL: it has another form,
 * or -ERANGE: it is no part of a whole. */
extern int percent_parse (const char *text, unsigned *ret);

/* That part of so many bytes, in whole pages. */
extern uint64_t percent_of (uint64_t bytes, unsigned percent);

#endif /* VMSWAP_PERCENT_H */
