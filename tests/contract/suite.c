// SPDX-License-Identifier: GPL-2.0
/*
 * The contract of <linux/rust_mpage.h>: odd get_block functions at all block sizes
 * and orders of folios, on our functions and on those of fs/mpage.c. Results agree
 * but for what contract_kinds says; nothing hangs, crashes or leaves a folio
 * locked.
 *
 * Leaves out: bios, which the other suites compare.
 */

#include <kunit/test.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>
#include "contract.h"

#define DISK_SIZE	SZ_8M

static struct contract_disk *disks[2];

/* Small folios at each block size; large ones take too long for that. */
static const unsigned int orders[] = { 0, 1, 3, 5 };

#define HUGE_ORDER	(21 - PAGE_SHIFT)

/*
 * Many of the smallest blocks. fs/mpage.c reads odd folios through buffers,
 * which takes time that grows with the square of their number.
 */
#define MANY_BLOCKS_ORDER	(18 - PAGE_SHIFT)
#define MOST_BLOCKS_BITS	8

/* Everything about one file. */
struct shape {
	unsigned int block_bits;
	unsigned int order;
	unsigned int folios;
	loff_t size;
};

/*
 * Whole folios but for a little more than half of a block: the end of the file
 * is inside a block, inside a folio.
 */
static struct shape shape_of(unsigned int block_bits, unsigned int order,
			     unsigned int folios)
{
	return (struct shape) {
		.block_bits = block_bits,
		.order = order,
		.folios = folios,
		.size = folios * (PAGE_SIZE << order) -
			(1 << block_bits) * 5 / 8,
	};
}

static int open_file(struct contract_file *file, const struct shape *shape)
{
	*file = (struct contract_file) {
		.disk = contract_disk_bdev(disks[0]),
		.other = contract_disk_bdev(disks[1]),
	};
	return contract_file_open(file, shape->block_bits, shape->order,
				  shape->size);
}

/* Reads ahead, then folio by folio what that has left. */
static int read_file(const struct shape *shape,
		     const struct contract_engine *engine,
		     const struct contract_kind *kind,
		     struct contract_result *ahead,
		     struct contract_result *after)
{
	struct contract_file file;
	struct folio *folio;
	pgoff_t index;
	int err;

	err = open_file(&file, shape);
	if (err)
		return err;
	err = contract_file_readahead(&file, engine, kind->get_block);
	if (err)
		goto out;
	contract_file_look(&file, ahead);
	for (index = 0; index < shape->folios << shape->order;
	     index += 1 << shape->order) {
		folio = contract_file_folio(&file, index);
		if (IS_ERR(folio)) {
			err = PTR_ERR(folio);
			goto out;
		}
		if (folio_test_uptodate(folio)) {
			folio_unlock(folio);
		} else {
			err = engine->read_folio(folio, kind->get_block);
			after->error = after->error ?: err;
			err = 0;
		}
		folio_put(folio);
	}
	contract_file_look(&file, after);
out:
	contract_file_close(&file);
	return err;
}

static u32 sum_of(const struct shape *shape, const struct contract_kind *kind)
{
	struct contract_file file;
	u32 sum;

	if (open_file(&file, shape))
		return 0;
	sum = contract_file_sum(&file, kind->get_block, shape->order);
	contract_file_close(&file);
	return sum;
}

static void expect_same(struct kunit *test, const struct shape *shape,
			const struct contract_result *ours,
			const struct contract_result *theirs)
{
	KUNIT_EXPECT_EQ_MSG(test, ours->uptodate, theirs->uptodate,
			    "%u-byte blocks, order %u",
			    1 << shape->block_bits, shape->order);
	KUNIT_EXPECT_EQ_MSG(test, ours->sum, theirs->sum,
			    "%u-byte blocks, order %u: other contents",
			    1 << shape->block_bits, shape->order);
}

static void read_shape(struct kunit *test, const struct shape *shape,
		       const struct contract_kind *kind)
{
	struct contract_result ours[2] = {}, theirs[2] = {};
	int err;

	if (!contract_has_order(shape->order))
		return;
	err = read_file(shape, &contract_rust, kind, &ours[0], &ours[1]);
	if (err == -ENOMEM && shape->order > PAGE_ALLOC_COSTLY_ORDER) {
		kunit_info(test, "no folio of order %u", shape->order);
		return;
	}
	KUNIT_ASSERT_EQ(test, err, 0);
	KUNIT_EXPECT_EQ_MSG(test, ours[0].stuck + ours[1].stuck, 0,
			    "%u-byte blocks, order %u: folios stay locked",
			    1 << shape->block_bits, shape->order);
	if (kind->error)
		KUNIT_EXPECT_EQ(test, ours[1].error, kind->error);
	if (kind->fails)
		KUNIT_EXPECT_LT(test, ours[1].uptodate, ours[1].folios);
	else
		KUNIT_EXPECT_EQ(test, ours[1].uptodate, ours[1].folios);
	if (kind->by_block)
		KUNIT_EXPECT_EQ_MSG(test, ours[1].sum, sum_of(shape, kind),
				    "%u-byte blocks, order %u: other contents",
				    1 << shape->block_bits, shape->order);
	if (kind->ours_only)
		return;
	err = read_file(shape, &contract_kernel, kind, &theirs[0], &theirs[1]);
	KUNIT_ASSERT_EQ(test, err, 0);
	expect_same(test, shape, &ours[0], &theirs[0]);
	expect_same(test, shape, &ours[1], &theirs[1]);
}

/* Each kind of get_block in each shape of a file. */
static void reads(struct kunit *test)
{
	const struct contract_kind *kind = test->param_value;
	struct shape shape;
	unsigned int bits, i;

	for (bits = 9; bits <= PAGE_SHIFT; bits++) {
		for (i = 0; i < ARRAY_SIZE(orders); i++) {
			if (orders[i] + PAGE_SHIFT - bits > MOST_BLOCKS_BITS)
				continue;
			shape = shape_of(bits, orders[i], 2);
			read_shape(test, &shape, kind);
		}
	}
	shape = shape_of(PAGE_SHIFT, HUGE_ORDER, 1);
	read_shape(test, &shape, kind);
	shape = shape_of(9, MANY_BLOCKS_ORDER, 1);
	read_shape(test, &shape, kind);
}

static void kind_name(const struct contract_kind *kind, char *desc)
{
	strscpy(desc, kind->name, KUNIT_PARAM_DESC_SIZE);
}

static const void *kinds_gen_params(struct kunit *test, const void *prev,
				    char *desc)
{
	const struct contract_kind *next = prev;

	next = next ? next + 1 : contract_kinds;
	if (next >= contract_kinds + contract_kinds_count)
		return NULL;
	kind_name(next, desc);
	return next;
}

static int contract_init(struct kunit_suite *suite)
{
	return contract_begin(disks, ARRAY_SIZE(disks), 0, DISK_SIZE);
}

static void contract_exit(struct kunit_suite *suite)
{
	contract_end(disks, ARRAY_SIZE(disks));
}

static struct kunit_case contract_cases[] = {
	KUNIT_CASE_PARAM(reads, kinds_gen_params),
	{}
};

static struct kunit_suite contract_suite = {
	.name		= "rust_mpage_contract",
	.suite_init	= contract_init,
	.suite_exit	= contract_exit,
	.test_cases	= contract_cases,
};

kunit_test_suite(contract_suite);

MODULE_AUTHOR("rust_mpage developers");
MODULE_DESCRIPTION("Contract tests of the C interface of rust_mpage");
MODULE_LICENSE("GPL");
