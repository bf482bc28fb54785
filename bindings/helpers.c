// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline kernel functions that the Rust side calls, as functions, for
 * bindgen sees no inline function.
 */

#include <linux/bvec.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "helpers.h"

__helper struct folio *rust_mpage_helper_readahead_folio(struct readahead_control *rac)
{
	return readahead_folio(rac);
}

__helper void rust_mpage_helper_folio_zero_segment(struct folio *folio,
						   size_t start, size_t end)
{
	folio_zero_segment(folio, start, end);
}

__helper void rust_mpage_helper_folio_set_mappedtodisk(struct folio *folio)
{
	folio_set_mappedtodisk(folio);
}

/* Neither being read nor read: the test of mpage_readahead()'s loop. */
__helper bool rust_mpage_helper_folio_read_failed(struct folio *folio)
{
	return !folio_test_locked(folio) && !folio_test_uptodate(folio);
}

__helper void rust_mpage_helper_folio_get(struct folio *folio)
{
	folio_get(folio);
}

__helper void rust_mpage_helper_folio_put(struct folio *folio)
{
	folio_put(folio);
}

__helper struct buffer_head *rust_mpage_helper_folio_buffers(struct folio *folio)
{
	return folio_buffers(folio);
}

__helper void rust_mpage_helper_bio_first_folio(struct folio_iter *fi,
						struct bio *bio, int i)
{
	bio_first_folio(fi, bio, i);
}

__helper void rust_mpage_helper_bio_next_folio(struct folio_iter *fi, struct bio *bio)
{
	bio_next_folio(fi, bio);
}

__helper void rust_mpage_helper_bio_io_error(struct bio *bio)
{
	bio_io_error(bio);
}

/* memzero_bvec() takes a vector within one page; this one may span several. */
__helper void rust_mpage_helper_zero_bvec(struct bio_vec *bvec, unsigned int from)
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

/* A macro for synchronize_rcu() on kernels without preemption. */
__helper void rust_mpage_helper_synchronize_rcu_tasks(void)
{
	synchronize_rcu_tasks();
}

__helper void rust_mpage_helper_mapping_set_error(struct address_space *mapping,
						  int error)
{
	mapping_set_error(mapping, error);
}

__helper void rust_mpage_helper_folio_start_writeback(struct folio *folio)
{
	folio_start_writeback(folio);
}

/* Inline, and nothing, without CONFIG_CGROUP_WRITEBACK. */
__helper void
rust_mpage_helper_wbc_account_cgroup_owner(struct writeback_control *wbc,
					   struct folio *folio, size_t bytes)
{
	wbc_account_cgroup_owner(wbc, folio, bytes);
}

__helper unsigned int
rust_mpage_helper_wbc_to_write_flags(struct writeback_control *wbc)
{
	return (__force unsigned int)wbc_to_write_flags(wbc);
}

__helper void rust_mpage_helper_wbc_init_bio(struct writeback_control *wbc,
					     struct bio *bio)
{
	wbc_init_bio(wbc, bio);
}

__helper void rust_mpage_helper_clear_buffer_dirty(struct buffer_head *bh)
{
	clear_buffer_dirty(bh);
}

__helper void rust_mpage_helper_set_buffer_mapped(struct buffer_head *bh)
{
	set_buffer_mapped(bh);
}

__helper void rust_mpage_helper_set_buffer_boundary(struct buffer_head *bh)
{
	set_buffer_boundary(bh);
}

__helper void rust_mpage_helper_set_buffer_new(struct buffer_head *bh)
{
	set_buffer_new(bh);
}

__helper bool rust_mpage_helper_buffer_mapped(struct buffer_head *bh)
{
	return buffer_mapped(bh);
}

/* Without flags. */
__helper int rust_mpage_helper_bh_read(struct buffer_head *bh)
{
	return bh_read(bh, 0);
}

__helper unsigned int rust_mpage_helper_memalloc_nofs_save(void)
{
	return memalloc_nofs_save();
}

__helper void rust_mpage_helper_memalloc_nofs_restore(unsigned int flags)
{
	memalloc_nofs_restore(flags);
}

__helper void rust_mpage_helper_sb_start_pagefault(struct super_block *sb)
{
	sb_start_pagefault(sb);
}

__helper void rust_mpage_helper_sb_end_pagefault(struct super_block *sb)
{
	sb_end_pagefault(sb);
}

__helper void rust_mpage_helper_filemap_invalidate_lock_shared(struct address_space *mapping)
{
	filemap_invalidate_lock_shared(mapping);
}

__helper void rust_mpage_helper_filemap_invalidate_unlock_shared(struct address_space *mapping)
{
	filemap_invalidate_unlock_shared(mapping);
}

__helper vm_fault_t rust_mpage_helper_vmf_fs_error(int error)
{
	return vmf_fs_error(error);
}

