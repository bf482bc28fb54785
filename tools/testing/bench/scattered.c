// SPDX-License-Identifier: GPL-2.0
/*
 * Files with holes, files none of whose blocks follows the one before it, and files
 * that grow side by side.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "clock.h"
#include "workload.h"

/* One page of data in sixteen. */
void make_sparse(const char *path, long mib)
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

/* How many pieces of the device a file is in: extents that touch are one. */
static long pieces(int fd)
{
	struct fiemap *map = calloc(1, sizeof(*map) + 512 * sizeof(*map->fm_extents));
	struct fiemap_extent last = { 0 };
	long count = 0;

	if (!map)
		fail("memory");
	do {
		unsigned int i;

		map->fm_start = last.fe_logical + last.fe_length;
		map->fm_length = FIEMAP_MAX_OFFSET - map->fm_start;
		map->fm_extent_count = 512;
		check(ioctl(fd, FS_IOC_FIEMAP, map), "fiemap");
		for (i = 0; i < map->fm_mapped_extents; i++) {
			struct fiemap_extent *next = &map->fm_extents[i];

			count += !last.fe_length ||
				 next->fe_logical != last.fe_logical + last.fe_length ||
				 next->fe_physical != last.fe_physical + last.fe_length;
			last = *next;
		}
	} while (map->fm_mapped_extents);
	free(map);
	return count;
}

/* Files that grow side by side, in small pieces, and how many pieces they are in. */
void cell_grow_in_turns(const char *path, long mib, long files)
{
	int fds[16];
	char name[4096];
	long at, i, count = 0;

	if (files > 16)
		fail("files");
	for (i = 0; i < files; i++) {
		snprintf(name, sizeof(name), "%s%ld", path, i);
		fds[i] = check(open(name, O_CREAT | O_TRUNC | O_RDWR, 0644), name);
	}
	for (at = 0; at < mib * MIB; at += PAGE)
		for (i = 0; i < files; i++)
			if (write(fds[i], buffer + at % MIB, PAGE) != PAGE)
				fail("write");
	for (i = 0; i < files; i++) {
		check(fsync(fds[i]), "fsync");
		count += pieces(fds[i]);
		close(fds[i]);
	}
	printf("pieces %ld %ld\n", count, files);
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
void make_scattered_in_turn(const char *path, long mib)
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
void make_scattered_by_allotment(const char *path, long mib)
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
