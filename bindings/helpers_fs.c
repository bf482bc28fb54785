// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline functions and macros of the kernel that the filesystem
 * wrappers call, as functions. See helpers.c.
 */

#include <linux/compat.h>
#include <linux/highmem.h>
#include <linux/module.h>
#include <linux/rcupdate_wait.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "helpers.h"
#include "helpers_fs.h"

__helper struct kmem_cache *
rust_mpage_helper_inode_cache_create(const char *name, unsigned int size,
				     unsigned int align, void (*ctor)(void *))
{
	return kmem_cache_create(name, size, align,
				 SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, ctor);
}

__helper void *rust_mpage_helper_alloc_inode_sb(struct super_block *sb,
						struct kmem_cache *cache)
{
	return alloc_inode_sb(sb, cache, GFP_KERNEL);
}

__helper void
rust_mpage_helper_get_fs_module(struct file_system_type *type)
{
	__module_get(type->owner);
}

__helper void
rust_mpage_helper_put_fs_module(struct file_system_type *type)
{
	module_put(type->owner);
}

__helper void rust_mpage_helper_i_uid_write(struct inode *inode, uid_t uid)
{
	i_uid_write(inode, uid);
}

__helper void rust_mpage_helper_i_gid_write(struct inode *inode, gid_t gid)
{
	i_gid_write(inode, gid);
}

__helper void rust_mpage_helper_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}

__helper void rust_mpage_helper_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}

__helper void rust_mpage_helper_inode_lock_shared(struct inode *inode)
{
	inode_lock_shared(inode);
}

__helper bool rust_mpage_helper_inode_trylock_shared(struct inode *inode)
{
	return inode_trylock_shared(inode);
}

__helper void rust_mpage_helper_inode_unlock_shared(struct inode *inode)
{
	inode_unlock_shared(inode);
}

__helper int rust_mpage_helper_fs_parse(struct fs_context *fc,
					const struct fs_parameter_spec *desc,
					struct fs_parameter *param,
					bool *negated, u32 *value)
{
	struct fs_parse_result result = {};
	int opt = fs_parse(fc, desc, param, &result);

	*negated = result.negated;
	*value = result.uint_32;
	return opt;
}

__helper uid_t rust_mpage_helper_make_kuid(uid_t uid)
{
	return __kuid_val(make_kuid(&init_user_ns, uid));
}

__helper gid_t rust_mpage_helper_make_kgid(gid_t gid)
{
	return __kgid_val(make_kgid(&init_user_ns, gid));
}

__helper uid_t rust_mpage_helper_from_kuid_munged(uid_t kuid)
{
	return from_kuid_munged(&init_user_ns, KUIDT_INIT(kuid));
}

__helper gid_t rust_mpage_helper_from_kgid_munged(gid_t kgid)
{
	return from_kgid_munged(&init_user_ns, KGIDT_INIT(kgid));
}

__helper bool rust_mpage_helper_dir_emit(struct dir_context *ctx,
					 const char *name, int namelen, u64 ino, unsigned int type)
{
	return dir_emit(ctx, name, namelen, ino, type);
}

__helper struct folio *
rust_mpage_helper_get_uptodate_folio(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	if (IS_ERR(folio))
		return NULL;
	if (folio_test_uptodate(folio))
		return folio;
	folio_put(folio);
	return NULL;
}

__helper void *rust_mpage_helper_folio_address(const struct folio *folio)
{
	return folio_address(folio);
}

__helper void
rust_mpage_helper_mapping_set_large_folios(struct address_space *mapping)
{
	mapping_set_large_folios(mapping);
}

__helper void rust_mpage_helper_ratelimit_default_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}

__helper struct buffer_head *rust_mpage_helper_sb_getblk(struct super_block *sb,
							 sector_t block)
{
	return sb_getblk(sb, block);
}

__helper struct buffer_head *
rust_mpage_helper_sb_find_get_block(struct super_block *sb, sector_t block)
{
	return sb_find_get_block_nonatomic(sb, block);
}

__helper void
rust_mpage_helper_forget_cached_block(struct super_block *sb, sector_t block)
{
	struct buffer_head *bh = sb_find_get_block_nonatomic(sb, block);

	if (!bh)
		return;
	lock_buffer(bh);
	if (!buffer_dirty(bh)) {
		clear_buffer_write_io_error(bh);
		clear_buffer_uptodate(bh);
	}
	unlock_buffer(bh);
	brelse(bh);
}

__helper bool rust_mpage_helper_sb_is_cached(struct super_block *sb, sector_t block)
{
	struct buffer_head *bh = sb_find_get_block(sb, block);
	bool cached = bh && buffer_uptodate(bh);

	brelse(bh);
	return cached;
}