__helper int
rust_mpage_helper_percpu_counter_init(struct percpu_counter *counter,
				      s64 amount)
{
	return percpu_counter_init(counter, amount, GFP_KERNEL);
}

__helper void
rust_mpage_helper_percpu_counter_set(struct percpu_counter *counter, s64 amount)
{
	percpu_counter_set(counter, amount);
}

__helper void
rust_mpage_helper_percpu_counter_add(struct percpu_counter *counter, s64 amount)
{
	percpu_counter_add(counter, amount);
}

__helper s64
rust_mpage_helper_percpu_counter_read(struct percpu_counter *counter)
{
	return percpu_counter_read_positive(counter);
}

__helper void
rust_mpage_helper_percpu_counter_destroy(struct percpu_counter *counter)
{
	percpu_counter_destroy(counter);
}

__helper struct folio *
rust_mpage_helper_get_folio_to_write(struct address_space *mapping,
				     pgoff_t index, size_t size, bool drops_behind)
{
	return __filemap_get_folio(mapping, index,
				   FGP_WRITEBEGIN | fgf_set_order(size) |
				   (drops_behind ? FGP_DONTCACHE : 0),
				   mapping_gfp_mask(mapping));
}

__helper void rust_mpage_helper_bio_may_drop(struct bio *bio,
					     struct folio *folio)
{
	if (folio_test_dropbehind(folio))
		bio_set_flag(bio, BIO_COMPLETE_IN_TASK);
}

__helper int rust_mpage_helper_folio_lock_killable(struct folio *folio)
{
	return folio_lock_killable(folio);
}

/*
 * Makes what is in memory of some pages of a file dirty; what is not uptodate
 * has no contents.
 */
__helper void rust_mpage_helper_dirty_pages(struct address_space *mapping,
					    pgoff_t first, pgoff_t last)
{
	struct folio_batch batch;
	pgoff_t index = first;
	unsigned int i;

	folio_batch_init(&batch);
	while (filemap_get_folios(mapping, &index, last, &batch)) {
		for (i = 0; i < folio_batch_count(&batch); i++) {
			if (folio_test_uptodate(batch.folios[i]))
				folio_mark_dirty_lock(batch.folios[i]);
		}
		folio_batch_release(&batch);
		cond_resched();
	}
}

__helper struct folio *
rust_mpage_helper_get_cached_folio(struct address_space *mapping,
				   pgoff_t index)
{
	struct folio *folio = filemap_lock_folio(mapping, index);

	return IS_ERR(folio) ? NULL : folio;
}

__helper void rust_mpage_helper_folio_attach_private(struct folio *folio,
						     void *data)
{
	/* Who reads the word without the folio's lock sees what it leads to */
	smp_wmb();
	folio_attach_private(folio, data);
}

__helper void *rust_mpage_helper_folio_detach_private(struct folio *folio)
{
	return folio_detach_private(folio);
}

__helper void rust_mpage_helper_folio_mark_uptodate(struct folio *folio)
{
	folio_mark_uptodate(folio);
}

__helper bool rust_mpage_helper_folio_maybe_pinned(struct folio *folio)
{
	return folio_maybe_dma_pinned(folio);
}

__helper void rust_mpage_helper_folio_cancel_dirty(struct folio *folio)
{
	folio_cancel_dirty(folio);
}

__helper void rust_mpage_helper_folio_lock(struct folio *folio)
{
	folio_lock(folio);
}

__helper void
rust_mpage_helper_mapping_set_release_always(struct address_space *mapping)
{
	mapping_set_release_always(mapping);
}

struct rust_mpage_words {
	struct rcu_head rcu;
	u64 words[];
};

__helper u64 *rust_mpage_helper_words_alloc(size_t count)
{
	struct rust_mpage_words *it;

	it = kzalloc(struct_size(it, words, count), GFP_NOFS | __GFP_NOFAIL);
	return it->words;
}

__helper void rust_mpage_helper_words_free(u64 *words)
{
	kfree_rcu(container_of(words, struct rust_mpage_words, words[0]), rcu);
}

__helper void rust_mpage_helper_bio_begins(void)
{
	this_cpu_inc(rust_mpage_counts.bios_in_flight);
}

__helper void rust_mpage_helper_bio_ended(void)
{
	this_cpu_dec(rust_mpage_counts.bios_in_flight);
}

/* While no bio begins this is never less than what is in flight. */
__helper long rust_mpage_helper_bios_in_flight(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(rust_mpage_counts, cpu).bios_in_flight);
	return sum;
}

__helper void rust_mpage_helper_count(unsigned int which, s64 amount)
{
	this_cpu_add(rust_mpage_counts.of[which], amount);
}

__helper s64 rust_mpage_helper_counted(unsigned int which)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(rust_mpage_counts, cpu).of[which]);
	return sum;
}
