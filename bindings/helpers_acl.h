/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the filesystem wrappers call about access control lists and security
 * modules. Each is exactly the inline function in its name, unless it says more.
 */
#ifndef RUST_MPAGE_HELPERS_ACL_H
#define RUST_MPAGE_HELPERS_ACL_H

#include <linux/fs.h>
#include <linux/posix_acl.h>
#include <linux/security.h>
#include <linux/xattr.h>

static const int RUST_MPAGE_ACL_TYPE_ACCESS = ACL_TYPE_ACCESS;
static const int RUST_MPAGE_ACL_TYPE_DEFAULT = ACL_TYPE_DEFAULT;
static const unsigned long RUST_MPAGE_SB_POSIXACL = SB_POSIXACL;

/* A list of @count entries of zeros; -EOPNOTSUPP if the kernel has no lists */
struct posix_acl *rust_mpage_helper_acl_alloc(u32 count);
void rust_mpage_helper_acl_release(struct posix_acl *acl);
u32 rust_mpage_helper_acl_count(const struct posix_acl *acl);
/* Identifiers are those of the initial user namespace */
u32 rust_mpage_helper_acl_entry(const struct posix_acl *acl, u32 index,
				u16 *tag, u16 *permissions);
void rust_mpage_helper_acl_set_entry(struct posix_acl *acl, u32 index, u16 tag,
				     u16 permissions, u32 id);
/* posix_acl_valid() in the initial user namespace; a list of none is not */
int rust_mpage_helper_acl_valid(const struct posix_acl *acl);
int rust_mpage_helper_acl_update_mode(struct mnt_idmap *idmap,
				      struct inode *inode, umode_t *mode,
				      struct posix_acl **acl);
int rust_mpage_helper_acl_create(struct inode *dir, umode_t *mode,
				 struct posix_acl **default_acl,
				 struct posix_acl **acl);
int rust_mpage_helper_acl_chmod(struct mnt_idmap *idmap, struct dentry *dentry,
				umode_t mode);
void rust_mpage_helper_set_cached_acl(struct inode *inode, int type,
				      struct posix_acl *acl);

/* @name has @len bytes, or there is none */
int rust_mpage_helper_inode_init_security(
	struct inode *inode, struct inode *dir, const char *name, size_t len,
	int (*init)(struct inode *, const struct xattr *, void *));

#endif /* RUST_MPAGE_HELPERS_ACL_H */
