// SPDX-License-Identifier: GPL-2.0
/*
 * What the device does: cells of the workload about that.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "workload.h"

#define LARGE	(2 * MIB)

struct traffic traffic(void)
{
	const char *path = getenv("BENCH_STAT");
	FILE *file = fopen(path ? path : "", "r");
	struct traffic now;

	if (!file || fscanf(file, "%ld %*d %ld %*d %ld %*d %ld %*d %*d %*d %*d %*d %*d %*d %*d %ld",
			    &now.reads, &now.in, &now.writes, &now.out,
			    &now.flushes) != 5)
		fail("the device's stat");
	fclose(file);
	return now;
}

void tell_traffic(const char *what, const struct traffic *before)
{
	struct traffic now = traffic();

	printf("%s_reads %ld 1\n%s_writes %ld 1\n%s_flushes %ld 1\n%s_kib %ld 1\n",
	       what, now.reads - before->reads, what, now.writes - before->writes,
	       what, now.flushes - before->flushes, what,
	       (now.out - before->out) / 2);
	fflush(stdout);
}

/*
 * KiB that the device reads and writes for each of some small changes of a file
 * of 2 MiB, each with fsync: 4 KiB of what is in memory are written anew
 * ("rewrite"), or appended, or a byte of what is not in memory is stored through
 * a mapping.
 */
void cell_change(const char *path, const char *what, long count)
{
	int fd = check(open(path, O_CREAT | O_TRUNC | O_RDWR, 0644), path);
	struct traffic before, now, sum = { 0 };
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
