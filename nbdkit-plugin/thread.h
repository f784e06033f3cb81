// SPDX-License-Identifier: BSD-3-Clause
/* Threads of the plugin's own. */

#ifndef VMSWAP_THREAD_H
#define VMSWAP_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* With all signals blocked: those are for nbdkit's threads.  stack is its size
 * in bytes; 0: as usual.  0, or -1 with errno. */
extern int thread_start (pthread_t *thread, size_t stack,
                         void *(*run) (void *opaque), void *opaque);

#endif /* VMSWAP_THREAD_H */
