// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's translator: counts the instructions that the guest
 * executes, by address, between two functions of the guest.
 *
 *	-plugin count.so,begin=0xADDRESS,end=0xADDRESS,out=FILE
 *
 * The file gets a line "address instructions" for each block of code that ran.
 * A block that an exception cuts short counts whole. One processor only.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "count.h"

#ifndef PLUGIN_VERSION
#define PLUGIN_VERSION 1
#endif

struct block {
	struct block *next;
	uint64_t address;
	uint64_t instructions;
	uint64_t runs;
};

/* What QEMU looks for to know which interface this was built for. */
int qemu_plugin_version = PLUGIN_VERSION;

static struct block *blocks;
static uint64_t begin, end;
static const char *out;
static bool counting;

static void ran(unsigned int cpu, void *data)
{
	struct block *block = data;

	if (block->address == begin)
		counting = true;
	else if (block->address == end)
		counting = false;
	if (counting)
		block->runs++;
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));

	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, ran, 0, block);
}

static void ended(uint64_t id, void *data)
{
	FILE *file = fopen(out, "w");
	const struct block *block;

	if (!file)
		return;
	for (block = blocks; block; block = block->next)
		if (block->runs)
			fprintf(file, "%" PRIx64 " %" PRIu64 "\n", block->address,
				block->runs * block->instructions);
	fclose(file);
}

int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "begin=", 6))
			begin = strtoull(argv[i] + 6, NULL, 0);
		else if (!strncmp(argv[i], "end=", 4))
			end = strtoull(argv[i] + 4, NULL, 0);
		else if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	}
	if (!begin || !end || !out)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, ended, NULL);
	return 0;
}
