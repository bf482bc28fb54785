// SPDX-License-Identifier: GPL-2.0
/*
 * A disk for tests, see pattern_disk.h.
 *
 * Locks: disk->lock, taken in any context; nothing is taken inside it. Bios end
 * outside of it. What a bio writes is looked at when it arrives: it must not
 * change after that.
 */

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/vmalloc.h>
#include "pattern_disk.h"
#include "test_disk.h"

#define MAX_RECORDS	8192
#define WORDS		(SECTOR_SIZE / sizeof(u64))

/* How long the disk waits for more bios. */
#define SETTLE		msecs_to_jiffies(30)

struct pattern_disk {
	struct test_disk base;
	u32 number;
	/* Where this disk's bios are recorded: here, or at another disk. */
	struct pattern_disk *recorder;

	/* Protects everything below. */
	spinlock_t lock;
	enum pattern_disk_completion completion;
	struct pattern_disk_faults faults;
	struct bio_list waiting;
	u32 waiting_count;
	u32 most_waiting;
	u32 seen;
	u32 unplugs;
	struct timer_list timer;
	u32 records_count;
	struct pattern_disk_bio *records;
};

/* What a sector holds; tests/pattern.rs computes the same. */
static void fill_sector(u64 *words, u32 number, u64 sector)
{
	u64 word = (sector + 1) * 0x9e3779b97f4a7c15ULL ^ ((u64)number << 56);
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		words[i] = word + i;
}

static void fill_bio(struct pattern_disk *disk, struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		char *bytes = bvec_kmap_local(&bv);
		unsigned int at;

		for (at = 0; at < bv.bv_len; at += SECTOR_SIZE)
			fill_sector((u64 *)(bytes + at), disk->number, sector++);
		kunmap_local(bytes);
	}
}

/* Counts the sectors of a write by what they hold. */
static void look_at_sector(struct pattern_disk_bio *found, u32 number,
			   u64 sector, const char *bytes)
{
	u64 words[WORDS];
	unsigned int same = 0;

	fill_sector(words, number, sector);
	while (same < SECTOR_SIZE && bytes[same] == ((char *)words)[same])
		same++;
	if (same == SECTOR_SIZE)
		found->whole++;
	else if (memchr_inv(bytes + same, 0, SECTOR_SIZE - same))
		found->wrong++;
	else if (memchr_inv(bytes, 0, SECTOR_SIZE))
		found->cut++;
	else
		found->zero++;
}

static void look_at_bio(struct pattern_disk_bio *found,
			struct pattern_disk *disk, struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;
	struct bvec_iter iter;
	struct bio_vec bv;

	bio_for_each_segment(bv, bio, iter) {
		char *bytes = bvec_kmap_local(&bv);
		unsigned int at;

		for (at = 0; at < bv.bv_len; at += SECTOR_SIZE)
			look_at_sector(found, disk->number, sector++,
				       bytes + at);
		kunmap_local(bytes);
	}
}

static void end_bio(struct pattern_disk *disk, struct bio *bio)
{
	if (!bio->bi_status && bio_op(bio) == REQ_OP_READ)
		fill_bio(disk, bio);
	bio_endio(bio);
}

static void end_waiting(struct timer_list *timer)
{
	struct pattern_disk *disk = timer_container_of(disk, timer, timer);
	struct bio_list bios = BIO_EMPTY_LIST;
	unsigned long flags;
	struct bio *bio;

	spin_lock_irqsave(&disk->lock, flags);
	bio_list_merge_init(&bios, &disk->waiting);
	disk->waiting_count = 0;
	spin_unlock_irqrestore(&disk->lock, flags);

	while ((bio = bio_list_pop(&bios)))
		end_bio(disk, bio);
}

/* The plug that bios came under is over. */
static void count_unplug(struct blk_plug_cb *cb, bool from_schedule)
{
	struct pattern_disk *disk = cb->data;
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	disk->unplugs++;
	spin_unlock_irqrestore(&disk->lock, flags);
	kfree(cb);
}

static void record(struct pattern_disk *disk, struct bio *bio)
{
	struct pattern_disk *recorder = disk->recorder;
	struct pattern_disk_bio found = {
		.sector = bio->bi_iter.bi_sector,
		.bytes = bio->bi_iter.bi_size,
		.opf = (__force u32)bio->bi_opf,
		.segments = bio->bi_vcnt,
		.room = bio->bi_max_vecs,
		.disk = disk->number,
		.hint = bio->bi_write_hint,
	};
	unsigned long flags;

	if (bio_op(bio) == REQ_OP_WRITE)
		look_at_bio(&found, disk, bio);
	spin_lock_irqsave(&recorder->lock, flags);
	if (recorder->records_count < MAX_RECORDS)
		recorder->records[recorder->records_count++] = found;
	spin_unlock_irqrestore(&recorder->lock, flags);
}

