// SPDX-License-Identifier: GPL-2.0
/*
 * Inodes whose blocks a test maps, see contract.h.
 *
 * Locks: folio locks, which the functions under test release; a mapping's
 * invalidate_lock outside of them, as mm/readahead.c has it.
 */

#include <linux/crc32.h>
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mpage.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/rust_mpage.h>
#include "contract.h"

/* Longer than any read of these tests takes. */
#define PATIENCE_MS	10000

const struct contract_engine contract_rust = {
	.name		= "rust_mpage",
	.readahead	= rust_mpage_readahead,
	.read_folio	= rust_mpage_read_folio,
	.writepages	= rust_mpage_writepages,
};

const struct contract_engine contract_kernel = {
	.name		= "fs/mpage.c",
	.readahead	= mpage_readahead,
	.read_folio	= mpage_read_folio,
	.writepages	= mpage_writepages,
};

static const struct address_space_operations contract_aops = {
	.dirty_folio		= block_dirty_folio,
	.invalidate_folio	= block_invalidate_folio,
};

static int contract_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x636f6e74) ? 0 : -ENOMEM;
}

static struct file_system_type contract_type = {
	.name			= "rust_mpage_contract",
	.owner			= THIS_MODULE,
	.init_fs_context	= contract_init_context,
	.kill_sb		= kill_anon_super,
};

/* The superblock of all files: to make one takes longer than most tests. */
static struct vfsmount *mount;

static int register_files(void)
{
	int err = register_filesystem(&contract_type);

	if (err)
		return err;
	mount = kern_mount(&contract_type);
	if (!IS_ERR(mount)) {
		mount->mnt_sb->s_maxbytes = MAX_LFS_FILESIZE;
		return 0;
	}
	err = PTR_ERR(mount);
	unregister_filesystem(&contract_type);
	return err;
}

static void unregister_files(void)
{
	mount->mnt_sb->s_bdev = NULL;
	kern_unmount(mount);
	unregister_filesystem(&contract_type);
}

/**
 * contract_begin - have what a suite needs: a superblock for files, and disks
 * @disks: gets them
 * @count: how many
 * @number: of the first; no two suites have the same
 * @bytes: the size of each
 *
 * Return: 0, or a negative errno and nothing of it.
 */
int contract_begin(struct contract_disk **disks, unsigned int count,
		   unsigned int number, size_t bytes)
{
	int err = register_files();
	unsigned int i;

	if (err)
		return err;
	for (i = 0; i < count; i++) {
		disks[i] = contract_disk_create(number + i, bytes);
		if (IS_ERR(disks[i])) {
			err = PTR_ERR(disks[i]);
			contract_end(disks, i);
			return err;
		}
	}
	return 0;
}

/**
 * contract_end - give them up; all files are closed
 * @disks: of contract_begin(); KUnit does not call suite_exit if that has failed
 * @count: how many
 */
void contract_end(struct contract_disk **disks, unsigned int count)
{
	while (count--)
		contract_disk_destroy(disks[count]);
	unregister_files();
}

/**
 * contract_file_open - make a file
 * @file: with its devices set; the rest is set here
 * @block_bits: base-2 logarithm of its block size
 * @order: of all its folios
 * @size: in bytes
 *
 * Return: 0, -EOPNOTSUPP if the kernel has no such folios, or another negative
 * errno.
 */
int contract_file_open(struct contract_file *file, unsigned int block_bits,
		       unsigned int order, loff_t size)
{
	struct inode *inode;

	if (!contract_has_order(order))
		return -EOPNOTSUPP;
	file->calls = 0;
	file->state = 0;
	inode = new_inode(mount->mnt_sb);
	if (!inode)
		return -ENOMEM;
	mount->mnt_sb->s_bdev = file->disk;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFREG | 0600;
	inode->i_blkbits = block_bits;
	inode->i_private = file;
	inode->i_mapping->a_ops = &contract_aops;
	i_size_write(inode, size);
	mapping_set_gfp_mask(inode->i_mapping, GFP_HIGHUSER_MOVABLE);
	mapping_set_folio_order_range(inode->i_mapping, order, order);
	file->inode = inode;
	return 0;
}

/**
 * contract_file_close - forget a file and its folios
 * @file: the file; no folio of it may be locked
 */
void contract_file_close(struct contract_file *file)
{
	truncate_inode_pages(file->inode->i_mapping, 0);
	iput(file->inode);
}

/**
 * contract_file_folio - a new folio in the cache, locked
 * @file: the file
 * @index: its first page
 *
 * Return: the folio with a reference, or an error pointer.
 */
struct folio *contract_file_folio(struct contract_file *file, pgoff_t index)
{
	return __filemap_get_folio(file->inode->i_mapping, index,
				   FGP_LOCK | FGP_CREAT, GFP_KERNEL);
}

