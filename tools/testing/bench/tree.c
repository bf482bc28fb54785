// SPDX-License-Identifier: GPL-2.0
/*
 * Cells of the workload about a tree of files: unpacked from an archive, walked over,
 * removed. Each is timed until the program would end, and until all is on the disk.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "workload.h"

#define BLOCK	512L

/* The head of a member of an archive as POSIX has it ("ustar"). */
struct member {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8];
	char type, link[100], magic[8], user[32], group[32], major[8], minor[8];
	char prefix[155], rest[12];
};

/* What is begun is timed, and what the device does is counted. */
static struct traffic start(void)
{
	struct traffic before;

	forget();
	before = traffic();
	bench_begin();
	return before;
}

static void finish(const char *what, const char *synced, long files,
		   const struct traffic *before)
{
	tell(what, files);
	sync();
	tell(synced, files);
	tell_traffic(what, before);
}

static void make_file(const char *name, const char *bytes, long size)
{
	int fd = check(open(name, O_CREAT | O_EXCL | O_WRONLY, 0600), name);

	if (write(fd, bytes, size) != size)
		fail(name);
	check(fchmod(fd, 0644), name);
	close(fd);
}

/* As tar does; an archive of regular files and directories. */
void cell_unpack(const char *path, const char *archive)
{
	int fd = check(open(archive, O_RDONLY), archive);
	struct stat info;
	const char *at, *end;
	const struct member *head;
	struct traffic before;
	char name[4096];
	long size, files = 0;

	check(fstat(fd, &info), archive);
	at = mmap(NULL, info.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (at == MAP_FAILED)
		fail("mmap");
	end = at + info.st_size;
	check(mkdir(path, 0755), path);
	before = start();
	for (; at + BLOCK <= end && *at; at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK) {
		head = (const struct member *)at;
		size = strtol(head->size, NULL, 8);
		snprintf(name, sizeof(name), "%s/%.155s%s%.100s", path, head->prefix,
			 *head->prefix ? "/" : "", head->name);
		if (head->type == '5')
			check(mkdir(name, 0755), name);
		else if (at + BLOCK + size <= end)
			make_file(name, at + BLOCK, size);
		files++;
	}
	finish("unpack", "unpack_synced", files, &before);
}

/* Calls a function with the names in a directory, that of directories last. */
static long each(int at, const char *name, void (*call)(int at, const char *name,
							 int is_directory))
{
	int fd = check(openat(at, name, O_RDONLY | O_DIRECTORY), name);
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	long count = 0;

	if (!dir)
		fail(name);
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (entry->d_type == DT_DIR)
			count += each(fd, entry->d_name, call);
		call(fd, entry->d_name, entry->d_type == DT_DIR);
		count++;
	}
	closedir(dir);
	return count;
}

static void look(int at, const char *name, int is_directory)
{
	struct stat info;

	check(fstatat(at, name, &info, AT_SYMLINK_NOFOLLOW), name);
}

static void remove_one(int at, const char *name, int is_directory)
{
	check(unlinkat(at, name, is_directory ? AT_REMOVEDIR : 0), name);
}

/* As find and rsync do. */
void cell_walk(const char *path)
{
	struct traffic before = start();

	tell("walk", each(AT_FDCWD, path, look));
	tell_traffic("walk", &before);
}

/* As rm -r does. */
void cell_remove_tree(const char *path)
{
	struct traffic before = start();
	long files = each(AT_FDCWD, path, remove_one);

	check(rmdir(path), path);
	finish("remove", "remove_synced", files + 1, &before);
}
