// SPDX-License-Identifier: GPL-2.0
/*
 * Quota, for the filesystem wrappers. See helpers.c.
 */

#include "helpers.h"
#include "helpers_quota.h"

__helper void
rust_mpage_helper_set_quota_operations(struct super_block *sb,
				       const struct quotactl_ops *ops,
				       const struct dquot_operations *dq)
{
#ifdef CONFIG_QUOTA
	sb->dq_op = dq;
	sb->s_qcop = ops;
	sb->s_quota_types = QTYPE_MASK_USR | QTYPE_MASK_GRP;
#endif
}

__helper bool rust_mpage_helper_sb_any_quota_loaded(struct super_block *sb)
{
#ifdef CONFIG_QUOTA
	return sb_any_quota_loaded(sb);
#else
	return false;
#endif
}

__helper bool rust_mpage_helper_sb_has_quota_active(struct super_block *sb,
						    int type)
{
	return sb_has_quota_active(sb, type);
}

__helper int rust_mpage_helper_dquot_writeback_dquots(struct super_block *sb)
{
	return dquot_writeback_dquots(sb, -1);
}

__helper int rust_mpage_helper_dquot_suspend(struct super_block *sb)
{
	return dquot_suspend(sb, -1);
}

__helper int rust_mpage_helper_dquot_resume(struct super_block *sb, int type)
{
	return dquot_resume(sb, type);
}

__helper bool rust_mpage_helper_is_noquota(const struct inode *inode)
{
	return IS_NOQUOTA(inode);
}

__helper int rust_mpage_helper_dquot_initialize(struct inode *inode)
{
	return dquot_initialize(inode);
}

__helper void rust_mpage_helper_dquot_drop(struct inode *inode)
{
	dquot_drop(inode);
}

__helper int rust_mpage_helper_dquot_alloc_inode(struct inode *inode)
{
	return dquot_alloc_inode(inode);
}

__helper void rust_mpage_helper_dquot_free_inode(struct inode *inode)
{
	dquot_free_inode(inode);
}

__helper int rust_mpage_helper_dquot_file_open(struct inode *inode,
					       struct file *file)
{
	return dquot_file_open(inode, file);
}

__helper int rust_mpage_helper_dquot_alloc_space(struct inode *inode,
						 qsize_t bytes, int flags)
{
	return __dquot_alloc_space(inode, bytes, flags);
}

__helper void rust_mpage_helper_dquot_free_space(struct inode *inode,
						 qsize_t bytes)
{
	dquot_free_space_nodirty(inode, bytes);
}

__helper void rust_mpage_helper_dquot_claim_space(struct inode *inode,
						  qsize_t bytes)
{
#ifdef CONFIG_QUOTA
	dquot_claim_space_nodirty(inode, bytes);
#endif
}

__helper void rust_mpage_helper_dquot_release_reservation(struct inode *inode,
							  qsize_t bytes)
{
#ifdef CONFIG_QUOTA
	__dquot_free_space(inode, bytes, DQUOT_SPACE_RESERVE);
#endif
}

__helper int rust_mpage_helper_dquot_setattr(struct mnt_idmap *idmap,
					     struct inode *inode,
					     struct iattr *attr)
{
	int error;

	if (is_quota_modification(idmap, inode, attr)) {
		error = dquot_initialize(inode);
		if (error)
			return error;
	}
	if (i_uid_needs_update(idmap, attr, inode) ||
	    i_gid_needs_update(idmap, attr, inode)) {
		error = dquot_transfer(idmap, inode, attr);
		if (error)
			return error;
		i_uid_update(idmap, attr, inode);
		i_gid_update(idmap, attr, inode);
		mark_inode_dirty(inode);
	}
	return 0;
}
