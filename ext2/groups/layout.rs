// SPDX-License-Identifier: GPL-2.0

//! What a block group holds, as its descriptor says.
//!
//! A [`GroupLayout`] is a descriptor whose block numbers have been checked against the
//! [`Geometry`]: the bitmaps and the inode table are inside the group, apart from each other and
//! from the superblock and descriptors in use. `ext2_check_descriptors()` is the C counterpart; it
//! does not look for overlaps.
//!
//! The free counts are not checked: they are hints, wrong after any crash, and no block is read
//! because of them.
//!
//! Locks: none. A descriptor's block numbers never change; its counts do, and a layout has none.

use crate::disk::{
    geometry::Geometry,
    geometry_error::BadBlocksReason,
    GroupDescriptor, //
};
use core::ops::Range;
use kernel::{
    fmt,
    prelude::*, //
};

/// How many blocks of an inode table are read at once at most. C: the default of ext4's
/// `inode_readahead_blks`.
const TABLE_BLOCKS_AT_ONCE: u32 = 32;

/// Where the parts of a group are, in blocks of the filesystem.
///
/// # Invariants
///
/// The group is one of the filesystem's, and the two bitmaps and the `table_blocks` blocks from
/// `inode_table` on are in it, and overlap neither each other nor the superblock and group
/// descriptors in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupLayout {
    block_bitmap: u32,
    inode_bitmap: u32,
    inode_table: u32,
    table_blocks: u32,
}

impl GroupLayout {
    /// Checks the descriptor of group `group`.
    pub(crate) fn new(
        geometry: &Geometry,
        group: u32,
        descriptor: &GroupDescriptor,
    ) -> Result<Self, GroupError> {
        let bad = |reason| GroupError { group, reason };
        let (Some(first), Some(last)) = (
            geometry.group_first_block(group),
            geometry.group_last_block(group),
        ) else {
            return Err(bad(GroupErrorReason::NoSuchGroup));
        };

        let table_blocks = geometry.inode_table_blocks();
        let parts = [
            (Part::BlockBitmap, descriptor.block_bitmap.get(), 1),
            (Part::InodeBitmap, descriptor.inode_bitmap.get(), 1),
            (Part::InodeTable, descriptor.inode_table.get(), table_blocks),
        ];
        for (part, block, count) in parts {
            let end = u64::from(block) + u64::from(count);

            if block < first || end > u64::from(last) + 1 {
                return Err(bad(GroupErrorReason::Outside { part, block }));
            }
            if let Some(over) = geometry.metadata_among(block, end) {
                return Err(bad(GroupErrorReason::OverDescriptors { part, block, over }));
            }
        }

        // INVARIANT: The first two parts of this were just checked, the third is by the call.
        Self {
            block_bitmap: descriptor.block_bitmap.get(),
            inode_bitmap: descriptor.inode_bitmap.get(),
            inode_table: descriptor.inode_table.get(),
            table_blocks,
        }
        .check_apart(group)
    }

    /// Checks that no part of the group overlaps another.
    fn check_apart(self, group: u32) -> Result<Self, GroupError> {
        let overlap = if self.block_bitmap == self.inode_bitmap {
            Some((Part::BlockBitmap, Part::InodeBitmap, self.block_bitmap))
        } else if self.in_inode_table(self.block_bitmap) {
            Some((Part::BlockBitmap, Part::InodeTable, self.block_bitmap))
        } else if self.in_inode_table(self.inode_bitmap) {
            Some((Part::InodeBitmap, Part::InodeTable, self.inode_bitmap))
        } else {
            None
        };

        match overlap {
            None => Ok(self),
            Some((part, other, block)) => Err(GroupError {
                group,
                reason: GroupErrorReason::Overlap { part, other, block },
            }),
        }
    }

    /// Block of the block bitmap.
    pub(crate) fn block_bitmap(&self) -> u32 {
        self.block_bitmap
    }

