/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Static inline kernel functions that the Rust side calls, as functions.
 */
#ifndef RUST_MPAGE_HELPERS_H
#define RUST_MPAGE_HELPERS_H

#include <linux/bio.h>
#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/percpu.h>
#include <linux/percpu_counter.h>
#include <linux/rmap.h>
#include <linux/writeback.h>

/*
 * Where the kernel inlines its helpers into Rust code, these are compiled a
 * second time, to bitcode that is linked into each Rust object. The functions
 * themselves are exported by exports.c for everybody else.
 */
#ifdef RUST_MPAGE_INLINE_HELPERS
#define __helper __always_inline
#else
#define __helper
#endif

/* What mpage_readahead() adds to the mapping's allocation flags. */
static const gfp_t RUST_MPAGE_GFP_READAHEAD = __GFP_NORETRY | __GFP_NOWARN;

/* What writeback may do to get memory: anything but to write files. */
static const gfp_t RUST_MPAGE_GFP_NOFS = GFP_NOFS;

/*
 * What is counted on each processor by itself; the sum over all of them counts.
 * Bios may end on another processor than they began on, so one may be negative.
 */
#define RUST_MPAGE_COUNTS 24
struct rust_mpage_counts {
	long bios_in_flight;
	s64 of[RUST_MPAGE_COUNTS];
};
DECLARE_PER_CPU(struct rust_mpage_counts, rust_mpage_counts);

struct folio *rust_mpage_helper_readahead_folio(struct readahead_control *rac);
void rust_mpage_helper_folio_zero_segment(struct folio *folio, size_t start,
					  size_t end);
void rust_mpage_helper_folio_set_mappedtodisk(struct folio *folio);
bool rust_mpage_helper_folio_read_failed(struct folio *folio);
void rust_mpage_helper_folio_get(struct folio *folio);
void rust_mpage_helper_folio_put(struct folio *folio);
struct buffer_head *rust_mpage_helper_folio_buffers(struct folio *folio);
void rust_mpage_helper_bio_first_folio(struct folio_iter *fi, struct bio *bio,
				       int i);
void rust_mpage_helper_bio_next_folio(struct folio_iter *fi, struct bio *bio);
void rust_mpage_helper_bio_io_error(struct bio *bio);
void rust_mpage_helper_zero_bvec(struct bio_vec *bvec, unsigned int from);
void rust_mpage_helper_synchronize_rcu_tasks(void);
void rust_mpage_helper_mapping_set_error(struct address_space *mapping,
					 int error);
void rust_mpage_helper_folio_start_writeback(struct folio *folio);
void rust_mpage_helper_wbc_account_cgroup_owner(struct writeback_control *wbc,
						struct folio *folio,
						size_t bytes);
unsigned int rust_mpage_helper_wbc_to_write_flags(struct writeback_control *wbc);
void rust_mpage_helper_wbc_init_bio(struct writeback_control *wbc,
				    struct bio *bio);
void rust_mpage_helper_clear_buffer_dirty(struct buffer_head *bh);
void rust_mpage_helper_set_buffer_mapped(struct buffer_head *bh);
void rust_mpage_helper_set_buffer_boundary(struct buffer_head *bh);
void rust_mpage_helper_set_buffer_new(struct buffer_head *bh);
bool rust_mpage_helper_buffer_mapped(struct buffer_head *bh);
int rust_mpage_helper_bh_read(struct buffer_head *bh);
unsigned int rust_mpage_helper_memalloc_nofs_save(void);
void rust_mpage_helper_memalloc_nofs_restore(unsigned int flags);
void rust_mpage_helper_sb_start_pagefault(struct super_block *sb);
void rust_mpage_helper_sb_end_pagefault(struct super_block *sb);
void rust_mpage_helper_filemap_invalidate_lock_shared(struct address_space *mapping);
void rust_mpage_helper_filemap_invalidate_unlock_shared(struct address_space *mapping);
vm_fault_t rust_mpage_helper_vmf_fs_error(int error);
int rust_mpage_helper_percpu_counter_init(struct percpu_counter *counter,
					  s64 amount);
void rust_mpage_helper_percpu_counter_set(struct percpu_counter *counter,
					  s64 amount);
void rust_mpage_helper_percpu_counter_add(struct percpu_counter *counter,
					  s64 amount);
s64 rust_mpage_helper_percpu_counter_read(struct percpu_counter *counter);
void rust_mpage_helper_percpu_counter_destroy(struct percpu_counter *counter);
/*
 * The folio of a mapping with a page, locked, to be written to; if it has to be made,
 * one of up to @size bytes
 */
struct folio *
rust_mpage_helper_get_folio_to_write(struct address_space *mapping,
				     pgoff_t index, size_t size, bool drops_behind);
/* Have the bio end where the folio can be dropped, if it is to be */
void rust_mpage_helper_bio_may_drop(struct bio *bio, struct folio *folio);
/* The folio of a mapping with a page, locked; NULL if it is not in the cache */
int rust_mpage_helper_folio_lock_killable(struct folio *folio);
void rust_mpage_helper_dirty_pages(struct address_space *mapping,
				   pgoff_t first, pgoff_t last);
struct folio *
rust_mpage_helper_get_cached_folio(struct address_space *mapping,
				   pgoff_t index);
void rust_mpage_helper_folio_attach_private(struct folio *folio, void *data);
void *rust_mpage_helper_folio_detach_private(struct folio *folio);
void rust_mpage_helper_folio_mark_uptodate(struct folio *folio);
bool rust_mpage_helper_folio_maybe_pinned(struct folio *folio);
void rust_mpage_helper_folio_cancel_dirty(struct folio *folio);
void rust_mpage_helper_folio_lock(struct folio *folio);
void rust_mpage_helper_mapping_set_release_always(struct address_space *mapping);

/* Zeroed words, also when memory is short; freed after an RCU grace period */
u64 *rust_mpage_helper_words_alloc(size_t count);
void rust_mpage_helper_words_free(u64 *words);

void rust_mpage_helper_bio_begins(void);
void rust_mpage_helper_bio_ended(void);
long rust_mpage_helper_bios_in_flight(void);
void rust_mpage_helper_count(unsigned int which, s64 amount);
s64 rust_mpage_helper_counted(unsigned int which);

#endif /* RUST_MPAGE_HELPERS_H */
