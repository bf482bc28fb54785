// SPDX-License-Identifier: GPL-2.0

//! What has to be allocated to give blocks to a hole, and how it is hung onto the tree.
//!
//! A hole begins where a pointer of the [`BlockPath`] is null. A [`BranchPlan`] says how many
//! indirect and how many data blocks it takes from there on, a [`Gathering`] collects what the
//! allocator gives for it, perhaps in several pieces, and a [`Branch`] says what every new indirect
//! block holds and which pointers hang the whole onto the tree. These last are to be written only
//! when all else is where it belongs, on disk, too: until then nothing can be reached, and a crash
//! leaves blocks that are in use and that nobody owns, but never a pointer to what is not there.
//!
//! Pure arithmetic, the counterpart of `ext2_blks_to_allocate()`, `ext2_alloc_blocks()`,
//! `ext2_alloc_branch()`, `ext2_splice_branch()` and `ext2_find_near()`, which also do it. As in C,
//! an allocation ends where the array of pointers to its data ends.
//!
//! Locks: none, these are plain values. The plan is about a tree that must not change until the
//! branch hangs on it.

use super::path::{
    BlockPath,
    MAX_DEPTH, //
};
use crate::disk::run::{
    Run,
    Wanted, //
};
use kernel::prelude::*;

/// The most indirect blocks that a branch has.
pub(crate) const MAX_INDIRECT: usize = MAX_DEPTH - 1;

/// How many blocks of which kind a hole is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BranchPlan {
    indirect: usize,
    data: u32,
}

impl BranchPlan {
    /// Plans for at most `max` blocks of data (at least 1) from the block of `path` on, whose
    /// pointer at `level` is the first that is null; it and those after it in its array, `nulls` in
    /// all, are null.
    pub(crate) fn new(path: &BlockPath, level: usize, nulls: u32, max: u32) -> Self {
        let indirect = path.depth().saturating_sub(1).saturating_sub(level);
        let room = if indirect == 0 {
            nulls
        } else {
            path.blocks_to_boundary().saturating_add(1)
        };

        Self {
            indirect: indirect.min(MAX_INDIRECT),
            data: max.min(room).max(1),
        }
    }

    /// Number of new indirect blocks.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn indirect(&self) -> usize {
        self.indirect
    }

    /// Number of blocks for data, as many as are wanted; one is enough.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn data(&self) -> u32 {
        self.data
    }
}

/// Blocks that are being allocated for a branch.
///
/// # Invariants
///
/// At most `plan.indirect` items of `indirect` are in use, `filled`; there is `data` only if all of
/// them are.
pub(crate) struct Gathering {
    plan: BranchPlan,
    indirect: [u32; MAX_INDIRECT],
    filled: usize,
    data: Option<Run>,
}

impl Gathering {
    /// Nothing yet.
    pub(crate) fn new(plan: BranchPlan) -> Self {
        Self {
            plan,
            indirect: [0; MAX_INDIRECT],
            filled: 0,
            data: None,
        }
    }

    /// How many blocks to ask the allocator for; [`None`] when there are enough: every indirect
    /// block and one for data.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        if self.data.is_some() {
            return None;
        }
        let indirect = self.indirect_wanted();
        Some(Wanted {
            needed: indirect + 1,
            most: indirect + self.plan.data,
        })
    }

    /// How many indirect blocks there are not yet.
    pub(crate) fn indirect_wanted(&self) -> u32 {
        (self.plan.indirect - self.filled) as u32
    }

    /// Takes what the allocator gave, no more than was [`wanted`](Self::wanted) at most.
    pub(crate) fn take(&mut self, run: Run) {
        let indirect = (self.plan.indirect - self.filled).min(run.count as usize);

        for (slot, block) in self
            .indirect
            .iter_mut()
            .skip(self.filled)
            .take(indirect)
            .zip(run.first..)
        {
            *slot = block;
        }
        // INVARIANT: No more than the plan has; data is what is left over after all of them.
        self.filled += indirect;
        let rest = run.count - indirect as u32;
        if rest > 0 {
            self.data = Some(Run {
                first: run.first.saturating_add(indirect as u32),
                count: rest.min(self.plan.data),
            });
        }
    }

    /// The branch, if there is enough for it; else nothing was lost.
    pub(crate) fn branch(&self, path: &BlockPath) -> Option<Branch> {
        let data = self.data?;
        let level = path.depth().checked_sub(1 + self.plan.indirect)?;
        let mut offsets = [0; MAX_DEPTH];
        for (own, offset) in offsets.iter_mut().zip(path.offsets().iter().skip(level)) {
            *own = *offset;
        }

        Some(Branch {
            indirect: self.indirect,
            depth: self.plan.indirect,
            offsets,
            data,
        })
    }

    /// All that was taken: what to give back if there is to be no branch.
    pub(crate) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        let indirect = self.indirect.iter().take(self.filled);
        let indirect = indirect.map(|&first| Run { first, count: 1 });

        Iterator::chain(indirect, self.data)
    }
}

