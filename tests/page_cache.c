// SPDX-License-Identifier: GPL-2.0
/*
 * Files without a filesystem, see page_cache.h.
 *
 * Locks: folio locks, which the operations under test release; a mapping's
 * invalidate_lock outside of them, as mm/readahead.c has it.
 *
 * Left out: names, directories; operations, which are in operations.c, and
 * writing, which is in dirty_pages.c.
 */

#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched.h>
#include <linux/workqueue.h>
#include "page_cache.h"

/* Longer than any read of these tests takes. */
#define PATIENCE_MS	10000

/* After so long without a test case, what they share is given up. */
#define IDLE_MS		1000

static int test_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x6d706167) ? 0 : -ENOMEM;
}

static struct file_system_type test_fs_type = {
	.name			= "rust_mpage_test",
	.owner			= THIS_MODULE,
	.init_fs_context	= test_fs_init_context,
	.kill_sb		= kill_anon_super,
};

/**
 * test_fs_register - make the filesystem type known
 */
int test_fs_register(void)
{
	return register_filesystem(&test_fs_type);
}

/**
 * test_fs_unregister - take it back
 */
void test_fs_unregister(void)
{
	unregister_filesystem(&test_fs_type);
}

/**
 * test_open_context - begin to mount a filesystem, and give that up
 * @name: of its type
 *
 * Return: 0, or what the filesystem says.
 */
int test_open_context(const char *name)
{
	struct file_system_type *type = get_fs_type(name);
	struct fs_context *fc;

	if (!type)
		return -ENODEV;
	fc = fs_context_for_mount(type, 0);
	module_put(type->owner);
	if (IS_ERR(fc))
		return PTR_ERR(fc);
	put_fs_context(fc);
	return 0;
}

static void (*call_when_idle)(void);

static void be_idle(struct work_struct *work)
{
	call_when_idle();
}

static DECLARE_DELAYED_WORK(idle_work, be_idle);

/**
 * test_when_idle - call a function when no test case has run for a while
 * @call: the function, always the same
 *
 * Disks and mounts hold the module, so that what test cases share has to go
 * before the module can.
 */
void test_when_idle(void (*call)(void))
{
	call_when_idle = call;
	schedule_delayed_work(&idle_work, msecs_to_jiffies(IDLE_MS));
}

/**
 * test_not_idle - a test case begins, or the module goes
 */
void test_not_idle(void)
{
	cancel_delayed_work_sync(&idle_work);
}

/**
 * test_fs_mount - make a superblock
 * @bdev: its device, which the caller keeps open
 * @other: another device that files may have blocks on, kept open, too
 *
 * Return: the mount, or an error pointer.
 */
struct vfsmount *test_fs_mount(struct block_device *bdev,
			       struct block_device *other)
{
	struct vfsmount *mnt = kern_mount(&test_fs_type);

	if (!IS_ERR(mnt)) {
		mnt->mnt_sb->s_bdev = bdev;
		mnt->mnt_sb->s_fs_info = other;
		mnt->mnt_sb->s_maxbytes = MAX_LFS_FILESIZE;
	}
	return mnt;
}

/**
 * test_fs_unmount - give the superblock up
 * @mnt: the mount; its inodes must be gone
 */
void test_fs_unmount(struct vfsmount *mnt)
{
	mnt->mnt_sb->s_bdev = NULL;
	kern_unmount(mnt);
}

/**
 * test_inode_other_bdev - the other device
 * @inode: the inode
 */
struct block_device *test_inode_other_bdev(struct inode *inode)
{
	return inode->i_sb->s_fs_info;
}

/**
 * test_inode_new - make a file
 * @mnt: where
 * @args: what it is like
 *
 * Return: its inode, or %NULL without memory, or if the kernel has no such folios.
 */
