// SPDX-License-Identifier: BSD-3-Clause
/* The limits of exports as an operator gives them: what they may be, and why
 * they cannot be. */

#ifndef VMSWAP_BOUNDS_H
#define VMSWAP_BOUNDS_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"

/* Less than that holds the page tables and hardly a page. */
#define LIMITS_MIN_QUOTA (UINT64_C (64) << 10)

/* For limits_set: it stays what it is. */
#define LIMITS_KEEP UINT64_MAX

/* What is wrong with a quota and a reserve (bytes, 0: none), before any pool is
 * asked: words for a message, or NULL. */
extern const char *limits_bad (uint64_t quota, uint64_t reserve);

/* Sets them.  0, or -EINVAL or -ENOSPC with one line in reason that says what
 * is wrong and what would be right; nothing has changed then. */
extern int limits_set (struct pool *pool, struct volume *volume, uint64_t quota,
                       uint64_t reserve, char *reason, size_t reason_size);

#endif /* VMSWAP_BOUNDS_H */
