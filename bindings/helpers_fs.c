// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline functions and macros of the kernel that the filesystem
 * wrappers call, as functions. See helpers.c.
 */

#include <linux/highmem.h>
#include <linux/slab.h>
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

__helper void *rust_mpage_helper_kmap_local_folio(struct folio *folio, size_t offset)
{
	return kmap_local_folio(folio, offset);
}

__helper void rust_mpage_helper_kunmap_local(const void *addr)
{
	kunmap_local(addr);
}

__helper void rust_mpage_helper_ratelimit_default_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}
