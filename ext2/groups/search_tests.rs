// SPDX-License-Identifier: GPL-2.0

//! KUnit suite for the search for free blocks: known cases, and a long random workload whose
//! results are those of `ext2_new_blocks()` of Linux 7.3, by their digest.

use super::{
    bitmap::{
        is_set,
        Bitmap, //
    },
    search::Space,
    windows::Windows, //
};
use crate::disk::{
    geometry::Geometry,
    run::Run,
    test_images::small,
    SuperBlock, //
};
use core::cell::Cell;
use kernel::prelude::*;

/// Blocks in each group but the last, and groups.
const GROUP: u32 = 1024;
const GROUPS: u32 = 5;

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
const METADATA: u32 = 16;

/// A filesystem's free space, in memory.
pub(crate) struct TestSpace {
    geometry: Geometry,
    windows: Pin<KBox<Windows>>,
    /// The bitmaps of all groups, one after the other.
    words: KVec<Cell<u32>>,
    pub(crate) refused: Cell<u32>,
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

    fn claim(&self, bit: u32) -> bool {
        self.change(bit, |word, mask| word | mask) == Some(false)
    }

    fn release(&self, bit: u32) -> bool {
        self.change(bit, |word, mask| word & !mask) == Some(true)
    }
}

impl<'a> Space for &'a TestSpace {
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

    fn block_bitmap(&self, group: u32) -> Result<TestGroup<'a>> {
        Ok(TestGroup(self, group))
    }

    fn may_hold_data(&self, group: u32, blocks: Run) -> bool {
        let first = self.geometry.group_first_block(group).unwrap_or(0);
        let good = blocks.first - first >= METADATA;
        self.refused.set(self.refused.get() + u32::from(!good));
        good
    }
}

#[kunit_tests(rust_ext2_block_search)]
mod block_search {
    use super::*;
    use crate::{
        disk::test_images::geometry_of,
        groups::{
            bitmap::Bitmap,
            search::{
                allocate,
                Space, //
            },
            windows::{
                BlockAllocInfo,
                Windowing, //
            },
        },
    };

    #[inline(never)]
    fn space() -> Result<TestSpace> {
        let space = TestSpace::new(geometry_of(&five_groups()).map_err(|e| e.errno())?)?;
        for group in 0..GROUPS {
            for bit in 0..METADATA {
                let _ = TestGroup(&space, group).claim(bit);
            }
        }
        Ok(space)
    }

    #[inline(never)]
    fn file() -> BlockAllocInfo {
        let mut info = BlockAllocInfo::new();
        info.ensure(Windowing::On);
        info
    }

    /// The first block and the number of blocks of an allocation, (0, 0) without space.
    #[inline(never)]
    fn get(
        space: &TestSpace,
        info: &mut BlockAllocInfo,
        goal: u32,
        count: u32,
    ) -> Result<(u32, u32)> {
        match allocate(&space, info, goal, count) {
            Ok(found) => Ok((found.blocks.first, found.blocks.count)),
            Err(ENOSPC) => Ok((0, 0)),
            Err(error) => Err(error),
        }
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

/// What a step of the workload does.
pub(crate) enum Action {
    Discard,
    Free(u32),
    /// Without a goal, that is the block after the last one allocated.
    Allocate {
        goal: Option<u32>,
        count: u32,
    },
}

/// A step of the workload.
pub(crate) struct Step {
    pub(crate) file: usize,
    pub(crate) action: Action,
}

/// A workload of 4000 steps on four files.
pub(crate) struct Workload {
    random: crate::disk::test_images::Random,
    left: u32,
}

impl Workload {
    pub(crate) fn new() -> Self {
        Self {
            random: crate::disk::test_images::Random::new(73),
            left: 4000,
        }
    }
}

impl Iterator for Workload {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        self.left = self.left.checked_sub(1)?;
        let random = &mut self.random;
        let file = random.below(4) as usize;
        let action = match random.below(16) {
            0 => Action::Discard,
            1..=7 => Action::Free(random.below((GROUPS * GROUP).into()) as u32),
            kind => Action::Allocate {
                goal: (kind == 8).then(|| random.below((GROUPS * GROUP).into()) as u32),
                count: 1 + (random.below(64) >> random.below(7)) as u32,
            },
        };
        Some(Step { file, action })
    }
}

/// A digest of allocations, FNV-1a.
pub(crate) struct Digest {
    value: u64,
    last: u32,
}

impl Digest {
    pub(crate) fn new() -> Self {
        Self {
            value: 0xcbf2_9ce4_8422_2325,
            last: 0,
        }
    }

    /// Adds an allocation.
    pub(crate) fn add(&mut self, first: u32, count: u32) {
        for number in [first, count] {
            self.value = (self.value ^ u64::from(number)).wrapping_mul(0x100_0000_01b3);
        }
        self.last = first + count;
    }

    /// The block after the last one allocated.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    pub(crate) fn value(&self) -> u64 {
        self.value
    }
}
