// SPDX-License-Identifier: GPL-2.0
/*
 * The contract of rust_mpage_writepages(): dirty folios without buffers, written
 * with get_block functions of all kinds, by us and by fs/mpage.c. What is on the
 * disk afterwards, what writepages says and what a wait for the writeback says
 * agree but for what the table gives a reason for; nothing stays locked or under
 * writeback.
 */

#include <kunit/test.h>
#include <linux/crc32.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>
#include <linux/writeback.h>
#include "contract.h"

#define DISK_SIZE	SZ_4M
#define BYTE		0x77
/* What is looked at before and behind the blocks of a file. */
#define MARGIN		SZ_16K
#define HUGE_ORDER	(21 - PAGE_SHIFT)
/* A thousand blocks: fs/mpage.c takes their square's time for odd folios. */
#define MANY_BLOCKS_ORDER	(19 - PAGE_SHIFT)
#define MOST_BLOCKS_BITS	7

static struct contract_disk *disks[2];

/**
 * struct write_kind - a get_block and what is to be expected of it
 * @name: for messages; of contract_kinds, but for those with @get_block
 * @get_block: the function, if it is none of contract_kinds
 * @ours_only: why C's mpage cannot be asked, or says something else; %NULL if it
 *	has to say the same
 * @by_block: what is on the disks is nevertheless known: each block where
 *	@get_block says that it is if asked for that block only
 * @error: what writepages says
 * @waited: what a wait for the writeback says, once
 * @dirty: folios are dirty afterwards
 * @is_sector: blocks of 512 bytes have that number, too: the device refuses it and
 *	writepages does not know
 */
struct write_kind {
	char name[32];
	get_block_t *get_block;
	const char *ours_only;
	bool by_block;
	int error;
	int waited;
	bool dirty;
	bool is_sector;
};

/* What was the outcome of one writepages. */
struct outcome {
	int error;
	int waited;
	u32 dirty;
	u32 stuck;
	u32 sums[2];
};

static int full_at_1(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	int err = contract_get_block("error at block 1")(inode, at, bh, create);

	return err ? -ENOSPC : 0;
}

static const struct write_kind write_kinds[] = {
	{ "plain" },
	{ "one block at a time" },
	{ "backwards" },
	{ "boundary each time" },
	{ "BH_New" },
	{ "BH_Delay" },
	{ "odd length" },
	{ "more than asked for" },
	{ "beyond the disk", .waited = -EIO },
	{ "error at block 1", .error = -EUCLEAN, .waited = -EIO },
	{
		"no space at block 1", full_at_1, .error = -ENOSPC,
		.waited = -ENOSPC, .dirty = true,
		.ours_only = "C drops what has no block (W17)",
	}, {
		"error after mapping", .error = -ENOMEM, .waited = -EIO,
		.dirty = true,
		.ours_only = "C drops what has no block (W17)",
	}, {
		"a positive errno", .error = -EIO, .waited = -EIO,
		.ours_only = "C returns it (B5)",
	}, {
		"an absurd errno", .error = -EIO, .waited = -EIO,
		.ours_only = "C returns it (B5)",
	}, {
		"all hole", .error = -EIO, .waited = -EIO,
		.ours_only = "C drops it and says nothing (W17)",
	}, {
		"every other block", .error = -EIO, .waited = -EIO,
		.ours_only = "C drops the others and says nothing (W17)",
	}, {
		"BH_Unwritten, not mapped", .error = -EIO, .waited = -EIO,
		.ours_only = "C drops it and says nothing (W17)",
	}, {
		"no length", .error = -EIO, .waited = -EIO,
		.ours_only = "C takes it for a block (B5)",
	}, {
		"part of a block", .error = -EIO, .waited = -EIO,
		.ours_only = "C takes it for a block (B5)",
	}, {
		"no device", .error = -EIO, .waited = -EIO,
		.ours_only = "C follows the null pointer (B5)",
	}, {
		"all filled",
		.ours_only = "C zeroes behind the end after get_block (W4)",
	}, {
		"last block number", .error = -EIO, .waited = -EIO,
		.is_sector = true,
		.ours_only = "C's numbers wrap (B5)",
	}, {
		"two devices", .by_block = true,
		.ours_only = "C writes a folio to one of them (R1)",
	},
};

