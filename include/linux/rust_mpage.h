/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The multi-page block I/O library in Rust, for C filesystems.
 *
 * The functions here are what mpage_readahead(), mpage_read_folio(),
 * mpage_writepages() and __mpage_writepages() of <linux/mpage.h> are, under
 * names of their own: a module cannot export the names that vmlinux exports.
 */
#ifndef _LINUX_RUST_MPAGE_H
#define _LINUX_RUST_MPAGE_H

#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/writeback.h>

/**
 * rust_mpage_readahead - start reads of the folios of a readahead request
 * @rac: The request: locked folios, in file order.
 * @get_block: The filesystem's block mapper. It is asked for as many blocks
 *	(@bh_result->b_size) as the request or the file still has.
 *
 * Builds the largest bios that the disk layout and the device allow. A folio
 * whose blocks are scattered, or which has holes, is read without
 * buffer_heads; a folio that already has buffers is read through them.
 *
 * Context: Process context, may sleep. Each folio is unlocked once it has been
 * read or has failed.
 */
void rust_mpage_readahead(struct readahead_control *rac, get_block_t get_block);

/**
 * rust_mpage_read_folio - start the read of one folio
 * @folio: The folio, locked. It is unlocked when the read ends, or before this
 *	function returns if nothing has to be read.
 * @get_block: The filesystem's block mapper.
 *
 * Context: Process context, may sleep.
 * Return: 0, or the negative errno of @get_block, with the folio unlocked and
 * not uptodate.
 */
int rust_mpage_read_folio(struct folio *folio, get_block_t get_block);

/**
 * rust_mpage_writepages - write the dirty folios of a writeback request
 * @mapping: The file's mapping.
 * @wbc: The request.
 * @get_block: The filesystem's block mapper. For folios without buffers, and
 *	for dirty buffers without a block, it is asked to allocate as many
 *	blocks (@bh_result->b_size) as the folio lacks, and may answer with
 *	fewer. If it sets BH_New, that is so for all blocks of the answer.
 *	%NULL allocates nothing: what has no block stays dirty, with -EAGAIN.
 *
 * Folios without buffers, and those whose buffers are all mapped, dirty and
 * contiguous, go into the largest bios that the disk layout and the device
 * allow. Others are written through their buffers.
 *
 * If @get_block fails, the blocks that the folio has are written. With -ENOSPC,
 * -EDQUOT and other errors that may pass, the rest stays dirty for a later
 * writeback, unless this one is for lack of clean memory; with others, it is
 * given up. The error is recorded for the file in any case.
 *
 * Context: Process context, may sleep. A folio is unlocked once it is under
 * writeback, which ends when it is written or has failed.
 * Return: 0, or the first negative errno of @get_block.
 */
int rust_mpage_writepages(struct address_space *mapping,
			  struct writeback_control *wbc, get_block_t get_block);

/**
 * __rust_mpage_writepages - write the dirty folios of a writeback request
 * @mapping: The file's mapping.
 * @wbc: The request.
 * @get_block: As for rust_mpage_writepages().
 * @write_folio: Handler that gets each folio, locked, before anything else is
 *	done with it; may be %NULL. Returns a positive number if it leaves the
 *	folio, locked, to this function. Otherwise it has dealt with the folio
 *	and its lock, and the number is 0 or a negative errno.
 *
 * Context: Process context, may sleep.
 * Return: 0, or the first negative errno of @get_block or @write_folio.
 */
int __rust_mpage_writepages(struct address_space *mapping,
			    struct writeback_control *wbc,
			    get_block_t get_block,
			    int (*write_folio)(struct folio *folio,
					       struct writeback_control *wbc));
/*
 * The interface of 2017, for callers that hold pages themselves: Linux 7.3's
 * address_space_operations have no slot for it. A page may be a part of a large
 * folio, and stands for the folio then.
 */

/**
 * rust_mpage_readpages - put pages into the page cache and start their reads
 * @mapping: The file's mapping.
 * @pages: The pages, linked by their folios' @lru, with @index set. The page at
 *	@pages->prev has the lowest one; reads are issued from there on. The
 *	references of the list are consumed, and the list ends empty.
 * @nr_pages: The number of pages on the list; only a hint.
 * @get_block: The filesystem's block mapper, asked for as many blocks as
 *	@nr_pages are.
 *
 * A page that the cache has already, or that it has no memory for, is dropped.
 * A page that cannot be read is unlocked and not uptodate, and the rest is read
 * all the same.
 *
 * Context: Process context, may sleep. The caller holds the invalidate_lock of
 * the mapping, at least shared.
 * Return: 0.
 */
int rust_mpage_readpages(struct address_space *mapping, struct list_head *pages,
			 unsigned int nr_pages, get_block_t get_block);

/**
 * rust_mpage_readpage - start the read of one page
 * @page: A page of a locked folio, which is unlocked as by
 *	rust_mpage_read_folio().
 * @get_block: The filesystem's block mapper.
 *
 * Context: Process context, may sleep.
 * Return: 0, or the negative errno of @get_block, with the folio unlocked and
 * not uptodate. In 2017, it was always 0.
 */
int rust_mpage_readpage(struct page *page, get_block_t get_block);

/**
 * rust_mpage_writepage - write one page, without a fallback
 * @page: A page of a locked folio that is not under writeback and whose dirty
 *	flag the caller has cleared (folio_clear_dirty_for_io()).
 * @get_block: The filesystem's block mapper, as for rust_mpage_writepages().
 * @wbc: The request.
 *
 * The folio goes out as one bio if its blocks are one run on the disk and its
 * buffers, if it has any, are all dirty and uptodate.
 *
 * Context: Process context, may sleep.
 * Return: 0 with the folio unlocked and under writeback, or -EAGAIN with the
 * folio locked and not written: behind the end of the file, scattered, without
 * blocks, or with buffers in another state. The caller writes it in another way.
 */
int rust_mpage_writepage(struct page *page, get_block_t get_block,
			 struct writeback_control *wbc);

#endif /* _LINUX_RUST_MPAGE_H */
