// SPDX-License-Identifier: GPL-2.0

//! What is behind an inode's tree mutex: what is known by whoever may change the tree.
//!
//! Besides the reserved window this is the array of pointers in which the file grew last. A file
//! that is written from its beginning to its end gets block after block in the same array, and
//! finding it by the pointers each time costs a look into the buffer cache for each level. What is
//! kept holds its buffer, so it is given up when nobody writes to the file any more, and whenever
//! something is cut off the tree: what was an array of the file may not be one afterwards.
//!
//! C counterpart: none for the array; `i_block_alloc_info` of `struct ext2_inode_info`.
//!
//! Locks: all of it is protected by the tree mutex.

#![deny(unsafe_code)]

use super::array::PointerArray;
use crate::groups::windows::{
    BlockAllocInfo,
    Windows, //
};
use kernel::prelude::*;

/// What the tree mutex protects, besides the pointers.
pub(crate) struct Tree {
    /// Where the file gets its blocks.
    pub(crate) info: BlockAllocInfo,
    /// An array of pointers to data that the tree has, with its number.
    array: Option<(u64, PointerArray)>,
}

impl Tree {
    /// Nothing is known.
    pub(crate) const fn new() -> Self {
        Self {
            info: BlockAllocInfo::new(),
            array: None,
        }
    }

    /// Takes the array that has `number` among those with pointers to data, see
    /// [`BlockPath::last_array`](crate::tree::path::BlockPath::last_array), if it is the one at hand.
    #[inline]
    pub(crate) fn take_array(&mut self, number: u64) -> Option<PointerArray> {
        let (_, array) = self.array.take_if(|(kept, _)| *kept == number)?;
        Some(array)
    }

    /// Keeps an array of the tree at hand, instead of any other.
    #[inline]
    pub(crate) fn keep_array(&mut self, number: u64, array: PointerArray) {
        self.array = Some((number, array));
    }

    /// Gives up what is kept for the file: its window, one of `windows`, and the array.
    /// C: `ext2_discard_reservation()`.
    pub(crate) fn give_up(&mut self, windows: &Windows) {
        windows.discard(&mut self.info);
        self.array = None;
    }
}

#[kunit_tests(rust_ext2_tree)]
mod tests {
    use super::*;

    #[test]
    fn an_array_is_kept_until_another_is_or_it_is_given_up() -> Result {
        let windows = KBox::pin_init(Windows::new(), GFP_KERNEL)?;
        let mut tree = Tree::new();

        assert!(tree.take_array(0).is_none());
        tree.keep_array(3, PointerArray::Inode);
        assert!(tree.take_array(2).is_none());
        assert!(tree.take_array(3).is_some());
        // It was taken away.
        assert!(tree.take_array(3).is_none());

        tree.keep_array(3, PointerArray::Inode);
        tree.keep_array(4, PointerArray::Inode);
        assert!(tree.take_array(3).is_none());
        tree.give_up(&windows);
        assert!(tree.take_array(4).is_none());
        Ok(())
    }
}
