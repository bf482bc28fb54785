// SPDX-License-Identifier: GPL-2.0
/*
 * The writing half of the interface of 2017: one page, without a fallback (W16),
 * and writepages without a get_block (W15).
 */

#include <kunit/test.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/rust_mpage.h>
#include <linux/sizes.h>
#include <linux/writeback.h>
#include "contract.h"

#define BITS		10
#define PER_PAGE	(PAGE_SIZE >> BITS)
#define FIRST		(CONTRACT_START >> BITS)
#define BYTE		0x5a

static struct contract_disk *disk;

static int mapped(struct inode *inode, sector_t at, struct buffer_head *bh,
		  int create)
{
	struct contract_file *file = inode->i_private;

	file->calls++;
	file->state += !!create;
	set_buffer_mapped(bh);
	bh->b_bdev = file->disk;
	bh->b_blocknr = FIRST + at;
	return 0;
}

static int backwards(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	mapped(inode, at ^ 1, bh, create);
	bh->b_size = 1 << BITS;
	return 0;
}

static int full(struct inode *inode, sector_t at, struct buffer_head *bh,
		int create)
{
	return -ENOSPC;
}

/* Unmapped after create: no answer at all. */
static int forgotten(struct inode *inode, sector_t at, struct buffer_head *bh,
		     int create)
{
	return 0;
}

static struct contract_file *make_file(struct kunit *test, loff_t size)
{
	struct contract_file *file = kunit_kzalloc(test, sizeof(*file),
						   GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, file);
	file->disk = contract_disk_bdev(disk);
	KUNIT_ASSERT_EQ(test, 0, contract_file_open(file, BITS, 0, size));
	memset(contract_disk_bytes(disk) + CONTRACT_START, 0, SZ_64K);
	contract_disk_forget(disk);
	return file;
}

/* A page as writeback picks it: dirty no more, locked. */
static struct folio *picked(struct kunit *test, struct contract_file *file,
			    pgoff_t index)
{
	struct folio *folio = contract_file_folio(file, index);
	void *bytes;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	bytes = kmap_local_folio(folio, 0);
	memset(bytes, BYTE, PAGE_SIZE);
	kunmap_local(bytes);
	folio_mark_uptodate(folio);
	folio_mark_dirty(folio);
	folio_clear_dirty_for_io(folio);
	return folio;
}

static int writepage(struct contract_file *file, struct folio *folio,
		     get_block_t get_block)
{
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.nr_to_write	= 1,
		.range_end	= LLONG_MAX,
	};

	return rust_mpage_writepage(folio_page(folio, 0), get_block, &wbc);
}

static void expect_bios(struct kunit *test, u32 want)
{
	const struct contract_bio *bios;

	KUNIT_EXPECT_EQ(test, contract_disk_bios(disk, &bios), want);
}

/* The page is still the caller's, to write in another way. */
static void expect_back(struct kunit *test, struct contract_file *file,
			struct folio *folio)
{
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_writeback(folio));
	expect_bios(test, 0);
	folio_unlock(folio);
	folio_put(folio);
	contract_file_close(file);
}

static void w16_one_page(struct kunit *test)
{
	struct contract_file *file = make_file(test, 4 * PAGE_SIZE);
	struct folio *folio = picked(test, file, 1);
	const u8 *bytes = contract_disk_bytes(disk) + CONTRACT_START;
	const struct contract_bio *bios;

	KUNIT_EXPECT_EQ(test, 0, writepage(file, folio, mapped));
	folio_wait_writeback(folio);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	KUNIT_EXPECT_GT(test, file->state, 0);
	KUNIT_ASSERT_EQ(test, contract_disk_bios(disk, &bios), 1);
	KUNIT_EXPECT_EQ(test, bios[0].sector, (FIRST + PER_PAGE) << (BITS - 9));
	KUNIT_EXPECT_EQ(test, bios[0].bytes, PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, bios[0].opf & REQ_SYNC);
	KUNIT_EXPECT_NULL(test, memchr_inv(bytes + PAGE_SIZE, BYTE, PAGE_SIZE));
	folio_put(folio);
	contract_file_close(file);
}

