// SPDX-License-Identifier: GPL-2.0
/*
 * The interface of 2017, called by somebody who holds pages: lists of pages that
 * are not in the cache yet (R17), and one page (R18).
 *
 * Blocks are of 1 KiB, at CONTRACT_START on a RAM disk; blocks 12 and up have an
 * indirect block there, which is read when the first of them is mapped.
 */

#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/rust_mpage.h>
#include <linux/sizes.h>
#include "contract.h"

#define BITS		10
#define PAGES		6
#define PER_PAGE	(PAGE_SIZE >> BITS)
#define FIRST		(CONTRACT_START >> BITS)
#define INDIRECT	(FIRST / 2)
#define DIRECT		(3 * PER_PAGE)

static struct contract_disk *disk;

static struct contract_file *make_file(struct kunit *test, unsigned int order)
{
	struct contract_file *file = kunit_kzalloc(test, sizeof(*file),
						   GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, file);
	file->disk = contract_disk_bdev(disk);
	KUNIT_ASSERT_EQ(test, 0, contract_file_open(file, BITS, order,
						    PAGES * PAGE_SIZE << order));
	contract_disk_forget(disk);
	return file;
}

static int mapped(struct inode *inode, sector_t at, struct buffer_head *bh,
		  int create)
{
	struct contract_file *file = inode->i_private;

	file->calls++;
	set_buffer_mapped(bh);
	bh->b_bdev = file->disk;
	bh->b_blocknr = FIRST + at;
	return 0;
}

/* As ext2: what is behind the direct blocks is looked up on the disk. */
static int through_indirect(struct inode *inode, sector_t at,
			    struct buffer_head *bh, int create)
{
	size_t direct = at < DIRECT ? (DIRECT - at) << BITS : 0;
	struct buffer_head *indirect;

	mapped(inode, at, bh, create);
	if (direct) {
		bh->b_size = min(bh->b_size, direct);
		return 0;
	}
	indirect = __bread(bh->b_bdev, INDIRECT, 1 << BITS);
	if (!indirect)
		return -EIO;
	brelse(indirect);
	return 0;
}

static int with_boundary(struct inode *inode, sector_t at,
			 struct buffer_head *bh, int create)
{
	int err = through_indirect(inode, at, bh, create);

	if (at < DIRECT)
		set_buffer_boundary(bh);
	return err;
}

static int holes(struct inode *inode, sector_t at, struct buffer_head *bh,
		 int create)
{
	if (at % 3 == 0)
		return 0;
	mapped(inode, at, bh, create);
	bh->b_size = 1 << BITS;
	return 0;
}

/*
 * While the first page is mapped somebody else writes the rest of the file, has it
 * written back, and forgets it.
 */
static int grows(struct inode *inode, sector_t at, struct buffer_head *bh,
		 int create)
{
	i_size_write(inode, PAGES * PAGE_SIZE);
	return mapped(inode, at, bh, create);
}

/* The second page cannot be mapped. */
static int fails_once(struct inode *inode, sector_t at, struct buffer_head *bh,
		      int create)
{
	if (at >= PER_PAGE && at < 2 * PER_PAGE)
		return -EUCLEAN;
	mapped(inode, at, bh, create);
	bh->b_size = min_t(size_t, bh->b_size, at < PER_PAGE ?
			   (PER_PAGE - at) << BITS : bh->b_size);
	return 0;
}

/* The caller brings the first block of each page himself. */
static int filled(struct inode *inode, sector_t at, struct buffer_head *bh,
		  int create)
{
	mapped(inode, at, bh, create);
	bh->b_size = 1 << BITS;
	if (at % PER_PAGE == 0) {
		void *bytes = kmap_local_folio(bh->b_folio, 0);

		memset(bytes, 0xaa, 1 << BITS);
		kunmap_local(bytes);
		set_buffer_uptodate(bh);
	}
	return 0;
}

