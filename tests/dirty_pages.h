/* SPDX-License-Identifier: GPL-2.0 */
/* Dirty folios of the files of page_cache.h, in any state, and writeback. */
#ifndef RUST_MPAGE_TEST_DIRTY_PAGES_H
#define RUST_MPAGE_TEST_DIRTY_PAGES_H

#include <linux/fs.h>
#include <linux/types.h>

/**
 * struct test_buffer - a buffer of a dirty folio
 * @bdev: the device of its block; %NULL if it is not mapped
 * @block: its block
 * @dirty: whether it is
 * @uptodate: whether it is
 * @boundary: whether the next block is metadata
 */
struct test_buffer {
	struct block_device *bdev;
	u64 block;
	bool dirty;
	bool uptodate;
	bool boundary;
};

/**
 * enum test_filesystem - what the filesystem is like at the time
 * @TEST_OPEN: as always
 * @TEST_FREEZING: it is the last writeback before it is frozen
 * @TEST_FROZEN: frozen
 * @TEST_CLOSING: it is the last writeback before it is read-only
 * @TEST_READ_ONLY: read-only
 */
enum test_filesystem {
	TEST_OPEN,
	TEST_FREEZING,
	TEST_FROZEN,
	TEST_CLOSING,
	TEST_READ_ONLY,
};

/**
 * struct test_request - what is to be written
 * @range_start: first byte
 * @range_end: last byte
 * @nr_to_write: pages
 * @sync: somebody waits
 * @background: memory is short
 * @cyclic: from where the request before has stopped on, whatever the range
 * @leave: do not wait until all is written
 * @hook_every: a handler deals with every so manyth page; 0 for none
 * @filesystem: what the filesystem is like
 * @fail_nth: the allocation that fails meanwhile, of those that may; 0 for none
 */
struct test_request {
	u64 range_start;
	u64 range_end;
	long nr_to_write;
	bool sync;
	bool background;
	bool cyclic;
	bool leave;
	u32 hook_every;
	enum test_filesystem filesystem;
	u32 fail_nth;
};

/**
 * struct test_written - what writeback has done
 * @result: what the operation returned
 * @first_error: what the first fsync of a file that was open tells
 * @second_error: what its second one tells
 * @left: the request's nr_to_write afterwards
 * @charged: bytes on account of the cgroup
 * @hooked: folios that the handler got
 */
struct test_written {
	int result;
	int first_error;
	int second_error;
	long left;
	u64 charged;
	u32 hooked;
};

/**
 * struct test_dirty_folio - the state of a folio after writeback
 * @stuck: still locked or under writeback after a long wait
 * @dirty: whether it is
 * @buffers: whether it has any
 * @dirty_buffers: a bit for each of the first 64
 * @mapped_buffers: the same
 */
struct test_dirty_folio {
	bool stuck;
	bool dirty;
	bool buffers;
	u64 dirty_buffers;
	u64 mapped_buffers;
};

int test_add_folio(struct inode *inode, u64 index, u32 order);
int test_fill_page(struct inode *inode, u64 index, const void *page);
int test_set_buffers(struct inode *inode, u64 index,
		     const struct test_buffer *buffers, u32 count);
int test_set_dirty(struct inode *inode, u64 index, bool uptodate);
void test_set_write_hint(struct inode *inode, u32 hint);
void test_writepages(struct inode *inode, const struct test_request *request,
		     struct test_written *written);
int test_dirty_state(struct inode *inode, u64 index,
		     struct test_dirty_folio *state);

#endif /* RUST_MPAGE_TEST_DIRTY_PAGES_H */
