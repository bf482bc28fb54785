// SPDX-License-Identifier: GPL-2.0
/*
 * readpages of 2017 through the mapping of a file in a mounted filesystem, which is
 * named when the module is loaded: path=/mnt/file. The filesystem says where blocks
 * are by its bmap; that the next one needs an indirect block is as ext2 has it.
 *
 * What is read is compared with the blocks of the device. Bios are looked at by
 * who loads the module.
 */

#include <kunit/test.h>
#include <linux/buffer_head.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/rust_mpage.h>

#define MAX_PAGES	64
#define DIRECT		12

static char *path;
module_param(path, charp, 0400);
MODULE_PARM_DESC(path, "file to read");

static int through_bmap(struct inode *inode, sector_t at,
			struct buffer_head *bh, int create)
{
	sector_t per_block = i_blocksize(inode) / sizeof(__le32);
	sector_t block = at;
	int err = bmap(inode, &block);

	if (err || !block)
		return err;
	map_bh(bh, inode->i_sb, block);
	if (at == DIRECT - 1 ||
	    (at >= DIRECT && (at - DIRECT + 1) % per_block == 0))
		set_buffer_boundary(bh);
	return 0;
}

/* The cache has of a block what the device has. */
static void expect_block(struct kunit *test, struct inode *inode, sector_t at)
{
	struct folio *folio = filemap_get_folio(inode->i_mapping,
						at << inode->i_blkbits >> PAGE_SHIFT);
	struct buffer_head want = {}, *bh;
	const u8 *bytes;

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_wait_locked(folio);
	KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
	KUNIT_ASSERT_EQ(test, 0, through_bmap(inode, at, &want, 0));
	bytes = kmap_local_folio(folio, offset_in_folio(folio, at << inode->i_blkbits));
	if (buffer_mapped(&want)) {
		bh = sb_bread(inode->i_sb, want.b_blocknr);
		KUNIT_EXPECT_NOT_NULL(test, bh);
		if (bh)
			KUNIT_EXPECT_MEMEQ(test, bytes, bh->b_data, bh->b_size);
		brelse(bh);
	} else {
		KUNIT_EXPECT_NULL(test, memchr_inv(bytes, 0, i_blocksize(inode)));
	}
	kunmap_local(bytes);
	folio_put(folio);
}

static void r17_mounted_file(struct kunit *test)
{
	struct address_space *mapping;
	struct file *file;
	pgoff_t pages, index;
	loff_t size;
	sector_t at;
	LIST_HEAD(list);

	if (!path)
		kunit_skip(test, "no path= was given");
	file = filp_open(path, O_RDONLY | O_LARGEFILE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	mapping = file->f_mapping;
	invalidate_mapping_pages(mapping, 0, -1);
	size = i_size_read(mapping->host);
	pages = min_t(pgoff_t, size >> PAGE_SHIFT, MAX_PAGES);
	for (index = 0; index < pages; index++) {
		struct folio *folio = folio_alloc(GFP_KERNEL, 0);

		KUNIT_EXPECT_NOT_NULL(test, folio);
		if (!folio)
			break;
		folio->index = index;
		list_add(&folio->lru, &list);
	}
	filemap_invalidate_lock_shared(mapping);
	KUNIT_EXPECT_EQ(test, 0, rust_mpage_readpages(mapping, &list, pages,
						      through_bmap));
	filemap_invalidate_unlock_shared(mapping);
	KUNIT_EXPECT_TRUE(test, list_empty(&list));
	KUNIT_EXPECT_GT(test, pages, 0);
	for (at = 0; at < pages << PAGE_SHIFT >> mapping->host->i_blkbits; at++)
		expect_block(test, mapping->host, at);
	fput(file);
}

static struct kunit_case mounted_cases[] = {
	KUNIT_CASE(r17_mounted_file),
	{}
};

static struct kunit_suite mounted_suite = {
	.name		= "rust_mpage_mounted",
	.test_cases	= mounted_cases,
};

kunit_test_suite(mounted_suite);

MODULE_AUTHOR("rust_mpage developers");
MODULE_DESCRIPTION("Reads a file of a mounted filesystem through rust_mpage");
MODULE_LICENSE("GPL");