struct inode *test_inode_new(struct vfsmount *mnt,
			     const struct test_inode_args *args)
{
	struct inode *inode;

	if (!test_has_order(args->order))
		return NULL;
	inode = new_inode(mnt->mnt_sb);
	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0400;
	inode->i_blkbits = args->block_bits;
	inode->i_private = args->table;
	i_size_write(inode, args->size);
	inode->i_mapping->a_ops = args->aops;
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER_MOVABLE);
	mapping_set_folio_order_range(inode->i_mapping, args->order,
				      args->order);
	if (args->without_buffers)
		mapping_set_release_always(inode->i_mapping);
	return inode;
}

static struct folio *get_folio(struct inode *inode, u64 index)
{
	struct folio *folio = filemap_get_folio(inode->i_mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

/* A folio that is never unlocked is a failed test, not a hung one. */
static bool wait_unlocked(struct folio *folio)
{
	unsigned int waited;

	for (waited = 0; waited < PATIENCE_MS; waited += 10) {
		if (!folio_test_locked(folio))
			return true;
		msleep(20);
	}
	return false;
}

/**
 * test_inode_free - forget a file and its folios
 * @inode: its inode
 *
 * Folios that are locked for good are unlocked by force.
 */
void test_inode_free(struct inode *inode)
{
	u64 index = 0;
	u64 pages = DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE);

	while (index < pages) {
		struct folio *folio = get_folio(inode, index);

		if (!folio) {
			index++;
			continue;
		}
		if (folio_test_locked(folio) && !wait_unlocked(folio))
			folio_unlock(folio);
		index = folio_next_index(folio);
		folio_put(folio);
	}
	truncate_inode_pages(inode->i_mapping, 0);
	iput(inode);
}

/**
 * test_inode_hold_back_memory - make the mapping's allocations ones that fail
 * @inode: the inode
 *
 * They may then neither reclaim nor use the reserves of a mempool.
 */
void test_inode_hold_back_memory(struct inode *inode)
{
	mapping_set_gfp_mask(inode->i_mapping, __GFP_NOWARN);
}

/**
 * test_readahead - read ahead as the kernel does
 * @inode: the file
 * @index: first page
 * @pages: how many
 */
void test_readahead(struct inode *inode, u64 index, u64 pages)
{
	DEFINE_READAHEAD(rac, NULL, NULL, inode->i_mapping, index);

	filemap_invalidate_lock_shared(inode->i_mapping);
	page_cache_ra_unbounded(&rac, pages, 0);
	filemap_invalidate_unlock_shared(inode->i_mapping);
}

/**
 * test_fail_nth - have an allocation of this task fail
 * @nth: which, from here on, of those that may; 0 for none
 */
void test_fail_nth(unsigned int nth)
{
#ifdef CONFIG_FAULT_INJECTION
	current->fail_nth = nth;
#endif
}

/**
 * test_readahead_orders - read ahead in folios of chosen sizes
 * @inode: the file, which has no folio in the range yet
 * @index: first page
 * @orders: orders of the folios, one after the other
 * @count: how many folios
 * @fail_nth: the allocation that fails within the operation, of those that may
 *	fail, from 1; 0 for none
 *
 * Return: 0, or a negative errno if the folios cannot be had.
 */
int test_readahead_orders(struct inode *inode, u64 index, const u8 *orders,
			  u32 count, u32 fail_nth)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio;
	int err = 0;
	u32 i;
	DEFINE_READAHEAD(rac, NULL, NULL, mapping, index);

	filemap_invalidate_lock_shared(mapping);
	for (i = 0; i < count && !err; i++) {
		if (!test_has_order(orders[i])) {
			err = -EOPNOTSUPP;
			break;
		}
		folio = filemap_alloc_folio(GFP_KERNEL, orders[i], NULL);
		if (!folio) {
			err = -ENOMEM;
			break;
		}
		err = filemap_add_folio(mapping, folio, index + rac._nr_pages,
					GFP_KERNEL);
		if (err)
			folio_put(folio);
		else
			rac._nr_pages += folio_nr_pages(folio);
	}
	if (!err) {
		test_fail_nth(fail_nth);
		mapping->a_ops->readahead(&rac);
		test_fail_nth(0);
	}
	while ((folio = readahead_folio(&rac)))
		folio_unlock(folio);
	filemap_invalidate_unlock_shared(mapping);
	return err;
}