__helper void rust_mpage_helper_sb_breadahead(struct super_block *sb, sector_t block)
{
	struct buffer_head *bh = bdev_getblk(sb->s_bdev, block, sb->s_blocksize,
					     GFP_NOWAIT | __GFP_MOVABLE);

	if (!bh)
		return;
	if (!buffer_uptodate(bh) && trylock_buffer(bh)) {
		if (!buffer_uptodate(bh) && !buffer_dirty(bh) &&
		    !buffer_write_io_error(bh))
			__bh_read(bh, REQ_RAHEAD, false);
		else
			unlock_buffer(bh);
	}
	brelse(bh);
}

__helper void rust_mpage_helper_get_bh(struct buffer_head *bh)
{
	get_bh(bh);
}

__helper void rust_mpage_helper_lock_buffer(struct buffer_head *bh)
{
	lock_buffer(bh);
}

__helper void rust_mpage_helper_set_buffer_uptodate(struct buffer_head *bh)
{
	set_buffer_uptodate(bh);
}

/*
 * A buffer may be not uptodate here, because a write that was on its way has just
 * failed: mark_buffer_dirty() warns of that.
 */
__helper void rust_mpage_helper_mark_buffer_dirty(struct buffer_head *bh)
{
	struct address_space *mapping;

	if (buffer_dirty(bh)) {
		/* The change of the contents comes first, then this answer. */
		smp_mb();
		if (buffer_dirty(bh))
			return;
	}
	if (test_set_buffer_dirty(bh))
		return;
	mapping = READ_ONCE(bh->b_folio->mapping);
	if (mapping)
		filemap_dirty_folio(mapping, bh->b_folio);
}

__helper bool rust_mpage_helper_buffer_uptodate(struct buffer_head *bh)
{
	return buffer_uptodate(bh);
}

__helper bool rust_mpage_helper_buffer_dirty(struct buffer_head *bh)
{
	return buffer_dirty(bh);
}

__helper bool rust_mpage_helper_buffer_write_io_error(struct buffer_head *bh)
{
	return buffer_write_io_error(bh);
}

__helper bool rust_mpage_helper_clear_buffer_write_error(struct buffer_head *bh)
{
	if (!buffer_write_io_error(bh))
		return false;
	clear_buffer_write_io_error(bh);
	set_buffer_uptodate(bh);
	return true;
}

__helper uid_t rust_mpage_helper_i_uid_read(struct inode *inode)
{
	return i_uid_read(inode);
}

__helper gid_t rust_mpage_helper_i_gid_read(struct inode *inode)
{
	return i_gid_read(inode);
}

__helper void rust_mpage_helper_i_size_write(struct inode *inode, loff_t size)
{
	i_size_write(inode, size);
}

__helper void rust_mpage_helper_inode_inc_iversion(struct inode *inode)
{
	inode_inc_iversion(inode);
}

__helper void rust_mpage_helper_set_inode_metadata_writeback(struct inode *inode)
{
	set_inode_metadata_writeback(inode);
}

__helper void rust_mpage_helper_set_mtime_and_ctime_current(struct inode *inode)
{
	inode_set_mtime_to_ts(inode, inode_set_ctime_current(inode));
}

__helper void rust_mpage_helper_set_ctime_of(struct inode *inode,
					     const struct inode *other)
{
	inode_set_ctime_to_ts(inode, inode_get_ctime(other));
}

__helper void rust_mpage_helper_inode_init_owner(struct inode *inode,
						 const struct inode *dir,
						 umode_t mode)
{
	inode_init_owner(&nop_mnt_idmap, inode, dir, mode);
}

__helper void rust_mpage_helper_inode_init_owner_bsd(struct inode *inode,
						     const struct inode *dir,
						     umode_t mode)
{
	inode->i_mode = mode;
	inode->i_uid = current_fsuid();
	inode->i_gid = dir->i_gid;
}

__helper void rust_mpage_helper_filemap_invalidate_lock(struct address_space *mapping)
{
	filemap_invalidate_lock(mapping);
}

__helper void rust_mpage_helper_filemap_invalidate_unlock(struct address_space *mapping)
{
	filemap_invalidate_unlock(mapping);
}

/*
 * Whether a device may store to a page of a file at any time. A folio is looked
 * at with a reference, as it may go, and be another's, otherwise. May sleep.
 */
