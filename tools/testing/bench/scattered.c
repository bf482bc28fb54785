// SPDX-License-Identifier: GPL-2.0
/*
 * Files with holes, and files none of whose blocks follows the one before it.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdio.h>
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
