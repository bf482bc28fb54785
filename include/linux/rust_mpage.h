/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The multi-page block I/O library in Rust, for C filesystems.
 *
 * The functions here are what mpage_readahead() and mpage_read_folio() of
 * <linux/mpage.h> are, under names of their own: a module cannot export the
 * names that vmlinux exports.
 */
#ifndef _LINUX_RUST_MPAGE_H
#define _LINUX_RUST_MPAGE_H

#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/pagemap.h>

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

#endif /* _LINUX_RUST_MPAGE_H */