/* The last page goes up to the last block of the file, zeroed behind its end. */
static void w16_last_page(struct kunit *test)
{
	struct contract_file *file = make_file(test, PAGE_SIZE + 1500);
	struct folio *folio = picked(test, file, 1);
	const u8 *bytes = contract_disk_bytes(disk) + CONTRACT_START + PAGE_SIZE;
	const struct contract_bio *bios;

	KUNIT_EXPECT_EQ(test, 0, writepage(file, folio, mapped));
	folio_wait_writeback(folio);
	KUNIT_ASSERT_EQ(test, contract_disk_bios(disk, &bios), 1);
	KUNIT_EXPECT_EQ(test, bios[0].bytes, 2048);
	KUNIT_EXPECT_NULL(test, memchr_inv(bytes, BYTE, 1500));
	KUNIT_EXPECT_NULL(test, memchr_inv(bytes + 1500, 0, 548));
	folio_put(folio);
	contract_file_close(file);
}

/* The only page of a file comes back. */
static void comes_back(struct kunit *test, get_block_t *get_block)
{
	struct contract_file *file = make_file(test, PAGE_SIZE);
	struct folio *folio = picked(test, file, 0);

	KUNIT_EXPECT_EQ(test, -EAGAIN, writepage(file, folio, get_block));
	expect_back(test, file, folio);
}

static void w16_scattered(struct kunit *test)
{
	comes_back(test, backwards);
}

static void w16_no_space(struct kunit *test)
{
	comes_back(test, full);
}

static void w16_unmapped_after_create(struct kunit *test)
{
	comes_back(test, forgotten);
}

static void w16_behind_the_end(struct kunit *test)
{
	struct contract_file *file = make_file(test, PAGE_SIZE);
	struct folio *folio = picked(test, file, 3);

	KUNIT_EXPECT_EQ(test, -EAGAIN, writepage(file, folio, mapped));
	KUNIT_EXPECT_EQ(test, file->calls, 0);
	expect_back(test, file, folio);
}

/* Buffers that are not dirty: some of the page is on the disk already. */
static void w16_clean_buffers(struct kunit *test)
{
	struct contract_file *file = make_file(test, PAGE_SIZE);
	struct folio *folio = picked(test, file, 0);

	create_empty_buffers(folio, 1 << BITS, BIT(BH_Uptodate));
	KUNIT_EXPECT_EQ(test, -EAGAIN, writepage(file, folio, mapped));
	KUNIT_EXPECT_EQ(test, file->calls, 0);
	expect_back(test, file, folio);
}

/* Gives a folio buffers that are all dirty and mapped. */
static struct buffer_head *map_buffers(struct contract_file *file,
				       struct folio *folio)
{
	sector_t at = FIRST + folio->index * PER_PAGE;
	struct buffer_head *head, *bh;

	head = create_empty_buffers(folio, 1 << BITS, BIT(BH_Uptodate));
	bh = head;
	do {
		map_bh(bh, file->inode->i_sb, at++);
		/* not the superblock's */
		bh->b_size = 1 << BITS;
		set_buffer_dirty(bh);
		bh = bh->b_this_page;
	} while (bh != head);
	return head;
}

/* Buffers that are all mapped and dirty: clean afterwards. */
static void w16_dirty_buffers(struct kunit *test)
{
	struct contract_file *file = make_file(test, PAGE_SIZE);
	struct folio *folio = picked(test, file, 0);
	struct buffer_head *head = map_buffers(file, folio), *bh = head;

	KUNIT_EXPECT_EQ(test, 0, writepage(file, folio, mapped));
	folio_wait_writeback(folio);
	KUNIT_EXPECT_EQ(test, file->calls, 0);
	do {
		KUNIT_EXPECT_FALSE(test, buffer_dirty(bh));
		bh = bh->b_this_page;
	} while (bh != head);
	expect_bios(test, 1);
	folio_put(folio);
	contract_file_close(file);
}

/* The file has become shorter: what its buffers say is not to be written. */
static void w16_buffers_behind_the_end(struct kunit *test)
{
	struct contract_file *file = make_file(test, PAGE_SIZE);
	struct folio *folio = picked(test, file, 3);

	map_buffers(file, folio);
	KUNIT_EXPECT_EQ(test, -EAGAIN, writepage(file, folio, mapped));
	KUNIT_EXPECT_EQ(test, file->calls, 0);
	expect_back(test, file, folio);
}

