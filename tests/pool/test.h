// SPDX-License-Identifier: BSD-3-Clause
/* What every test of the pool needs: checks that cannot be compiled away,
 * random numbers that a seed brings back, and content that looks like swap.
 *
 * A failed check prints one line with the place, the context (seed, options)
 * and the reason, and ends the process with exit status 1 at once: other
 * threads must not go on and bury the evidence. */

#ifndef VMSWAP_TEST_H
#define VMSWAP_TEST_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

#define MIB (UINT64_C (1) << 20)
#define GIB (UINT64_C (1) << 30)
#define TIB (UINT64_C (1) << 40)

/* Printed with every failure.  Set before threads start. */
extern char test_context[256];

extern void test_fail (const char *file, int line, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4), noreturn));

#define FAIL(...) test_fail (__FILE__, __LINE__, __VA_ARGS__)

#define CHECK(cond)                                                            \
  do {                                                                         \
    if (!(cond))                                                               \
      FAIL ("not true: %s", #cond);                                            \
  } while (0)

/* The call must return this. */
#define CHECK_RC(call, expected)                                               \
  do {                                                                         \
    const int check_rc = (call);                                               \
    const int check_expected = (expected);                                     \
    if (check_rc != check_expected)                                            \
      FAIL ("%s returned %d, not %d", #call, check_rc, check_expected);        \
  } while (0)

/* a <= b, with both in the message. */
#define CHECK_LE(a, b)                                                         \
  do {                                                                         \
    const uint64_t check_a = (a);                                              \
    const uint64_t check_b = (b);                                              \
    if (check_a > check_b)                                                     \
      FAIL ("%s is %llu, more than %s, which is %llu", #a,                     \
            (unsigned long long) check_a, #b, (unsigned long long) check_b);   \
  } while (0)

#define CHECK_EQ(a, b)                                                         \
  do {                                                                         \
    const uint64_t check_a = (a);                                              \
    const uint64_t check_b = (b);                                              \
    if (check_a != check_b)                                                    \
      FAIL ("%s is %llu, not %s, which is %llu", #a,                           \
            (unsigned long long) check_a, #b, (unsigned long long) check_b);   \
  } while (0)

/* The pool had no room or got no memory: the only way a write may fail. */
static inline bool
test_refused (int rc)
{
  return rc == -ENOSPC || rc == -ENOMEM;
}

/* Table memory that may stay when nothing is stored: frames kept ready, and
 * the upper levels of each volume's page table. */
#define TABLE_SLACK(volumes) ((16 + 2 * (uint64_t) (volumes)) * POOL_PAGE_SIZE)

/* pool_check, and its report when it fails. */
extern void test_pool_check_at (const char *file, int line, struct pool *pool,
                                bool verify);
#define POOL_CHECK(pool, verify)                                               \
  test_pool_check_at (__FILE__, __LINE__, (pool), (verify))

/* A folder for state=, on tmpfs, and the image in it. */
struct test_state {
  char dir[40], image[60];
};

/* False: there is no tmpfs at /dev/shm. */
extern bool test_state_make (struct test_state *state);
extern void test_state_remove (struct test_state *state);

/* pool_create, or adoption, that must succeed; if not, the reason is printed.
 */
extern struct pool *test_create (const struct pool_config *config);

extern void *test_alloc (size_t size);
extern double test_seconds (void); /* monotonic clock */

/* Bytes of shared memory this process has touched (RssShmem). */
extern uint64_t test_rss_shmem (void);

/* Takes --seed N and --COUNT_NAME N from the command line, and puts them into
 * test_context.  Ends the process when there is anything else. */
extern void test_seed_and_count (int argc, char *argv[], const char *count_name,
                                 uint64_t *seed, uint64_t *count);

/* "64M" to bytes; fails with the name of the option. */
extern uint64_t test_size (const char *option, const char *text);

extern void test_hexdump_diff (const uint8_t *expected, const uint8_t *actual,
                               size_t length, uint64_t offset);

/* Random numbers: a Weyl sequence through a 64-bit mixer. */
static inline uint64_t
test_mix (uint64_t x)
{
  x ^= x >> 32;
  x *= UINT64_C (0xd6e8feb86659fd93);
  x ^= x >> 32;
  x *= UINT64_C (0xd6e8feb86659fd93);
  x ^= x >> 32;
  return x;
}

struct rng {
  uint64_t state;
};

static inline uint64_t
rng_next (struct rng *rng)
{
  rng->state += UINT64_C (0x9e3779b97f4a7c15);
  return test_mix (rng->state);
}

/* A number below n. */
static inline uint64_t
rng_below (struct rng *rng, uint64_t n)
{
  return rng_next (rng) % n;
}

#endif /* VMSWAP_TEST_H */
