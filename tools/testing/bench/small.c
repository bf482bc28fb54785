// SPDX-License-Identifier: GPL-2.0
/*
 * Cells of the workload about many small files.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "workload.h"

void cell_make_small(const char *path, long count)
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

void cell_read_small(const char *path, long count)
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
