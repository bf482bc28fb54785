// SPDX-License-Identifier: GPL-2.0

//! The way to a block of a file: its path, and the arrays of pointers on it.
//!
//! Locks: none to look; whoever changes what was read has the inode's tree mutex.

#![deny(unsafe_code)]

use crate::{
    inode::{
        array::PointerArray,
        check_own,
        Ext2Inode, //
    },
    tree::path::BlockPath, //
};
use kernel::prelude::*;

/// The way to a file's block, or for an index that no file has the error, `EIO` as in
/// `ext2_get_blocks()`.
pub(crate) fn path_to(inode: &Ext2Inode, block: u64) -> Result<BlockPath> {
    let size = inode.super_block().data().geometry.block_size();

    BlockPath::new(size, block).map_err(|error| error.errno())
}

/// The number of the array with the pointer to the file's block `block`, among those with pointers
/// to data; see [`BlockPath::last_array`].
#[inline]
pub(crate) fn number_of_last(inode: &Ext2Inode, block: u64) -> u64 {
    let size = inode.super_block().data().geometry.block_size();
    let (number, _) = BlockPath::last_array(size, block);

    number
}

/// Reads indirect block `block` of an inode that is to be changed. Fails with `EUCLEAN`, having
/// reported it, if no indirect block can be there, and with `EIO`.
pub(crate) fn read_indirect(inode: &Ext2Inode, block: u32) -> Result<PointerArray> {
    check_own(inode, block, 1)?;
    let buffer = inode.super_block().bread(block.into())?;
    Ok(PointerArray::Indirect(buffer))
}
