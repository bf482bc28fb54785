// SPDX-License-Identifier: GPL-2.0

//! The blocks of a file that have been promised, and have no place yet.
//!
//! With a block go the arrays of pointers that are missing on the way to it: of all blocks behind a
//! missing array the first one promises it, and it is promised as long as one of them is there. So
//! what is promised is what the file will have taken when it has been written, neither more nor
//! less.
//!
//! Who promises does it in two steps: there is room for it before data is copied, and what has been
//! copied is noted then. So a run that is noted here never has a block that nobody filled. The tree
//! is locked from the one to the other, so an array that was promised or there before is so
//! afterwards.
//!
//! C counterpart: none; `ext4_da_reserve_space()`, whose promises of arrays are for the worst case.
//!
//! Locks: the inode's tree mutex.

use super::{
    array_numbers::{
        blocks_of,
        number,
        HEIGHTS, //
    },
    path::BlockPath,
    run_set::RunSet, //
};
use crate::disk::block_size::BlockSize;
use core::ops::Range;
use kernel::{
    alloc::{
        AllocError,
        Flags, //
    },
    prelude::*, //
};

/// In how many runs blocks come at most. Who has more than that gets places at once.
const MOST_RUNS: usize = 512;

/// Arrays of pointers that are missing on the way to a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MissingArrays {
    at: u32,
    /// A bit for each height.
    heights: u32,
}

impl MissingArrays {
    /// None.
    pub(crate) const NONE: Self = Self { at: 0, heights: 0 };

    /// Of the file's block `at`, with the path `path` on which the pointer at `level` is null.
    pub(crate) fn new(at: u32, path: &BlockPath, level: usize) -> Self {
        Self {
            at,
            heights: (1 << path.depth().saturating_sub(level + 1)) - 1,
        }
    }

    /// How many there are.
    #[inline]
    pub(crate) fn count(self) -> u32 {
        self.heights.count_ones()
    }

    /// Of block `at`, which is behind the same array of pointers to data.
    #[inline]
    pub(crate) fn beside(self, at: u32) -> Self {
        Self { at, ..self }
    }

    #[inline]
    fn iter(self, size: BlockSize) -> impl Iterator<Item = (u32, u32)> {
        (0..HEIGHTS)
            .filter(move |height| self.heights & (1 << height) != 0)
            .map(move |height| (height, number(size, height, self.at)))
    }
}

/// What has been promised of a file.
pub(crate) struct Delayed {
    blocks: RunSet,
    /// The arrays of pointers, by [`number`].
    arrays: RunSet,
}