/* Without a get_block, what has blocks is written, and the rest stays dirty. */
static void w15_no_get_block(struct kunit *test)
{
	struct contract_file *file = make_file(test, 2 * PAGE_SIZE);
	struct address_space *mapping = file->inode->i_mapping;
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.nr_to_write	= LONG_MAX,
		.range_end	= LLONG_MAX,
	};
	struct folio *folios[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		folios[i] = picked(test, file, i);
	map_buffers(file, folios[1]);
	for (i = 0; i < 2; i++) {
		folio_mark_dirty(folios[i]);
		folio_unlock(folios[i]);
	}
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			rust_mpage_writepages(mapping, &wbc, NULL));
	for (i = 0; i < 2; i++) {
		folio_wait_writeback(folios[i]);
		KUNIT_EXPECT_FALSE(test, folio_test_locked(folios[i]));
		KUNIT_EXPECT_EQ(test, folio_test_dirty(folios[i]), i == 0);
		folio_put(folios[i]);
	}
	KUNIT_EXPECT_EQ(test, file->calls, 0);
	expect_bios(test, 1);
	contract_file_close(file);
}

/*
 * A buffer whose block is to come later is for the kernel's buffer functions, and
 * they must not call what is not there.
 */
static void w15_delayed_without_get_block(struct kunit *test)
{
	struct contract_file *file = make_file(test, PAGE_SIZE);
	struct folio *folio = picked(test, file, 0);
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.nr_to_write	= LONG_MAX,
		.range_end	= LLONG_MAX,
	};
	struct buffer_head *head = map_buffers(file, folio);

	clear_buffer_mapped(head);
	set_buffer_delay(head);
	folio_mark_dirty(folio);
	folio_unlock(folio);
	KUNIT_EXPECT_EQ(test, -EAGAIN,
			rust_mpage_writepages(file->inode->i_mapping, &wbc,
					      NULL));
	folio_wait_writeback(folio);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	expect_bios(test, PER_PAGE - 1);
	folio_put(folio);
	contract_file_close(file);
}

/* The handler may write everything. */
static int takes_all(struct folio *folio, struct writeback_control *wbc)
{
	folio_unlock(folio);
	return 0;
}

static void w15_hook_without_get_block(struct kunit *test)
{
	struct contract_file *file = make_file(test, PAGE_SIZE);
	struct address_space *mapping = file->inode->i_mapping;
	struct folio *folio = picked(test, file, 0);
	struct writeback_control wbc = {
		.sync_mode	= WB_SYNC_ALL,
		.nr_to_write	= LONG_MAX,
		.range_end	= LLONG_MAX,
	};

	folio_mark_dirty(folio);
	folio_unlock(folio);
	KUNIT_EXPECT_EQ(test, 0, __rust_mpage_writepages(mapping, &wbc, NULL,
							 takes_all));
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio));
	folio_put(folio);
	expect_bios(test, 0);
	contract_file_close(file);
}

static int write_init(struct kunit_suite *suite)
{
	return contract_begin(&disk, 1, 3, SZ_4M);
}

static void write_exit(struct kunit_suite *suite)
{
	contract_end(&disk, 1);
}

static struct kunit_case write_cases[] = {
	KUNIT_CASE(w16_one_page),
	KUNIT_CASE(w16_last_page),
	KUNIT_CASE(w16_scattered),
	KUNIT_CASE(w16_no_space),
	KUNIT_CASE(w16_unmapped_after_create),
	KUNIT_CASE(w16_behind_the_end),
	KUNIT_CASE(w16_clean_buffers),
	KUNIT_CASE(w16_dirty_buffers),
	KUNIT_CASE(w16_buffers_behind_the_end),
	KUNIT_CASE(w15_no_get_block),
	KUNIT_CASE(w15_delayed_without_get_block),
	KUNIT_CASE(w15_hook_without_get_block),
	{}
};

static struct kunit_suite write_suite = {
	.name		= "rust_mpage_2017_write",
	.suite_init	= write_init,
	.suite_exit	= write_exit,
	.test_cases	= write_cases,
};

kunit_test_suite(write_suite);
