// SPDX-License-Identifier: GPL-2.0
/*
 * Dirty folios and their writeback, see dirty_pages.h.
 *
 * Locks: folio locks, one at a time; the operations under test release those
 * that they get.
 */

#include <linux/backing-dev.h>
#include <linux/buffer_head.h>
#include <linux/delay.h>
#include <linux/errseq.h>
#include <linux/highmem.h>
#include <linux/mpage.h>
#include <linux/pagemap.h>
#include <linux/rust_mpage.h>
#include <linux/writeback.h>
#include "dirty_pages.h"
#include "page_cache.h"
#include "pattern_disk.h"

/* Longer than any write of these tests takes. */
#define PATIENCE_MS	10000

/**
 * test_add_folio - bring a folio into the cache
 * @inode: the file
 * @index: its first page
 * @order: its size
 */
int test_add_folio(struct inode *inode, u64 index, u32 order)
{
	struct folio *folio;
	int err;

	if (!test_has_order(order))
		return -EOPNOTSUPP;
	folio = filemap_alloc_folio(GFP_KERNEL, order, NULL);
	if (!folio)
		return -ENOMEM;
	err = filemap_add_folio(inode->i_mapping, folio, index, GFP_KERNEL);
	if (!err)
		folio_unlock(folio);
	folio_put(folio);
	return err;
}

static struct folio *lock_folio(struct inode *inode, u64 index)
{
	return __filemap_get_folio(inode->i_mapping, index, FGP_LOCK,
				   GFP_KERNEL);
}

static void unlock_put(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * test_fill_page - put bytes into the cache
 * @inode: the file
 * @index: the page, whose folio is in the cache
 * @page: PAGE_SIZE bytes
 */
int test_fill_page(struct inode *inode, u64 index, const void *page)
{
	struct folio *folio = lock_folio(inode, index);

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	memcpy_to_folio(folio, offset_in_folio(folio, index * PAGE_SIZE), page,
			PAGE_SIZE);
	unlock_put(folio);
	return 0;
}

/**
 * test_set_buffers - give a folio buffers
 * @inode: the file
 * @index: a page of the folio, which is in the cache and has none
 * @buffers: their states
 * @count: how many; the others stay as they are made
 */
int test_set_buffers(struct inode *inode, u64 index,
		     const struct test_buffer *buffers, u32 count)
{
	struct folio *folio = lock_folio(inode, index);
	struct buffer_head *bh;
	u32 i;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	bh = create_empty_buffers(folio, i_blocksize(inode), 0);
	for (i = 0; i < count; i++, bh = bh->b_this_page) {
		if (buffers[i].bdev) {
			bh->b_bdev = buffers[i].bdev;
			bh->b_blocknr = buffers[i].block;
			set_buffer_mapped(bh);
		}
		if (buffers[i].dirty)
			set_buffer_dirty(bh);
		if (buffers[i].uptodate)
			set_buffer_uptodate(bh);
		if (buffers[i].boundary)
			set_buffer_boundary(bh);
	}
	unlock_put(folio);
	return 0;
}

/**
 * test_set_dirty - make a folio dirty, but not its buffers
 * @inode: the file
 * @index: a page of the folio
 * @uptodate: whether the folio is uptodate, too
 */
int test_set_dirty(struct inode *inode, u64 index, bool uptodate)
{
	struct folio *folio = lock_folio(inode, index);

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	/* The kernel warns of a folio that is made dirty without contents. */
	folio_mark_uptodate(folio);
	filemap_dirty_folio(inode->i_mapping, folio);
	if (!uptodate)
		folio_clear_uptodate(folio);
	unlock_put(folio);
	return 0;
}

/**
 * test_set_write_hint - say how long the data will live
 * @inode: the file
 * @hint: an enum rw_hint
 */
void test_set_write_hint(struct inode *inode, u32 hint)
{
	inode->i_write_hint = hint;
}

/* The handler of the request that is running: tests run one at a time. */
static u32 hook_every;
static u32 hooked;

static int write_folio(struct folio *folio, struct writeback_control *wbc)
{
	if (folio->index % hook_every)
		return 1;
	hooked++;
	folio_unlock(folio);
	return 0;
}

static int writepages(struct address_space *mapping,
		      struct writeback_control *wbc)
{
	const struct address_space_operations *aops = mapping->a_ops;

	if (!hook_every)
		return aops->writepages(mapping, wbc);
	if (aops == &test_aops_kernel)
		return __mpage_writepages(mapping, wbc, test_get_block,
					  write_folio);
	return __rust_mpage_writepages(mapping, wbc, test_get_block,
				       write_folio);
}

static bool settled(struct folio *folio)
{
	unsigned int waited;

	for (waited = 0; waited < PATIENCE_MS; waited += 10) {
		if (!folio_test_locked(folio) && !folio_test_writeback(folio))
			return true;
		msleep(20);
	}
	return false;
}

static void settle(struct inode *inode)
{
	u64 pages = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);
	u64 index;

	pattern_disk_let_go(pattern_disk_of(inode->i_sb->s_bdev));
	for (index = 0; index < pages; index++) {
		struct folio *folio = filemap_get_folio(inode->i_mapping, index);

		if (IS_ERR(folio))
			continue;
		settled(folio);
		folio_put(folio);
	}
}

