// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline functions of the kernel that the filesystem wrappers call about
 * access control lists and security modules, as functions. See helpers.c.
 */

#include <linux/slab.h>
#include "helpers.h"
#include "helpers_acl.h"

#ifdef CONFIG_FS_POSIX_ACL

__helper struct posix_acl *rust_mpage_helper_acl_alloc(u32 count)
{
	struct posix_acl *acl = posix_acl_alloc(count, GFP_KERNEL);

	if (!acl)
		return ERR_PTR(-ENOMEM);
	memset(acl->a_entries, 0, count * sizeof(acl->a_entries[0]));
	return acl;
}

__helper int rust_mpage_helper_acl_valid(const struct posix_acl *acl)
{
	return acl->a_count ? posix_acl_valid(&init_user_ns, acl) : -EINVAL;
}

__helper int rust_mpage_helper_acl_update_mode(struct mnt_idmap *idmap,
					       struct inode *inode,
					       umode_t *mode,
					       struct posix_acl **acl)
{
	return posix_acl_update_mode(idmap, inode, mode, acl);
}

__helper void rust_mpage_helper_set_cached_acl(struct inode *inode, int type,
					       struct posix_acl *acl)
{
	set_cached_acl(inode, type, acl);
}

#else

__helper struct posix_acl *rust_mpage_helper_acl_alloc(u32 count)
{
	return ERR_PTR(-EOPNOTSUPP);
}

__helper int rust_mpage_helper_acl_valid(const struct posix_acl *acl)
{
	return -EOPNOTSUPP;
}

__helper int rust_mpage_helper_acl_update_mode(struct mnt_idmap *idmap,
					       struct inode *inode,
					       umode_t *mode,
					       struct posix_acl **acl)
{
	return -EOPNOTSUPP;
}

__helper void rust_mpage_helper_set_cached_acl(struct inode *inode, int type,
					       struct posix_acl *acl)
{
}

#endif

__helper void rust_mpage_helper_acl_release(struct posix_acl *acl)
{
	posix_acl_release(acl);
}

__helper u32 rust_mpage_helper_acl_count(const struct posix_acl *acl)
{
	return acl->a_count;
}

__helper u32 rust_mpage_helper_acl_entry(const struct posix_acl *acl, u32 index,
					 u16 *tag, u16 *permissions)
{
	const struct posix_acl_entry *entry = &acl->a_entries[index];

	*tag = entry->e_tag;
	*permissions = entry->e_perm;
	switch (entry->e_tag) {
	case ACL_USER:
		return from_kuid(&init_user_ns, entry->e_uid);
	case ACL_GROUP:
		return from_kgid(&init_user_ns, entry->e_gid);
	default:
		return 0;
	}
}

__helper void rust_mpage_helper_acl_set_entry(struct posix_acl *acl, u32 index,
					      u16 tag, u16 permissions, u32 id)
{
	struct posix_acl_entry *entry = &acl->a_entries[index];

	entry->e_tag = tag;
	entry->e_perm = permissions;
	switch (tag) {
	case ACL_USER:
		entry->e_uid = make_kuid(&init_user_ns, id);
		break;
	case ACL_GROUP:
		entry->e_gid = make_kgid(&init_user_ns, id);
		break;
	}
}

__helper int rust_mpage_helper_acl_create(struct inode *dir, umode_t *mode,
					  struct posix_acl **default_acl,
					  struct posix_acl **acl)
{
	return posix_acl_create(dir, mode, default_acl, acl);
}

__helper int rust_mpage_helper_acl_chmod(struct mnt_idmap *idmap,
					 struct dentry *dentry, umode_t mode)
{
	return posix_acl_chmod(idmap, dentry, mode);
}

__helper int rust_mpage_helper_inode_init_security(
	struct inode *inode, struct inode *dir, const char *name, size_t len,
	int (*init)(struct inode *, const struct xattr *, void *))
{
	struct qstr qstr;
	char *copy = NULL;
	int error;

	if (name) {
		copy = kmemdup_nul(name, len, GFP_KERNEL);
		if (!copy)
			return -ENOMEM;
		qstr = (struct qstr)QSTR_INIT(copy, len);
	}
	error = security_inode_init_security(inode, dir, copy ? &qstr : NULL,
					     init, NULL);
	kfree(copy);
	return error;
}
