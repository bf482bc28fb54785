// SPDX-License-Identifier: GPL-2.0
/*
 * Direct I/O, and what else looks at the page cache from beside, for the
 * filesystem wrappers. See helpers.c.
 */

#include <linux/blkdev.h>
#include <linux/folio_batch.h>
#include <linux/pagemap.h>
#include "helpers.h"
#include "helpers_direct.h"

__helper bool rust_mpage_helper_inode_lock_shared_for(struct inode *inode,
						      struct kiocb *iocb)
{
	if (iocb->ki_flags & IOCB_NOWAIT)
		return inode_trylock_shared(inode);
	inode_lock_shared(inode);
	return true;
}

__helper bool rust_mpage_helper_inode_lock_for(struct inode *inode, struct kiocb *iocb)
{
	if (iocb->ki_flags & IOCB_NOWAIT)
		return inode_trylock(inode);
	inode_lock(inode);
	return true;
}

/* The first folio with a tag, referenced */
static struct folio *first_tagged(struct address_space *mapping, pgoff_t start,
				  pgoff_t last, xa_mark_t tag)
{
	struct folio_batch batch;
	struct folio *folio;

	folio_batch_init(&batch);
	if (start > last || !filemap_get_folios_tag(mapping, &start, last, tag, &batch))
		return NULL;
	folio = batch.folios[0];
	folio_get(folio);
	folio_batch_release(&batch);
	return folio;
}

/*
 * A folio gets the one tag in the same step in which it loses the other, and is in
 * none when all of it has its places: looked for in this order none is missed.
 */
static struct folio *first_unwritten(struct address_space *mapping, pgoff_t start,
				     pgoff_t last)
{
	struct folio *dirty = first_tagged(mapping, start, last, PAGECACHE_TAG_DIRTY);
	struct folio *written;

	if (dirty && dirty->index <= start)
		return dirty;
	if (dirty)
		last = dirty->index - 1;
	written = first_tagged(mapping, start, last, PAGECACHE_TAG_WRITEBACK);
	if (!written)
		return dirty;
	if (dirty)
		folio_put(dirty);
	return written;
}

__helper struct folio *
rust_mpage_helper_lock_next_unwritten_folio(struct address_space *mapping, pgoff_t start,
					    pgoff_t last)
{
	struct folio *folio;

	for (;;) {
		folio = first_unwritten(mapping, start, last);
		if (!folio)
			return NULL;
		folio_lock(folio);
		start = folio_next_index(folio);
		if (folio->mapping == mapping)
			return folio;
		folio_unlock(folio);
		folio_put(folio);
	}
}

__helper void rust_mpage_helper_file_accessed(struct file *file)
{
	file_accessed(file);
}

__helper ssize_t rust_mpage_helper_iomap_dio_read_simple(struct kiocb *iocb,
							 struct iov_iter *to,
							 iomap_iter_begin_fn begin)
{
	return iomap_dio_read_simple(iocb, to, begin);
}

__helper bool rust_mpage_helper_may_be_written(struct address_space *mapping,
					       loff_t start, loff_t last)
{
	/* From when a folio gets dirty until it is on the disk it has one of these */
	const unsigned long busy = BIT(PG_dirty) | BIT(PG_writeback) | BIT(PG_locked);
	XA_STATE(xas, &mapping->i_pages, start >> PAGE_SHIFT);
	struct folio *folio;

	/* The mapper has looked before, without a lock */
	smp_rmb();
	if (!mapping->nrpages ||
	    !(mapping_writably_mapped(mapping) ||
	      mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) ||
	      mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK)))
		return false;
	rcu_read_lock();
	xas_for_each(&xas, folio, last >> PAGE_SHIFT) {
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;
		/* All of them at once, or one goes and the next comes in between */
		if (READ_ONCE(folio->flags.f) & busy)
			break;
		/* What has taken its place is looked at instead */
		if (unlikely(folio != xas_reload(&xas)))
			xas_reset(&xas);
	}
	rcu_read_unlock();
	return folio;
}

__helper u32 rust_mpage_helper_bdev_memory_alignment(struct block_device *bdev)
{
	return bdev_dma_alignment(bdev) + 1;
}

__helper bool rust_mpage_helper_bdev_write_cache(struct block_device *bdev)
{
	return bdev_write_cache(bdev);
}

__helper u32 rust_mpage_helper_bdev_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}