/* What mm and VFS would have made of it before they call writepages. */
static int change_filesystem(struct super_block *sb, enum test_filesystem to)
{
	switch (to) {
	case TEST_OPEN:
		return 0;
	case TEST_FREEZING:
		sb->s_writers.frozen = SB_FREEZE_PAGEFAULT;
		return 0;
	case TEST_FROZEN:
		return freeze_super(sb, FREEZE_HOLDER_KERNEL, NULL);
	case TEST_CLOSING:
		sb->s_readonly_remount = 1;
		return 0;
	case TEST_READ_ONLY:
		sb->s_flags |= SB_RDONLY;
		return 0;
	}
	return -EINVAL;
}

static void change_filesystem_back(struct super_block *sb,
				   enum test_filesystem from)
{
	if (from == TEST_FROZEN)
		thaw_super(sb, FREEZE_HOLDER_KERNEL, NULL);
	else
		sb->s_writers.frozen = SB_UNFROZEN;
	sb->s_readonly_remount = 0;
	sb->s_flags &= ~SB_RDONLY;
}

/**
 * test_writepages - write dirty folios, and wait if that is asked for
 * @inode: the file
 * @request: which, and how
 * @written: gets what was done
 */
void test_writepages(struct inode *inode, const struct test_request *request,
		     struct test_written *written)
{
	struct address_space *mapping = inode->i_mapping;
	errseq_t since = errseq_sample(&mapping->wb_err);
	struct writeback_control wbc = {
		.nr_to_write = request->nr_to_write,
		.range_start = request->range_start,
		.range_end = request->range_end,
		.sync_mode = request->sync ? WB_SYNC_ALL : WB_SYNC_NONE,
		.for_background = request->background,
		.range_cyclic = request->cyclic,
	};

	hook_every = request->hook_every;
	hooked = 0;
	written->result = change_filesystem(inode->i_sb, request->filesystem);
	if (written->result)
		return;
#ifdef CONFIG_CGROUP_WRITEBACK
	/* As wbc_attach_fdatawrite_inode() would, for a device with cgroups. */
	wbc.wb = &inode_to_bdi(inode)->wb;
	wbc.wb_id = wbc.wb->memcg_css->id;
	test_fail_nth(request->fail_nth);
	written->result = writepages(mapping, &wbc);
	test_fail_nth(0);
	written->charged = wbc.wb_bytes + wbc.wb_lcand_bytes +
			   wbc.wb_tcand_bytes;
#else
	test_fail_nth(request->fail_nth);
	written->result = writepages(mapping, &wbc);
	test_fail_nth(0);
	written->charged = 0;
#endif
	change_filesystem_back(inode->i_sb, request->filesystem);
	if (!request->leave)
		settle(inode);
	written->left = wbc.nr_to_write;
	written->hooked = hooked;
	written->first_error = errseq_check_and_advance(&mapping->wb_err,
							&since);
	written->second_error = errseq_check_and_advance(&mapping->wb_err,
							 &since);
}

/**
 * test_dirty_state - the state of a folio, once it is written
 * @inode: the file
 * @index: a page of it
 * @state: gets it
 *
 * A folio that is under writeback for good is released by force.
 *
 * Return: 0, or -ENOENT if there is none in the cache.
 */
int test_dirty_state(struct inode *inode, u64 index,
		     struct test_dirty_folio *state)
{
	struct folio *folio = filemap_get_folio(inode->i_mapping, index);
	struct buffer_head *bh, *head;
	u64 bit = 1;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	*state = (struct test_dirty_folio) {
		.stuck = !settled(folio),
		.dirty = folio_test_dirty(folio),
		.buffers = test_buffers(folio),
	};
	if (folio_test_writeback(folio))
		folio_end_writeback(folio);
	bh = head = test_buffers(folio);
	while (bh && bit) {
		if (buffer_dirty(bh))
			state->dirty_buffers |= bit;
		if (buffer_mapped(bh))
			state->mapped_buffers |= bit;
		bit <<= 1;
		bh = bh->b_this_page;
		if (bh == head)
			break;
	}
	folio_put(folio);
	return 0;
}
