// SPDX-License-Identifier: GPL-2.0
/*
 * get_block functions that a filesystem might have, and some that none should.
 *
 * Blocks of a file are at CONTRACT_START on its disk, in order, unless the
 * function is about that.
 */

#include <linux/highmem.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include "contract.h"

#define FILLED	0xf1

static struct contract_file *begin(struct inode *inode)
{
	struct contract_file *file = inode->i_private;

	file->calls++;
	return file;
}

static sector_t first(struct inode *inode)
{
	return CONTRACT_START >> inode->i_blkbits;
}

/* What map_bh() does, but for the size. */
static void map(struct buffer_head *bh, struct contract_file *file, sector_t at)
{
	set_buffer_mapped(bh);
	bh->b_bdev = file->disk;
	bh->b_blocknr = first(file->inode) + at;
}

static int plain(struct inode *inode, sector_t at, struct buffer_head *bh,
		 int create)
{
	map(bh, begin(inode), at);
	return 0;
}

static int one_block(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	map(bh, begin(inode), at);
	bh->b_size = i_blocksize(inode);
	return 0;
}

/* Knows of more than it was asked for. */
static int long_answer(struct inode *inode, sector_t at,
		       struct buffer_head *bh, int create)
{
	map(bh, begin(inode), at);
	bh->b_size = (size_t)1 << 30;
	return 0;
}

static int all_hole(struct inode *inode, sector_t at, struct buffer_head *bh,
		    int create)
{
	begin(inode);
	return 0;
}

/* A hole that says how long it is: nobody may take that for a mapping. */
static int long_hole(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	begin(inode);
	bh->b_size = (size_t)1 << 20;
	bh->b_blocknr = 7;
	return 0;
}

static int every_other(struct inode *inode, sector_t at,
		       struct buffer_head *bh, int create)
{
	struct contract_file *file = begin(inode);

	if (at & 1) {
		map(bh, file, at);
		bh->b_size = i_blocksize(inode);
	}
	return 0;
}

static int hole_first(struct inode *inode, sector_t at, struct buffer_head *bh,
		      int create)
{
	struct contract_file *file = begin(inode);

	if (at >= 3)
		map(bh, file, at);
	return 0;
}

static int hole_behind(struct inode *inode, sector_t at,
		       struct buffer_head *bh, int create)
{
	struct contract_file *file = begin(inode);

	if (at < 5) {
		map(bh, file, at);
		bh->b_size = min_t(size_t, bh->b_size,
				   (5 - at) << inode->i_blkbits);
	}
	return 0;
}

static int backwards(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	map(bh, begin(inode), at ^ 1);
	bh->b_size = i_blocksize(inode);
	return 0;
}

static int boundaries(struct inode *inode, sector_t at, struct buffer_head *bh,
		      int create)
{
	map(bh, begin(inode), at);
	bh->b_size = min_t(size_t, bh->b_size, i_blocksize(inode) * 3);
	set_buffer_boundary(bh);
	return 0;
}

static int is_new(struct inode *inode, sector_t at, struct buffer_head *bh,
		  int create)
{
	map(bh, begin(inode), at);
	set_buffer_new(bh);
	return 0;
}

/* Delayed allocation: mapped, but nowhere. C's mpage looks at BH_Mapped only. */
static int delayed(struct inode *inode, sector_t at, struct buffer_head *bh,
		   int create)
{
	map(bh, begin(inode), at);
	set_buffer_delay(bh);
	return 0;
}

static int unwritten(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	begin(inode);
	set_buffer_unwritten(bh);
	return 0;
}

static void fill(struct inode *inode, sector_t at, struct buffer_head *bh)
{
	struct folio *folio = bh->b_folio;
	size_t offset = (at << inode->i_blkbits) - folio_pos(folio);
	void *bytes = kmap_local_folio(folio, offset);

	memset(bytes, FILLED, i_blocksize(inode));
	kunmap_local(bytes);
	set_buffer_uptodate(bh);
}

/* Brings every block itself. */
static int filled(struct inode *inode, sector_t at, struct buffer_head *bh,
		  int create)
{
	map(bh, begin(inode), at);
	bh->b_size = i_blocksize(inode);
	fill(inode, at, bh);
	return 0;
}

/* Brings some blocks itself. */
static int some_filled(struct inode *inode, sector_t at,
		       struct buffer_head *bh, int create)
{
	map(bh, begin(inode), at);
	bh->b_size = i_blocksize(inode);
	if (at % 3 == 0)
		fill(inode, at, bh);
	return 0;
}

static int error_at_1(struct inode *inode, sector_t at,
		      struct buffer_head *bh, int create)
{
	struct contract_file *file = begin(inode);

	if (at >= 1)
		return -EUCLEAN;
	map(bh, file, at);
	bh->b_size = i_blocksize(inode);
	return 0;
}

