// SPDX-License-Identifier: GPL-2.0
/*
 * A RAM disk that remembers the bios it gets, see contract.h. Bios end before
 * submit_bio() returns.
 *
 * Locks: disk->lock, around the record only.
 */

#include <linux/blkdev.h>
#include <linux/bvec.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include "../test_disk.h"
#include "contract.h"

#define MAX_RECORDS	65536

struct contract_disk {
	struct test_disk base;
	u8 *bytes;

	/* Protects what is below. */
	spinlock_t lock;
	u32 count;
	struct contract_bio *bios;
};

static void contract_disk_submit_bio(struct bio *bio)
{
	struct contract_disk *disk = bio->bi_bdev->bd_disk->private_data;
	u8 *at = disk->bytes + (bio->bi_iter.bi_sector << SECTOR_SHIFT);
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	if (disk->count < MAX_RECORDS)
		disk->bios[disk->count++] = (struct contract_bio) {
			.sector = bio->bi_iter.bi_sector,
			.bytes = bio->bi_iter.bi_size,
			.opf = (__force u32)bio->bi_opf,
		};
	spin_unlock_irqrestore(&disk->lock, flags);

	bio_for_each_segment(bv, bio, iter) {
		if (op_is_write(bio_op(bio)))
			memcpy_from_bvec(at, &bv);
		else
			memcpy_to_bvec(&bv, at);
		at += bv.bv_len;
	}
	bio_endio(bio);
}

static const struct block_device_operations contract_disk_fops = {
	.owner		= THIS_MODULE,
	.submit_bio	= contract_disk_submit_bio,
};

/**
 * contract_disk_create - make a disk, fill it with a pattern and open it
 * @number: part of its name and of its pattern
 * @bytes: its size
 *
 * Return: the disk, or an error pointer.
 */
struct contract_disk *contract_disk_create(unsigned int number, size_t bytes)
{
	struct contract_disk *disk = kzalloc_obj(*disk);
	int err = -ENOMEM;
	size_t i;

	if (!disk)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&disk->lock);
	disk->bytes = vzalloc(bytes);
	disk->bios = vcalloc(MAX_RECORDS, sizeof(*disk->bios));
	if (!disk->bytes || !disk->bios)
		goto out_free;
	for (i = 0; i < bytes; i += sizeof(u64))
		*(u64 *)(disk->bytes + i) = (i + 1) * 0x9e3779b97f4a7c15ULL + number;
	err = test_disk_open(&disk->base, &contract_disk_fops, disk, "contract",
			     number, bytes >> SECTOR_SHIFT);
	if (err)
		goto out_free;
	return disk;

out_free:
	vfree(disk->bytes);
	vfree(disk->bios);
	kfree(disk);
	return ERR_PTR(err);
}

/**
 * contract_disk_destroy - close a disk and take it away
 * @disk: the disk
 */
void contract_disk_destroy(struct contract_disk *disk)
{
	test_disk_close(&disk->base);
	vfree(disk->bytes);
	vfree(disk->bios);
	kfree(disk);
}

/**
 * contract_disk_bdev - the block device, open until the disk is destroyed
 * @disk: the disk
 */
struct block_device *contract_disk_bdev(struct contract_disk *disk)
{
	return file_bdev(disk->base.file);
}

/**
 * contract_disk_set_block_size - have the buffer cache use blocks of that size
 * @disk: the disk
 * @size: in bytes; buffers of another size are never found
 *
 * Return: 0 or a negative errno.
 */
int contract_disk_set_block_size(struct contract_disk *disk, unsigned int size)
{
	return set_blocksize(disk->base.file, size);
}

/**
 * contract_disk_bytes - what is on a disk
 * @disk: the disk
 */
u8 *contract_disk_bytes(struct contract_disk *disk)
{
	return disk->bytes;
}

/**
 * contract_bdev_bytes - what is on a disk, by its device
 * @bdev: the device of a disk of contract_disk_create()
 */
u8 *contract_bdev_bytes(struct block_device *bdev)
{
	struct contract_disk *disk = bdev->bd_disk->private_data;

	return disk->bytes;
}

/**
 * contract_disk_bios - the bios since the last contract_disk_forget()
 * @disk: the disk
 * @bios: gets them
 *
 * Return: how many.
 */
u32 contract_disk_bios(struct contract_disk *disk,
		       const struct contract_bio **bios)
{
	*bios = disk->bios;
	return disk->count;
}

/**
 * contract_disk_forget - begin a new record
 * @disk: the disk
 */
void contract_disk_forget(struct contract_disk *disk)
{
	disk->count = 0;
}
