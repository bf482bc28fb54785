/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Contract tests: what an author of a C filesystem may do with the functions of
 * <linux/rust_mpage.h>, and the same with those of <linux/mpage.h>.
 */
#ifndef RUST_MPAGE_CONTRACT_H
#define RUST_MPAGE_CONTRACT_H

#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/types.h>
#include <linux/writeback.h>

/* disk.c: a RAM disk that remembers the bios it gets */

struct contract_disk;

/**
 * struct contract_bio - a bio that has arrived
 * @sector: where it begins
 * @bytes: its length
 * @opf: operation and flags
 */
struct contract_bio {
	u64 sector;
	u32 bytes;
	u32 opf;
};

struct contract_disk *contract_disk_create(unsigned int number, size_t bytes);
void contract_disk_destroy(struct contract_disk *disk);
struct block_device *contract_disk_bdev(struct contract_disk *disk);
int contract_disk_set_block_size(struct contract_disk *disk, unsigned int size);
u8 *contract_disk_bytes(struct contract_disk *disk);
u8 *contract_bdev_bytes(struct block_device *bdev);
u32 contract_disk_bios(struct contract_disk *disk,
		       const struct contract_bio **bios);
void contract_disk_forget(struct contract_disk *disk);

/* file.c: an inode whose blocks a test maps */

/**
 * struct contract_engine - the functions under test, or those of fs/mpage.c
 * @name: for messages
 * @readahead: as mpage_readahead()
 * @read_folio: as mpage_read_folio()
 * @writepages: as mpage_writepages()
 */
struct contract_engine {
	const char *name;
	void (*readahead)(struct readahead_control *rac, get_block_t get_block);
	int (*read_folio)(struct folio *folio, get_block_t get_block);
	int (*writepages)(struct address_space *mapping,
			  struct writeback_control *wbc, get_block_t get_block);
};

extern const struct contract_engine contract_rust;
extern const struct contract_engine contract_kernel;

/**
 * struct contract_file - an inode and what its get_block works with
 * @inode: the inode
 * @disk: where its blocks are
 * @other: another device
 * @calls: how often get_block was called
 * @state: for the get_block
 */
struct contract_file {
	struct inode *inode;
	struct block_device *disk;
	struct block_device *other;
	unsigned int calls;
	unsigned long state;
};

/**
 * struct contract_result - what became of the folios of a file
 * @error: of read_folio, or 0
 * @folios: how many there are
 * @uptodate: how many of them can be read
 * @stuck: how many are locked for good
 * @sum: a checksum of the contents of those that can be read
 */
struct contract_result {
	int error;
	u32 folios;
	u32 uptodate;
	u32 stuck;
	u32 sum;
};

/**
 * contract_has_order - whether the kernel has folios of a size in files
 * @order: the size
 *
 * Without huge pages all are of a page.
 */
static inline bool contract_has_order(unsigned int order)
{
	return !order || IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE);
}

int contract_begin(struct contract_disk **disks, unsigned int count,
		   unsigned int number, size_t bytes);
void contract_end(struct contract_disk **disks, unsigned int count);
int contract_file_open(struct contract_file *file, unsigned int block_bits,
		       unsigned int order, loff_t size);
void contract_file_close(struct contract_file *file);
struct folio *contract_file_folio(struct contract_file *file, pgoff_t index);
int contract_file_readahead(struct contract_file *file,
			    const struct contract_engine *engine,
			    get_block_t get_block);
void contract_file_look(struct contract_file *file,
			struct contract_result *result);
u32 contract_file_sum(struct contract_file *file, get_block_t get_block,
		      unsigned int order);

/* kinds.c: get_block functions that a filesystem might have, and odd ones */

/**
 * struct contract_kind - a get_block and what is to be expected of it
 * @name: for messages
 * @get_block: the function
 * @ours_only: why C's mpage cannot be asked: it crashes, hangs or reads what is
 *	somewhere else; %NULL if it has to say the same
 * @by_block: what is read is nevertheless known: each block where @get_block says
 *	that it is if asked for that block only
 * @fails: reads fail, all or some
 * @error: the errno that they fail with, if that is known
 */
struct contract_kind {
	char name[32];
	get_block_t *get_block;
	const char *ours_only;
	bool by_block;
	bool fails;
	int error;
};

extern const struct contract_kind contract_kinds[];
extern const unsigned int contract_kinds_count;
get_block_t *contract_get_block(const char *name);

/* Where every file's blocks begin on the disk, in bytes. */
#define CONTRACT_START	(1 << 20)

#endif /* RUST_MPAGE_CONTRACT_H */