impl Delayed {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self {
            blocks: RunSet::new(),
            arrays: RunSet::new(),
        }
    }

    /// How many blocks there are, arrays included.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.blocks.len() + self.arrays.len()
    }

    /// How many arrays there are.
    #[inline]
    pub(crate) fn arrays(&self) -> u32 {
        self.arrays.len()
    }

    /// The promised blocks from `at` on without a gap, if it is one.
    #[inline]
    pub(crate) fn run_from(&self, at: u32) -> Option<Range<u32>> {
        self.blocks.run_from(at)
    }

    /// Whether the last of the promised blocks is the one in front of `at`.
    #[inline]
    pub(crate) fn ends_at(&self, at: u32) -> bool {
        self.blocks.ends_at(at)
    }

    /// The first promised blocks in `range`.
    pub(crate) fn next_in(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.blocks.next_in(range)
    }

    /// Whether anything in front of block `at` is promised that is behind the same array of height
    /// `height`.
    pub(crate) fn has_in_front(&self, size: BlockSize, height: u32, at: u32) -> bool {
        let start = blocks_of(size, number(size, height, at)).start;
        self.blocks.next_in(start..at).is_some()
    }

    /// Those of `arrays` that have not been promised.
    #[inline]
    pub(crate) fn unpromised(&self, size: BlockSize, mut arrays: MissingArrays) -> MissingArrays {
        for (height, number) in arrays.iter(size) {
            if self.arrays.run_from(number).is_some() {
                arrays.heights &= !(1 << height);
            }
        }
        arrays
    }

    /// Makes room for a promise of blocks, and of `arrays`, and for a gap in what is promised, so
    /// that one can be made without memory. Fails if there is no memory, or the file has too many
    /// holes between promised blocks.
    #[inline]
    pub(crate) fn begin(&mut self, arrays: MissingArrays, flags: Flags) -> Result<(), AllocError> {
        if self.blocks.runs() >= MOST_RUNS {
            return Err(AllocError);
        }
        self.blocks.reserve(2, flags)?;
        match arrays.count() {
            0 => Ok(()),
            _ => self.arrays.reserve(2 * HEIGHTS as usize, flags),
        }
    }

    /// Makes room for runs that become two when blocks from `at` on go, and arrays on the way to
    /// them, and for that to happen once more, if there is memory. Who removes something that
    /// others will go on to need does that before. Where none can become two, as in a file that is
    /// written from its beginning, there is no need of memory.
    pub(crate) fn make_room(&mut self, at: u32, flags: Flags) -> Result<(), AllocError> {
        if self.blocks.goes_over(at) {
            make_room_twice(&mut self.blocks, 1, flags)?;
        }
        match self.arrays.len() {
            0 => Ok(()),
            _ => make_room_twice(&mut self.arrays, HEIGHTS as usize, flags),
        }
    }

    /// Keeps a promise that was begun: `blocks` have been filled, and `arrays` are promised with
    /// them.
    #[inline]
    pub(crate) fn keep(&mut self, size: BlockSize, blocks: Range<u32>, arrays: MissingArrays) {
        self.blocks.insert(blocks);
        if arrays.count() != 0 {
            for (_, number) in arrays.iter(size) {
                self.arrays.insert(number..number + 1);
            }
        }
    }

    /// Gives back the memory, if nothing is promised.
    #[inline]
    pub(crate) fn free(&mut self) {
        if self.count() == 0 {
            self.blocks.free();
            self.arrays.free();
        }
    }

    /// Blocks have got their places, or are not the file's any more.
    pub(crate) fn remove(&mut self, size: BlockSize, blocks: Range<u32>) {
        let removed = self.blocks.remove(blocks.clone());
        if removed as usize > blocks.len() {
            // There was no memory for what is behind, which is gone with it.
            self.give_up_arrays(size, blocks.start..u32::MAX);
        } else if removed != 0 {
            self.give_up_arrays(size, blocks);
        }
    }

    /// Arrays that were missing have been made.
    pub(crate) fn made(&mut self, size: BlockSize, arrays: MissingArrays) {
        for (_, number) in arrays.iter(size) {
            self.arrays.remove(number..number + 1);
        }
    }

    /// Gives up arrays on the way to blocks that are not promised any more, if they are not on the
    /// way to others.
    fn give_up_arrays(&mut self, size: BlockSize, blocks: Range<u32>) {
        if self.arrays.len() == 0 {
            return;
        }
        for height in 0..HEIGHTS {
            let mut from = number(size, height, blocks.start);
            let end = number(size, height, blocks.end.saturating_sub(1)) + 1;
            while let Some(found) = self.arrays.next_in(from..end) {
                from = found.start + 1;
                if self.blocks.next_in(blocks_of(size, found.start)).is_none() {
                    self.arrays.remove(found.start..from);
                }
            }
        }
    }
}

/// Makes room for `runs` more runs, and, if there is memory, for as many again.
fn make_room_twice(set: &mut RunSet, runs: usize, flags: Flags) -> Result<(), AllocError> {
    set.reserve(2 * runs, flags)
        .or_else(|_| set.reserve(runs, flags))
}

#[kunit_tests(rust_ext2_delayed)]
mod tests {
    use super::*;

    const SIZE: BlockSize = BlockSize::SMALLEST;

    fn path(at: u32) -> Result<BlockPath> {
        BlockPath::new(SIZE, at.into()).map_err(|_| EIO)
    }

    fn missing(at: u32, level: usize) -> Result<MissingArrays> {
        Ok(MissingArrays::new(at, &path(at)?, level))
    }

