// SPDX-License-Identifier: GPL-2.0
/*
 * What `make bench` times: one use of a filesystem for each run.
 *
 *	workload CELL PATH [NUMBER...]
 *
 * Prints a line "what nanoseconds units" for each thing it timed. Under the
 * instruction clock a nanosecond is an instruction. Only the use itself is
 * between bench_begin() and bench_end(); caches are dropped before.
 *
 * Linked statically, so that a run costs no reads of the guest's root.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"
#include "workload.h"

#define PAGE	4096L
#define MIB	(1L << 20)
#define SMALL	6144
#define LARGE	(2 * MIB)

static char *buffer;

void fail(const char *what)
{
	perror(what);
	exit(1);
}

long check(long result, const char *what)
{
	if (result < 0)
		fail(what);
	return result;
}

void tell(const char *what, long units)
{
	printf("%s %ld %ld\n", what, bench_end(), units);
	fflush(stdout);
}

void forget(void)
{
	int fd;

	sync();
	fd = check(open("/proc/sys/vm/drop_caches", O_WRONLY), "drop_caches");
	check(write(fd, "3\n", 2), "drop_caches");
	close(fd);
}

/* Different bytes on each page: a device that looks at them gains nothing. */
static void scribble(long seed)
{
	unsigned long x = seed * 0x9e3779b97f4a7c15UL + 1;
	long i;

	for (i = 0; i < MIB; i += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		memcpy(buffer + i, &x, 8);
	}
}

static void put(int fd, long size, long chunk)
{
	long at;

	for (at = 0; at < size; at += chunk)
		if (write(fd, buffer + at % MIB, chunk) != chunk)
			fail("write");
}

static void cell_write(const char *path, long mib, long chunk)
{
	int fd = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0644), path);

	forget();
	bench_begin();
	put(fd, mib * MIB, chunk);
	tell("write", mib * MIB / PAGE);
	bench_begin();
	check(fsync(fd), "fsync");
	tell("fsync", mib * MIB / PAGE);
	close(fd);
}

/* The file, made if need be, is in the cache, and clean. */
static void cell_overwrite(const char *path, long mib, long chunk)
{
	int fd = check(open(path, O_CREAT | O_RDWR, 0644), path);

	if (lseek(fd, 0, SEEK_END) < mib * MIB) {
		check(lseek(fd, 0, SEEK_SET), "lseek");
		put(fd, mib * MIB, MIB);
		check(fsync(fd), "fsync");
	}
	check(lseek(fd, 0, SEEK_SET), "lseek");
	while (check(read(fd, buffer, MIB), "read") > 0)
		;
	sync();
	check(lseek(fd, 0, SEEK_SET), "lseek");
	bench_begin();
	put(fd, mib * MIB, chunk);
	tell("overwrite", mib * MIB / PAGE);
	check(fsync(fd), "fsync");
	close(fd);
}

/* Two processes append to a file each, or to one, in pieces of a page. */
static void cell_append(const char *path, long mib, long files)
{
	char name[4096];
	pid_t child;
	int i, fd, status;

	forget();
	bench_begin();
	for (i = 0; i < 2; i++) {
		child = check(fork(), "fork");
		if (child)
			continue;
		snprintf(name, sizeof(name), "%s%ld", path, i % files);
		fd = check(open(name, O_CREAT | O_WRONLY | O_APPEND, 0644), name);
		put(fd, mib * MIB, PAGE);
		_exit(0);
	}
	for (i = 0; i < 2; i++) {
		check(wait(&status), "wait");
		if (status)
			exit(1);
	}
	tell("append", 2 * mib * MIB / PAGE);
}

/* Sectors that the device has read and written so far. */
struct traffic {
	long in, out;
};

static struct traffic traffic(void)
{
	const char *path = getenv("BENCH_STAT");
	FILE *file = fopen(path ? path : "", "r");
	struct traffic now;

	if (!file || fscanf(file, "%*d %*d %ld %*d %*d %*d %ld", &now.in,
			    &now.out) != 2)
		fail("the device's stat");
	fclose(file);
	return now;
}

/*
 * KiB that the device reads and writes for each of some small changes of a file
 * of 2 MiB, each with fsync: 4 KiB of what is in memory are written anew
 * ("rewrite"), or appended, or a byte of what is not in memory is stored through
 * a mapping.
 */