/**
 * contract_file_readahead - read the whole file ahead
 * @file: the file, without a folio in the cache
 * @engine: by whom
 * @get_block: its mapper
 *
 * Return: 0, or a negative errno if the folios cannot be had.
 */
int contract_file_readahead(struct contract_file *file,
			    const struct contract_engine *engine,
			    get_block_t get_block)
{
	struct address_space *mapping = file->inode->i_mapping;
	pgoff_t pages = DIV_ROUND_UP(i_size_read(file->inode), PAGE_SIZE);
	struct folio *folio;
	int err = 0;
	DEFINE_READAHEAD(rac, NULL, NULL, mapping, 0);

	filemap_invalidate_lock_shared(mapping);
	while (rac._nr_pages < pages && !err) {
		folio = filemap_alloc_folio(GFP_KERNEL | __GFP_NOWARN,
					    mapping_min_folio_order(mapping),
					    NULL);
		if (!folio) {
			err = -ENOMEM;
			break;
		}
		err = filemap_add_folio(mapping, folio, rac._nr_pages,
					GFP_KERNEL);
		if (err)
			folio_put(folio);
		else
			rac._nr_pages += folio_nr_pages(folio);
	}
	if (!err)
		engine->readahead(&rac, get_block);
	while ((folio = readahead_folio(&rac)))
		folio_unlock(folio);
	filemap_invalidate_unlock_shared(mapping);
	return err;
}

/* A folio that is never unlocked is a failed test, not a hung one. */
static bool settle(struct folio *folio)
{
	unsigned int waited;

	for (waited = 0; folio_test_locked(folio); waited += 10) {
		if (waited >= PATIENCE_MS) {
			folio_unlock(folio);
			return false;
		}
		msleep(20);
	}
	return true;
}

/* A page of a file from its blocks, each asked for alone. */
static void fill_page(struct contract_file *file, get_block_t get_block,
		      pgoff_t page, u8 *bytes)
{
	struct inode *inode = file->inode;
	size_t size = i_blocksize(inode), offset;

	memset(bytes, 0, PAGE_SIZE);
	for (offset = 0; offset < PAGE_SIZE; offset += size) {
		loff_t pos = ((loff_t)page << PAGE_SHIFT) + offset;
		struct buffer_head bh = { .b_size = size };

		if (pos >= i_size_read(inode))
			break;
		if (!get_block(inode, pos >> inode->i_blkbits, &bh, 0) &&
		    buffer_mapped(&bh))
			memcpy(bytes + offset, contract_bdev_bytes(bh.b_bdev) +
			       (bh.b_blocknr << inode->i_blkbits), size);
	}
}

/**
 * contract_file_sum - the checksum of a file that is read right
 * @file: the file
 * @get_block: its mapper
 * @order: of its folios
 *
 * Return: what contract_file_look() finds, or 0 without memory.
 */
u32 contract_file_sum(struct contract_file *file, get_block_t get_block,
		      unsigned int order)
{
	pgoff_t pages = round_up(DIV_ROUND_UP(i_size_read(file->inode),
					      PAGE_SIZE), 1 << order);
	u8 *bytes = kmalloc(PAGE_SIZE, GFP_KERNEL);
	pgoff_t page;
	u32 sum = 0;

	if (!bytes)
		return 0;
	for (page = 0; page < pages; page++) {
		if (page % (1 << order) == 0)
			sum += page;
		fill_page(file, get_block, page, bytes);
		sum = crc32_le(sum, bytes, PAGE_SIZE);
	}
	kfree(bytes);
	return sum;
}

static u32 checksum(struct folio *folio, u32 sum)
{
	size_t at;

	for (at = 0; at < folio_size(folio); at += PAGE_SIZE) {
		void *bytes = kmap_local_folio(folio, at);

		sum = crc32_le(sum, bytes, PAGE_SIZE);
		kunmap_local(bytes);
	}
	return sum;
}

/**
 * contract_file_look - see what became of the folios of a file
 * @file: the file
 * @result: gets it, but for the error
 */
void contract_file_look(struct contract_file *file,
			struct contract_result *result)
{
	pgoff_t pages = DIV_ROUND_UP(i_size_read(file->inode), PAGE_SIZE);
	pgoff_t index = 0;

	while (index < pages) {
		struct folio *folio = filemap_get_folio(file->inode->i_mapping,
							index);

		if (IS_ERR(folio)) {
			index++;
			continue;
		}
		result->folios++;
		result->stuck += !settle(folio);
		if (folio_test_uptodate(folio)) {
			result->uptodate++;
			result->sum = checksum(folio, result->sum + index);
		}
		index = folio_next_index(folio);
		folio_put(folio);
	}
}