/// Pointers to successive blocks, in successive places of an array of pointers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pointers {
    /// The first of the places.
    index: u32,
    blocks: Run,
}

impl Pointers {
    /// The first of the places.
    pub(crate) fn index(self) -> u32 {
        self.index
    }

    /// What they point to.
    pub(crate) fn blocks(self) -> Run {
        self.blocks
    }

    /// Each place with its pointer.
    pub(crate) fn iter(self) -> impl Iterator<Item = (u32, u32)> {
        (self.index..)
            .zip(self.blocks.first..)
            .take(self.blocks.count as usize)
    }
}

/// New blocks that are linked with each other, and not with the tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Branch {
    indirect: [u32; MAX_INDIRECT],
    depth: usize,
    /// The path's offsets from the level of the null pointer on.
    offsets: [u32; MAX_DEPTH],
    data: Run,
}

impl Branch {
    /// The blocks of data.
    pub(crate) fn data(&self) -> Run {
        self.data
    }

    /// The new indirect blocks, the one that the others hang on first, each with the pointers that
    /// it holds; all else in it is null.
    pub(crate) fn indirect(&self) -> impl Iterator<Item = (u32, Pointers)> + '_ {
        (0..self.depth).filter_map(|nr| {
            let block = self.indirect.get(nr)?;
            Some((*block, self.pointers(nr + 1)?))
        })
    }

    /// The pointers, to be written into the array with the null pointer, that make all of it part
    /// of the file.
    pub(crate) fn splice(&self) -> Option<Pointers> {
        self.pointers(0)
    }

    /// What is in the array that is `below` arrays below the null pointer's.
    fn pointers(&self, below: usize) -> Option<Pointers> {
        let index = *self.offsets.get(below)?;
        let blocks = if below == self.depth {
            self.data
        } else {
            Run {
                first: *self.indirect.get(below)?,
                count: 1,
            }
        };

        Some(Pointers { index, blocks })
    }
}

/// A good place for the block that a pointer is to point to, when the file is not written in
/// sequence, if anything is near; the first half of `ext2_find_near()`.
///
/// `before` are the pointers before it in its array, the nearest first; `indirect` is the block
/// that the array is in, unless it is the inode's.
pub(crate) fn near(mut before: impl Iterator<Item = u32>, indirect: Option<u32>) -> Option<u32> {
    before.find(|&pointer| pointer != 0).or(indirect)
}

/// A block of the group that starts at block `first`, for a file with nothing near: processes that
/// write at the same time shall not meet.
pub(crate) fn colour(first: u32, blocks_per_group: u32, pid: u32) -> u32 {
    first.saturating_add((pid % 16) * (blocks_per_group / 16))
}

#[kunit_tests(rust_ext2_branch)]
mod tests {
    use super::*;
    use crate::disk::block_size::BlockSize;

    fn path(bits: u32, block: u64) -> Result<BlockPath> {
        let size = BlockSize::from_bits(bits).ok_or(EINVAL)?;
        BlockPath::new(size, block).map_err(|e| e.errno())
    }

    fn plan(bits: u32, block: u64, level: usize, nulls: u32, max: u32) -> Result<(usize, u32)> {
        let plan = BranchPlan::new(&path(bits, block)?, level, nulls, max);
        Ok((plan.indirect(), plan.data()))
    }