static void cell_change(const char *path, const char *what, long count)
{
	int fd = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0644), path);
	struct traffic before, now, sum = { 0, 0 };
	long i, at;
	char *map;

	put(fd, LARGE, MIB);
	check(fsync(fd), "fsync");
	sync();
	map = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
	for (i = 0; i < count; i++) {
		at = i * (LARGE / count);
		if (!strcmp(what, "append"))
			at = LARGE + i * PAGE;
		if (!strcmp(what, "store"))
			forget();
		before = traffic();
		if (!strcmp(what, "store"))
			map[at]++;
		else if (pwrite(fd, buffer, PAGE, at) != PAGE)
			fail("pwrite");
		check(fsync(fd), "fsync");
		now = traffic();
		sum.in += now.in - before.in;
		sum.out += now.out - before.out;
	}
	munmap(map, LARGE);
	close(fd);
	printf("in %ld %ld\nout %ld %ld\n", sum.in / 2, count, sum.out / 2, count);
}

static long read_all(int fd, long chunk)
{
	long done = 0, got;

	check(lseek(fd, 0, SEEK_SET), "lseek");
	while ((got = check(read(fd, buffer, chunk), "read")) > 0)
		done += got;
	return (done + PAGE - 1) / PAGE;
}

static void cell_read(const char *path, long chunk, long is_warm)
{
	int fd = check(open(path, O_RDONLY), path);
	long pages;

	forget();
	if (is_warm)
		read_all(fd, MIB);
	bench_begin();
	pages = read_all(fd, chunk);
	tell("read", pages);
	close(fd);
}

/* The same past the cache; nothing of the file is in it. */
static void cell_read_direct(const char *path, long chunk)
{
	int fd = check(open(path, O_RDONLY | O_DIRECT), path);

	forget();
	bench_begin();
	tell("read", read_all(fd, chunk));
	close(fd);
}

/* Past the cache over a file that is there, or, if there is none, to a new one. */
static void cell_write_direct(const char *path, long mib, long chunk)
{
	int fd = check(open(path, O_CREAT | O_WRONLY | O_DIRECT, 0644), path);

	forget();
	bench_begin();
	put(fd, mib * MIB, chunk);
	tell("write", mib * MIB / PAGE);
	close(fd);
}

static void cell_mmap(const char *path)
{
	int fd = check(open(path, O_RDONLY), path);
	const char *map;
	struct stat info;
	long i, pages;
	char sum = 0;

	check(fstat(fd, &info), path);
	pages = info.st_size / PAGE;
	forget();
	bench_begin();
	map = mmap(NULL, info.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
	for (i = 0; i < pages; i++)
		sum += map[i * PAGE];
	munmap((char *)map, info.st_size);
	tell("mmap", pages);
	close(fd);
	buffer[0] = sum;
}

/* A quarter of the pages, some of them twice, without readahead. */
static void cell_random(const char *path)
{
	int fd = check(open(path, O_RDONLY), path);
	unsigned int x = 12345;
	struct stat info;
	long i, pages;

	check(fstat(fd, &info), path);
	pages = info.st_size / PAGE;
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	forget();
	bench_begin();
	for (i = 0; i < pages / 4; i++) {
		x = x * 1103515245 + 12345;
		check(pread(fd, buffer, PAGE, (x >> 4) % pages * PAGE), "pread");
	}
	tell("random", pages / 4);
	close(fd);
}

/* One page of data in sixteen. */
static void make_sparse(const char *path, long mib)
{
	int fd = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0644), path);
	long at;

	check(ftruncate(fd, mib * MIB), "ftruncate");
	for (at = 0; at < mib * MIB; at += 16 * PAGE)
		if (pwrite(fd, buffer, PAGE, at) != PAGE)
			fail("pwrite");
	check(fsync(fd), "fsync");
	close(fd);
}

static long extents(int fd)
{
	struct fiemap map = { .fm_length = FIEMAP_MAX_OFFSET };

	return ioctl(fd, FS_IOC_FIEMAP, &map) ? -1 : map.fm_mapped_extents;
}

/* Two files that take blocks in turn; the second is of no use afterwards. */
struct turns {
	int fd, second;
	long block;
};

static struct turns open_turns(const char *path)
{
	struct turns turns;
	char other[4096];
	struct statvfs fs;

	snprintf(other, sizeof(other), "%s.other", path);
	turns.fd = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0644), path);
	turns.second = check(open(other, O_CREAT | O_TRUNC | O_RDWR, 0644),
			     other);
	check(fstatvfs(turns.fd, &fs), path);
	turns.block = fs.f_bsize;
	return turns;
}

