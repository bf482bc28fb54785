// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for the search for free blocks: known cases, and a long random workload whose
//! results are those of `ext2_new_blocks()` of Linux 7.3, by their digest.

use super::{
    bitmap::{
        is_set,
        Bitmap, //
    },
    search::{
        allocate,
        SearchSpace, //
    },
    test_workload::{
        Action,
        Digest,
        Workload, //
    },
    windows::{
        BlockAllocInfo,
        Windowing,
        Windows, //
    },
};
use crate::disk::{
    geometry::Geometry,
    run::{
        Run,
        Wanted, //
    },
    test_images::{
        geometry_of,
        small, //
    },
    SuperBlock, //
};
use core::cell::Cell;
use kernel::prelude::*;

/// Blocks in each group but the last, and groups.
pub(super) const GROUP: u32 = 1024;
pub(super) const GROUPS: u32 = 5;

/// A filesystem of five groups, the last one half as long.
#[inline(never)]
pub(crate) fn five_groups() -> SuperBlock {
    let mut sb = small();

    sb.blocks_per_group.set(GROUP);
    sb.blocks_count.set(1 + GROUP * (GROUPS - 1) + GROUP / 2);
    sb.inodes_per_group.set(32);
    sb.inodes_count.set(32 * GROUPS);
    sb
}

/// The first bits of each group are for its metadata.
pub(super) const METADATA: u32 = 16;

/// A filesystem's free space, in memory.
pub(crate) struct TestSpace {
    geometry: Geometry,
    windows: Pin<KBox<Windows>>,
    /// The bitmaps of all groups, one after the other.
    words: KVec<Cell<u32>>,
    pub(crate) refused: Cell<u32>,
    /// A bit for each group whose bitmap cannot be read.
    pub(crate) unreadable: Cell<u32>,
}

impl TestSpace {
    pub(crate) fn new(geometry: Geometry) -> Result<Self> {
        let mut words = KVec::new();
        for _ in 0..GROUPS * GROUP / u32::BITS {
            words.push(Cell::new(0), GFP_KERNEL)?;
        }
        Ok(Self {
            geometry,
            windows: KBox::pin_init(Windows::new(), GFP_KERNEL)?,
            words,
            refused: Cell::new(0),
            unreadable: Cell::new(0),
        })
    }

    /// Frees a block, if it is in use.
    pub(crate) fn free(&self, block: u32) -> bool {
        let Some(group) = self.geometry.group_of_block(block) else {
            return false;
        };
        let first = self.geometry.group_first_block(group).unwrap_or(0);
        TestGroup(self, group).release(block - first)
    }
}

/// The bitmap of one group.
pub(crate) struct TestGroup<'a>(&'a TestSpace, u32);

impl TestGroup<'_> {
    fn cell(&self, index: u32) -> Option<&Cell<u32>> {
        const WORDS: u32 = GROUP / u32::BITS;
        self.0.words.get((self.1 * WORDS + index) as usize)
    }

    fn change(&self, bit: u32, with: impl Fn(u32, u32) -> u32) -> Option<bool> {
        let cell = self.cell(bit / u32::BITS)?;
        let (old, mask) = (cell.get(), 1 << (bit % u32::BITS));
        cell.set(with(old, mask));
        Some(old & mask != 0)
    }
}

impl Bitmap for TestGroup<'_> {
    fn word(&self, index: u32) -> Option<u32> {
        (index < GROUP / u32::BITS).then(|| self.cell(index).map_or(0, Cell::get))
    }

    fn claim_in_word(&self, index: u32, bits: u32) -> bool {
        let is_clear = self.word(index).is_some_and(|word| word & bits == 0);
        if is_clear {
            let _ = self.change(index * u32::BITS, |word, _| word | bits);
        }
        is_clear
    }

    fn release(&self, bit: u32) -> bool {
        self.change(bit, |word, mask| word & !mask) == Some(true)
    }
}

impl<'a> SearchSpace for &'a TestSpace {
    type Bitmap = TestGroup<'a>;

    fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    fn windows(&self) -> &Windows {
        &self.windows
    }

    fn free_blocks(&self, group: u32) -> u32 {
        let first = self.geometry.group_first_block(group).unwrap_or(0);
        let last = self.geometry.group_last_block(group).unwrap_or(0);
        (0..=last - first)
            .filter(|&bit| !is_set(&TestGroup(self, group), bit))
            .count() as u32
    }

    fn is_unreadable(&self, group: u32) -> bool {
        self.unreadable.get() >> group & 1 != 0
    }

    fn block_bitmap(&self, group: u32) -> Result<TestGroup<'a>> {
        match self.is_unreadable(group) {
            false => Ok(TestGroup(self, group)),
            true => Err(EIO),
        }
    }

    fn may_hold_data(&self, group: u32, blocks: Run) -> bool {
        let first = self.geometry.group_first_block(group).unwrap_or(0);
        let good = blocks.first - first >= METADATA;
        self.refused.set(self.refused.get() + u32::from(!good));
        good
    }
}

