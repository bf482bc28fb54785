// SPDX-License-Identifier: GPL-2.0
/*
 * Cells of the workload about one file: written, read, through a mapping.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"
#include "workload.h"

#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE	0x00000080
#endif

/* Different bytes on each page: a device that looks at them gains nothing. */
void scribble(long seed)
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

void put(int fd, long size, long chunk)
{
	long at;

	for (at = 0; at < size; at += chunk)
		if (write(fd, buffer + at % MIB, chunk) != chunk)
			fail("write");
}

void cell_write(const char *path, long mib, long chunk)
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

/* The file is there, in the cache, and clean. */
void cell_overwrite(const char *path, long mib, long chunk)
{
	int fd = check(open(path, O_RDWR), path);

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
void cell_append(const char *path, long mib, long files)
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

static long read_all(int fd, long chunk)
{
	long done = 0, got;

	check(lseek(fd, 0, SEEK_SET), "lseek");
	while ((got = check(read(fd, buffer, chunk), "read")) > 0)
		done += got;
	return (done + PAGE - 1) / PAGE;
}

void cell_read(const char *path, long chunk, long is_warm)
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

/* All of a file, with RWF_* flags. */
static long read_with(int fd, long chunk, int flags)
{
	struct iovec vector = { buffer, chunk };
	long done = 0, got;

	while ((got = check(preadv2(fd, &vector, 1, done, flags), "preadv2")) > 0)
		done += got;
	return (done + PAGE - 1) / PAGE;
}

/* Reads that must not wait, of what is in the cache. */
void cell_read_nowait(const char *path, long chunk)
{
	int fd = check(open(path, O_RDONLY), path);

	forget();
	read_all(fd, MIB);
	bench_begin();
	tell("read", read_with(fd, chunk, RWF_NOWAIT));
	close(fd);
}

/* Reads of what is not to stay in the cache. */
void cell_read_dontcache(const char *path, long chunk)
{
	int fd = check(open(path, O_RDONLY), path);

	forget();
	bench_begin();
	tell("read", read_with(fd, chunk, RWF_DONTCACHE));
	close(fd);
}

/* A new file that is not to stay in the cache, until it is on the disk. */
void cell_write_dontcache(const char *path, long mib, long chunk)
{
	int fd = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0644), path);
	long at;

	forget();
	bench_begin();
	for (at = 0; at < mib * MIB; at += chunk) {
		struct iovec vector = { buffer + at % MIB, chunk };

		if (pwritev2(fd, &vector, 1, at, RWF_DONTCACHE) != chunk)
			fail("pwritev2");
	}
	check(fsync(fd), "fsync");
	tell("write", mib * MIB / PAGE);
	close(fd);
}

/* Reads past the cache; nothing of the file is in it. */
void cell_read_direct(const char *path, long chunk)
{
	int fd = check(open(path, O_RDONLY | O_DIRECT), path);

	forget();
	bench_begin();
	tell("read", read_all(fd, chunk));
	close(fd);
}

/* Past the cache over a file that is there, or, if there is none, to a new one. */
void cell_write_direct(const char *path, long mib, long chunk)
{
	int fd = check(open(path, O_CREAT | O_WRONLY | O_DIRECT, 0644), path);

	forget();
	bench_begin();
	put(fd, mib * MIB, chunk);
	tell("write", mib * MIB / PAGE);
	close(fd);
}

void cell_mmap(const char *path)
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
void cell_random(const char *path)
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
