// SPDX-License-Identifier: GPL-2.0
/*
 * readpages of 2017 through the mapping of a file in a mounted filesystem, which is
 * named when the module is loaded: path=/mnt/file. The filesystem says where blocks
 * are by its bmap; that the next one needs an indirect block is as ext2 has it.
 *
 * What is read is compared with the blocks of the device; loading the module fails
 * if that differs. Bios are looked at by who loads it. It is no KUnit suite: these
 * run in a thread that does not see the mount.
 *
 * With commit=1 the metadata of the file or directory is brought to the medium, as
 * knfsd does it after a change; there is no server in the kernels of the tests.
 *
 * With unaware=1 the file is opened only, as by a program of 32 bits that does not
 * know of files of 2 GiB: the errno of that.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/buffer_head.h>
#include <linux/exportfs.h>
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

static bool unaware;
module_param(unaware, bool, 0400);
MODULE_PARM_DESC(unaware, "only open it, without O_LARGEFILE");

static bool commit;
module_param(commit, bool, 0400);
MODULE_PARM_DESC(commit, "only have it on the medium, as knfsd does");

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

/* What the device has of a block, or zeros. */
static bool same_as_device(struct inode *inode, sector_t at, const u8 *bytes)
{
	struct buffer_head want = {}, *bh;
	bool same;

	if (through_bmap(inode, at, &want, 0))
		return false;
	if (!buffer_mapped(&want))
		return !memchr_inv(bytes, 0, i_blocksize(inode));
	bh = sb_bread(inode->i_sb, want.b_blocknr);
	same = bh && !memcmp(bytes, bh->b_data, bh->b_size);
	brelse(bh);
	return same;
}

/* The cache has a block, and has of it what the device has. */
static bool is_right(struct inode *inode, sector_t at)
{
	loff_t pos = at << inode->i_blkbits;
	struct folio *folio = filemap_get_folio(inode->i_mapping,
						pos >> PAGE_SHIFT);
	const u8 *bytes;
	bool right;

	if (IS_ERR(folio))
		return false;
	folio_wait_locked(folio);
	bytes = kmap_local_folio(folio, offset_in_folio(folio, pos));
	right = folio_test_uptodate(folio) && same_as_device(inode, at, bytes);
	kunmap_local(bytes);
	folio_put(folio);
	return right;
}

/* A list as readahead made it then: the lowest index at the end. */
static pgoff_t fill_list(struct list_head *list, pgoff_t pages)
{
	pgoff_t index;

	for (index = 0; index < pages; index++) {
		struct folio *folio = folio_alloc(GFP_KERNEL, 0);

		if (!folio)
			break;
		folio->index = index;
		list_add(&folio->lru, list);
	}
	return index;
}

static int read_file(struct address_space *mapping)
{
	struct inode *inode = mapping->host;
	pgoff_t pages = min_t(pgoff_t, i_size_read(inode) >> PAGE_SHIFT,
			      MAX_PAGES);
	sector_t at, wrong = 0;
	LIST_HEAD(list);
	int err;

	invalidate_mapping_pages(mapping, 0, -1);
	pages = fill_list(&list, pages);
	if (!pages)
		return -ENODATA;
	filemap_invalidate_lock_shared(mapping);
	err = rust_mpage_readpages(mapping, &list, pages, through_bmap);
	filemap_invalidate_unlock_shared(mapping);
	if (err || !list_empty(&list))
		return -EPROTO;
	for (at = 0; at < pages << PAGE_SHIFT >> inode->i_blkbits; at++) {
		if (is_right(inode, at))
			continue;
		wrong++;
		pr_err("block %llu is not what is on the disk\n", at);
	}
	return wrong ? -EILSEQ : 0;
}

/* commit_inode_metadata() of knfsd. */
static int commit_metadata(struct inode *inode)
{
	const struct export_operations *ops = inode->i_sb->s_export_op;

	if (ops && ops->commit_metadata)
		return ops->commit_metadata(inode);
	return sync_inode_metadata(inode, 1);
}

static int use(struct file *file)
{
	if (commit)
		return commit_metadata(file_inode(file));
	if (unaware)
		return 0;
	return read_file(file->f_mapping);
}

static int __init rust_mpage_mounted_init(void)
{
	struct file *file;
	int err;

	if (!path)
		return -EINVAL;
	file = filp_open(path, O_RDONLY | (unaware ? 0 : O_LARGEFILE), 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = use(file);
	fput(file);
	return err;
}

static void __exit rust_mpage_mounted_exit(void)
{
}

module_init(rust_mpage_mounted_init);
module_exit(rust_mpage_mounted_exit);
MODULE_AUTHOR("rust_mpage developers");
MODULE_DESCRIPTION("Reads a file of a mounted filesystem through rust_mpage");
MODULE_LICENSE("GPL");
