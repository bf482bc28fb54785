// SPDX-License-Identifier: GPL-2.0
/*
 * Static inline functions of the kernel that the filesystem wrappers call about
 * filesystems that are frozen, or must not be meanwhile, as functions. See
 * helpers.c.
 */

#include "helpers.h"
#include "helpers_freeze.h"

__helper void rust_mpage_helper_sb_start_intwrite(struct super_block *sb)
{
	sb_start_intwrite(sb);
}

__helper void rust_mpage_helper_sb_end_intwrite(struct super_block *sb)
{
	sb_end_intwrite(sb);
}

__helper bool rust_mpage_helper_sb_start_write_trylock(struct super_block *sb)
{
	return sb_start_write_trylock(sb);
}

__helper void rust_mpage_helper_sb_end_write(struct super_block *sb)
{
	sb_end_write(sb);
}

__helper bool rust_mpage_helper_sb_start_change(struct super_block *sb)
{
	if (!sb_start_intwrite_trylock(sb))
		return false;
	if (!sb_rdonly(sb))
		return true;
	sb_end_intwrite(sb);
	return false;
}

__helper bool rust_mpage_helper_sb_is_closing(struct super_block *sb)
{
	return READ_ONCE(sb->s_writers.frozen) >= SB_FREEZE_PAGEFAULT ||
	       READ_ONCE(sb->s_readonly_remount) || sb_rdonly(sb);
}

__helper bool rust_mpage_helper_sb_is_frozen(struct super_block *sb)
{
	return READ_ONCE(sb->s_writers.frozen) >= SB_FREEZE_FS;
}
