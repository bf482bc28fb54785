/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk for tests: every sector reads as a pattern made from its number, and
 * what is written is compared with that.
 *
 * It stores nothing, so it may be of any size. It records each bio as it
 * arrives, before anything splits or merges it, fails what it is told to, and
 * ends bios at once or from a timer, in order or the other way round.
 */
#ifndef RUST_MPAGE_TEST_PATTERN_DISK_H
#define RUST_MPAGE_TEST_PATTERN_DISK_H

#include <linux/blk_types.h>
#include <linux/types.h>

struct pattern_disk;

/**
 * struct pattern_disk_bio - a bio that has arrived
 * @sector: where it begins
 * @bytes: its length
 * @opf: operation and flags
 * @segments: vectors in it
 * @room: vectors that it was made for
 * @disk: number of the disk
 * @hint: write hint
 * @whole: of a write, sectors that held the pattern
 * @cut: sectors that held the beginning of the pattern, and zeros
 * @zero: sectors of zeros
 * @wrong: other sectors
 */
struct pattern_disk_bio {
	u64 sector;
	u32 bytes;
	u32 opf;
	u32 segments;
	u32 room;
	u32 disk;
	u32 hint;
	u32 whole;
	u32 cut;
	u32 zero;
	u32 wrong;
};

/**
 * enum pattern_disk_completion - when bios end
 * @PATTERN_DISK_AT_ONCE: before submit_bio() returns
 * @PATTERN_DISK_IN_ORDER: from a timer that runs once no bio came for a while
 * @PATTERN_DISK_REVERSED: the same, the last one first
 * @PATTERN_DISK_HELD: in order, when pattern_disk_let_go() says so
 */
enum pattern_disk_completion {
	PATTERN_DISK_AT_ONCE,
	PATTERN_DISK_IN_ORDER,
	PATTERN_DISK_REVERSED,
	PATTERN_DISK_HELD,
};

/**
 * struct pattern_disk_faults - what fails, with EIO
 * @sector: first sector that cannot be read or written
 * @sectors: how many cannot
 * @nth: the number of the one bio that fails, from 1; 0 for none
 */
struct pattern_disk_faults {
	u64 sector;
	u64 sectors;
	u32 nth;
};

struct pattern_disk *pattern_disk_create(u64 sectors, u32 number,
					 struct pattern_disk *recorder);
void pattern_disk_destroy(struct pattern_disk *disk);
struct block_device *pattern_disk_bdev(struct pattern_disk *disk);
int pattern_disk_dirty_block(struct pattern_disk *disk, u64 block,
			     u32 block_size, u8 byte);
void pattern_disk_resize(struct pattern_disk *disk, u64 sectors);
int pattern_disk_sync(struct pattern_disk *disk);
struct pattern_disk *pattern_disk_of(struct block_device *bdev);
void pattern_disk_set_completion(struct pattern_disk *disk,
				 enum pattern_disk_completion completion);
void pattern_disk_let_go(struct pattern_disk *disk);
void pattern_disk_set_faults(struct pattern_disk *disk,
			     const struct pattern_disk_faults *faults);
void pattern_disk_forget(struct pattern_disk *disk);
u32 pattern_disk_bios(struct pattern_disk *disk);
int pattern_disk_bio(struct pattern_disk *disk, u32 index,
		     struct pattern_disk_bio *bio);
u32 pattern_disk_most_waiting(struct pattern_disk *disk);
u32 pattern_disk_unplugs(struct pattern_disk *disk);

#endif /* RUST_MPAGE_TEST_PATTERN_DISK_H */
