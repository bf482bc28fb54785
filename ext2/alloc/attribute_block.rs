// SPDX-License-Identifier: GPL-2.0

//! Blocks for extended attributes: what inodes are given and charged for them, and give back.
//!
//! Each of the inodes that share a block counts it as its own. What is in a block, and who shares
//! it, is decided by the caller.
//!
//! C counterpart: what `ext2_xattr_set2()` and `ext2_xattr_release_block()` call of `balloc.c` and
//! of quota.
//!
//! Locks: none. The caller has the lock of the inode's attributes.

#![deny(unsafe_code)]

use super::balloc;
use crate::{
    disk::run::Wanted,
    groups::windows::BlockAllocInfo,
    inode::Ext2Inode, //
};
use kernel::prelude::*;
use rust_mpage::fs::Buffer;

/// How many blocks are given up that nobody can have, before the error is the caller's.
const TRIES: u32 = 8;

/// Gives an inode a block for attributes, near the inode, that the disk does not say is another
/// file's. It counts as the inode's.
///
/// Fails with `ENOSPC`, `EDQUOT`, `EIO`, `ENOMEM` or `EUCLEAN`.
pub(crate) fn claim(inode: &Ext2Inode) -> Result<u32> {
    let sb = inode.super_block();
    let data = sb.data();
    let geometry = &data.geometry;
    let number = u32::try_from(inode.number()).map_err(|_| EUCLEAN)?;
    let group = geometry.inode_location(number).map_err(|_| EUCLEAN)?.group;
    let goal = geometry.group_first_block(group).ok_or(EUCLEAN)?;
    let wanted = Wanted { needed: 1, most: 1 };

    for _ in 0..TRIES {
        // Without a window. C: `EXT2_ALLOC_NORESERVE`.
        let run = balloc::new_blocks(inode, &mut BlockAllocInfo::new(), goal, wanted, wanted.most)?;
        match data.order.cuts.settle(sb, run.first, 1) {
            Ok(()) => return Ok(run.first),
            // The disk cannot be told that it is not another file's: nobody gets it.
            Err(EIO) => balloc::abandon_blocks(inode, run.first, 1),
            Err(error) => {
                balloc::free_blocks(inode, run.first, 1);
                return Err(error);
            }
        }
    }
    Err(EIO)
}

/// Takes a block back that nothing has led to.
pub(crate) fn unclaim(inode: &Ext2Inode, block: u32) {
    balloc::free_blocks(inode, block, 1);
}

/// Counts a block of attributes that others have as the inode's, too.
///
/// Fails with `EDQUOT`.
pub(crate) fn charge(inode: &Ext2Inode) -> Result {
    let bytes = 1 << inode.super_block().block_bits();
    inode.charge(bytes)?.keep(bytes);
    inode.mark_dirty();
    Ok(())
}

/// Undoes [`charge`].
pub(crate) fn discharge(inode: &Ext2Inode) {
    inode.sub_bytes(1 << inode.super_block().block_bits());
    inode.mark_dirty();
}

/// What tells the disk that an inode has lost its block.
#[derive(Clone, Copy)]
pub(crate) enum Guard {
    /// The disk does not know of it.
    NotNeeded,
    /// This metadata block, which is dirty.
    Block(u32),
    /// Nothing does.
    Missing,
}

/// Frees the block of the last inode that has it.
pub(crate) fn free(inode: &Ext2Inode, block: u32, buffer: Buffer, guard: Guard) {
    let sb = inode.super_block();
    let noted = match guard {
        Guard::NotNeeded => Ok(()),
        Guard::Block(guard) => sb.data().order.cuts.add(sb, block, 1, guard),
        Guard::Missing => Err(EIO),
    };

    match noted {
        Ok(()) => balloc::free_metadata(inode, block, buffer),
        Err(_) => balloc::abandon_blocks(inode, block, 1),
    }
}