    /// Promises blocks in one array on whose way everything is missing from `level` on, and keeps
    /// it.
    #[inline(never)]
    fn promise(delayed: &mut Delayed, blocks: Range<u32>, level: usize) -> Result<u32> {
        let before = delayed.count();
        let arrays = missing(blocks.start, level)?;
        let unpromised = delayed.unpromised(SIZE, arrays);
        delayed.begin(unpromised, GFP_KERNEL)?;
        delayed.keep(SIZE, blocks.clone(), unpromised);
        let count = delayed.count() - before;
        assert_eq!(count, blocks.len() as u32 + unpromised.count());
        Ok(count)
    }

    #[test]
    fn without_room_the_arrays_behind_go_too() -> Result {
        let mut delayed = Delayed::new();
        let mut last = 0;

        promise(&mut delayed, 12..268, 0)?;
        for number in 0..8 {
            promise(
                &mut delayed,
                268 + number * 256..268 + (number + 1) * 256,
                0,
            )?;
        }
        // No room is left for a run that becomes two.
        while delayed
            .blocks
            .insert(100_000 + 2 * last..100_001 + 2 * last)
            != 0
        {
            last += 1;
        }
        delayed.remove(SIZE, 20..21);
        delayed.remove(SIZE, 0..20);
        assert_eq!(delayed.arrays(), 0);
        assert_eq!(delayed.count(), last);
        Ok(())
    }

    #[test]
    fn the_first_block_behind_an_array_promises_it() -> Result {
        let mut delayed = Delayed::new();

        assert_eq!(promise(&mut delayed, 0..12, 0)?, 12);
        assert_eq!(promise(&mut delayed, 12..13, 0)?, 2);
        assert_eq!(promise(&mut delayed, 13..268, 0)?, 255);
        // Two more behind the doubly indirect block, then one.
        assert_eq!(promise(&mut delayed, 268..269, 0)?, 3);
        assert_eq!(promise(&mut delayed, 524..526, 0)?, 3);
        // One that is there promises nothing.
        assert_eq!(promise(&mut delayed, 70000..70001, 3)?, 1);

        delayed.remove(SIZE, 268..269);
        assert_eq!(delayed.count(), 268 + 1 + 2 + 2 + 1);
        delayed.remove(SIZE, 524..526);
        assert_eq!(delayed.count(), 268 + 1 + 1);
        delayed.remove(SIZE, 0..268);
        delayed.remove(SIZE, 0..u32::MAX);
        assert_eq!(delayed.count(), 0);
        Ok(())
    }

    #[test]
    fn arrays_that_are_made_are_not_promised_any_more() -> Result {
        let mut delayed = Delayed::new();

        let count = promise(&mut delayed, 300..400, 0)?;
        assert_eq!(count, 102);
        delayed.made(SIZE, missing(300, 0)?);
        delayed.remove(SIZE, 300..310);
        assert_eq!(delayed.count(), 90);
        assert_eq!(delayed.run_from(310), Some(310..400));
        assert_eq!(delayed.next_in(0..350), Some(310..350));
        Ok(())
    }

    #[test]
    fn what_is_begun_and_not_kept_is_nothing() -> Result {
        let mut delayed = Delayed::new();
        promise(&mut delayed, 20..21, 0)?;

        let arrays = delayed.unpromised(SIZE, missing(30, 0)?);
        assert_eq!(arrays.count(), 0);
        delayed.begin(arrays, GFP_KERNEL)?;
        assert_eq!(delayed.count(), 2);
        let beside = missing(300, 0)?;
        assert_eq!(beside.beside(310), missing(310, 0)?);
        delayed.remove(SIZE, 20..21);
        assert_eq!(delayed.count(), 0);
        delayed.free();
        Ok(())
    }

    #[test]
    fn nothing_is_lost_where_room_was_made() -> Result {
        let mut delayed = Delayed::new();
        promise(&mut delayed, 2000..2250, 0)?;
        for cut in 0..20 {
            let at = 2005 + 10 * cut;
            let before = delayed.count();
            delayed.make_room(at, GFP_KERNEL)?;
            delayed.remove(SIZE, at..at + 3);
            assert_eq!(delayed.count(), before - 3);
        }
        Ok(())
    }

