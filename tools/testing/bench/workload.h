/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the workload have of each other. */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#define PAGE	4096L
#define MIB	(1L << 20)
#define SMALL	6144

/* Two MiB that are written, or read into. */
extern char *buffer;

void fail(const char *what);
long check(long result, const char *what);
void tell(const char *what, long units);
void forget(void);

/* What the device has done so far: requests, sectors, flushes. */
struct traffic {
	long reads, in, writes, out, flushes;
};

struct traffic traffic(void);
void tell_traffic(const char *what, const struct traffic *before);
void cell_change(const char *path, const char *what, long count);

void scribble(long seed);
void put(int fd, long size, long chunk);
void cell_write(const char *path, long mib, long chunk);
void cell_overwrite(const char *path, long mib, long chunk);
void cell_append(const char *path, long mib, long files);
void cell_read(const char *path, long chunk, long is_warm);
void cell_read_nowait(const char *path, long chunk);
void cell_read_dontcache(const char *path, long chunk);
void cell_write_dontcache(const char *path, long mib, long chunk);
void cell_read_direct(const char *path, long chunk);
void cell_write_direct(const char *path, long mib, long chunk);
void cell_mmap(const char *path);
void cell_random(const char *path);

void make_sparse(const char *path, long mib);
void make_scattered_in_turn(const char *path, long mib);
void make_scattered_by_allotment(const char *path, long mib);
void cell_grow_in_turns(const char *path, long mib, long files);

void cell_make_small(const char *path, long count);
void cell_read_small(const char *path, long count);

void make_empty(const char *path, long count);
void make_synced(const char *path, long count);
void move_synced(const char *path, long count);
void cell_absent(const char *path, long count);
void cell_rename(const char *path, long count);
void cell_unlink(const char *path, long count);
void cell_list(const char *path);

void cell_unpack(const char *path, const char *archive);
void cell_walk(const char *path);
void cell_remove_tree(const char *path);

#endif