/* A list as readahead made it then: the lowest index at the end. */
static void fill_list(struct kunit *test, struct list_head *list,
		      unsigned int count)
{
	unsigned int index;

	for (index = 0; index < count; index++) {
		struct folio *folio = folio_alloc(GFP_KERNEL, 0);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		folio->index = index;
		list_add(&folio->lru, list);
	}
}

static void readpages(struct kunit *test, struct contract_file *file,
		      get_block_t get_block, unsigned int nr_pages)
{
	struct address_space *mapping = file->inode->i_mapping;
	LIST_HEAD(list);

	fill_list(test, &list, PAGES);
	filemap_invalidate_lock_shared(mapping);
	KUNIT_EXPECT_EQ(test, 0, rust_mpage_readpages(mapping, &list, nr_pages,
						      get_block));
	filemap_invalidate_unlock_shared(mapping);
	KUNIT_EXPECT_TRUE(test, list_empty(&list));
}

/* What the cache has of a block is what the disk has, or this byte. */
static void expect_block(struct kunit *test, struct contract_file *file,
			 unsigned int block, int byte)
{
	const u8 *want = contract_disk_bytes(disk) + CONTRACT_START +
			 (block << BITS);
	struct folio *folio = filemap_get_folio(file->inode->i_mapping,
						block / PER_PAGE);
	const u8 *bytes;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_wait_locked(folio);
	KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
	bytes = kmap_local_folio(folio, (block % PER_PAGE) << BITS);
	if (byte < 0)
		KUNIT_EXPECT_MEMEQ(test, bytes, want, 1 << BITS);
	else
		KUNIT_EXPECT_NULL(test, memchr_inv(bytes, byte, 1 << BITS));
	kunmap_local(bytes);
	folio_put(folio);
}

static void expect_all(struct kunit *test, struct contract_file *file)
{
	unsigned int block;

	for (block = 0; block < PAGES * PER_PAGE; block++)
		expect_block(test, file, block, -1);
}

/* A bio of some blocks of the disk. */
static void expect_bio(struct kunit *test, unsigned int number, u64 block,
		       u32 blocks)
{
	const struct contract_bio *bios;
	u32 count = contract_disk_bios(disk, &bios);

	KUNIT_ASSERT_LT(test, number, count);
	KUNIT_EXPECT_EQ(test, bios[number].sector, block << (BITS - 9));
	KUNIT_EXPECT_EQ(test, bios[number].bytes, blocks << BITS);
	KUNIT_EXPECT_FALSE(test, bios[number].opf & REQ_RAHEAD);
}

static void expect_bios(struct kunit *test, u32 want)
{
	const struct contract_bio *bios;

	KUNIT_EXPECT_EQ(test, contract_disk_bios(disk, &bios), want);
}

/* From the lowest index on, in one bio, with one question. */
static void r17_lowest_index_first(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);

	readpages(test, file, mapped, PAGES);
	KUNIT_EXPECT_EQ(test, file->calls, 1);
	expect_bios(test, 1);
	expect_bio(test, 0, FIRST, PAGES * PER_PAGE);
	expect_all(test, file);
	contract_file_close(file);
}

/* How many pages there are is a hint: too few and too many end the same. */
static void r17_wrong_count(struct kunit *test)
{
	static const unsigned int counts[] = { 0, 1, 1000, UINT_MAX };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		struct contract_file *file = make_file(test, 0);

		readpages(test, file, mapped, counts[i]);
		expect_all(test, file);
		contract_file_close(file);
	}
}

/* What the cache has is not read again, and what the list brought is dropped. */
static void r17_page_is_cached(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	struct folio *folio = contract_file_folio(file, 2);
	unsigned int block;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_zero_segment(folio, 0, PAGE_SIZE);
	folio_mark_uptodate(folio);
	folio_unlock(folio);
	readpages(test, file, mapped, PAGES);
	KUNIT_EXPECT_PTR_EQ(test, folio->mapping, file->inode->i_mapping);
	folio_put(folio);
	for (block = 0; block < PAGES * PER_PAGE; block++)
		expect_block(test, file, block,
			     block / PER_PAGE == 2 ? 0 : -1);
	expect_bios(test, 2);
	expect_bio(test, 0, FIRST, 2 * PER_PAGE);
	expect_bio(test, 1, FIRST + 3 * PER_PAGE, 3 * PER_PAGE);
	contract_file_close(file);
}