static void close_turns(const struct turns *turns, long mib)
{
	check(fsync(turns->fd), "fsync");
	printf("extents %ld %ld\n", extents(turns->fd),
	       mib * MIB / turns->block);
	close(turns->second);
	close(turns->fd);
}

/* For filesystems that give out blocks at the write, and keep none back. */
static void make_scattered_in_turn(const char *path, long mib)
{
	struct turns turns = open_turns(path);
	long at;

	for (at = 0; at < mib * MIB; at += turns.block) {
		if (write(turns.fd, buffer, turns.block) != turns.block)
			fail("write");
		if (write(turns.second, buffer, turns.block) != turns.block)
			fail("write");
	}
	close_turns(&turns, mib);
}

/*
 * For filesystems that give out blocks later: both files are allotted one block
 * in turn, and then one is written.
 */
static void make_scattered_by_allotment(const char *path, long mib)
{
	struct turns turns = open_turns(path);
	long at;

	for (at = 0; at < mib * MIB; at += turns.block) {
		check(fallocate(turns.fd, 0, at, turns.block), "fallocate");
		check(fallocate(turns.second, 0, at, turns.block), "fallocate");
	}
	put(turns.fd, mib * MIB, MIB);
	close_turns(&turns, mib);
}

static void cell_make_small(const char *path, long count)
{
	char name[4096];
	long i;
	int fd;

	check(mkdir(path, 0755), path);
	forget();
	bench_begin();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/file%ld", path, i);
		fd = check(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644), name);
		if (write(fd, buffer, SMALL) != SMALL)
			fail("write");
		close(fd);
	}
	tell("create", count);
	sync();
}

static void cell_read_small(const char *path, long count)
{
	char name[4096];
	long i;
	int fd;

	forget();
	bench_begin();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/file%ld", path, i);
		fd = check(open(name, O_RDONLY), name);
		if (read(fd, buffer, 2 * SMALL) != SMALL)
			fail("read");
		close(fd);
	}
	tell("read", count);
}

static void cell_list(const char *path)
{
	struct dirent *entry;
	struct stat info;
	long count = 0;
	DIR *dir;

	forget();
	bench_begin();
	dir = opendir(path);
	if (!dir)
		fail(path);
	while ((entry = readdir(dir))) {
		check(fstatat(dirfd(dir), entry->d_name, &info, 0), "stat");
		count++;
	}
	tell("list", count);
	closedir(dir);
}

static long number(int argc, char **argv, int index)
{
	return index < argc ? atol(argv[index]) : 0;
}

int main(int argc, char **argv)
{
	const char *cell = argc > 2 ? argv[1] : "";
	const char *path = argc > 2 ? argv[2] : "";
	long first = number(argc, argv, 3);
	long second = number(argc, argv, 4);

	buffer = aligned_alloc(PAGE, 2 * MIB);
	if (!buffer)
		fail("memory");
	scribble(first);
	if (!strcmp(cell, "write"))
		cell_write(path, first, second);
	else if (!strcmp(cell, "overwrite"))
		cell_overwrite(path, first, second);
	else if (!strcmp(cell, "read"))
		cell_read(path, first, second);
	else if (!strcmp(cell, "read-direct"))
		cell_read_direct(path, first);
	else if (!strcmp(cell, "write-direct"))
		cell_write_direct(path, first, second);
	else if (!strcmp(cell, "mmap"))
		cell_mmap(path);
	else if (!strcmp(cell, "random"))
		cell_random(path);
	else if (!strcmp(cell, "make-sparse"))
		make_sparse(path, first);
	else if (!strcmp(cell, "make-scattered-in-turn"))
		make_scattered_in_turn(path, first);
	else if (!strcmp(cell, "make-scattered-by-allotment"))
		make_scattered_by_allotment(path, first);
	else if (!strcmp(cell, "make-small"))
		cell_make_small(path, first);
	else if (!strcmp(cell, "read-small"))
		cell_read_small(path, first);
	else if (!strcmp(cell, "make-empty"))
		make_empty(path, first);
	else if (!strcmp(cell, "absent"))
		cell_absent(path, first);
	else if (!strcmp(cell, "rename"))
		cell_rename(path, first);
	else if (!strcmp(cell, "unlink"))
		cell_unlink(path, first);
	else if (!strcmp(cell, "list"))
		cell_list(path);
	else if (!strcmp(cell, "append-by-two"))
		cell_append(path, first, second);
	else if (!strcmp(cell, "rewrite") || !strcmp(cell, "store") ||
		 !strcmp(cell, "append"))
		cell_change(path, cell, first);
	else
		return 2;
	return 0;
}