/// A space of [`five_groups`], of which only the metadata is in use.
#[inline(never)]
pub(super) fn space() -> Result<TestSpace> {
    let space = TestSpace::new(geometry_of(&five_groups()).map_err(|e| e.errno())?)?;
    for group in 0..GROUPS {
        for bit in 0..METADATA {
            let _ = TestGroup(&space, group).claim(bit);
        }
    }
    Ok(space)
}

/// A file that may have windows.
#[inline(never)]
pub(super) fn file() -> BlockAllocInfo {
    let mut info = BlockAllocInfo::new();
    info.ensure(Windowing::On);
    info
}

/// The first block and the number of blocks of an allocation, (0, 0) without space.
#[inline(never)]
pub(super) fn get(
    space: &TestSpace,
    info: &mut BlockAllocInfo,
    goal: u32,
    count: u32,
) -> Result<(u32, u32)> {
    get_wanted(
        space,
        info,
        goal,
        Wanted {
            needed: count,
            most: count,
        },
    )
}

#[inline(never)]
fn get_wanted(
    space: &TestSpace,
    info: &mut BlockAllocInfo,
    goal: u32,
    wanted: Wanted,
) -> Result<(u32, u32)> {
    match allocate(&space, info, goal, wanted) {
        Ok(found) => Ok((found.blocks.first, found.blocks.count)),
        Err(ENOSPC) => Ok((0, 0)),
        Err(error) => Err(error),
    }
}

#[kunit_tests(rust_ext2_block_search)]
mod block_search {
    use super::*;

    /// Allocates `count` blocks behind each other, as far as there are any, up to `most` at a time:
    /// adds them to the digest.
    #[inline(never)]
    fn get_in_pieces(
        space: &TestSpace,
        info: &mut BlockAllocInfo,
        mut goal: u32,
        count: u32,
        most: u32,
        digest: &mut Digest,
    ) -> Result {
        let mut left = count;
        while left > 0 {
            let wanted = Wanted {
                needed: 1,
                most: most.min(left),
            };
            let (first, got) = get_wanted(space, info, goal, wanted)?;
            if got == 0 {
                digest.add(0, 0);
                break;
            }
            (first..first + got).for_each(|block| digest.add(block, 1));
            goal = first + got;
            left -= got;
        }
        Ok(())
    }

    #[test]
    fn a_group_without_a_bitmap_is_passed_over() -> Result {
        let space = space()?;
        let mut file = file();

        space.unreadable.set(0b00011);
        assert_eq!(get(&space, &mut file, 1 + 100, 1)?.0 / GROUP, 2);
        space.unreadable.set(0b11111);
        assert_eq!(get(&space, &mut file, 1 + 100, 1), Err(EIO));
        Ok(())
    }

    #[test]
    fn many_blocks_are_those_of_one_after_the_other() -> Result {
        let spaces = [space()?, space()?];
        let mut files = [
            [file(), file(), file(), BlockAllocInfo::new()],
            [file(), file(), file(), BlockAllocInfo::new()],
        ];
        let mut digests = [Digest::new(), Digest::new()];

        for step in Workload::new() {
            for (way, space) in spaces.iter().enumerate() {
                let (Some(files), Some(digest)) = (files.get_mut(way), digests.get_mut(way)) else {
                    return Err(EINVAL);
                };
                let Some(file) = files.get_mut(step.file) else {
                    return Err(EINVAL);
                };
                match step.action {
                    Action::Discard => space.windows.discard(file),
                    Action::Free(block) => {
                        if block % GROUP > METADATA {
                            let _ = space.free(block);
                        }
                    }
                    Action::Allocate { goal, count } => {
                        let goal = goal.unwrap_or_else(|| digest.last());
                        let most = [1, u32::MAX].get(way).copied().unwrap_or(1);
                        get_in_pieces(space, file, goal, count, most, digest)?;
                    }
                }
            }
            let [one, many] = &digests;
            assert_eq!(one.value(), many.value());
        }
        Ok(())
    }

    #[test]
    fn files_that_grow_together_do_not_interleave() -> Result {
        let space = space()?;
        let (mut a, mut b, mut directory) = (file(), file(), BlockAllocInfo::new());

        // Eight blocks are kept for each.
        assert_eq!(get(&space, &mut a, 101, 1)?, (101, 1));
        assert_eq!(get(&space, &mut b, 101, 1)?, (109, 1));
        assert_eq!(get(&space, &mut a, 102, 1)?, (102, 1));
        assert_eq!(get(&space, &mut b, 110, 1)?, (110, 1));
        // What has no windows does not heed them.
        assert_eq!(get(&space, &mut directory, 103, 1)?, (103, 1));
        assert_eq!(get(&space, &mut a, 103, 1)?, (104, 1));
        // A long request makes a window of its size, where there is room for it.
        assert_eq!(get(&space, &mut a, 105, 20)?, (105, 4));
        assert_eq!(get(&space, &mut a, 109, 20)?, (117, 20));
        Ok(())
    }

