// SPDX-License-Identifier: GPL-2.0

#include <stdlib.h>
#include <time.h>
#include "clock.h"

static long started;

static long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000L + time.tv_nsec;
}

void bench_begin(void)
{
	if (getenv("BENCH_COUNT"))
		count_begin();
	started = now();
}

long bench_end(void)
{
	long taken = now() - started;

	if (getenv("BENCH_COUNT"))
		count_end();
	return taken;
}
