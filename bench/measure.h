// SPDX-License-Identifier: BSD-3-Clause
/* Clocks, medians, and the lines of JSON that every driver prints: one
 * finding a line on stdout, talk on stderr. */

#ifndef VMSWAP_BENCH_MEASURE_H
#define VMSWAP_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

/* Nanoseconds of wall time, of the calling thread's CPU, and of the CPU of
 * all threads of this process. */
extern uint64_t wall_ns (void);
extern uint64_t thread_cpu_ns (void);
extern uint64_t process_cpu_ns (void);

/* Nanoseconds that the calling thread has been ready to run and waited for a
 * CPU.  0 where the kernel does not say. */
extern uint64_t run_delay_ns (void);

/* Both sort values in place.  n is at least 1. */
extern double median (double *values, size_t n);
extern double percentile (double *values, size_t n, double percent);

/* A small generator (xorshift*): the same numbers on every run. */
struct dice {
  uint64_t state;
};
extern void dice_init (struct dice *dice, uint64_t seed);
extern uint64_t dice_roll (struct dice *dice, uint64_t bound);

/* Prints "bench: ..." to stderr and ends the program. */
extern void fail (const char *format, ...)
    __attribute__ ((format (printf, 1, 2), noreturn));

/* Prints what is going on, to stderr. */
extern void note (const char *format, ...)
    __attribute__ ((format (printf, 1, 2)));

/* One line of JSON: finding_begin, any number of fields, finding_end.
 *
 * A finding has a value, and perhaps a target that it must not exceed ("<=")
 * or must reach (">=").  sense NULL: for information.  Keys and texts must
 * need no quoting. */
extern void finding_begin (const char *bench, const char *row,
                           const char *sample, double value, const char *unit,
                           const char *sense, double target);
extern void finding_number (const char *key, double value);
extern void finding_text (const char *key, const char *value);
extern void finding_end (void);

#endif /* VMSWAP_BENCH_MEASURE_H */
