/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What direct I/O and the search for holes call of the kernel's static inline
 * functions, and looks at the page cache that no function of the kernel has. Each
 * is exactly the function in its name, unless it says more.
 */
#ifndef RUST_MPAGE_HELPERS_DIRECT_H
#define RUST_MPAGE_HELPERS_DIRECT_H

#include <linux/fs.h>
#include <linux/iomap.h>

/* A request that is done directly, as tracepoints show it */
struct rust_mpage_direct_request {
	const struct inode *inode;
	loff_t pos;
	size_t count;
	ssize_t ret;
	int ki_flags;
	bool aio;
};

void rust_mpage_helper_file_accessed(struct file *file);
/* Not if the request may not wait and would have to */
bool rust_mpage_helper_inode_lock_shared_for(struct inode *inode, struct kiocb *iocb);
bool rust_mpage_helper_inode_lock_for(struct inode *inode, struct kiocb *iocb);
/*
 * The first one of these pages that is dirty or under writeback, locked, and
 * referenced; or NULL
 */
struct folio *
rust_mpage_helper_lock_next_unwritten_folio(struct address_space *mapping, pgoff_t start,
					    pgoff_t last);

/* Direct I/O */
ssize_t rust_mpage_helper_iomap_dio_read_simple(struct kiocb *iocb,
						struct iov_iter *to,
						iomap_iter_begin_fn begin);
/*
 * Whether a folio of the range is dirty or under writeback, or locked by who may
 * make it so: the blocks that have just been given to it may not be written yet.
 */
bool rust_mpage_helper_may_be_written(struct address_space *mapping, loff_t start,
				      loff_t last);
u32 rust_mpage_helper_bdev_memory_alignment(struct block_device *bdev);
u32 rust_mpage_helper_bdev_block_size(struct block_device *bdev);
bool rust_mpage_helper_bdev_write_cache(struct block_device *bdev);

#endif /* RUST_MPAGE_HELPERS_DIRECT_H */
