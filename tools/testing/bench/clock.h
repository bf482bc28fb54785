/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The clock of the workload. In a file of its own, so that its functions are
 * called, and the counting plugin of the profile can watch for the calls.
 */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

/* Starts the clock. */
void bench_begin(void);

/* Nanoseconds since then. */
long bench_end(void);

/* What the plugin watches for; called by the two if $BENCH_COUNT is set. */
void count_begin(void);
void count_end(void);

#endif /* BENCH_CLOCK_H */
