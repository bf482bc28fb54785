/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files without a filesystem: inodes on a disk whose blocks a test maps, and
 * the page cache operations that read them.
 */
#ifndef RUST_MPAGE_TEST_PAGE_CACHE_H
#define RUST_MPAGE_TEST_PAGE_CACHE_H

#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/types.h>

/* The buffers of a folio; where folios have none the word says something else. */
static inline struct buffer_head *test_buffers(struct folio *folio)
{
	return mapping_release_always(folio->mapping) ? NULL :
							folio_buffers(folio);
}

/**
 * struct test_inode_args - what an inode is like
 * @aops: operations of its mapping
 * @size: bytes
 * @block_bits: base-2 logarithm of the block size
 * @order: of all its folios
 * @table: what test_lookup() gets
 * @without_buffers: folios have none, as of a regular file that can be written to
 */
struct test_inode_args {
	const struct address_space_operations *aops;
	u64 size;
	u32 block_bits;
	u32 order;
	void *table;
	bool without_buffers;
};

/**
 * struct test_mapping - a mapper's answer in plain terms
 * @len: blocks
 * @block: the first on the device
 * @bdev: the device, or %NULL
 * @mapped: whether there are blocks at all
 * @boundary: for BH_Boundary
 * @filled: the first block is to be filled, and marked uptodate
 * @fresh: the blocks were allocated for the question
 */
struct test_mapping {
	u64 len;
	u64 block;
	struct block_device *bdev;
	bool mapped;
	bool boundary;
	bool filled;
	bool fresh;
};

/**
 * struct test_folio - the state of a folio in the page cache
 * @index: its first page
 * @order: its size
 * @locked: still locked after a long wait
 * @uptodate: whether it is
 * @mapped_to_disk: whether it is
 * @buffers: whether it has any
 */
struct test_folio {
	u64 index;
	u32 order;
	bool locked;
	bool uptodate;
	bool mapped_to_disk;
	bool buffers;
};

/**
 * test_has_order - whether the kernel has folios of a size in files
 * @order: the size
 *
 * Without huge pages all are of a page: the page cache takes larger ones, and
 * does not find them again.
 */
static inline bool test_has_order(u32 order)
{
	return !order || IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE);
}

/* In Rust: the mapper. */
int test_lookup(void *table, struct inode *inode, u64 at, u64 max, bool create,
		struct test_mapping *mapping);

/* The same as a get_block_t. */
int test_get_block(struct inode *inode, sector_t block, struct buffer_head *bh,
		   int create);

/* The same mapper behind rust_mpage's C interface, and behind fs/mpage.c. */
extern const struct address_space_operations test_aops_c_interface;
extern const struct address_space_operations test_aops_kernel;

void test_junk_request(struct readahead_control *rac);
void test_junk_folio(struct folio *folio);

int test_fs_register(void);
void test_fs_unregister(void);
int test_open_context(const char *name);
void test_when_idle(void (*call)(void));
void test_not_idle(void);
struct vfsmount *test_fs_mount(struct block_device *bdev,
			       struct block_device *other);
void test_fs_unmount(struct vfsmount *mnt);
struct block_device *test_inode_other_bdev(struct inode *inode);
struct inode *test_inode_new(struct vfsmount *mnt,
			     const struct test_inode_args *args);
void test_inode_free(struct inode *inode);
void test_inode_hold_back_memory(struct inode *inode);
void test_readahead(struct inode *inode, u64 index, u64 pages);
int test_readahead_orders(struct inode *inode, u64 index, const u8 *orders,
			  u32 count, u32 fail_nth);
int test_read(struct inode *inode, u64 index);
void test_fail_nth(unsigned int nth);
int test_read_failing(struct inode *inode, u64 index, u32 fail_nth);
int test_add_buffers(struct inode *inode, u64 index, u64 uptodate, u8 byte,
		     bool dirty);
int test_folio(struct inode *inode, u64 index, struct test_folio *state);
int test_copy_page(struct inode *inode, u64 index, void *page);

#endif /* RUST_MPAGE_TEST_PAGE_CACHE_H */
