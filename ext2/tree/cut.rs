// SPDX-License-Identifier: GPL-2.0

//! Which pointers a truncation cuts.
//!
//! A file ends in front of one block, whose [`BlockPath`] divides the tree: in every array of
//! pointers on that path, those behind the path's own go, and the subtrees that hang on them. Those
//! before stay. The path's own pointer goes, too, in the highest array where nothing is left before
//! it in the arrays below: these arrays are then part of a subtree that goes.
//!
//! Pure arithmetic, the counterpart of `ext2_find_shared()` and of the choice of what to free in
//! `__ext2_truncate_blocks()`. What is different: an indirect block on the path that cannot be read
//! stays where it is with all that is behind it; C cuts it off, with the data before the new end.
//!
//! Left out: reading, cutting and freeing, which is [`truncate`](crate::map::truncate).
//!
//! Locks: none, these are plain values. They are about a tree that must not change until it is cut.

use super::path::{
    BlockPath,
    MAX_DEPTH, //
};
use crate::disk::{
    DIRECT_BLOCKS,
    INODE_POINTERS, //
};
use core::ops::Range;
use kernel::prelude::*;

/// What of a file's tree goes.
///
/// # Invariants
///
/// At most `depth` items of `from`, `levels`, are in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cut {
    /// In the array at each level, the first pointer that goes.
    from: [u32; MAX_DEPTH],
    levels: usize,
    depth: usize,
    /// The number of pointers in an indirect block.
    pointers: u32,
}

impl Cut {
    /// How many arrays of pointers, counted from the inode's, have to be looked at, at most: those
    /// below hold nothing of the path's but what goes.
    pub(crate) fn depth_to_look_at(path: &BlockPath) -> usize {
        let tail = path.offsets().iter().skip(1).rev();
        let whole = tail.take_while(|&&offset| offset == 0).count();

        path.depth() - whole
    }

    /// Cuts in front of the block of `path`. `arrays` of them were looked at; the path's pointer in
    /// the last of them is null if there were fewer than [`depth_to_look_at`] says.
    /// `is_empty(level)` says whether, in the array at a level other than 0, all pointers before
    /// the path's are null.
    ///
    /// [`depth_to_look_at`]: Self::depth_to_look_at
    pub(crate) fn new(path: &BlockPath, arrays: usize, is_empty: impl Fn(usize) -> bool) -> Self {
        let arrays = arrays.clamp(1, Self::depth_to_look_at(path));
        let empty = (1..arrays)
            .rev()
            .take_while(|&level| is_empty(level))
            .count();

        Self::with_levels(path, arrays - empty, arrays - empty)
    }

    /// As [`new`](Self::new), when the block that the path's pointer in the last array points to
    /// cannot be read: it stays.
    pub(crate) fn before_unreadable(path: &BlockPath, arrays: usize) -> Self {
        let arrays = arrays.clamp(1, path.depth());

        Self::with_levels(path, arrays, arrays + 1)
    }

    /// Cuts in `levels` arrays; the path's own pointer goes in array number `own`, counted from 1.
    fn with_levels(path: &BlockPath, levels: usize, own: usize) -> Self {
        let mut from = [0; MAX_DEPTH];

        for (level, (from, offset)) in from.iter_mut().zip(path.offsets()).enumerate() {
            *from = offset + u32::from(level + 1 < own);
        }
        // INVARIANT: The callers take no more arrays than the path has.
        Self {
            from,
            levels,
            depth: path.depth(),
            pointers: path.pointers(),
        }
    }

    /// How many arrays of pointers are cut, the inode's being the first.
    pub(crate) fn levels(&self) -> usize {
        self.levels
    }

    /// The pointers that go in the array at `level`.
    pub(crate) fn range(&self, level: usize) -> Range<u32> {
        let end = if level == 0 {
            INODE_POINTERS as u32
        } else {
            self.pointers
        };

        self.from.get(level).copied().unwrap_or(end)..end
    }

    /// How many levels of indirect blocks hang on pointer `index` of the array at `level`; 0 for
    /// data.
    pub(crate) fn height(&self, level: usize, index: u32) -> usize {
        if level == 0 {
            root_height(index)
        } else {
            self.depth.saturating_sub(1).saturating_sub(level)
        }
    }
}

/// How many levels of indirect blocks hang on pointer `index` of an inode.
fn root_height(index: u32) -> usize {
    (index as usize + 1).saturating_sub(DIRECT_BLOCKS)
}

/// Joins blocks that follow each other, to free them at once; `ext2_free_data()`.
#[derive(Default)]
pub(crate) struct Joiner {
    run: Option<(u32, u32)>,
}

impl Joiner {
    /// Adds a block. Gives the first block and the number of blocks that are complete, if it does
    /// not follow them.
    pub(crate) fn add(&mut self, block: u32) -> Option<(u32, u32)> {
        match &mut self.run {
            Some((first, count)) if first.checked_add(*count) == Some(block) => {
                *count += 1;
                None
            }
            run => run.replace((block, 1)),
        }
    }

    /// What is left.
    pub(crate) fn finish(self) -> Option<(u32, u32)> {
        self.run
    }
}

#[kunit_tests(rust_ext2_cut)]
mod tests {
    use super::*;
    use crate::disk::block_size::BlockSize;

    fn path(bits: u32, block: u64) -> Result<BlockPath> {
        let size = BlockSize::from_bits(bits).ok_or(EINVAL)?;
        BlockPath::new(size, block).map_err(|e| e.errno())
    }