/* Caller holds disk->lock. */
static bool must_fail(struct pattern_disk *disk, struct bio *bio)
{
	const struct pattern_disk_faults *faults = &disk->faults;

	if (++disk->seen == faults->nth)
		return true;
	if (bio_op(bio) != REQ_OP_READ && bio_op(bio) != REQ_OP_WRITE)
		return !op_is_flush(bio->bi_opf);
	return bio->bi_iter.bi_sector < faults->sector + faults->sectors &&
	       bio_end_sector(bio) > faults->sector;
}

static void pattern_disk_submit_bio(struct bio *bio)
{
	struct pattern_disk *disk = bio->bi_bdev->bd_disk->private_data;
	enum pattern_disk_completion completion;
	unsigned long flags;

	record(disk, bio);
	blk_check_plugged(count_unplug, disk, sizeof(struct blk_plug_cb));

	spin_lock_irqsave(&disk->lock, flags);
	if (must_fail(disk, bio))
		bio->bi_status = BLK_STS_IOERR;
	completion = disk->completion;
	if (completion == PATTERN_DISK_REVERSED)
		bio_list_add_head(&disk->waiting, bio);
	else if (completion != PATTERN_DISK_AT_ONCE)
		bio_list_add(&disk->waiting, bio);
	if (completion != PATTERN_DISK_AT_ONCE) {
		disk->waiting_count++;
		disk->most_waiting = max(disk->most_waiting,
					 disk->waiting_count);
		if (completion != PATTERN_DISK_HELD)
			mod_timer(&disk->timer, jiffies + SETTLE);
	}
	spin_unlock_irqrestore(&disk->lock, flags);

	if (completion == PATTERN_DISK_AT_ONCE)
		end_bio(disk, bio);
}

static const struct block_device_operations pattern_disk_fops = {
	.owner		= THIS_MODULE,
	.submit_bio	= pattern_disk_submit_bio,
};

/**
 * pattern_disk_create - make a disk and open it
 * @sectors: its size in sectors of 512 bytes
 * @number: its number, part of its pattern and its name
 * @recorder: the disk that records this one's bios with its own, in one
 *	sequence; %NULL for this one
 *
 * Return: the disk, or an error pointer.
 */
struct pattern_disk *pattern_disk_create(u64 sectors, u32 number,
					 struct pattern_disk *recorder)
{
	struct pattern_disk *disk = kzalloc_obj(*disk);
	int err = -ENOMEM;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	disk->number = number;
	disk->recorder = recorder ?: disk;
	spin_lock_init(&disk->lock);
	timer_setup(&disk->timer, end_waiting, 0);
	disk->records = vcalloc(MAX_RECORDS, sizeof(*disk->records));
	if (!disk->records)
		goto out_free;
	err = test_disk_open(&disk->base, &pattern_disk_fops, disk, "mpagetest",
			     number, sectors);
	if (err)
		goto out_free;
	return disk;

out_free:
	vfree(disk->records);
	kfree(disk);
	return ERR_PTR(err);
}

/**
 * pattern_disk_destroy - close a disk and take it away
 * @disk: the disk; no bio may be on its way, and no disk may record here
 */
void pattern_disk_destroy(struct pattern_disk *disk)
{
	test_disk_close(&disk->base);
	timer_shutdown_sync(&disk->timer);
	vfree(disk->records);
	kfree(disk);
}

/**
 * pattern_disk_bdev - the block device, open until the disk is destroyed
 * @disk: the disk
 */
struct block_device *pattern_disk_bdev(struct pattern_disk *disk)
{
	return file_bdev(disk->base.file);
}

/**
 * pattern_disk_dirty_block - make a block dirty in the device's own cache
 * @disk: the disk
 * @block: its number
 * @block_size: the size of all blocks in the cache, which must be the same in
 *	all calls
 * @byte: what it is filled with; 0 for the pattern
 */