/* The list's reference to such a page is given up; nobody else has touched it. */
static void r17_page_is_dropped(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	struct address_space *mapping = file->inode->i_mapping;
	struct folio *cached = contract_file_folio(file, 0);
	struct folio *page = folio_alloc(GFP_KERNEL, 0);
	LIST_HEAD(list);

	KUNIT_ASSERT_FALSE(test, IS_ERR(cached));
	KUNIT_ASSERT_NOT_NULL(test, page);
	folio_unlock(cached);
	page->index = 0;
	folio_get(page);
	list_add(&page->lru, &list);
	filemap_invalidate_lock_shared(mapping);
	KUNIT_EXPECT_EQ(test, 0, rust_mpage_readpages(mapping, &list, 1,
						      mapped));
	filemap_invalidate_unlock_shared(mapping);
	KUNIT_EXPECT_TRUE(test, list_empty(&list));
	KUNIT_EXPECT_EQ(test, folio_ref_count(page), 1);
	KUNIT_EXPECT_NULL(test, page->mapping);
	KUNIT_EXPECT_EQ(test, file->calls, 0);
	folio_put(page);
	folio_put(cached);
	contract_file_close(file);
}

/* Holes anywhere are zeros. */
static void r17_holes(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	unsigned int block;

	readpages(test, file, holes, PAGES);
	for (block = 0; block < PAGES * PER_PAGE; block++)
		expect_block(test, file, block, block % 3 ? -1 : 0);
	contract_file_close(file);
}

/* Without BH_Boundary: 12 0 ... 11 13 ... */
static void r17_without_boundary(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);

	invalidate_bdev(file->disk);
	contract_disk_forget(disk);
	readpages(test, file, through_indirect, PAGES);
	/* the buffer cache reads a whole page around the indirect block */
	expect_bios(test, 2);
	expect_bio(test, 1, FIRST, PAGES * PER_PAGE);
	expect_all(test, file);
	contract_file_close(file);
}

/* With it: 0 ... 11 12 13 ... */
static void r17_boundary(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);

	invalidate_bdev(file->disk);
	contract_disk_forget(disk);
	readpages(test, file, with_boundary, PAGES);
	expect_bios(test, 3);
	expect_bio(test, 0, FIRST, DIRECT);
	expect_bio(test, 1, INDIRECT, 1);
	expect_bio(test, 2, FIRST + DIRECT, PAGES * PER_PAGE - DIRECT);
	expect_all(test, file);
	contract_file_close(file);
}

/* A block that get_block brings is not read over. */
static void r17_uptodate_buffers(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	unsigned int block;

	readpages(test, file, filled, PAGES);
	for (block = 0; block < PAGES * PER_PAGE; block++)
		expect_block(test, file, block, block % PER_PAGE ? -1 : 0xaa);
	contract_file_close(file);
}

/* A page that cannot be mapped is unlocked and not uptodate; the rest is read. */
static void r17_error(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	struct contract_result result = {};

	readpages(test, file, fails_once, PAGES);
	contract_file_look(file, &result);
	KUNIT_EXPECT_EQ(test, result.folios, PAGES);
	KUNIT_EXPECT_EQ(test, result.uptodate, PAGES - 1);
	KUNIT_EXPECT_EQ(test, result.stuck, 0);
	expect_block(test, file, 0, -1);
	expect_block(test, file, PAGES * PER_PAGE - 1, -1);
	contract_file_close(file);
}

/*
 * A page is as long as the file is when the page is locked: who writes to it
 * later waits for the lock, and finds what the disk has.
 */