    /// Block of the inode bitmap.
    pub(crate) fn inode_bitmap(&self) -> u32 {
        self.inode_bitmap
    }

    /// Block `index` of the inode table; `None` if it has not so many.
    pub(crate) fn inode_table_block(&self, index: u32) -> Option<u32> {
        if index >= self.table_blocks {
            return None;
        }
        self.inode_table.checked_add(index)
    }

    /// The blocks that are read with block `index` of the inode table, itself among them: a part of
    /// the table of at most [`TABLE_BLOCKS_AT_ONCE`] blocks. C:
    /// `__ext4_get_inode_loc()`, whose parts begin at multiples of as many blocks of the device.
    pub(crate) fn inode_table_around(&self, index: u32) -> Range<u32> {
        let first = index - index % TABLE_BLOCKS_AT_ONCE;
        let end = first
            .saturating_add(TABLE_BLOCKS_AT_ONCE)
            .min(self.table_blocks);
        let block = |index: u32| self.inode_table.saturating_add(index);

        block(first)..block(end)
    }

    /// Whether any of the `count` blocks from `start` on is a bitmap or in the inode table.
    pub(crate) fn overlaps(&self, start: u32, count: u32) -> bool {
        let end = u64::from(start) + u64::from(count);
        let among = |first: u32, blocks: u32| {
            u64::from(first) < end && u64::from(start) < u64::from(first) + u64::from(blocks)
        };

        among(self.block_bitmap, 1)
            || among(self.inode_bitmap, 1)
            || among(self.inode_table, self.table_blocks)
    }

    fn in_inode_table(&self, block: u32) -> bool {
        block
            .checked_sub(self.inode_table)
            .is_some_and(|index| index < self.table_blocks)
    }
}

/// A part of a group that its descriptor locates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// The bitmap of blocks in use.
    BlockBitmap,
    /// The bitmap of inodes in use.
    InodeBitmap,
    /// The table of inodes.
    InodeTable,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::BlockBitmap => "block bitmap",
            Self::InodeBitmap => "inode bitmap",
            Self::InodeTable => "inode table",
        }
    }
}

/// What is wrong with a group descriptor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GroupErrorReason {
    /// The filesystem has no such group.
    NoSuchGroup,
    /// A part is not wholly in its group.
    Outside {
        /// Which part.
        part: Part,
        /// Where it starts.
        block: u32,
    },
    /// A part lies over the superblock or group descriptors.
    OverDescriptors {
        /// Which part.
        part: Part,
        /// Where it starts.
        block: u32,
        /// Over which of the two.
        over: BadBlocksReason,
    },
    /// Two parts overlap.
    Overlap {
        /// Which part.
        part: Part,
        /// The part that it overlaps.
        other: Part,
        /// A block that both have.
        block: u32,
    },
}

/// Which group descriptor is corrupt, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupError {
    /// The group.
    pub(crate) group: u32,
    /// What is wrong.
    pub(crate) reason: GroupErrorReason,
}

impl GroupError {
    /// `EUCLEAN`; C refuses the mount with `EINVAL`.
    pub(crate) fn errno(&self) -> Error {
        EUCLEAN
    }
}

impl fmt::Display for GroupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.group;

        match self.reason {
            GroupErrorReason::NoSuchGroup => write!(f, "there is no group {group}"),
            GroupErrorReason::Outside { part, block } => write!(
                f,
                "{} of group {group} is not in the group: block {block}",
                part.name()
            ),
            GroupErrorReason::OverDescriptors { part, block, over } => {
                let over = match over {
                    BadBlocksReason::SuperBlock => "the superblock",
                    _ => "group descriptors",
                };
                write!(
                    f,
                    "{} of group {group} is over {over}: block {block}",
                    part.name()
                )
            }
            GroupErrorReason::Overlap { part, other, block } => write!(
                f,
                "{} and {} of group {group} overlap: block {block}",
                part.name(),
                other.name()
            ),
        }
    }
}