    #[test]
    fn windows_given_up_can_be_had_by_others() -> Result {
        let space = space()?;
        let (mut a, mut b) = (file(), file());

        assert_eq!(get(&space, &mut a, 101, 1)?, (101, 1));
        (&space).windows().discard(&mut a);
        assert!(a.window().is_none());
        assert_eq!(get(&space, &mut b, 102, 1)?, (102, 1));
        (&space).windows().discard(&mut b);
        (&space).windows().discard(&mut b);
        assert!((&space).windows().is_empty());
        Ok(())
    }

    #[test]
    fn well_used_windows_grow() -> Result {
        let space = space()?;
        let mut a = file();
        let mut sizes = [0; 4];

        for size in &mut sizes {
            let end = a.window().map_or(100, |window| window.end as u32);
            while a.window().is_none_or(|window| window.end as u32 == end) {
                let goal = a.goal_for(1).unwrap_or(101);
                let (block, _) = get(&space, &mut a, goal, 1)?;
                a.set_last(0, block);
            }
            *size = a.window_size().unwrap_or(0);
        }
        assert!(sizes == [8, 16, 32, 64]);
        Ok(())
    }

    #[test]
    fn all_groups_are_searched() -> Result {
        let space = space()?;
        let mut directory = BlockAllocInfo::new();
        let total: u32 = (0..GROUPS).map(|group| (&space).free_blocks(group)).sum();
        let mut got = 0;

        // From the goal to the end of its group, then what is free in the groups after it.
        assert_eq!(get(&space, &mut directory, 3073, 2000)?, (3089, 1008));
        assert_eq!(get(&space, &mut directory, 3073, 2000)?, (4113, 496));
        assert_eq!(get(&space, &mut directory, 3073, 2000)?, (17, 1008));
        got += 1008 + 496 + 1008;
        loop {
            let (_, count) = get(&space, &mut directory, 3073, 2000)?;
            if count == 0 {
                break;
            }
            got += count;
        }
        assert_eq!(got, total);
        Ok(())
    }

    #[test]
    fn the_last_free_block_is_found_though_reserved() -> Result {
        let space = space()?;
        let (mut a, mut b) = (file(), file());
        let mut got = 0;

        while get(&space, &mut a, 101, 64)?.1 != 0 {
            got += 1;
        }
        assert!(got > 40);
        assert!(space.free(2000));
        assert_eq!(get(&space, &mut a, 101, 64)?, (2000, 1));
        // Both want it, and only one gets it.
        assert!(space.free(3000));
        assert_eq!(get(&space, &mut b, 2500, 1)?, (3000, 1));
        assert_eq!(get(&space, &mut a, 2500, 1)?, (0, 0));
        Ok(())
    }

    #[test]
    fn metadata_that_the_bitmap_calls_free_is_not_given_out() -> Result {
        let space = space()?;
        let mut directory = BlockAllocInfo::new();

        for bit in 0..METADATA {
            assert!(TestGroup(&space, 2).release(bit));
        }
        assert_eq!(get(&space, &mut directory, 2049, 4)?, (2065, 4));
        assert_eq!(space.refused.get(), 4);
        Ok(())
    }

    #[test]
    fn metadata_among_many_blocks_costs_no_other() -> Result {
        let space = space()?;
        let mut directory = BlockAllocInfo::new();

        // The last block in front of the group's data.
        assert!(TestGroup(&space, 2).release(METADATA - 1));
        let first = 1 + 2 * GROUP + METADATA;
        let wanted = Wanted { needed: 1, most: 8 };
        let got = get_wanted(&space, &mut directory, first - 1, wanted)?;
        assert_eq!(got, (first, 1));
        // The run, and then the block alone, which stays claimed; those behind it do not.
        assert_eq!(space.refused.get(), 2);
        assert_eq!(
            get_wanted(&space, &mut directory, first, wanted)?,
            (first + 1, 8)
        );
        Ok(())
    }

    #[test]
    fn a_goal_that_is_no_block() -> Result {
        let space = space()?;
        let mut directory = BlockAllocInfo::new();

        assert_eq!(get(&space, &mut directory, 0, 1)?, (17, 1));
        assert_eq!(get(&space, &mut directory, u32::MAX, 1)?, (18, 1));
        Ok(())
    }

    #[test]
    fn a_random_workload_gives_what_it_gives_in_c() -> Result {
        let space = space()?;
        let mut files = [file(), file(), file(), BlockAllocInfo::new()];
        let mut digest = Digest::new();

        for step in Workload::new() {
            let Some(file) = files.get_mut(step.file) else {
                return Err(EINVAL);
            };
            match step.action {
                Action::Discard => (&space).windows().discard(file),
                Action::Free(block) => {
                    if block % GROUP > METADATA {
                        let _ = space.free(block);
                    }
                }
                Action::Allocate { goal, count } => {
                    let goal = goal.unwrap_or_else(|| digest.last());
                    let (first, count) = get(&space, file, goal, count)?;
                    digest.add(first, count);
                }
            }
        }
        assert_eq!(digest.value(), DIGEST_OF_C);
        Ok(())
    }

    const DIGEST_OF_C: u64 = 0x689e_53ab_3d94_2cb9;
}