static void r17_file_grows(struct kunit *test)
{
	static const loff_t sizes[] = {
		1, 100, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct contract_file *file = make_file(test, 0);
		unsigned int block, first = sizes[i] < PAGE_SIZE ? PER_PAGE : 0;

		i_size_write(file->inode, sizes[i]);
		readpages(test, file, grows, PAGES);
		for (block = first; block < PAGES * PER_PAGE; block++)
			expect_block(test, file, block, -1);
		contract_file_close(file);
	}
}

/* An empty list is none. */
static void r17_empty_list(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	LIST_HEAD(list);

	KUNIT_EXPECT_EQ(test, 0, rust_mpage_readpages(file->inode->i_mapping,
						      &list, 0, mapped));
	KUNIT_EXPECT_EQ(test, file->calls, 0);
	expect_bios(test, 0);
	contract_file_close(file);
}

/* One page, whatever page of its folio is named. */
static void r18_readpage(struct kunit *test)
{
	unsigned int order;

	for (order = 0; order <= 3 && contract_has_order(order); order++) {
		struct contract_file *file = make_file(test, order);
		struct folio *folio = contract_file_folio(file, 0);
		unsigned int last = (1 << order) - 1;

		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		KUNIT_EXPECT_EQ(test, 0,
				rust_mpage_readpage(folio_page(folio, last),
						    mapped));
		folio_wait_locked(folio);
		KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
		expect_bios(test, 1);
		expect_bio(test, 0, FIRST, PER_PAGE << order);
		folio_put(folio);
		contract_file_close(file);
	}
}

/* A page that has buffers: what is uptodate in one may be newer than the disk. */
static void r18_uptodate_buffer(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	struct folio *folio = contract_file_folio(file, 0);
	struct buffer_head *head;
	unsigned int block;
	void *bytes;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	head = create_empty_buffers(folio, 1 << BITS, 0);
	mapped(file->inode, 0, head, 0);
	set_buffer_uptodate(head);
	bytes = kmap_local_folio(folio, 0);
	memset(bytes, 0xaa, 1 << BITS);
	kunmap_local(bytes);
	KUNIT_EXPECT_EQ(test, 0,
			rust_mpage_readpage(folio_page(folio, 0), mapped));
	for (block = 0; block < PER_PAGE; block++)
		expect_block(test, file, block, block ? -1 : 0xaa);
	folio_put(folio);
	contract_file_close(file);
}

/* The errno is the caller's, and the page is unlocked. */
static void r18_error(struct kunit *test)
{
	struct contract_file *file = make_file(test, 0);
	struct folio *folio = contract_file_folio(file, 1);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_EQ(test, -EUCLEAN,
			rust_mpage_readpage(folio_page(folio, 0), fails_once));
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_uptodate(folio));
	folio_put(folio);
	contract_file_close(file);
}

static int pages_init(struct kunit_suite *suite)
{
	int err = contract_begin(&disk, 1, 2, SZ_4M);

	if (err)
		return err;
	err = contract_disk_set_block_size(disk, 1 << BITS);
	if (err)
		contract_end(&disk, 1);
	return err;
}

static void pages_exit(struct kunit_suite *suite)
{
	contract_end(&disk, 1);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE(r17_lowest_index_first),
	KUNIT_CASE(r17_wrong_count),
	KUNIT_CASE(r17_page_is_cached),
	KUNIT_CASE(r17_page_is_dropped),
	KUNIT_CASE(r17_holes),
	KUNIT_CASE(r17_without_boundary),
	KUNIT_CASE(r17_boundary),
	KUNIT_CASE(r17_uptodate_buffers),
	KUNIT_CASE(r17_error),
	KUNIT_CASE(r17_file_grows),
	KUNIT_CASE(r17_empty_list),
	KUNIT_CASE(r18_readpage),
	KUNIT_CASE(r18_uptodate_buffer),
	KUNIT_CASE(r18_error),
	{}
};

static struct kunit_suite pages_suite = {
	.name		= "rust_mpage_2017",
	.suite_init	= pages_init,
	.suite_exit	= pages_exit,
	.test_cases	= pages_cases,
};

kunit_test_suite(pages_suite);
