// SPDX-License-Identifier: GPL-2.0

//! Which groups have a copy of the superblock, and where that puts the group descriptors.
//!
//! Three features decide: `sparse_super`, which C knows; `sparse_super2`, which e2fsprogs and ext4
//! know, and which C ext2 mounts as if it changed nothing, for it is a compatible one; `meta_bg`,
//! by which most descriptors lie in groups of their own.
//!
//! C counterparts: `ext2_bg_has_super()`, `ext2_bg_num_gdb()`, and those of ext4.
//!
//! Locks: none, these are plain values.

use super::structures::{
    compat,
    ro_compat,
    SuperBlock, //
};
use kernel::prelude::*;

/// Which groups have a copy of the superblock and of the descriptors that follow it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Backups {
    /// Every group.
    All,
    /// Groups 0 and 1, and those whose number is a power of 3, 5 or 7: `sparse_super`.
    Sparse,
    /// Group 0, and these two, of which 0 means none: `sparse_super2`.
    Two([u32; 2]),
}

impl Backups {
    /// What the superblock says. As in e2fsprogs, `sparse_super2` goes before `sparse_super`.
    pub(crate) fn of(sb: &SuperBlock) -> Self {
        if sb.feature_compat.get() & compat::SPARSE_SUPER2 != 0 {
            Self::Two(sb.backup_bgs.map(|group| group.get()))
        } else if sb.feature_ro_compat.get() & ro_compat::SPARSE_SUPER != 0 {
            Self::Sparse
        } else {
            Self::All
        }
    }

    /// Whether `group` has them.
    pub(crate) fn has(self, group: u32) -> bool {
        match self {
            Self::All => true,
            Self::Sparse => {
                group <= 1 || [3u32, 5, 7].into_iter().any(|base| is_power(group, base))
            }
            Self::Two(groups) => group == 0 || groups.contains(&group),
        }
    }

    /// How many of the first `groups` groups have them.
    pub(crate) fn among_first(self, groups: u32) -> u64 {
        let powers = |base| powers_below(base, groups.into());

        match self {
            Self::All => groups.into(),
            Self::Sparse => u64::from(groups.min(2)) + powers(3) + powers(5) + powers(7),
            Self::Two([first, second]) => {
                let counts = |group: u32| u64::from(group != 0 && group < groups);
                let twice = first == second;

                u64::from(groups.min(1)) + counts(first) + if twice { 0 } else { counts(second) }
            }
        }
    }
}

/// What of a filesystem decides where copies of its descriptors are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DescriptorCopies {
    /// Which groups have a copy of the superblock.
    pub(crate) backups: Backups,
    /// All groups.
    pub(crate) groups: u32,
    /// How many descriptors a block holds: as many groups are a meta group.
    pub(crate) per_block: u32,
    /// How many blocks of descriptors follow the superblock.
    pub(crate) leading: u32,
}

impl DescriptorCopies {
    /// Blocks of copies of superblocks and descriptors, those in use included.
    ///
    /// Where descriptors follow the superblock they do so in the groups of their own meta groups
    /// only; each meta group after these has its block of descriptors in its first two groups and
    /// in its last.
    pub(crate) fn blocks(&self) -> u64 {
        let led = self.groups.min(self.leading.saturating_mul(self.per_block));
        let rest = self.groups - led;
        let last = rest.checked_rem(self.per_block).unwrap_or(0);
        let whole = rest.checked_div(self.per_block).unwrap_or(0);

        self.backups.among_first(self.groups)
            + self.backups.among_first(led) * u64::from(self.leading)
            + u64::from(whole) * 3
            + u64::from(last.min(2))
    }
}

/// Whether `number` is a power of `base`, the first power or a higher one.
fn is_power(number: u32, base: u32) -> bool {
    let mut power = u64::from(base);
    while power < u64::from(number) {
        power *= u64::from(base);
    }
    power == u64::from(number)
}

/// How many powers of `base`, from the first on, are less than `limit`.
fn powers_below(base: u64, limit: u64) -> u64 {
    let mut count = 0;
    let mut power = base;
    while power < limit {
        count += 1;
        power = power.saturating_mul(base);
    }
    count
}

#[kunit_tests(rust_ext2_backups)]
mod tests {
    use super::*;
    use crate::disk::{
        structures::Le32,
        test_images::{
            large,
            Random, //
        },
    };

    const TWO: [[u32; 2]; 7] = [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 11],
        [5, 5],
        [2, u32::MAX],
        [63, 64],
    ];

    #[test]
    fn which_feature_decides() {
        let mut sb = large();
        sb.backup_bgs = [Le32::new(1), Le32::new(63)];

        assert_eq!(Backups::of(&sb), Backups::Sparse);
        sb.feature_ro_compat.set(0);
        assert_eq!(Backups::of(&sb), Backups::All);
        sb.feature_compat.set(compat::SPARSE_SUPER2);
        assert_eq!(Backups::of(&sb), Backups::Two([1, 63]));
        sb.feature_ro_compat.set(ro_compat::SPARSE_SUPER);
        assert_eq!(Backups::of(&sb), Backups::Two([1, 63]));
    }

    #[test]
    fn sparse_super2_has_two_backups() {
        let with = |two| {
            let mut found = [u32::MAX; 4];
            let groups = (0..100).filter(|&group| Backups::Two(two).has(group));
            for (to, group) in found.iter_mut().zip(groups) {
                *to = group;
            }
            found
        };

        assert_eq!(with([0, 0]), [0, u32::MAX, u32::MAX, u32::MAX]);
        assert_eq!(with([1, 99]), [0, 1, 99, u32::MAX]);
        assert_eq!(with([7, 7]), [0, 7, u32::MAX, u32::MAX]);
    }

    #[test]
    fn counting_is_what_asking_each_is() {
        let kinds = TWO.map(Backups::Two);

        for backups in Iterator::chain(kinds.into_iter(), [Backups::All, Backups::Sparse]) {
            for groups in [0u32, 1, 2, 3, 4, 8, 10, 64, 65, 130, 700] {
                let asked = (0..groups).filter(|&group| backups.has(group)).count();
                assert_eq!(backups.among_first(groups), asked as u64);
            }
        }
    }

    /// Blocks of copies, group by group, as e2fsprogs goes about it.
    fn by_group(copies: &DescriptorCopies) -> u64 {
        (0..copies.groups)
            .map(|group| {
                let copy = u64::from(copies.backups.has(group));
                let place = group % copies.per_block;
                if group / copies.per_block < copies.leading {
                    copy * (1 + u64::from(copies.leading))
                } else {
                    copy + u64::from(place <= 1 || place == copies.per_block - 1)
                }
            })
            .sum()
    }

    #[test]
    fn copies_of_descriptors() {
        let mut random = Random::new(18);

        for round in 0..300 {
            let groups = 1 + random.below(500) as u32;
            let per_block = 32 << random.below(3);
            let descriptor_blocks = groups.div_ceil(per_block);
            let copies = DescriptorCopies {
                backups: match round % 3 {
                    0 => Backups::All,
                    1 => Backups::Sparse,
                    _ => Backups::Two([random.below(9) as u32, groups - 1]),
                },
                groups,
                per_block,
                leading: random.below(u64::from(descriptor_blocks) + 1) as u32,
            };
            assert_eq!(copies.blocks(), by_group(&copies));
        }
    }
}
