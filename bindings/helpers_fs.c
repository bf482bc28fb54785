// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline functions and macros of the kernel that the filesystem
 * wrappers call, as functions. See helpers.c.
 */

#include <linux/export.h>
#include <linux/highmem.h>
#include <linux/slab.h>
#include "helpers_fs.h"

struct kmem_cache *rust_mpage_helper_inode_cache_create(const char *name,
							unsigned int size,
							unsigned int align,
							void (*ctor)(void *))
{
	return kmem_cache_create(name, size, align,
				 SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, ctor);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_inode_cache_create);

void *rust_mpage_helper_alloc_inode_sb(struct super_block *sb,
				       struct kmem_cache *cache)
{
	return alloc_inode_sb(sb, cache, GFP_KERNEL);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_alloc_inode_sb);

void rust_mpage_helper_i_uid_write(struct inode *inode, uid_t uid)
{
	i_uid_write(inode, uid);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_i_uid_write);

void rust_mpage_helper_i_gid_write(struct inode *inode, gid_t gid)
{
	i_gid_write(inode, gid);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_i_gid_write);

void rust_mpage_helper_inode_set_iversion(struct inode *inode, u64 val)
{
	inode_set_iversion(inode, val);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_inode_set_iversion);

bool rust_mpage_helper_inode_eq_iversion(const struct inode *inode, u64 old)
{
	return inode_eq_iversion(inode, old);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_inode_eq_iversion);

void rust_mpage_helper_inode_lock(struct inode *inode)
{
	inode_lock(inode);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_inode_lock);

void rust_mpage_helper_inode_unlock(struct inode *inode)
{
	inode_unlock(inode);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_inode_unlock);

void rust_mpage_helper_inode_lock_shared(struct inode *inode)
{
	inode_lock_shared(inode);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_inode_lock_shared);

void rust_mpage_helper_inode_unlock_shared(struct inode *inode)
{
	inode_unlock_shared(inode);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_inode_unlock_shared);

int rust_mpage_helper_fs_parse(struct fs_context *fc,
			       const struct fs_parameter_spec *desc,
			       struct fs_parameter *param, bool *negated,
			       u32 *value)
{
	struct fs_parse_result result = {};
	int opt = fs_parse(fc, desc, param, &result);

	*negated = result.negated;
	*value = result.uint_32;
	return opt;
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_fs_parse);

uid_t rust_mpage_helper_make_kuid(uid_t uid)
{
	return __kuid_val(make_kuid(&init_user_ns, uid));
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_make_kuid);

gid_t rust_mpage_helper_make_kgid(gid_t gid)
{
	return __kgid_val(make_kgid(&init_user_ns, gid));
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_make_kgid);

uid_t rust_mpage_helper_from_kuid_munged(uid_t kuid)
{
	return from_kuid_munged(&init_user_ns, KUIDT_INIT(kuid));
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_from_kuid_munged);

gid_t rust_mpage_helper_from_kgid_munged(gid_t kgid)
{
	return from_kgid_munged(&init_user_ns, KGIDT_INIT(kgid));
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_from_kgid_munged);

bool rust_mpage_helper_dir_emit(struct dir_context *ctx, const char *name,
				int namelen, u64 ino, unsigned int type)
{
	return dir_emit(ctx, name, namelen, ino, type);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_dir_emit);

bool rust_mpage_helper_folio_test_checked(const struct folio *folio)
{
	return folio_test_checked(folio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_test_checked);

void rust_mpage_helper_folio_set_checked(struct folio *folio)
{
	folio_set_checked(folio);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_folio_set_checked);

void *rust_mpage_helper_kmap_local_folio(struct folio *folio, size_t offset)
{
	return kmap_local_folio(folio, offset);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_kmap_local_folio);

void rust_mpage_helper_kunmap_local(const void *addr)
{
	kunmap_local(addr);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_kunmap_local);

void rust_mpage_helper_ratelimit_default_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}
EXPORT_SYMBOL_GPL(rust_mpage_helper_ratelimit_default_init);