    /// Whether `cut`, which is in front of the block of `at`, takes away the block of `other`.
    fn takes(cut: &Cut, at: &BlockPath, other: &BlockPath) -> bool {
        for (level, &offset) in other.offsets().iter().enumerate() {
            if level >= cut.levels() {
                return false;
            }
            if cut.range(level).contains(&offset) {
                return cut.height(level, offset) + level + 1 == other.depth();
            }
            if at.offsets().get(level) != Some(&offset) {
                return false;
            }
        }
        false
    }

    /// The blocks around every place where an array of pointers begins.
    fn places(p: u64) -> [u64; 21] {
        let (double, triple) = (12 + p, 12 + p + p * p);
        [
            0,
            1,
            11,
            12,
            13,
            double - 1,
            double,
            double + 1,
            double + p - 1,
            double + p,
            double + p + 1,
            double + 9 * p + 7,
            triple - 1,
            triple,
            triple + 1,
            triple + p,
            triple + p * p - 1,
            triple + p * p,
            triple + p * p + p,
            triple + 3 * p * p + 5 * p + 7,
            triple + p * p * p - 1,
        ]
    }

    #[test]
    fn what_is_behind_goes_and_what_is_before_stays() -> Result {
        for bits in BlockSize::MIN_BITS..=BlockSize::MAX_BITS {
            let p = 1u64 << (bits - 2);
            for at in places(p) {
                let at_path = path(bits, at)?;
                let cut = Cut::new(&at_path, MAX_DEPTH, |_| false);
                for other in places(p) {
                    let goes = takes(&cut, &at_path, &path(bits, other)?);
                    assert_eq!(goes, other >= at);
                }
            }
        }
        Ok(())
    }

    #[test]
    fn arrays_with_nothing_left_go() -> Result {
        // Block 3 of the second indirect block of the double indirect one.
        let at = path(10, 12 + 256 + 256 + 3)?;
        let levels = |arrays, empty: fn(usize) -> bool| {
            let cut = Cut::new(&at, arrays, empty);
            let first = |level| cut.range(level).start;
            (cut.levels(), first(0), first(1), first(2))
        };

        assert_eq!(levels(3, |_| false), (3, 14, 2, 3));
        // Nothing before in the indirect block: its pointer goes.
        assert_eq!(levels(3, |level| level == 2), (2, 14, 1, 3));
        // Nor in the double indirect block: all of it goes.
        assert_eq!(levels(3, |_| true), (1, 13, 1, 3));
        // What is above is not looked at while something is left below.
        assert_eq!(levels(3, |level| level == 1), (3, 14, 2, 3));
        // There is no indirect block, or no double indirect one.
        assert_eq!(levels(2, |_| false), (2, 14, 1, 3));
        assert_eq!(levels(2, |_| true), (1, 13, 1, 3));
        assert_eq!(levels(1, |_| true), (1, 13, 1, 3));
        assert_eq!(levels(0, |_| true), (1, 13, 1, 3));
        Ok(())
    }

    #[test]
    fn in_front_of_an_array_none_of_it_is_looked_at() -> Result {
        let look = |block| path(10, block).map(|path| Cut::depth_to_look_at(&path));

        assert_eq!(look(0), Ok(1));
        assert_eq!(look(11), Ok(1));
        assert_eq!(look(12), Ok(1));
        assert_eq!(look(13), Ok(2));
        assert_eq!(look(12 + 256), Ok(1));
        assert_eq!(look(12 + 256 + 1), Ok(3));
        assert_eq!(look(12 + 256 + 256), Ok(2));
        assert_eq!(look(12 + 256 + 65536), Ok(1));
        assert_eq!(look(12 + 256 + 65536 + 65536), Ok(2));
        assert_eq!(look(12 + 256 + 65536 + 65536 + 256), Ok(3));
        assert_eq!(look(12 + 256 + 65536 + 65536 + 257), Ok(4));

        let cut = Cut::new(&path(10, 12 + 256 + 256)?, 4, |_| false);
        assert_eq!(
            (cut.levels(), cut.range(0), cut.range(1)),
            (2, 14..15, 1..256)
        );
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_stays() -> Result {
        let at = path(10, 12 + 256 + 256 + 3)?;

        let cut = Cut::before_unreadable(&at, 1);
        assert_eq!((cut.levels(), cut.range(0)), (1, 14..15));
        let cut = Cut::before_unreadable(&at, 2);
        assert_eq!(
            (cut.levels(), cut.range(0), cut.range(1)),
            (2, 14..15, 2..256)
        );
        Ok(())
    }

    #[test]
    fn heights_of_what_hangs_on_a_pointer() -> Result {
        let cut = Cut::new(&path(10, 3)?, 1, |_| false);
        assert_eq!(cut.range(0), 3..15);
        assert!(cut
            .range(0)
            .map(|index| cut.height(0, index))
            .eq([0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]));

        let cut = Cut::new(&path(10, 12 + 256 + 65536 + 70000)?, 4, |_| false);
        assert_eq!(cut.levels(), 4);
        assert!((1..4).map(|level| cut.height(level, 0)).eq([2, 1, 0]));
        assert_eq!(cut.range(0), 15..15);
        Ok(())
    }

    #[test]
    fn blocks_to_free_at_once() {
        let mut joiner = Joiner::default();

        assert_eq!(joiner.add(7), None);
        assert_eq!(joiner.add(8), None);
        assert_eq!(joiner.add(10), Some((7, 2)));
        assert_eq!(joiner.add(9), Some((10, 1)));
        assert_eq!(joiner.add(u32::MAX), Some((9, 1)));
        assert_eq!(joiner.add(0), Some((u32::MAX, 1)));
        assert_eq!(joiner.finish(), Some((0, 1)));
        assert_eq!(Joiner::default().finish(), None);
    }
}
