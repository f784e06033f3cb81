// SPDX-License-Identifier: BSD-3-Clause
/* What all fuzz targets share: bytes of the input, checks, content of pages,
 * and buffers at whose end the world ends. */

#ifndef VMSWAP_FUZZ_H
#define VMSWAP_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pool.h"

/* A finding: says what is wrong and aborts, so that libFuzzer keeps the
 * input. */
extern void fuzz_fail (const char *file, int line, const char *fmt, ...)
    __attribute__ ((format (printf, 3, 4), noreturn));

#define FUZZ_FAIL(...) fuzz_fail (__FILE__, __LINE__, __VA_ARGS__)
#define FUZZ_CHECK(cond)                                                       \
  do {                                                                         \
    if (!(cond))                                                               \
      FUZZ_FAIL ("not true: %s", #cond);                                       \
  } while (0)

/* The harness itself cannot go on: not a finding. */
extern void fuzz_die (const char *what) __attribute__ ((noreturn));

/* An input, read from its start.  Beyond its end there are zeroes. */
struct input {
  const uint8_t *at, *end;
};

extern uint8_t input_u8 (struct input *input);
extern uint16_t input_u16 (struct input *input);
extern uint32_t input_u32 (struct input *input);
extern uint64_t input_u64 (struct input *input);

static inline bool
input_is_over (const struct input *input)
{
  return input->at == input->end;
}

/* Fills a page that depends on nothing but the number.  One in eight is a
 * fill page, two in eight do not compress. */
extern void fuzz_content (uint8_t *page, uint32_t number);

/* size bytes before a page that cannot be touched.  Never freed. */
extern uint8_t *fuzz_guarded (size_t size);

/* A folder of our own on tmpfs, removed at the end: under $VMSWAP_FUZZ_TMPFS,
 * or /dev/shm. */
extern const char *fuzz_folder (void);

/* Starts the keys of pools anew: equal inputs meet equal pools. */
extern void fuzz_restart_random (void);

/* The clock of the ring: it moves on by so much at each look, and when told. */
extern void fuzz_clock_restart (uint64_t look_ns);
extern void fuzz_clock_advance (uint64_t ns);

/* libFuzzer's. */
extern int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

#endif /* VMSWAP_FUZZ_H */
