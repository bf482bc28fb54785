/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the filesystem wrappers call about filesystems that are frozen, or must
 * not be meanwhile. Each is exactly the inline function in its name, unless it
 * says more.
 */
#ifndef RUST_MPAGE_HELPERS_FREEZE_H
#define RUST_MPAGE_HELPERS_FREEZE_H

#include <linux/fs.h>

void rust_mpage_helper_sb_start_intwrite(struct super_block *sb);
void rust_mpage_helper_sb_end_intwrite(struct super_block *sb);
bool rust_mpage_helper_sb_start_write_trylock(struct super_block *sb);
void rust_mpage_helper_sb_end_write(struct super_block *sb);
/* sb_start_intwrite_trylock(), unless the filesystem is read-only */
bool rust_mpage_helper_sb_start_change(struct super_block *sb);
/*
 * Whether it is read-only or frozen, or will be after the sync that may be under
 * way: nobody can make a page dirty any more.
 */
bool rust_mpage_helper_sb_is_closing(struct super_block *sb);
bool rust_mpage_helper_sb_is_frozen(struct super_block *sb);

#endif /* RUST_MPAGE_HELPERS_FREEZE_H */
