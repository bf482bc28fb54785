/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the wrappers of quota call of the kernel's static inline functions, and of
 * those that are no more than that without CONFIG_QUOTA. Each is exactly the
 * function in its name, unless it says more.
 */
#ifndef RUST_MPAGE_HELPERS_QUOTA_H
#define RUST_MPAGE_HELPERS_QUOTA_H

#include <linux/fs.h>
#include <linux/quotaops.h>

/* Has users' and groups' quota kept by these operations */
void rust_mpage_helper_set_quota_operations(struct super_block *sb,
					    const struct quotactl_ops *ops,
					    const struct dquot_operations *dq);

bool rust_mpage_helper_sb_any_quota_loaded(struct super_block *sb);
bool rust_mpage_helper_sb_has_quota_active(struct super_block *sb, int type);
int rust_mpage_helper_dquot_writeback_dquots(struct super_block *sb);
int rust_mpage_helper_dquot_suspend(struct super_block *sb);
int rust_mpage_helper_dquot_resume(struct super_block *sb, int type);

bool rust_mpage_helper_is_noquota(const struct inode *inode);
int rust_mpage_helper_dquot_initialize(struct inode *inode);
void rust_mpage_helper_dquot_drop(struct inode *inode);
int rust_mpage_helper_dquot_alloc_inode(struct inode *inode);
void rust_mpage_helper_dquot_free_inode(struct inode *inode);
int rust_mpage_helper_dquot_file_open(struct inode *inode, struct file *file);

static const int RUST_MPAGE_DQUOT_SPACE_WARN = DQUOT_SPACE_WARN;
static const int RUST_MPAGE_DQUOT_SPACE_RESERVE = DQUOT_SPACE_RESERVE;
static const int RUST_MPAGE_DQUOT_SPACE_NOFAIL = DQUOT_SPACE_NOFAIL;

/* __dquot_alloc_space() */
int rust_mpage_helper_dquot_alloc_space(struct inode *inode, qsize_t bytes,
					int flags);
void rust_mpage_helper_dquot_free_space(struct inode *inode, qsize_t bytes);

/*
 * Of what has been reserved: it is counted, or given back. Without CONFIG_QUOTA
 * nothing is.
 */
void rust_mpage_helper_dquot_claim_space(struct inode *inode, qsize_t bytes);
void rust_mpage_helper_dquot_release_reservation(struct inode *inode,
						 qsize_t bytes);

/*
 * What ext2_setattr() does about quota. The inode has its new owners afterwards,
 * since its usage is theirs.
 */
int rust_mpage_helper_dquot_setattr(struct mnt_idmap *idmap,
				    struct inode *inode, struct iattr *attr);

#endif /* RUST_MPAGE_HELPERS_QUOTA_H */
