// SPDX-License-Identifier: GPL-2.0

//! The arrays of pointers that lead to a page of a directory.
//!
//! What a sync of the directory would write is more, and is not known to be written while somebody
//! else does that: the kernel's `mmb_sync()` waits for what it has found itself only. Nor is it
//! enough that the size of the directory waits for them, see [`fresh`](crate::map): where an array
//! cannot be written the image is stored without the new size, and nobody fails.
//!
//! Locks: none. Blocks of a directory stay where they are until it is deleted.

#![deny(unsafe_code)]

use super::{
    data::Ext2Inode,
    place::check_own, //
};
use crate::tree::path::BlockPath;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Brings them to the device. A pointer in the inode is in its image.
///
/// Fails with `EIO` if one cannot be read or written, and with `EUCLEAN`.
pub(super) fn sync(dir: &Ext2Inode, page: u64) -> Result {
    let bits = dir.block_bits();
    let blocks = PAGE_SIZE as u64 >> bits;
    let first = page.checked_mul(blocks).ok_or(EINVAL)?;
    let end = dir.size() >> bits;

    (first..end.min(first.saturating_add(blocks))).try_for_each(|block| sync_to(dir, block))
}

/// As [`sync`], of one block.
fn sync_to(dir: &Ext2Inode, block: u64) -> Result {
    let sb = dir.super_block();
    let size = sb.data().geometry.block_size();
    let path = BlockPath::new(size, block).map_err(|error| error.errno())?;
    let mut pointer = dir.data().pointer(path.offset(0)).ok_or(EUCLEAN)?;

    for level in 1..path.depth() {
        if pointer == 0 {
            return Ok(());
        }
        check_own(dir, pointer, 1)?;
        let array = sb.bread(pointer.into())?;
        sb.sync_buffer(&array)?;
        pointer = array.le32(path.offset(level) as usize).ok_or(EUCLEAN)?;
    }
    Ok(())
}
