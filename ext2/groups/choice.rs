// SPDX-License-Identifier: GPL-2.0

//! Which group a new inode goes to.
//!
//! Directories at the top are spread over the disk; those below stay near their parents unless the
//! group there is crowded (Orlov's allocator), and files stay in the groups of their directories,
//! near the blocks that they will get. The mount option `oldalloc` gives each directory the
//! emptiest group instead.
//!
//! The numbers that this decides with are approximate and can change at once, so the group that is
//! chosen may turn out to be full.
//!
//! C counterparts: `find_group_orlov()`, `find_group_dir()`, `find_group_other()`.
//!
//! Locks: none.

use crate::disk::geometry::Geometry;
use core::cmp;
use kernel::prelude::*;

/// The debt of a group that an inode is worth.
const INODE_COST: i64 = 64;

/// The least that a directory is reckoned to need, in blocks.
const BLOCK_COST: i64 = 256;

/// The most debt that a group runs up.
pub(crate) const MAX_DEBT: u32 = 255;

/// What is known about each group.
pub(crate) trait GroupCounts {
    /// Free inodes in the group.
    fn free_inodes(&self, group: u32) -> u32;

    /// Free blocks in the group.
    fn free_blocks(&self, group: u32) -> u32;

    /// Directories in the group.
    fn directories(&self, group: u32) -> u32;

    /// Directories that the group got lately, less files.
    fn debt(&self, group: u32) -> u32;
}

/// What is known about the filesystem as a whole, approximately.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Totals {
    /// Free inodes.
    pub(crate) free_inodes: u64,
    /// Free blocks.
    pub(crate) free_blocks: u64,
    /// Directories.
    pub(crate) directories: u64,
}

/// Where a directory is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parent {
    /// At the top, so what is in it has nothing to do with each other: the root directory, and
    /// those with the flag `EXT2_TOPDIR_FL`.
    Top {
        /// The group to begin at, a random one.
        start: u32,
    },
    /// In this group, below another.
    Group(u32),
}

/// The groups of a filesystem, to choose from.
pub(crate) struct Choice<'a, G> {
    geometry: &'a Geometry,
    groups: &'a G,
}

impl<'a, G: GroupCounts> Choice<'a, G> {
    /// A choice among `groups`.
    pub(crate) fn new(geometry: &'a Geometry, groups: &'a G) -> Self {
        Self { geometry, groups }
    }

    /// The group for a new directory, by Orlov's rules. C: `find_group_orlov()`.
    pub(crate) fn for_directory(&self, parent: Parent, totals: &Totals) -> Option<u32> {
        let average = totals.free_inodes / u64::from(self.geometry.groups_count());

        let (start, found) = match parent {
            Parent::Top { start } => (start, self.least_directories(start, totals)),
            Parent::Group(group) => (group, self.not_crowded(group, totals)),
        };
        found
            .or_else(|| self.with_free_inodes(start, average))
            // The totals are approximate, so there may be no group that reaches the average.
            .or_else(|| self.with_free_inodes(start, 0))
    }

    /// Of the groups with no less than average room, that with the fewest directories.
    fn least_directories(&self, start: u32, totals: &Totals) -> Option<u32> {
        let groups = u64::from(self.geometry.groups_count());
        let average_inodes = totals.free_inodes / groups;
        let average_blocks = totals.free_blocks / groups;
        let mut least = self.geometry.inodes_per_group();
        let mut found = None;

        for group in self.around(start) {
            let free_inodes = self.groups.free_inodes(group);
            let directories = self.groups.directories(group);
            if free_inodes > 0
                && directories < least
                && u64::from(free_inodes) >= average_inodes
                && u64::from(self.groups.free_blocks(group)) >= average_blocks
            {
                least = directories;
                found = Some(group);
            }
        }
        found
    }

    /// The parent's group or the next one after it that has room and not too many directories.
    fn not_crowded(&self, start: u32, totals: &Totals) -> Option<u32> {
        let geometry = self.geometry;
        let limits = Limits::new(geometry, totals);

        self.around(start).find(|&group| {
            let free_inodes = self.groups.free_inodes(group);
            free_inodes > 0
                && i64::from(self.groups.debt(group)) < limits.max_debt
                && i64::from(self.groups.directories(group)) < limits.max_directories
                && i64::from(free_inodes) >= limits.min_inodes
                && i64::from(self.groups.free_blocks(group)) >= limits.min_blocks
        })
    }

    /// The first group from `start` on with a free inode, and no fewer than `least`.
    fn with_free_inodes(&self, start: u32, least: u64) -> Option<u32> {
        self.around(start).find(|&group| {
            let free = self.groups.free_inodes(group);
            free > 0 && u64::from(free) >= least
        })
    }

