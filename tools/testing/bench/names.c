// SPDX-License-Identifier: GPL-2.0
/*
 * Cells of the workload about names: files without contents in one directory.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "workload.h"

void make_empty(const char *path, long count)
{
	char name[4096];
	long i;

	check(mkdir(path, 0755), path);
	forget();
	bench_begin();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/entry%ld", path, i);
		close(check(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644), name));
	}
	tell("create", count);
	sync();
}

/* The same, and what it costs the device until all is on it. */
void make_synced(const char *path, long count)
{
	struct traffic before;
	char name[4096];
	long i;

	check(mkdir(path, 0755), path);
	forget();
	before = traffic();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/entry%ld", path, i);
		close(check(open(name, O_CREAT | O_EXCL | O_WRONLY, 0644), name));
	}
	sync();
	tell_traffic("create", &before);
}

/* The files of make_synced() get names in another directory, and lose those that they had. */
void move_synced(const char *path, long count)
{
	char name[4096], other[4096];
	struct traffic before;
	long i;

	snprintf(other, sizeof(other), "%s-moved", path);
	check(mkdir(other, 0755), other);
	forget();
	before = traffic();
	bench_begin();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/entry%ld", path, i);
		snprintf(other, sizeof(other), "%s-moved/entry%ld", path, i);
		check(rename(name, other), other);
	}
	tell("move", count);
	sync();
	tell("move_synced", count);
	tell_traffic("move", &before);
}

/* Names that are not in a directory of make_empty(). */
void cell_absent(const char *path, long count)
{
	char name[4096];
	struct stat info;
	long i;

	forget();
	bench_begin();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/absent%ld", path, i);
		if (!lstat(name, &info))
			fail(name);
	}
	tell("absent", count);
}

/* All names of a directory of make_empty() become others in it. */
void cell_rename(const char *path, long count)
{
	char name[4096], other[4096];
	long i;

	forget();
	bench_begin();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/entry%ld", path, i);
		snprintf(other, sizeof(other), "%s/other%ld", path, i);
		check(rename(name, other), other);
	}
	tell("rename", count);
	sync();
}

/* All files that cell_rename() has left go. */
void cell_unlink(const char *path, long count)
{
	char name[4096];
	long i;

	forget();
	bench_begin();
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%s/other%ld", path, i);
		check(unlink(name), name);
	}
	tell("unlink", count);
	sync();
}

/* Lists a directory and asks for each inode. */
void cell_list(const char *path)
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
