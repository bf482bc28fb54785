// SPDX-License-Identifier: GPL-2.0

//! Arrays of pointers that lie side by side, where [`arrays_ahead`](super::arrays_ahead) has put
//! them, are read together by who reads a file from the beginning to the end: one request, and not
//! one for each.
//!
//! C counterpart: none, for no two of C's are side by side.
//!
//! Locks: none.

#![deny(unsafe_code)]

use crate::inode::{
    array::PointerArray,
    Ext2Inode, //
};
use rust_mpage::block::plugged;

/// As many bytes of arrays are read together, at most.
const MOST_BYTES: u32 = 1 << 16;

/// Begins to read an array in `block`, to which pointer `index` of another array, `above`, leads,
/// and those after it, if they are side by side, and who comes to it has been to the one before.
/// Where C has put them, no two are. Those that an inode leads to are each of another kind.
#[inline]
pub(super) fn read_ahead(inode: &Ext2Inode, above: &PointerArray, index: u32, block: u32) {
    let is_beside = |pointer: u32| Some(pointer) == block.checked_add(1);
    if matches!(above, PointerArray::Indirect(_))
        && above.get(inode, index + 1).is_some_and(is_beside)
    {
        read_together(inode, above, index, block);
    }
}

#[cold]
fn read_together(inode: &Ext2Inode, above: &PointerArray, index: u32, block: u32) {
    let sb = inode.super_block();
    let before = index
        .checked_sub(1)
        .and_then(|index| above.get(inode, index))
        .filter(|&before| before != 0);
    let goes_on = before.is_none_or(|before| sb.is_cached(before.into()));
    if !goes_on || sb.is_cached(block.into()) {
        return;
    }
    let pointers = (index..).map_while(|index| above.get(inode, index));
    let most = MOST_BYTES >> inode.block_bits();
    let beside = pointers.zip(block..).take(most as usize);
    let count = beside
        .take_while(|(pointer, block)| pointer == block)
        .count() as u32;

    if sb.data().geometry.check_data_blocks(block, count).is_ok() {
        plugged(|| {
            for block in (block..).take(count as usize) {
                sb.readahead_block(block.into());
            }
        });
    }
}
