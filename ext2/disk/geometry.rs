// SPDX-License-Identifier: GPL-2.0

//! Where everything is in an ext2 filesystem.
//!
//! A [`Geometry`] is made once, at mount, from the superblock and the size of the device. Making it
//! is where the numbers in the superblock are checked: against each other, against the device and
//! against what the format allows, so that no later computation can overflow, divide by zero or
//! leave the filesystem. Nothing reads these numbers from the superblock again.
//!
//! `ext2_fill_super()` is the C counterpart. Checked here beyond what C checks: the first data
//! block (C subtracts it unchecked), the first inode, the first meta group, that the superblock and
//! all group descriptors are inside the filesystem, and that descriptors leave room in their group.
//!
//! Left out: reading, and everything that changes while mounted. What each group holds is in
//! [`layout`](crate::groups::layout), what mounting makes of the superblock's state in
//! [`mount_state`](crate::mount::mount_state).
//!
//! Locks: none, a geometry never changes.

use super::{
    backups::{
        Backups,
        DescriptorCopies, //
    },
    block_size::BlockSize,
    geometry_error::{
        BadBlocks,
        BadBlocksReason,
        BadInodeNumber,
        GeometryError, //
    },
    structures::{
        self,
        GroupDescriptor,
        SuperBlock, //
    },
    super_check::{
        self,
        SuperBlockLocation, //
    },
};
use kernel::prelude::*;

/// Where an inode is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InodeLocation {
    /// The group that the inode belongs to.
    pub(crate) group: u32,
    /// The inode's index in the group, its bit in the inode bitmap.
    pub(crate) index: u32,
    /// Blocks from the start of the group's inode table; less than
    /// [`Geometry::inode_table_blocks`].
    pub(crate) table_block: u32,
    /// Where in that block the inode starts, in bytes.
    pub(crate) offset: u32,
}

/// The layout of a filesystem; the constant part of `struct ext2_sb_info`.
///
/// # Invariants
///
/// All that [`Geometry::new`] checks. In particular: no divisor is 0, `groups_count` groups of
/// `blocks_per_group` blocks from `first_data_block` on just cover `blocks_count` blocks, which are
/// all on the device, and `inodes_count` is that of all groups together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    size: BlockSize,
    blocks_count: u32,
    first_data_block: u32,
    blocks_per_group: u32,
    groups_count: u32,
    inodes_count: u32,
    inodes_per_group: u32,
    inode_table_blocks: u32,
    inode_size: u32,
    first_ino: u32,
    /// The block of the superblock in use, primary or backup.
    super_block: u32,
    /// All blocks of group descriptors.
    descriptor_blocks: u32,
    /// Those of them that follow the superblock, rather than lie in their own meta groups.
    leading_descriptor_blocks: u32,
    /// Which groups have a copy of the superblock.
    backups: Backups,
    /// Whether directory entries record the type of the inode.
    filetype: bool,
}

impl Geometry {
    /// Checks `sb`, which was read from `location` of a device of `device_blocks` blocks of the
    /// filesystem's block size.
    pub(crate) fn new(
        sb: &SuperBlock,
        location: SuperBlockLocation,
        device_blocks: u64,
    ) -> Result<Self, GeometryError> {
        let size = super_check::block_size(sb)?;

        let (log_frag, log_block) = (sb.log_frag_size.get(), sb.log_block_size.get());
        if log_frag != log_block {
            return Err(GeometryError::FragmentSize {
                log_frag,
                log_block,
            });
        }

        let (inode_size, first_ino) = super_check::inode_format(sb, size)?;
        let inodes_per_group = super_check::inodes_per_group(sb, size, inode_size)?;
        // C rounds down, which leaves the last inodes of a group outside its inode table.
        let inode_table_blocks = inodes_per_group.div_ceil(size.bytes() / inode_size);
        let (blocks_per_group, groups_count) = super_check::groups(sb, size, device_blocks)?;

        let inodes_count = sb.inodes_count.get();
        let computed = u64::from(groups_count) * u64::from(inodes_per_group);
        if computed != u64::from(inodes_count) {
            return Err(GeometryError::InodesCount {
                inodes_count,
                computed,
            });
        }
        if first_ino < structures::revision::GOOD_OLD_FIRST_INO || first_ino > inodes_count {
            return Err(GeometryError::FirstInode {
                first_ino,
                inodes_count,
            });
        }

        let descriptor_blocks = groups_count.div_ceil(descriptors_per_block(size));
        let leading_descriptor_blocks =
            super_check::leading_descriptor_blocks(sb, descriptor_blocks)?;
        // A superblock, the descriptors, two bitmaps and the inode table. C reckons with one block
        // of descriptors.
        let needed =
            3 + u64::from(inode_table_blocks) + u64::from(leading_descriptor_blocks.max(1));
        if u64::from(blocks_per_group) < needed {
            return Err(GeometryError::GroupTooSmall {
                blocks_per_group,
                needed,
            });
        }

        // INVARIANT: All checked above, but for the place of the descriptors, which follows.
        Self {
            size,
            blocks_count: sb.blocks_count.get(),
            first_data_block: sb.first_data_block.get(),
            blocks_per_group,
            groups_count,
            inodes_count,
            inodes_per_group,
            inode_table_blocks,
            inode_size,
            first_ino,
            super_block: u32::try_from(location.block).unwrap_or(u32::MAX),
            descriptor_blocks,
            leading_descriptor_blocks,
            backups: Backups::of(sb),
            filetype: sb.feature_incompat.get() & structures::incompat::FILETYPE != 0,
        }
        .check_descriptors_inside()
    }