    fn wanted(needed: u32, most: u32) -> Option<Wanted> {
        Some(Wanted { needed, most })
    }

    /// A branch from an allocator that gives `runs`, one after the other, as far as it is asked.
    fn branch(
        bits: u32,
        block: u64,
        level: usize,
        max: u32,
        runs: &[(u32, u32)],
    ) -> Option<Branch> {
        let path = path(bits, block).ok()?;
        let mut got = Gathering::new(BranchPlan::new(&path, level, max, max));
        for &(first, count) in runs {
            let count = count.min(got.wanted().map_or(0, |it| it.most));
            if count == 0 {
                return None;
            }
            got.take(Run { first, count });
        }
        got.branch(&path)
    }

    fn holds(pointers: Option<Pointers>, index: u32, first: u32, count: u32) -> bool {
        let blocks = Run { first, count };
        pointers == Some(Pointers { index, blocks })
    }

    #[test]
    fn direct_blocks_as_far_as_they_are_missing() {
        assert_eq!(plan(10, 0, 0, 12, 100), Ok((0, 12)));
        assert_eq!(plan(10, 0, 0, 12, 5), Ok((0, 5)));
        assert_eq!(plan(10, 3, 0, 2, 100), Ok((0, 2)));
        assert_eq!(plan(10, 11, 0, 1, 100), Ok((0, 1)));
        // In an indirect block that is there.
        assert_eq!(plan(10, 12 + 10, 1, 246, 1000), Ok((0, 246)));
        assert_eq!(plan(10, 12 + 10, 1, 7, 1000), Ok((0, 7)));
        assert_eq!(plan(12, 12, 1, 1024, 2000), Ok((0, 1024)));
    }

    #[test]
    fn missing_indirect_blocks_at_every_level() {
        let doubled = 12 + 256;
        let tripled = doubled + 256 * 256;

        assert_eq!(plan(10, 12, 0, 1, 1000), Ok((1, 256)));
        assert_eq!(plan(10, 12 + 255, 0, 1, 1000), Ok((1, 1)));
        assert_eq!(plan(10, doubled, 0, 1, 1000), Ok((2, 256)));
        assert_eq!(plan(10, doubled, 1, 256, 1000), Ok((1, 256)));
        assert_eq!(plan(10, doubled + 250, 1, 1, 1000), Ok((1, 6)));
        assert_eq!(plan(10, tripled, 0, 1, 3), Ok((3, 3)));
        assert_eq!(plan(10, tripled, 1, 256, 3), Ok((2, 3)));
        assert_eq!(plan(10, tripled, 2, 256, 3), Ok((1, 3)));
        assert_eq!(plan(10, tripled, 3, 256, 3), Ok((0, 3)));
        // Never nothing, and no level that the path has not.
        assert_eq!(plan(10, 0, 0, 0, 0), Ok((0, 1)));
        assert_eq!(plan(10, 0, 9, 0, 0), Ok((0, 1)));
    }

    #[test]
    fn data_without_indirect_blocks() -> Result {
        let branch = branch(10, 4, 0, 8, &[(700, 8)]).ok_or(EINVAL)?;

        assert_eq!(branch.indirect().count(), 0);
        assert!(holds(branch.splice(), 4, 700, 8));
        assert_eq!(
            branch.data(),
            Run {
                first: 700,
                count: 8
            }
        );
        Ok(())
    }

    #[test]
    fn a_whole_branch_in_one_run() -> Result {
        // Block 7 of the third indirect block behind the triple indirect block's first.
        let block = 12 + 256 + 256 * 256 + 2 * 256 + 7;
        let branch = branch(10, block, 0, 4, &[(100, 7)]).ok_or(EINVAL)?;
        let mut indirect = branch.indirect();

        assert!(holds(branch.splice(), 14, 100, 1));
        let first = indirect.next().ok_or(EINVAL)?;
        assert!(first.0 == 100 && holds(Some(first.1), 0, 101, 1));
        let second = indirect.next().ok_or(EINVAL)?;
        assert!(second.0 == 101 && holds(Some(second.1), 2, 102, 1));
        let third = indirect.next().ok_or(EINVAL)?;
        assert!(third.0 == 102 && holds(Some(third.1), 7, 103, 4));
        assert!(indirect.next().is_none());
        assert!(third.1.iter().eq([(7, 103), (8, 104), (9, 105), (10, 106)]));
        Ok(())
    }