static loff_t file_size(unsigned int bits, unsigned int order)
{
	return (order == HUGE_ORDER ? 1 : 2) * (PAGE_SIZE << order) -
	       (1 << bits) * 5 / 8;
}

/* What may be written of a disk, and a margin around it. */
static size_t disk_span(loff_t size)
{
	return MARGIN + round_up(size, PAGE_SIZE) + MARGIN;
}

static void clear_disks(loff_t size)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		memset(contract_disk_bytes(disks[i]) + CONTRACT_START - MARGIN,
		       0, disk_span(size));
}

static void sum_disks(loff_t size, u32 *sums)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		sums[i] = crc32_le(0, contract_disk_bytes(disks[i]) +
				   CONTRACT_START - MARGIN, disk_span(size));
}

static int open_file(struct contract_file *file, unsigned int bits,
		     unsigned int order)
{
	*file = (struct contract_file) {
		.disk = contract_disk_bdev(disks[0]),
		.other = contract_disk_bdev(disks[1]),
	};
	return contract_file_open(file, bits, order, file_size(bits, order));
}

/* The checksums of the disks after a write of each block alone. */
static int write_by_block(get_block_t *get_block, unsigned int bits,
			  unsigned int order, u32 *sums)
{
	loff_t size = file_size(bits, order), pos;
	struct contract_file file;
	int err;

	err = open_file(&file, bits, order);
	if (err)
		return err;
	clear_disks(size);
	for (pos = 0; pos < size && !err; pos += 1 << bits) {
		struct buffer_head bh = { .b_size = 1 << bits };

		err = get_block(file.inode, pos >> bits, &bh, 1);
		if (!err)
			memset(contract_bdev_bytes(bh.b_bdev) +
			       (bh.b_blocknr << bits), BYTE + (pos >> PAGE_SHIFT),
			       min_t(loff_t, size - pos, 1 << bits));
	}
	contract_file_close(&file);
	sum_disks(size, sums);
	return err;
}