    /// Checks that the superblock and the group descriptors are inside the filesystem.
    ///
    /// The places of descriptor blocks only grow within each of the two kinds, so the last of each
    /// is looked at.
    fn check_descriptors_inside(self) -> Result<Self, GeometryError> {
        let super_block = u64::from(self.super_block);
        let last_leading = super_block + u64::from(self.leading_descriptor_blocks);
        let last = self
            .descriptor_blocks
            .checked_sub(1)
            .map_or(last_leading, |nr| self.descriptor_block_unchecked(nr));

        for block in [super_block, last_leading, last] {
            if block >= u64::from(self.blocks_count) {
                return Err(GeometryError::DescriptorsOutside {
                    block,
                    blocks_count: self.blocks_count,
                });
            }
        }
        Ok(self)
    }

    /// The block size.
    pub(crate) fn block_size(&self) -> BlockSize {
        self.size
    }

    /// Blocks in the filesystem, `s_blocks_count`.
    pub(crate) fn blocks_count(&self) -> u32 {
        self.blocks_count
    }

    /// Where group 0 starts, `s_first_data_block`: 1 with blocks of 1 KiB, else 0.
    pub(crate) fn first_data_block(&self) -> u32 {
        self.first_data_block
    }

    /// Blocks in every group but the last, `s_blocks_per_group`.
    pub(crate) fn blocks_per_group(&self) -> u32 {
        self.blocks_per_group
    }

    /// Groups in the filesystem, `s_groups_count`.
    pub(crate) fn groups_count(&self) -> u32 {
        self.groups_count
    }

    /// Inodes in the filesystem, the last one's number; `s_inodes_count`.
    pub(crate) fn inodes_count(&self) -> u32 {
        self.inodes_count
    }

    /// Inodes in every group, `s_inodes_per_group`.
    pub(crate) fn inodes_per_group(&self) -> u32 {
        self.inodes_per_group
    }

    /// Blocks in the inode table of every group, `s_itb_per_group`.
    pub(crate) fn inode_table_blocks(&self) -> u32 {
        self.inode_table_blocks
    }

    /// Size of an inode in bytes, `s_inode_size`.
    pub(crate) fn inode_size(&self) -> u32 {
        self.inode_size
    }

    /// The first inode that is not reserved, `s_first_ino`.
    pub(crate) fn first_ino(&self) -> u32 {
        self.first_ino
    }