/**
 * test_read - read the folio of a page as somebody who needs it
 * @inode: the file
 * @index: the page
 *
 * Return: 0, or the errno that the reader gets.
 */
int test_read(struct inode *inode, u64 index)
{
	struct folio *folio = read_mapping_folio(inode->i_mapping, index, NULL);

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	folio_put(folio);
	return 0;
}

/* A locked folio in the cache, of the mapping's order. */
static struct folio *grab_folio(struct inode *inode, u64 index)
{
	return __filemap_get_folio(inode->i_mapping, index,
				   FGP_LOCK | FGP_CREAT, GFP_KERNEL);
}

/**
 * test_read_failing - call read_folio with an allocation that fails
 * @inode: the file
 * @index: the page
 * @fail_nth: as for test_readahead_orders()
 *
 * Return: what read_folio says.
 */
int test_read_failing(struct inode *inode, u64 index, u32 fail_nth)
{
	struct folio *folio = grab_folio(inode, index);
	int err;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	test_fail_nth(fail_nth);
	err = inode->i_mapping->a_ops->read_folio(NULL, folio);
	test_fail_nth(0);
	folio_put(folio);
	return err;
}

/**
 * test_add_buffers - give a folio buffers; it is not uptodate, and made if it is
 *	not in the cache
 * @inode: the file
 * @index: its page
 * @uptodate: a bit for each of its first blocks, set for those that are
 *	uptodate
 * @byte: what those are filled with
 * @dirty: whether those are dirty
 *
 * Return: 0 or a negative errno.
 */
int test_add_buffers(struct inode *inode, u64 index, u64 uptodate, u8 byte,
		     bool dirty)
{
	struct folio *folio = grab_folio(inode, index);
	struct buffer_head *bh;

	if (IS_ERR(folio))
		return PTR_ERR(folio);
	bh = create_empty_buffers(folio, i_blocksize(inode), 0);
	for (; uptodate; uptodate >>= 1, bh = bh->b_this_page) {
		char *bytes;

		if (!(uptodate & 1))
			continue;
		bytes = kmap_local_folio(folio, bh_offset(bh));
		memset(bytes, byte, bh->b_size);
		kunmap_local(bytes);
		set_buffer_uptodate(bh);
		if (dirty)
			mark_buffer_dirty(bh);
	}
	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

/**
 * test_folio - the state of the folio of a page, once it is unlocked
 * @inode: the file
 * @index: the page
 * @state: gets it
 *
 * Return: 0, or -ENOENT if there is none in the cache.
 */
int test_folio(struct inode *inode, u64 index, struct test_folio *state)
{
	struct folio *folio = get_folio(inode, index);

	if (!folio)
		return -ENOENT;
	*state = (struct test_folio) {
		.locked = !wait_unlocked(folio),
		.index = folio->index,
		.order = folio_order(folio),
		.uptodate = folio_test_uptodate(folio),
		.mapped_to_disk = folio_test_mappedtodisk(folio),
		.buffers = test_buffers(folio),
	};
	folio_put(folio);
	return 0;
}

/**
 * test_copy_page - copy what the cache has of a page, uptodate or not
 * @inode: the file
 * @index: the page
 * @page: PAGE_SIZE bytes that get it
 *
 * Return: 0, or -ENOENT if it is not in the cache.
 */
int test_copy_page(struct inode *inode, u64 index, void *page)
{
	struct folio *folio = get_folio(inode, index);

	if (!folio)
		return -ENOENT;
	memcpy_from_folio(page, folio, offset_in_folio(folio, index * PAGE_SIZE),
			  PAGE_SIZE);
	folio_put(folio);
	return 0;
}