__helper bool rust_mpage_helper_mapping_maybe_pinned(struct address_space *mapping)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	bool pinned = false;
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, ULONG_MAX) {
		if (xas_retry(&xas, folio) || xa_is_value(folio))
			continue;
		if (!folio_try_get(folio)) {
			xas_reset(&xas);
			continue;
		}
		if (folio != xas_reload(&xas)) {
			folio_put(folio);
			xas_reset(&xas);
			continue;
		}
		pinned = folio_maybe_dma_pinned(folio);
		folio_put(folio);
		if (pinned)
			break;
		if (need_resched()) {
			xas_pause(&xas);
			cond_resched_rcu();
		}
	}
	rcu_read_unlock();
	return pinned;
}

__helper uid_t rust_mpage_helper_current_fsuid(void)
{
	return __kuid_val(current_fsuid());
}

__helper bool rust_mpage_helper_in_group_p(gid_t kgid)
{
	return in_group_p(KGIDT_INIT(kgid));
}

__helper void rust_mpage_helper_write_dirty_buffer(struct buffer_head *bh)
{
	write_dirty_buffer(bh, REQ_SYNC);
}

__helper u32 rust_mpage_helper_current_pid(void)
{
	return current->pid;
}

__helper bool rust_mpage_helper_fileattr_has_fsx(const struct file_kattr *fa)
{
	return fileattr_has_fsx(fa);
}

__helper u32 rust_mpage_helper_fileattr_flags(const struct file_kattr *fa)
{
	return fa->flags;
}

__helper int rust_mpage_helper_finish_open_simple(struct file *file)
{
	return finish_open_simple(file, 0);
}

__helper bool rust_mpage_helper_test_and_clear_bit_le(int nr, void *bits)
{
	return test_and_clear_bit_le(nr, bits);
}

/* mark_inode_dirty(), unless that would find nothing to do, in few instructions */
__helper void rust_mpage_helper_mark_inode_dirty(struct inode *inode)
{
	/* As there, for __writeback_single_inode() */
	smp_mb();
	if ((inode_state_read_once(inode) & (I_DIRTY | I_DIRTY_TIME)) !=
	    I_DIRTY)
		mark_inode_dirty(inode);
}

__helper u32 rust_mpage_helper_inode_state(struct inode *inode)
{
	u32 state;

	spin_lock(&inode->i_lock);
	state = inode_state_read(inode);
	spin_unlock(&inode->i_lock);
	return state;
}

__helper size_t rust_mpage_helper_copy_from_iter(struct folio *folio, size_t offset,
						 size_t bytes, struct iov_iter *iter)
{
	size_t copied;

	if (mapping_writably_mapped(folio->mapping))
		flush_dcache_folio(folio);
	copied = copy_folio_from_iter_atomic(folio, offset, bytes, iter);
	flush_dcache_folio(folio);
	return copied;
}

__helper bool rust_mpage_helper_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

__helper void rust_mpage_helper_cond_resched(void)
{
	cond_resched();
}

__helper ssize_t rust_mpage_helper_generic_write_sync(struct kiocb *iocb, ssize_t count)
{
	return generic_write_sync(iocb, count);
}

__helper struct mnt_idmap *rust_mpage_helper_file_mnt_idmap(const struct file *file)
{
	return file_mnt_idmap(file);
}

__helper unsigned long rust_mpage_helper_compat_ptr(unsigned long argument)
{
#ifdef CONFIG_COMPAT
	return (unsigned long)compat_ptr(argument);
#else
	return argument;
#endif
}

__helper size_t rust_mpage_helper_iov_iter_count(struct iov_iter *iter)
{
	return iov_iter_count(iter);
}

/* Inline, and true, without CONFIG_MULTIUSER. */
__helper bool rust_mpage_helper_capable(int capability)
{
	return capable(capability);
}

__helper void rust_mpage_helper_read_ahead(struct address_space *mapping, pgoff_t index,
					   unsigned long count)
{
	DEFINE_READAHEAD(ractl, NULL, NULL, mapping, index);

	filemap_invalidate_lock_shared(mapping);
	page_cache_ra_unbounded(&ractl, count, 0);
	filemap_invalidate_unlock_shared(mapping);
}

/* Tries once, without the OOM killer and without filesystems. */
__helper void *rust_mpage_helper_spare_zalloc(size_t size)
{
	return kvzalloc(size, GFP_NOFS | __GFP_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN);
}

__helper size_t rust_mpage_helper_totalram_bytes(void)
{
	return totalram_pages() << PAGE_SHIFT;
}

__helper u64 rust_mpage_helper_siphash(const void *data, size_t len, u64 first, u64 second)
{
	siphash_key_t key = { { first, second } };

	return siphash(data, len, &key);
}