    /// The group for a new directory by the rules of before Orlov: of those with no fewer free
    /// inodes than the average, that with the most free blocks. C: `find_group_dir()`.
    pub(crate) fn for_directory_old(&self) -> Option<u32> {
        let groups = self.geometry.groups_count();
        let free: u64 = (0..groups)
            .map(|group| u64::from(self.groups.free_inodes(group)))
            .sum();
        let average = free / u64::from(groups);
        let mut most = None;

        for group in 0..groups {
            let free_inodes = self.groups.free_inodes(group);
            let free_blocks = self.groups.free_blocks(group);
            if free_inodes > 0
                && u64::from(free_inodes) >= average
                && most.is_none_or(|(_, blocks)| free_blocks > blocks)
            {
                most = Some((group, free_blocks));
            }
        }
        most.map(|(group, _)| group)
    }

    /// The group for anything but a directory, in the directory `parent_ino` of group `parent`.
    /// C: `find_group_other()`.
    pub(crate) fn for_file(&self, parent: u32, parent_ino: u32) -> Option<u32> {
        let groups = self.geometry.groups_count();
        let roomy =
            |group: u32| self.groups.free_inodes(group) > 0 && self.groups.free_blocks(group) > 0;
        if roomy(parent) {
            return Some(parent);
        }

        // Files of one directory together, but those of the parent's neighbours elsewhere.
        let mut group = parent.wrapping_add(parent_ino).checked_rem(groups)?;
        let mut step = 1;
        while step < groups {
            group = (group + step).checked_rem(groups)?;
            if roomy(group) {
                return Some(group);
            }
            step = step.saturating_mul(2);
        }
        self.around((parent + 1).checked_rem(groups)?)
            .find(|&group| self.groups.free_inodes(group) > 0)
    }

    /// All groups, from `start` on.
    fn around(&self, start: u32) -> impl Iterator<Item = u32> {
        let groups = self.geometry.groups_count();
        Iterator::chain(start..groups, 0..cmp::min(start, groups))
    }
}

/// What makes a group too crowded for another directory.
struct Limits {
    max_debt: i64,
    max_directories: i64,
    min_inodes: i64,
    min_blocks: i64,
}

impl Limits {
    fn new(geometry: &Geometry, totals: &Totals) -> Self {
        let groups = i64::from(geometry.groups_count());
        let per_group = |total: u64| (total as i64).max(0) / groups;
        let inodes_per_group = i64::from(geometry.inodes_per_group());
        let blocks_per_group = i64::from(geometry.blocks_per_group());

        let directories = (totals.directories as i64).max(1);
        let used = u64::from(geometry.blocks_count()).saturating_sub(totals.free_blocks) as i64;
        let blocks_per_directory = used / directories;
        let max_debt = (blocks_per_group / blocks_per_directory.max(BLOCK_COST))
            .min(debt_of_inodes(inodes_per_group))
            .clamp(1, MAX_DEBT.into());

        Self {
            max_debt,
            max_directories: directories / groups + inodes_per_group / 16,
            min_inodes: per_group(totals.free_inodes) - inodes_per_group / 4,
            min_blocks: per_group(totals.free_blocks) - blocks_per_group / 4,
        }
    }
}

/// The most debt that a group with so many inodes can bear.
fn debt_of_inodes(inodes_per_group: i64) -> i64 {
    inodes_per_group / INODE_COST
}

#[kunit_tests(rust_ext2_group_choice)]
mod tests {
    use super::*;
    use crate::disk::test_images::{
        geometry_of,
        large, //
    };

    /// Free inodes, free blocks, directories and debt of each group; large() has 64.
    struct Groups([(u32, u32, u32, u32); 64]);

    impl Groups {
        fn get(&self, group: u32) -> (u32, u32, u32, u32) {
            self.0.get(group as usize).copied().unwrap_or_default()
        }

        fn set(&mut self, group: usize, counts: (u32, u32, u32, u32)) {
            if let Some(slot) = self.0.get_mut(group) {
                *slot = counts;
            }
        }
    }

    impl GroupCounts for Groups {
        fn free_inodes(&self, group: u32) -> u32 {
            self.get(group).0
        }

        fn free_blocks(&self, group: u32) -> u32 {
            self.get(group).1
        }

        fn directories(&self, group: u32) -> u32 {
            self.get(group).2
        }

        fn debt(&self, group: u32) -> u32 {
            self.get(group).3
        }
    }

    const EMPTY: (u32, u32, u32, u32) = (8000, 32000, 1, 0);
    const FULL: (u32, u32, u32, u32) = (0, 32000, 0, 0);
    const TOTALS: Totals = Totals {
        free_inodes: 64 * 8000,
        free_blocks: 64 * 32000,
        directories: 64,
    };