static int error_after_map(struct inode *inode, sector_t at,
			   struct buffer_head *bh, int create)
{
	map(bh, begin(inode), at);
	return -ENOMEM;
}

/* No errno at all. */
static int positive(struct inode *inode, sector_t at, struct buffer_head *bh,
		    int create)
{
	map(bh, begin(inode), at);
	return 5;
}

static int absurd_errno(struct inode *inode, sector_t at,
			struct buffer_head *bh, int create)
{
	map(bh, begin(inode), at);
	return INT_MIN;
}

static int no_length(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	map(bh, begin(inode), at);
	bh->b_size = 0;
	return 0;
}

static int part_of_a_block(struct inode *inode, sector_t at,
			   struct buffer_head *bh, int create)
{
	map(bh, begin(inode), at);
	bh->b_size = i_blocksize(inode) - 1;
	return 0;
}

/* Rounded down, as C does. */
static int odd_length(struct inode *inode, sector_t at, struct buffer_head *bh,
		      int create)
{
	map(bh, begin(inode), at);
	bh->b_size = min_t(size_t, bh->b_size, i_blocksize(inode) * 2) + 7;
	return 0;
}

static int no_device(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	map(bh, begin(inode), at);
	bh->b_bdev = NULL;
	return 0;
}

static int beyond_the_disk(struct inode *inode, sector_t at,
			   struct buffer_head *bh, int create)
{
	map(bh, begin(inode), at);
	bh->b_blocknr += 1 << 30;
	return 0;
}

static int last_block_number(struct inode *inode, sector_t at,
			     struct buffer_head *bh, int create)
{
	map(bh, begin(inode), at);
	bh->b_blocknr = ~(sector_t)0;
	return 0;
}

/* Every second block is on another device, with the next number. */
static int two_devices(struct inode *inode, sector_t at,
		       struct buffer_head *bh, int create)
{
	struct contract_file *file = begin(inode);

	map(bh, file, at);
	bh->b_size = i_blocksize(inode);
	if (at & 1)
		bh->b_bdev = file->other;
	return 0;
}

/* Asked again, says something else: what was a block is a hole. */
static int changes_its_mind(struct inode *inode, sector_t at,
			    struct buffer_head *bh, int create)
{
	struct contract_file *file = begin(inode);

	if (file->calls & 1)
		map(bh, file, at);
	return 0;
}

const struct contract_kind contract_kinds[] = {
	{ "plain", plain },
	{ "one block at a time", one_block },
	{ "all hole", all_hole },
	{ "a hole with a length", long_hole },
	{ "every other block", every_other },
	{ "hole first", hole_first },
	{ "hole behind", hole_behind },
	{ "backwards", backwards },
	{ "boundary each time", boundaries },
	{ "BH_New", is_new },
	{ "BH_Delay", delayed },
	{ "BH_Unwritten, not mapped", unwritten },
	{ "all filled", filled },
	{ "some filled", some_filled },
	{ "odd length", odd_length },
	{ "beyond the disk", beyond_the_disk, .fails = true },
	{ "error at block 1", error_at_1, .fails = true, .error = -EUCLEAN },
	{
		"error after mapping", error_after_map, .fails = true,
		.error = -ENOMEM,
		.ours_only = "C asks again and takes the mapping (R9)",
	}, {
		"a positive errno", positive, .fails = true, .error = -EIO,
		.ours_only = "C asks again and takes the mapping (R9)",
	}, {
		"an absurd errno", absurd_errno, .fails = true, .error = -EIO,
		.ours_only = "C asks again and takes the mapping (R9)",
	}, {
		"no length", no_length, .fails = true, .error = -EIO,
		.ours_only = "C asks for ever (B5)",
	}, {
		"part of a block", part_of_a_block, .fails = true, .error = -EIO,
		.ours_only = "C asks for ever (B5)",
	}, {
		"no device", no_device, .fails = true, .error = -EIO,
		.ours_only = "C follows the null pointer (B5)",
	}, {
		"last block number", last_block_number, .fails = true,
		.ours_only = "C's numbers wrap (B5)",
	}, {
		"more than asked for", long_answer, .by_block = true,
		.ours_only = "C reads what is behind the end of the file (B5)",
	}, {
		"two devices", two_devices, .by_block = true,
		.ours_only = "C reads a folio from one of them (R1)",
	}, {
		"changes its mind", changes_its_mind,
		.ours_only = "the two do not ask the same questions",
	},
};

const unsigned int contract_kinds_count = ARRAY_SIZE(contract_kinds);

/**
 * contract_get_block - find a function by its name
 * @name: in contract_kinds
 *
 * Return: the function, or %NULL.
 */
get_block_t *contract_get_block(const char *name)
{
	unsigned int i;

	for (i = 0; i < contract_kinds_count; i++)
		if (!strcmp(contract_kinds[i].name, name))
			return contract_kinds[i].get_block;
	return NULL;
}
