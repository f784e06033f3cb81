// SPDX-License-Identifier: BSD-3-Clause
/* What keeps a server of swap from waiting for swap itself. */

#ifndef VMSWAP_HOSTMEM_H
#define VMSWAP_HOSTMEM_H

#include <stdbool.h>

struct pool;

/* Call it in the process that serves, before it has other threads.  Does
 * what the host allows, and warns about the rest.  Is the pool locked? */
extern bool hostmem_protect (struct pool *pool);

#endif /* VMSWAP_HOSTMEM_H */
