// SPDX-License-Identifier: GPL-2.0

//! Branches that the disk does not know: their indirect blocks get there before the inode that
//! points to them.
//!
//! The list of an inode's metadata blocks does not say what is on the disk. A block whose write has
//! failed is on it no more, whether the inode's sync or the device's own writeback tried. So the
//! branches themselves are looked at: each block of them has to be clean afterwards, or nothing may
//! point to it on disk.
//!
//! Locks: the tree mutex is held, so nobody changes these blocks.

#![deny(unsafe_code)]

use crate::{
    array::PointerArray,
    disk::{
        DIRECT_BLOCKS,
        INODE_POINTERS, //
    },
    inode::Ext2Inode,
    tree::Tree, //
};
use kernel::prelude::*;

/// Writes the indirect blocks of the inode's fresh branches, and makes sure that they are on the
/// medium.
///
/// Fails if one of them is not; all of them will be written by the next call.
pub(crate) fn write(inode: &Ext2Inode, _tree: &Tree) -> Result {
    list_unwritten(inode)?;
    let written = inode.sync_metadata();
    let unwritten = list_unwritten(inode)?;

    written?;
    if unwritten {
        return Err(EIO);
    }
    inode.super_block().device().flush()
}

/// Puts the blocks that have to be written onto the inode's list. Whether there are any.
fn list_unwritten(inode: &Ext2Inode) -> Result<bool> {
    let data = inode.data();
    let mut any = false;

    for (root, height) in (DIRECT_BLOCKS as u32..INODE_POINTERS as u32).zip(1..) {
        let block = data.pointer(root).unwrap_or(0);
        if block != 0 && data.has_fresh_branch(root) {
            any |= list_branch(inode, block, height)?;
        }
    }
    Ok(any)
}

/// As [`list_unwritten`], of a branch with `height` levels of indirect blocks.
fn list_branch(inode: &Ext2Inode, block: u32, height: usize) -> Result<bool> {
    let array = PointerArray::read_indirect(inode, block)?;
    let mut any = array.is_to_be_written();

    if any {
        array.mark_dirty(inode);
    }
    if height > 1 {
        let pointers = (0..).map_while(|index| array.get(inode, index));
        for block in pointers.filter(|&block| block != 0) {
            any |= list_branch(inode, block, height - 1)?;
        }
    }
    Ok(any)
}
