// SPDX-License-Identifier: GPL-2.0
/*
 * The operations of the files of page_cache.c: a get_block_t that asks the
 * table, behind rust_mpage's C interface and behind fs/mpage.c. Those of the
 * Rust interface are in support/operations.rs.
 *
 * Locks: folios come locked, and who reads or writes them unlocks them.
 */

#include <linux/buffer_head.h>
#include <linux/highmem.h>
#include <linux/mpage.h>
#include <linux/pagemap.h>
#include <linux/rust_mpage.h>
#include "page_cache.h"

/* What a block is filled with by the mapper; tests/pattern.rs has the same. */
#define FILLED		0xf1

int test_get_block(struct inode *inode, sector_t block,
		   struct buffer_head *bh, int create)
{
	u64 max = bh->b_size >> inode->i_blkbits;
	struct test_mapping mapping = {};
	int err;

	err = test_lookup(inode->i_private, inode, block, max, create,
			  &mapping);
	if (err || !mapping.mapped)
		return err;
	set_buffer_mapped(bh);
	bh->b_bdev = mapping.bdev;
	bh->b_blocknr = mapping.block;
	bh->b_size = mapping.len << inode->i_blkbits;
	if (mapping.boundary)
		set_buffer_boundary(bh);
	if (mapping.fresh)
		set_buffer_new(bh);
	if (mapping.filled) {
		struct folio *folio = bh->b_folio;
		size_t at = (block << inode->i_blkbits) - folio_pos(folio);
		char *bytes = kmap_local_folio(folio, at);

		memset(bytes, FILLED, i_blocksize(inode));
		kunmap_local(bytes);
		set_buffer_uptodate(bh);
	}
	return 0;
}

/* What is in a folio before it is read: nobody relies on zeros. */
static void junk(struct folio *folio)
{
	size_t at;

	for (at = 0; at < folio_size(folio); at += PAGE_SIZE) {
		char *bytes = kmap_local_folio(folio, at);

		memset(bytes, 0xa5, PAGE_SIZE);
		kunmap_local(bytes);
	}
}

/**
 * test_junk_request - fill the folios of a readahead request with junk
 * @rac: the request
 */
void test_junk_request(struct readahead_control *rac)
{
	pgoff_t index = readahead_index(rac);
	pgoff_t end = index + readahead_count(rac);

	while (index < end) {
		struct folio *folio = xa_load(&rac->mapping->i_pages, index);

		if (!folio)
			return;
		junk(folio);
		index = folio_next_index(folio);
	}
}

/**
 * test_junk_folio - fill a folio that is to be read with junk
 * @folio: the folio, locked; what buffers may hold is left alone
 */
void test_junk_folio(struct folio *folio)
{
	if (!folio_buffers(folio))
		junk(folio);
}

static void c_interface_readahead(struct readahead_control *rac)
{
	test_junk_request(rac);
	rust_mpage_readahead(rac, test_get_block);
}

static int c_interface_read_folio(struct file *file, struct folio *folio)
{
	test_junk_folio(folio);
	return rust_mpage_read_folio(folio, test_get_block);
}

static int c_interface_writepages(struct address_space *mapping,
				  struct writeback_control *wbc)
{
	return rust_mpage_writepages(mapping, wbc, test_get_block);
}

const struct address_space_operations test_aops_c_interface = {
	.writepages		= c_interface_writepages,
	.readahead		= c_interface_readahead,
	.read_folio		= c_interface_read_folio,
	.dirty_folio		= block_dirty_folio,
	.invalidate_folio	= block_invalidate_folio,
};

static void kernel_readahead(struct readahead_control *rac)
{
	test_junk_request(rac);
	mpage_readahead(rac, test_get_block);
}

static int kernel_read_folio(struct file *file, struct folio *folio)
{
	test_junk_folio(folio);
	return mpage_read_folio(folio, test_get_block);
}

static int kernel_writepages(struct address_space *mapping,
			     struct writeback_control *wbc)
{
	return mpage_writepages(mapping, wbc, test_get_block);
}

const struct address_space_operations test_aops_kernel = {
	.writepages		= kernel_writepages,
	.readahead		= kernel_readahead,
	.read_folio		= kernel_read_folio,
	.dirty_folio		= block_dirty_folio,
	.invalidate_folio	= block_invalidate_folio,
};