    #[test]
    fn a_gap_needs_no_memory() -> Result {
        let mut delayed = Delayed::new();

        promise(&mut delayed, 70_000..70_100, 3)?;
        delayed.remove(SIZE, 70_050..70_051);
        assert_eq!(delayed.count(), 99);
        assert_eq!(delayed.run_from(70_051), Some(70_051..70_100));

        // And one in a row of arrays, when what was promised last took all the room for these that
        // it could.
        let mut delayed = Delayed::new();
        for at in [268, 268 + 256, 268 + 512, 268 + 9 * 256, 5_000_000] {
            promise(&mut delayed, at..at + 1, 0)?;
        }
        let (count, arrays) = (delayed.count(), delayed.arrays());
        delayed.remove(SIZE, 268 + 256..268 + 257);
        assert_eq!(delayed.arrays(), arrays - 1);
        assert_eq!(delayed.count(), count - 2);
        Ok(())
    }

    #[test]
    fn a_file_of_many_holes_is_refused() -> Result {
        let mut delayed = Delayed::new();
        let mut refused = 0;
        for block in 0..1000 {
            match promise(&mut delayed, 100_000 + 2 * block..100_001 + 2 * block, 0) {
                Ok(_) => assert_eq!(refused, 0),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 400 && refused < 600);
        delayed.remove(SIZE, 0..u32::MAX);
        assert_eq!(delayed.count(), 0);
        Ok(())
    }

    /// A file whose blocks are nothing, promised, or there, and its arrays.
    #[inline(never)]
    fn expected(states: &[u8], arrays_there: &[u32]) -> u32 {
        let mut count = 0;
        let mut numbers = RunSet::new();
        for (at, _) in states.iter().enumerate().filter(|(_, state)| **state == 1) {
            count += 1;
            let Ok(path) = path(at as u32) else { continue };
            for height in 0..path.depth() as u32 - 1 {
                let number = number(SIZE, height, at as u32);
                if !arrays_there.contains(&number) {
                    let _ = numbers.reserve(1, GFP_KERNEL);
                    numbers.insert(number..number + 1);
                }
            }
        }
        count + numbers.len()
    }

    #[test]
    fn as_a_table_of_blocks() -> Result {
        const BLOCKS: usize = 1100;
        let mut delayed = Delayed::new();
        let mut states = KVec::from_elem(0u8, BLOCKS, GFP_KERNEL)?;
        let mut there: KVec<u32> = KVec::new();
        let mut random = 1u32;
        let mut below = |limit: u32| {
            random = random.wrapping_mul(1_103_515_245).wrapping_add(12345);
            (random >> 16) % limit
        };
        for step in 0..300 {
            let at = below(BLOCKS as u32);
            let path = path(at)?;
            let numbers = (0..path.depth() as u32 - 1).map(|height| number(SIZE, height, at));
            let heights = numbers.filter(|number| !there.contains(number)).count();
            let level = path.depth() - 1 - heights;
            let most = (path.blocks_to_boundary() + 1).min(1 + below(40));
            let end = (at + most).min(BLOCKS as u32);
            let free = states.get(at as usize..end as usize).ok_or(EINVAL)?;
            match below(4) {
                // Promised.
                0 | 1 => {
                    let len = free.iter().take_while(|state| **state == 0).count() as u32;
                    if len != 0 {
                        promise(&mut delayed, at..at + len, level)?;
                    }
                    for state in states.iter_mut().skip(at as usize).take(len as usize) {
                        *state = 1;
                    }
                }
                // Given places.
                2 => {
                    delayed.make_room(at, GFP_KERNEL)?;
                    delayed.made(SIZE, MissingArrays::new(at, &path, level));
                    for height in 0..heights as u32 {
                        there.push(number(SIZE, height, at), GFP_KERNEL)?;
                    }
                    delayed.remove(SIZE, at..end);
                    for state in states.iter_mut().take(end as usize).skip(at as usize) {
                        *state = 2;
                    }
                }
                // Forgotten.
                _ => {
                    delayed.make_room(at, GFP_KERNEL)?;
                    delayed.remove(SIZE, at..end);
                    for state in states.iter_mut().take(end as usize).skip(at as usize) {
                        *state = if *state == 1 { 0 } else { *state };
                    }
                }
            }
            if step % 5 == 0 {
                assert_eq!(delayed.count(), expected(&states, &there));
            }
        }
        Ok(())
    }
}
