// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline kernel functions that the Rust side calls, as functions, for
 * bindgen sees no inline function. They are exported because generic code of
 * the library is compiled into the modules that use it.
 */

#include <linux/bvec.h>
#include <linux/export.h>
#include <linux/highmem.h>
#include "helpers.h"

struct folio *rust_mpage_helper_readahead_folio(struct readahead_control *rac)
{
	return readahead_folio(rac);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_readahead_folio);

void rust_mpage_helper_folio_zero_segment(struct folio *folio, size_t start,
					  size_t end)
{
	folio_zero_segment(folio, start, end);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_zero_segment);

void rust_mpage_helper_folio_set_mappedtodisk(struct folio *folio)
{
	folio_set_mappedtodisk(folio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_set_mappedtodisk);

/* Neither being read nor read: the test of mpage_readahead()'s loop. */
bool rust_mpage_helper_folio_read_failed(struct folio *folio)
{
	return !folio_test_locked(folio) && !folio_test_uptodate(folio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_read_failed);

void rust_mpage_helper_folio_get(struct folio *folio)
{
	folio_get(folio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_get);

void rust_mpage_helper_folio_put(struct folio *folio)
{
	folio_put(folio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_put);

struct buffer_head *rust_mpage_helper_folio_buffers(struct folio *folio)
{
	return folio_buffers(folio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_buffers);

void rust_mpage_helper_bio_first_folio(struct folio_iter *fi, struct bio *bio,
				       int i)
{
	bio_first_folio(fi, bio, i);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_bio_first_folio);

void rust_mpage_helper_bio_next_folio(struct folio_iter *fi, struct bio *bio)
{
	bio_next_folio(fi, bio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_bio_next_folio);

void rust_mpage_helper_bio_io_error(struct bio *bio)
{
	bio_io_error(bio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_bio_io_error);

/* memzero_bvec() takes a vector within one page; this one may span several. */
void rust_mpage_helper_zero_bvec(struct bio_vec *bvec, unsigned int from)
{
	struct page *page = bvec->bv_page + (bvec->bv_offset + from) / PAGE_SIZE;
	unsigned int offset = (bvec->bv_offset + from) % PAGE_SIZE;
	unsigned int left = bvec->bv_len - from;

	while (left) {
		unsigned int len = min_t(unsigned int, left, PAGE_SIZE - offset);

		memzero_page(page++, offset, len);
		left -= len;
		offset = 0;
	}
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_zero_bvec);
