// SPDX-License-Identifier: GPL-2.0

//! What is behind an inode's tree mutex: what is known by whoever may change the tree.
//!
//! Besides the reserved window this is the array of pointers in which the file grew last. A file
//! that is written from its beginning to its end gets block after block in the same array, and
//! finding it by the pointers each time costs a look into the buffer cache for each level. What is
//! kept holds its buffer, so it is given up when nobody writes to the file any more, and whenever
//! something is cut off the tree: what was an array of the file may not be one afterwards.
//!
//! Of blocks that are to get their places when they are written, what is promised is here, too, and
//! the hole that the last one of them was in: who appends goes on in it.
//!
//! C counterpart: none for the array; `i_block_alloc_info` of `struct ext2_inode_info`.
//!
//! Locks: all of it is protected by the tree mutex.

#![deny(unsafe_code)]

use super::array::PointerArray;
use crate::{
    groups::{
        space::{
            Kept,
            Promised,
            Space, //
        },
        windows::{
            BlockAllocInfo,
            Windowing,
            Windows, //
        }, //
    },
    tree::delayed::{
        Delayed,
        MissingArrays, //
    },
};
use core::ops::Range;
use kernel::prelude::*;

/// Blocks of a file that have no place, behind one array of pointers to data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct KnownHole {
    /// The blocks.
    pub(crate) blocks: Range<u32>,
    /// The arrays that are missing on the way to each of them, told of one.
    pub(crate) missing: MissingArrays,
}

/// What has been claimed for blocks that somebody is about to fill, who has the tree locked
/// meanwhile.
pub(crate) struct BegunPromise {
    /// The first block.
    pub(crate) at: u32,
    /// As many blocks as there may be, and `arrays`.
    pub(crate) claimed: Kept,
    /// The arrays of pointers that have not been promised yet.
    pub(crate) arrays: MissingArrays,
}

/// What the tree mutex protects, besides the pointers.
pub(crate) struct Tree {
    /// Where the file gets its blocks.
    pub(crate) info: BlockAllocInfo,
    /// Where arrays of pointers get theirs that promised blocks will need, if these are several.
    pub(crate) ahead: BlockAllocInfo,
    /// An array of pointers to data that the tree has, with its number.
    array: Option<(u64, PointerArray)>,
    /// What has been promised; [`Self::settle`] has to be called when it has changed.
    pub(crate) delayed: Delayed,
    /// As much of the filesystem's [`Space`].
    kept: Kept,
    /// What is only claimed, by who has the tree locked.
    pub(crate) begun: Option<BegunPromise>,
    /// A hole, as long as nothing changes in the tree.
    pub(crate) hole: Option<KnownHole>,
}

impl Tree {
    /// Nothing is known.
    pub(crate) const fn new() -> Self {
        Self {
            info: BlockAllocInfo::new(),
            ahead: BlockAllocInfo::new(),
            array: None,
            delayed: Delayed::new(),
            kept: Kept::none(),
            begun: None,
            hole: None,
        }
    }

    /// Whether the `count` blocks from `at` on are in the known hole, and follow the last block
    /// that has been promised, which is in it, too: nothing of them has been promised, and no array
    /// of pointers has to be promised with them.
    #[inline]
    pub(crate) fn goes_on_at(&self, at: u32, count: u32) -> bool {
        let in_hole = |hole: &KnownHole| {
            hole.blocks.start < at && at < hole.blocks.end && count <= hole.blocks.end - at
        };
        self.delayed.ends_at(at) && self.hole.as_ref().is_some_and(in_hole)
    }

    /// Takes `count` blocks of what has been promised, to be spent. [`Self::settle`] takes back
    /// what is left.
    pub(crate) fn take_promised<'s>(&mut self, count: u32, space: &'s Space) -> Promised<'s> {
        space.resume(self.kept.take(count))
    }

    /// Keeps all that has been claimed, if that is what has been promised beyond what is kept
    /// already, as by who fills whole blocks. How much is kept then.
    #[inline]
    pub(crate) fn keep_all(&mut self, claimed: Kept) -> Result<u32, Kept> {
        let count = self.delayed.count();

        if self.kept.count() + claimed.count() != count {
            return Err(claimed);
        }
        self.kept.add(claimed);
        Ok(count)
    }

    /// Keeps as much of what has been promised as there is to be kept now, `promised` being what
    /// there is beyond that. How much that is.
    pub(crate) fn settle(&mut self, space: &Space, promised: Option<Promised<'_>>) -> u32 {
        let count = self.delayed.count();
        if let Some(mut promised) = promised {
            let missing = count.saturating_sub(self.kept.count());
            self.kept.add(promised.split(missing).keep());
        }
        // Blocks that were given for a promise and had to be abandoned.
        let missing = count.saturating_sub(self.kept.count());
        if missing != 0 {
            self.kept.add(space.claim_anyway(missing).keep());
        }
        self.delayed.free();
        let surplus = self.kept.count().saturating_sub(count);
        if surplus != 0 {
            drop(space.resume(self.kept.take(surplus)));
        }
        count
    }

    /// Takes the array that has `number` among those with pointers to data, see
    /// [`BlockPath::last_array`](crate::tree::path::BlockPath::last_array), if it is the one at
    /// hand.
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

    /// Begins a window, one of `windows`, for all arrays that promised blocks will need, and
    /// `more`, where the file goes on: so what it has a window for there begins behind it.
    pub(crate) fn begin_ahead(&mut self, windows: &Windows, more: u32) {
        windows.discard(&mut self.info);
        windows.discard(&mut self.ahead);
        self.ahead.ensure(Windowing::On);
        self.ahead
            .set_goal_size(self.delayed.arrays().saturating_add(more));
    }

    /// Gives that window up when no array is promised any more, and none `may_come`.
    #[inline]
    pub(crate) fn end_ahead(&mut self, windows: &Windows, may_come: bool) {
        if !may_come && self.delayed.arrays() == 0 && self.ahead.window().is_some() {
            windows.discard(&mut self.ahead);
        }
    }

    /// Gives up what is kept for the file: its windows, of `windows`, and the array.
    /// C: `ext2_discard_reservation()`.
    pub(crate) fn give_up(&mut self, windows: &Windows) {
        windows.discard(&mut self.info);
        windows.discard(&mut self.ahead);
        self.array = None;
    }
}

#[kunit_tests(rust_ext2_tree)]
mod tests {
    use super::*;

    #[test]
    fn who_appends_goes_on_in_the_hole() -> Result {
        let size = crate::disk::block_size::BlockSize::from_bits(12).ok_or(EINVAL)?;
        let mut tree = Tree::new();
        tree.delayed.begin(MissingArrays::NONE, GFP_KERNEL)?;
        tree.delayed.keep(size, 20..22, MissingArrays::NONE);
        assert!(!tree.goes_on_at(22, 1));
        tree.hole = Some(KnownHole {
            blocks: 20..30,
            missing: MissingArrays::NONE,
        });
        assert!(tree.goes_on_at(22, 1) && tree.goes_on_at(22, 8));
        // Behind the hole another array may be missing.
        assert!(!tree.goes_on_at(22, 9));
        assert!(!tree.goes_on_at(21, 1) && !tree.goes_on_at(23, 1));
        // What is in front of the hole does not say that its array is promised.
        tree.hole = Some(KnownHole {
            blocks: 22..30,
            missing: MissingArrays::NONE,
        });
        assert!(!tree.goes_on_at(22, 1));
        Ok(())
    }

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
