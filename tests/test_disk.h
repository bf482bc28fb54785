/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the disks of the tests have in common: a gendisk whose bios a function
 * gets as they come, and the device, open.
 */
#ifndef RUST_MPAGE_TEST_DISK_H
#define RUST_MPAGE_TEST_DISK_H

#include <linux/blkdev.h>

/**
 * struct test_disk - a disk and its device
 * @gendisk: the disk
 * @file: the device, open
 */
struct test_disk {
	struct gendisk *gendisk;
	struct file *file;
};

/**
 * test_disk_open - make a disk and open it
 * @disk: gets it
 * @fops: what its bios are for
 * @owner: what @fops find as the disk's private_data
 * @name: what its name begins with
 * @number: what it ends with
 * @sectors: its size in sectors of 512 bytes
 *
 * Return: 0 or a negative errno.
 */
static inline int test_disk_open(struct test_disk *disk,
				 const struct block_device_operations *fops,
				 void *owner, const char *name,
				 unsigned int number, sector_t sectors)
{
	struct queue_limits lim = {
		.logical_block_size = SECTOR_SIZE,
	};
	struct gendisk *gendisk;
	int err;

	gendisk = blk_alloc_disk(&lim, NUMA_NO_NODE);
	if (IS_ERR(gendisk))
		return PTR_ERR(gendisk);
	gendisk->flags |= GENHD_FL_NO_PART;
	gendisk->fops = fops;
	gendisk->private_data = owner;
	snprintf(gendisk->disk_name, DISK_NAME_LEN, "%s%u", name, number);
	set_capacity(gendisk, sectors);
	err = add_disk(gendisk);
	if (err)
		goto out_put;

	disk->file = bdev_file_open_by_dev(disk_devt(gendisk),
					   BLK_OPEN_READ | BLK_OPEN_WRITE,
					   owner, NULL);
	if (IS_ERR(disk->file)) {
		err = PTR_ERR(disk->file);
		goto out_del;
	}
	disk->gendisk = gendisk;
	return 0;

out_del:
	del_gendisk(gendisk);
out_put:
	put_disk(gendisk);
	return err;
}

/**
 * test_disk_close - close a disk and take it away
 * @disk: the disk; no bio may be on its way
 */
static inline void test_disk_close(struct test_disk *disk)
{
	bdev_fput(disk->file);
	del_gendisk(disk->gendisk);
	put_disk(disk->gendisk);
}

#endif /* RUST_MPAGE_TEST_DISK_H */