static int make_dirty(struct contract_file *file, unsigned int order)
{
	pgoff_t index, pages = DIV_ROUND_UP(i_size_read(file->inode), PAGE_SIZE);

	for (index = 0; index < pages; index += 1 << order) {
		struct folio *folio = contract_file_folio(file, index);
		size_t at;

		if (IS_ERR(folio))
			return PTR_ERR(folio);
		for (at = 0; at < folio_size(folio); at += PAGE_SIZE) {
			u8 *bytes = kmap_local_folio(folio, at);

			memset(bytes, BYTE + index + (at >> PAGE_SHIFT), PAGE_SIZE);
			kunmap_local(bytes);
		}
		folio_mark_uptodate(folio);
		folio_mark_dirty(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
	return 0;
}

static void look(struct contract_file *file, struct outcome *outcome)
{
	pgoff_t index = 0, pages = DIV_ROUND_UP(i_size_read(file->inode),
						PAGE_SIZE);

	while (index < pages) {
		struct folio *folio = filemap_get_folio(file->inode->i_mapping,
							index);

		if (IS_ERR(folio)) {
			index++;
			continue;
		}
		outcome->dirty += folio_test_dirty(folio);
		outcome->stuck += folio_test_locked(folio) ||
				  folio_test_writeback(folio);
		index = folio_next_index(folio);
		folio_put(folio);
	}
}

static int write_file(const struct contract_engine *engine,
		      get_block_t *get_block, unsigned int bits,
		      unsigned int order, struct outcome *outcome)
{
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.nr_to_write	= LONG_MAX,
		.range_end	= LLONG_MAX,
	};
	loff_t size = file_size(bits, order);
	struct contract_file file;
	int err;

	clear_disks(size);
	err = open_file(&file, bits, order);
	if (err)
		return err;
	err = make_dirty(&file, order);
	if (!err) {
		outcome->error = engine->writepages(file.inode->i_mapping, &wbc,
						    get_block);
		outcome->waited = filemap_fdatawait_range(file.inode->i_mapping,
							  0, LLONG_MAX);
		look(&file, outcome);
		sum_disks(size, outcome->sums);
	}
	contract_file_close(&file);
	return err;
}

static void expect_by_block(struct kunit *test, get_block_t *get_block,
			    unsigned int bits, unsigned int order,
			    const struct outcome *outcome)
{
	u32 sums[2];

	KUNIT_ASSERT_EQ(test, 0, write_by_block(get_block, bits, order, sums));
	KUNIT_EXPECT_EQ_MSG(test, outcome->sums[0], sums[0],
			    "%u bits, order %u: other contents", bits, order);
	KUNIT_EXPECT_EQ_MSG(test, outcome->sums[1], sums[1],
			    "%u bits, order %u: other contents", bits, order);
}

static void write_shape(struct kunit *test, const struct write_kind *kind,
			unsigned int bits, unsigned int order)
{
	get_block_t *get_block = kind->get_block ?:
				 contract_get_block(kind->name);
	struct outcome ours = {}, theirs = {};
	int error = kind->is_sector && bits == SECTOR_SHIFT ? 0 : kind->error;
	int err;

	KUNIT_ASSERT_NOT_NULL(test, get_block);
	if (!contract_has_order(order))
		return;
	err = write_file(&contract_rust, get_block, bits, order, &ours);
	if (err == -ENOMEM && order > PAGE_ALLOC_COSTLY_ORDER) {
		kunit_info(test, "no folio of order %u", order);
		return;
	}
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ_MSG(test, ours.error, error, "%u bits, order %u",
			    bits, order);
	KUNIT_EXPECT_EQ_MSG(test, ours.waited, kind->waited, "%u bits, order %u",
			    bits, order);
	KUNIT_EXPECT_EQ_MSG(test, ours.stuck, 0, "%u bits, order %u", bits, order);
	KUNIT_EXPECT_EQ(test, !!ours.dirty, kind->dirty);
	if (kind->by_block)
		expect_by_block(test, get_block, bits, order, &ours);
	if (kind->ours_only)
		return;
	err = write_file(&contract_kernel, get_block, bits, order, &theirs);
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ_MSG(test, ours.error, theirs.error, "%u bits, order %u",
			    bits, order);
	KUNIT_EXPECT_EQ_MSG(test, ours.waited, theirs.waited, "%u bits, order %u",
			    bits, order);
	KUNIT_EXPECT_EQ_MSG(test, ours.sums[0], theirs.sums[0],
			    "%u bits, order %u: other contents", bits, order);
	KUNIT_EXPECT_EQ(test, ours.sums[1], theirs.sums[1]);
	KUNIT_EXPECT_EQ(test, ours.dirty, theirs.dirty);
}

static void writes(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 2, 4 };
	const struct write_kind *kind = test->param_value;
	unsigned int bits, i;

	for (bits = 9; bits <= PAGE_SHIFT; bits++)
		for (i = 0; i < ARRAY_SIZE(orders); i++)
			if (orders[i] + PAGE_SHIFT - bits <= MOST_BLOCKS_BITS)
				write_shape(test, kind, bits, orders[i]);
	write_shape(test, kind, PAGE_SHIFT, HUGE_ORDER);
	write_shape(test, kind, 9, MANY_BLOCKS_ORDER);
}

static void write_kind_name(const struct write_kind *kind, char *desc)
{
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(writes, write_kinds, write_kind_name);

static int writes_init(struct kunit_suite *suite)
{
	return contract_begin(disks, ARRAY_SIZE(disks), 4, DISK_SIZE);
}

static void writes_exit(struct kunit_suite *suite)
{
	contract_end(disks, ARRAY_SIZE(disks));
}

static struct kunit_case writes_cases[] = {
	KUNIT_CASE_PARAM(writes, writes_gen_params),
	{}
};

static struct kunit_suite writes_suite = {
	.name		= "rust_mpage_contract_write",
	.suite_init	= writes_init,
	.suite_exit	= writes_exit,
	.test_cases	= writes_cases,
};

kunit_test_suite(writes_suite);