    /// The block that holds the superblock in use.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn super_block(&self) -> u32 {
        self.super_block
    }

    /// Where copies of the superblock and of group descriptors are.
    pub(crate) fn copies(&self) -> DescriptorCopies {
        DescriptorCopies {
            backups: self.backups,
            groups: self.groups_count,
            per_block: self.descriptors_per_block(),
            leading: self.leading_descriptor_blocks,
        }
    }

    /// Whether directory entries record the type of the inode, the feature `filetype`.
    pub(crate) fn has_filetype(&self) -> bool {
        self.filetype
    }

    /// Blocks of group descriptors, `s_gdb_count`.
    pub(crate) fn descriptor_blocks(&self) -> u32 {
        self.descriptor_blocks
    }

    /// How many group descriptors a block holds, `s_desc_per_block`.
    pub(crate) fn descriptors_per_block(&self) -> u32 {
        descriptors_per_block(self.size)
    }

    /// Where descriptor block `nr` is; `None` if there are not so many. `descriptor_loc()`.
    ///
    /// With the feature `meta_bg`, blocks from the first meta group on lie in their own groups, and
    /// that copy is used even if the superblock is a backup.
    pub(crate) fn descriptor_block(&self, nr: u32) -> Option<u32> {
        if nr >= self.descriptor_blocks {
            return None;
        }
        u32::try_from(self.descriptor_block_unchecked(nr)).ok()
    }

    /// As [`descriptor_block`](Self::descriptor_block), for any number.
    fn descriptor_block_unchecked(&self, nr: u32) -> u64 {
        if nr < self.leading_descriptor_blocks {
            return u64::from(self.super_block) + 1 + u64::from(nr);
        }

        let group = u64::from(nr) * u64::from(self.descriptors_per_block());
        let first =
            u64::from(self.first_data_block) + group.saturating_mul(self.blocks_per_group.into());
        first + u64::from(self.has_super(u32::try_from(group).unwrap_or(u32::MAX)))
    }

    /// Whether `group` has a copy of the superblock and of the leading descriptors,
    /// `ext2_bg_has_super()`.
    pub(crate) fn has_super(&self, group: u32) -> bool {
        self.backups.has(group)
    }

    /// The first block of `group`, `ext2_group_first_block_no()`; `None` if there is no such group.
    pub(crate) fn group_first_block(&self, group: u32) -> Option<u32> {
        if group >= self.groups_count {
            return None;
        }
        group
            .checked_mul(self.blocks_per_group)?
            .checked_add(self.first_data_block)
    }

    /// The last block of `group`, `ext2_group_last_block_no()`; `None` if there is no such group.
    pub(crate) fn group_last_block(&self, group: u32) -> Option<u32> {
        let first = u64::from(self.group_first_block(group)?);
        let end = first + u64::from(self.blocks_per_group);

        u32::try_from(end.min(self.blocks_count.into()).checked_sub(1)?).ok()
    }

    /// The group that `block` belongs to; `None` if it is in none.
    pub(crate) fn group_of_block(&self, block: u32) -> Option<u32> {
        if block >= self.blocks_count {
            return None;
        }
        block
            .checked_sub(self.first_data_block)?
            .checked_div(self.blocks_per_group)
    }

    /// Where inode `ino` is.
    ///
    /// Refuses what `ext2_get_inode()` refuses: numbers that the filesystem has not, and reserved
    /// ones but that of the root directory.
    pub(crate) fn inode_location(&self, ino: u32) -> Result<InodeLocation, BadInodeNumber> {
        let bad = BadInodeNumber {
            ino,
            inodes_count: self.inodes_count,
        };
        if (ino < self.first_ino && ino != structures::ino::ROOT) || ino > self.inodes_count {
            return Err(bad);
        }

        let nr = ino.checked_sub(1).ok_or(bad)?;
        let index = nr % self.inodes_per_group;
        let per_block = self.size.bytes() / self.inode_size;
        Ok(InodeLocation {
            group: nr / self.inodes_per_group,
            index,
            table_block: index / per_block,
            offset: index % per_block * self.inode_size,
        })
    }

    /// Checks that `count` blocks from `start` on may hold data, indirect blocks or attributes:
    /// that they are in the filesystem, and not the superblock or group descriptors in use.
    ///
    /// Every block number from disk goes through this. `ext2_data_block_valid()`, which knows of
    /// the superblock only; bitmaps and inode tables are
    /// [`GroupLayout`](crate::groups::layout::GroupLayout)'s to check.
    #[inline]
    pub(crate) fn check_data_blocks(&self, start: u32, count: u32) -> Result<(), BadBlocks> {
        let bad = |reason| BadBlocks {
            start,
            count,
            reason,
        };
        let end = u64::from(start) + u64::from(count);
        if count == 0 || start <= self.first_data_block || end > u64::from(self.blocks_count) {
            return Err(bad(BadBlocksReason::Outside));
        }

        if self.all_descriptors_lead()
            && start
                > self
                    .super_block
                    .saturating_add(self.leading_descriptor_blocks)
        {
            return Ok(());
        }
        match self.metadata_among(start, end) {
            Some(reason) => Err(bad(reason)),
            None => Ok(()),
        }
    }

    /// Whether all group descriptors follow the superblock.
    #[inline(always)]
    fn all_descriptors_lead(&self) -> bool {
        self.leading_descriptor_blocks == self.descriptor_blocks
    }

    /// Whether the superblock or a group descriptor in use is among the blocks from `start` to
    /// before `end`, all of the filesystem.
    pub(crate) fn metadata_among(&self, start: u32, end: u64) -> Option<BadBlocksReason> {
        let start = u64::from(start);
        let super_block = u64::from(self.super_block);
        if start <= super_block && super_block < end {
            return Some(BadBlocksReason::SuperBlock);
        }
        if start <= super_block + u64::from(self.leading_descriptor_blocks) && super_block < end {
            return Some(BadBlocksReason::GroupDescriptors);
        }
        if self.all_descriptors_lead() {
            return None;
        }

        let meta_group_of = |block: u64| {
            let group = block.saturating_sub(self.first_data_block.into())
                / u64::from(self.blocks_per_group);
            (group / u64::from(self.descriptors_per_block())) as u32
        };
        let first = meta_group_of(start).max(self.leading_descriptor_blocks);
        let last = meta_group_of(end.saturating_sub(1)).min(self.descriptor_blocks - 1);
        (first..=last)
            .any(|nr| (start..end).contains(&self.descriptor_block_unchecked(nr)))
            .then_some(BadBlocksReason::GroupDescriptors)
    }
}

/// How many group descriptors a block holds.
fn descriptors_per_block(size: BlockSize) -> u32 {
    size.bytes() / size_of::<GroupDescriptor>() as u32
}