int pattern_disk_dirty_block(struct pattern_disk *disk, u64 block,
			     u32 block_size, u8 byte)
{
	u64 sector = block * (block_size / SECTOR_SIZE);
	struct buffer_head *bh;
	u32 at;
	int err;

	err = set_blocksize(disk->base.file, block_size);
	if (err)
		return err;
	bh = __getblk(file_bdev(disk->base.file), block, block_size);
	if (!bh)
		return -ENOMEM;
	lock_buffer(bh);
	for (at = 0; at < block_size; at += SECTOR_SIZE) {
		if (byte)
			memset(bh->b_data + at, byte, SECTOR_SIZE);
		else
			fill_sector((u64 *)(bh->b_data + at), disk->number,
				    sector++);
	}
	set_buffer_uptodate(bh);
	unlock_buffer(bh);
	mark_buffer_dirty(bh);
	brelse(bh);
	return 0;
}

/**
 * pattern_disk_resize - make a disk larger or smaller
 * @disk: the disk; no bio may be on its way
 * @sectors: its new size
 *
 * The device's own cache is empty after that.
 */
void pattern_disk_resize(struct pattern_disk *disk, u64 sectors)
{
	struct address_space *mapping = file_bdev(disk->base.file)->bd_mapping;

	if (!mapping_empty(mapping)) {
		invalidate_bh_lrus();
		truncate_inode_pages(mapping, 0);
	}
	set_capacity(disk->base.gendisk, sectors);
}

/**
 * pattern_disk_sync - write what is dirty in the device's own cache
 * @disk: the disk
 */
int pattern_disk_sync(struct pattern_disk *disk)
{
	return sync_blockdev(file_bdev(disk->base.file));
}

/**
 * pattern_disk_of - the disk of a block device
 * @bdev: what pattern_disk_bdev() returned
 */
struct pattern_disk *pattern_disk_of(struct block_device *bdev)
{
	return bdev->bd_disk->private_data;
}

/**
 * pattern_disk_set_completion - say when bios end from now on
 * @disk: the disk; no bio may be on its way
 * @completion: when
 */
void pattern_disk_set_completion(struct pattern_disk *disk,
				 enum pattern_disk_completion completion)
{
	spin_lock_irq(&disk->lock);
	disk->completion = completion;
	spin_unlock_irq(&disk->lock);
}

/**
 * pattern_disk_let_go - end the bios that are held
 * @disk: the disk
 */
void pattern_disk_let_go(struct pattern_disk *disk)
{
	mod_timer(&disk->timer, jiffies);
}

/**
 * pattern_disk_set_faults - say what fails from now on
 * @disk: the disk
 * @faults: what; bios are counted from here
 */
void pattern_disk_set_faults(struct pattern_disk *disk,
			     const struct pattern_disk_faults *faults)
{
	spin_lock_irq(&disk->lock);
	disk->faults = *faults;
	disk->seen = 0;
	spin_unlock_irq(&disk->lock);
}

/**
 * pattern_disk_forget - empty the record
 * @disk: the disk
 */
void pattern_disk_forget(struct pattern_disk *disk)
{
	spin_lock_irq(&disk->lock);
	disk->records_count = 0;
	disk->most_waiting = 0;
	disk->unplugs = 0;
	spin_unlock_irq(&disk->lock);
}

static u32 locked(struct pattern_disk *disk, const u32 *counted)
{
	u32 count;

	spin_lock_irq(&disk->lock);
	count = *counted;
	spin_unlock_irq(&disk->lock);
	return count;
}

/**
 * pattern_disk_bios - how many bios are recorded
 * @disk: the disk
 */
u32 pattern_disk_bios(struct pattern_disk *disk)
{
	return locked(disk, &disk->records_count);
}

/**
 * pattern_disk_bio - a recorded bio
 * @disk: the disk
 * @index: its place in the order of arrival, from 0
 * @bio: gets the record
 *
 * Return: 0, or -ERANGE if there are not so many.
 */
int pattern_disk_bio(struct pattern_disk *disk, u32 index,
		     struct pattern_disk_bio *bio)
{
	int err = -ERANGE;

	spin_lock_irq(&disk->lock);
	if (index < disk->records_count) {
		*bio = disk->records[index];
		err = 0;
	}
	spin_unlock_irq(&disk->lock);
	return err;
}

/**
 * pattern_disk_most_waiting - how many bios were on their way at one time
 * @disk: the disk
 */
u32 pattern_disk_most_waiting(struct pattern_disk *disk)
{
	return locked(disk, &disk->most_waiting);
}

/**
 * pattern_disk_unplugs - how many plugs there were that bios came under
 * @disk: the disk
 */
u32 pattern_disk_unplugs(struct pattern_disk *disk)
{
	return locked(disk, &disk->unplugs);
}
