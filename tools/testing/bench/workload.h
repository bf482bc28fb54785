/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the workload have of each other. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

void fail(const char *what);
long check(long result, const char *what);
void tell(const char *what, long units);
void forget(void);

void make_empty(const char *path, long count);
void cell_absent(const char *path, long count);
void cell_rename(const char *path, long count);
void cell_unlink(const char *path, long count);

#endif
