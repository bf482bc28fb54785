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
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "workload.h"

char *buffer;

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

/* A cell has a path and at most two numbers. */
struct cell {
	const char *name;
	void (*plain)(const char *path);
	void (*one)(const char *path, long first);
	void (*two)(const char *path, long first, long second);
};

static const struct cell cells[] = {
	{ "write", .two = cell_write },
	{ "overwrite", .two = cell_overwrite },
	{ "read", .two = cell_read },
	{ "append-by-two", .two = cell_append },
	{ "grow-in-turns", .two = cell_grow_in_turns },
	{ "write-direct", .two = cell_write_direct },
	{ "read-direct", .one = cell_read_direct },
	{ "read-nowait", .one = cell_read_nowait },
	{ "read-dontcache", .one = cell_read_dontcache },
	{ "write-dontcache", .two = cell_write_dontcache },
	{ "mmap", .plain = cell_mmap },
	{ "random", .plain = cell_random },
	{ "make-sparse", .one = make_sparse },
	{ "make-scattered-in-turn", .one = make_scattered_in_turn },
	{ "make-scattered-by-allotment", .one = make_scattered_by_allotment },
	{ "make-small", .one = cell_make_small },
	{ "read-small", .one = cell_read_small },
	{ "make-empty", .one = make_empty },
	{ "make-synced", .one = make_synced },
	{ "move-synced", .one = move_synced },
	{ "absent", .one = cell_absent },
	{ "rename", .one = cell_rename },
	{ "unlink", .one = cell_unlink },
	{ "list", .plain = cell_list },
	{ "walk", .plain = cell_walk },
	{ "remove-tree", .plain = cell_remove_tree },
};

static long number(int argc, char **argv, int index)
{
	return index < argc ? atol(argv[index]) : 0;
}

static int run(const char *name, const char *path, long first, long second)
{
	const struct cell *cell;

	for (cell = cells; cell < cells + sizeof(cells) / sizeof(*cells); cell++) {
		if (strcmp(name, cell->name))
			continue;
		if (cell->plain)
			cell->plain(path);
		else if (cell->one)
			cell->one(path, first);
		else
			cell->two(path, first, second);
		return 0;
	}
	return 2;
}

int main(int argc, char **argv)
{
	const char *cell = argc > 2 ? argv[1] : "";
	const char *path = argc > 2 ? argv[2] : "";
	long first = number(argc, argv, 3);

	buffer = aligned_alloc(PAGE, 2 * MIB);
	if (!buffer)
		fail("memory");
	scribble(first);
	if (!strcmp(cell, "rewrite") || !strcmp(cell, "store") ||
	    !strcmp(cell, "append"))
		cell_change(path, cell, first);
	else if (!strcmp(cell, "unpack") && argc > 3)
		cell_unpack(path, argv[3]);
	else
		return run(cell, path, first, number(argc, argv, 4));
	return 0;
}