    #[test]
    fn pieces_from_the_allocator() -> Result {
        let block = 12 + 256 + 256 * 256;
        let got = branch(10, block, 0, 4, &[(50, 1), (90, 2), (30, 3)]).ok_or(EINVAL)?;
        let indirect = got.indirect().map(|(block, _)| block);

        assert!(indirect.eq([50, 90, 91]));
        assert_eq!(
            got.data(),
            Run {
                first: 30,
                count: 3
            }
        );
        // The last piece holds the last indirect block, too.
        let got = branch(10, block, 1, 4, &[(50, 1), (90, 2)]).ok_or(EINVAL)?;
        assert!(got.indirect().map(|(block, _)| block).eq([50, 90]));
        assert_eq!(
            got.data(),
            Run {
                first: 91,
                count: 1
            }
        );
        Ok(())
    }

    #[test]
    fn what_is_asked_for_and_given_back() -> Result {
        let path = path(10, 12)?;
        let mut got = Gathering::new(BranchPlan::new(&path, 0, 1, 10));

        assert_eq!(got.wanted(), wanted(2, 11));
        assert!(got.branch(&path).is_none() && got.runs().next().is_none());
        got.take(Run { first: 5, count: 1 });
        assert_eq!(got.wanted(), wanted(1, 10));
        assert!(got.branch(&path).is_none());
        assert!(got.runs().eq([Run { first: 5, count: 1 }]));
        got.take(Run { first: 9, count: 2 });
        assert_eq!(got.wanted(), None);
        assert!(got.branch(&path).is_some());
        assert!(got
            .runs()
            .eq([Run { first: 5, count: 1 }, Run { first: 9, count: 2 }]));
        Ok(())
    }

    #[test]
    fn every_boundary_of_every_block_size() -> Result {
        for bits in BlockSize::MIN_BITS..=BlockSize::MAX_BITS {
            let size = BlockSize::from_bits(bits).ok_or(EINVAL)?;
            let p = u64::from(size.pointers());
            for start in [0, 12, 12 + p, 12 + p + p * p] {
                for at in [start, start + 1, start + 11] {
                    let path = path(bits, at)?;
                    for level in 0..path.depth() {
                        let max = size.pointers() + 5;
                        let mut got = Gathering::new(BranchPlan::new(
                            &path,
                            level,
                            path.siblings(level),
                            max,
                        ));
                        let count = got.wanted().ok_or(EINVAL)?.most;
                        got.take(Run { first: 1000, count });
                        let branch = got.branch(&path).ok_or(EINVAL)?;
                        let end = at + u64::from(branch.data().count);
                        let indirect = branch.indirect().count() as u32;
                        // To the end of the array of pointers, exactly.
                        assert_eq!(end - at, u64::from(path.blocks_to_boundary()) + 1);
                        assert_eq!(indirect as usize, path.depth() - 1 - level);
                        assert_eq!(branch.data().first, 1000 + indirect);
                        assert_eq!(count, indirect + branch.data().count);
                    }
                }
            }
        }
        Ok(())
    }

    #[test]
    fn places_near() {
        assert_eq!(near([0, 0, 77, 78].into_iter(), Some(5)), Some(77));
        assert_eq!(near([0, 0].into_iter(), Some(5)), Some(5));
        assert_eq!(near([0, 0].into_iter(), None), None);
        assert_eq!(near([].into_iter(), None), None);
        assert_eq!(colour(8193, 8192, 0), 8193);
        assert_eq!(colour(8193, 8192, 17), 8193 + 512);
        assert_eq!(colour(8193, 8192, 31), 8193 + 15 * 512);
        assert_eq!(colour(u32::MAX - 3, 8192, 31), u32::MAX);
    }
}