    #[test]
    fn files_stay_with_their_directory() -> Result {
        let geometry = geometry_of(&large()).map_err(|e| e.errno())?;
        let mut groups = Groups([EMPTY; 64]);
        assert_eq!(Choice::new(&geometry, &groups).for_file(7, 100), Some(7));

        // The hash begins at (7 + 100) % 64 = 43 and looks at 44, 46, 50, 58, 10 and 42.
        groups.set(7, FULL);
        assert_eq!(Choice::new(&geometry, &groups).for_file(7, 100), Some(44));
        for group in [44, 46, 50, 58, 10] {
            groups.set(group, (10, 0, 0, 0));
        }
        assert_eq!(Choice::new(&geometry, &groups).for_file(7, 100), Some(42));
        // Then any with a free inode, be there blocks or not.
        let mut groups = Groups([FULL; 64]);
        groups.set(6, (1, 0, 0, 0));
        assert_eq!(Choice::new(&geometry, &groups).for_file(7, 100), Some(6));
        groups.set(6, FULL);
        assert_eq!(Choice::new(&geometry, &groups).for_file(7, 100), None);
        Ok(())
    }

    #[test]
    fn directories_at_the_top_are_spread() -> Result {
        let geometry = geometry_of(&large()).map_err(|e| e.errno())?;
        let mut groups = Groups([EMPTY; 64]);
        let top = Parent::Top { start: 60 };
        assert_eq!(
            Choice::new(&geometry, &groups).for_directory(top, &TOTALS),
            Some(60)
        );

        // Fewest directories; but not where there is less room than average.
        groups.set(2, (8000, 31999, 0, 0));
        groups.set(3, (7999, 32000, 0, 0));
        groups.set(5, (8000, 32000, 0, 0));
        groups.set(6, (8000, 32000, 0, 0));
        assert_eq!(
            Choice::new(&geometry, &groups).for_directory(top, &TOTALS),
            Some(5)
        );
        // With nowhere average room, where there are inodes.
        let mut groups = Groups([FULL; 64]);
        groups.set(1, (20, 0, 0, 0));
        assert_eq!(
            Choice::new(&geometry, &groups).for_directory(top, &TOTALS),
            Some(1)
        );
        groups.set(1, FULL);
        assert_eq!(
            Choice::new(&geometry, &groups).for_directory(top, &TOTALS),
            None
        );
        Ok(())
    }

    #[test]
    fn directories_below_stay_near_unless_it_is_crowded() -> Result {
        let geometry = geometry_of(&large()).map_err(|e| e.errno())?;
        let parent = Parent::Group(9);
        let choose = |counts| {
            let mut groups = Groups([EMPTY; 64]);
            groups.set(9, counts);
            Choice::new(&geometry, &groups).for_directory(parent, &TOTALS)
        };

        assert_eq!(choose(EMPTY), Some(9));
        // The blocks in use are 49152, 768 for each directory: a debt of 32768 / 768 = 42 at most.
        assert_eq!(choose((8000, 32000, 1, 41)), Some(9));
        assert_eq!(choose((8000, 32000, 1, 42)), Some(10));
        // Directories: one for each group, and 8192 / 16.
        assert_eq!(choose((8000, 32000, 512, 0)), Some(9));
        assert_eq!(choose((8000, 32000, 513, 0)), Some(10));
        // Inodes: at least the average of 8000, less 8192 / 4.
        assert_eq!(choose((5952, 32000, 1, 0)), Some(9));
        assert_eq!(choose((5951, 32000, 1, 0)), Some(10));
        // Blocks: at least 32000, less 32768 / 4.
        assert_eq!(choose((8000, 23808, 1, 0)), Some(9));
        assert_eq!(choose((8000, 23807, 1, 0)), Some(10));
        Ok(())
    }

    #[test]
    fn the_old_allocator_takes_the_emptiest() -> Result {
        let geometry = geometry_of(&large()).map_err(|e| e.errno())?;
        let mut groups = Groups([EMPTY; 64]);
        assert_eq!(Choice::new(&geometry, &groups).for_directory_old(), Some(0));

        groups.set(8, (8100, 32001, 9, 0));
        groups.set(9, (7000, 32002, 0, 0));
        groups.set(10, (8100, 32001, 0, 0));
        assert_eq!(Choice::new(&geometry, &groups).for_directory_old(), Some(8));
        let groups = Groups([FULL; 64]);
        assert_eq!(Choice::new(&geometry, &groups).for_directory_old(), None);
        Ok(())
    }
}
