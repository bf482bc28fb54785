// SPDX-License-Identifier: GPL-2.0

//! The groups of a mounted filesystem: where the parts of each are, and how much is free in it.
//!
//! The counts are kept where they are on disk, in the buffers of the group descriptors, as in C: so
//! what e2fsck corrects in a filesystem that is mounted read-only is heeded when it is remounted.
//! The places of bitmaps and inode tables are those that were found and checked when mounting.
//!
//! C counterparts: `ext2_get_group_desc()`, `group_adjust_blocks()`, `ext2_count_free_blocks()`,
//! `s_debts` and the counters of `struct ext2_sb_info`.
//!
//! Locks: none; a count changes in one atomic step. C has a lock for each group.

#![deny(unsafe_code)]

use super::{
    choice::{
        GroupCounts,
        Totals,
        MAX_DEBT, //
    },
    count::{
        GroupCount,
        DESCRIPTOR_WORDS, //
    },
    layout::{
        GroupError,
        GroupLayout, //
    },
    space::{
        Space,
        Withdrawn, //
    },
};
use crate::disk::{
    geometry::{
        Geometry,
        InodeLocation, //
    },
    GroupDescriptor, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use rust_mpage::{
    block::plugged,
    fs::{
        Buffer,
        FileSystem,
        Level,
        NewSuperBlock,
        SuperBlock, //
    },
    percpu_counter::PercpuCounter, //
};
use zerocopy::FromZeros;

/// What is kept for each group.
struct Group {
    layout: GroupLayout,
    /// Directories that the group got lately, less files; see [`GroupCounts::debt`].
    debt: Atomic<u32>,
    /// Whether the block bitmap has been looked at.
    bitmap_checked: Atomic<bool>,
    /// Its free blocks that nobody can have.
    withdrawn: Withdrawn,
}

/// All groups.
pub(crate) struct GroupTable {
    groups: KVVec<Group>,
    /// The blocks of descriptors, which stay in memory.
    descriptors: KVVec<Buffer>,
    descriptors_per_block: usize,
}

impl GroupTable {
    /// Reads and checks all group descriptors. C: `ext2_check_descriptors()`.
    pub(crate) fn read<F: FileSystem>(
        sb: &NewSuperBlock<'_, F>,
        geometry: &Geometry,
    ) -> Result<Self> {
        let count = geometry.groups_count();
        let mut table = Self {
            // These grow with what is there, not with what the superblock says there is.
            groups: KVVec::new(),
            descriptors: KVVec::new(),
            descriptors_per_block: geometry.descriptors_per_block() as usize,
        };

        read_ahead(sb, geometry);
        for nr in 0..geometry.descriptor_blocks() {
            let block = geometry.descriptor_block(nr).ok_or(EUCLEAN)?;
            let buffer = sb.bread(block.into()).inspect_err(|_| {
                sb.message(
                    Level::Error,
                    fmt!("error: cannot read the group descriptors in block {block}"),
                )
            })?;
            let first = nr * geometry.descriptors_per_block();
            let last = count.min(first + geometry.descriptors_per_block());
            for group in first..last {
                let layout =
                    read_layout(&buffer, geometry, group, group - first)?.map_err(|e| {
                        sb.message(Level::Error, fmt!("error: {e}"));
                        e.errno()
                    })?;
                table.groups.push(
                    Group {
                        layout,
                        debt: Atomic::new(0),
                        bitmap_checked: Atomic::new(false),
                        withdrawn: Withdrawn::none(),
                    },
                    GFP_KERNEL,
                )?;
            }
            table.descriptors.push(buffer, GFP_KERNEL)?;
        }
        Ok(table)
    }

    /// Whether the descriptors still have everything where it was found when mounting.
    pub(crate) fn is_in_place(&self, geometry: &Geometry) -> bool {
        self.groups.iter().zip(0u32..).all(|(group, nr)| {
            let (block, index) = self.place(nr);
            self.descriptors.get(block).is_some_and(|buffer| {
                matches!(
                    read_layout(buffer, geometry, nr, index as u32),
                    Ok(Ok(layout)) if layout == group.layout
                )
            })
        })
    }

    /// Where the parts of a group are.
    pub(crate) fn layout(&self, group: u32) -> Option<&GroupLayout> {
        Some(&self.groups.get(group as usize)?.layout)
    }

    /// The block of the inode table that has an inode.
    pub(crate) fn inode_table_block(&self, location: &InodeLocation) -> Option<u32> {
        self.layout(location.group)?
            .inode_table_block(location.table_block)
    }

    /// The blocks of the inode table that are read with the one that has an inode.
    pub(crate) fn inode_table_around(&self, location: &InodeLocation) -> Range<u32> {
        self.layout(location.group).map_or(0..0, |layout| {
            layout.inode_table_around(location.table_block)
        })
    }

    /// Whether the group's block bitmap is looked at for the first time.
    pub(crate) fn is_bitmap_new(&self, group: u32) -> bool {
        self.groups.get(group as usize).is_some_and(|group| {
            // Mostly it has been: a look leaves the cache line with everybody.
            !group.bitmap_checked.load(Relaxed) && !group.bitmap_checked.xchg(true, Relaxed)
        })
    }

    /// Notes whether the group's block bitmap can be read, and so whether its free blocks can be
    /// had.
    #[inline]
    pub(crate) fn note_bitmap(&self, group: u32, is_readable: bool, space: &Space) {
        let Some(withdrawn) = self
            .groups
            .get(group as usize)
            .map(|group| &group.withdrawn)
        else {
            return;
        };
        match is_readable {
            true => withdrawn.give_back_to(space),
            false => withdrawn.take_from(space, self.count(group, GroupCount::FreeBlocks)),
        }
    }

    /// Takes it that all bitmaps can be read: somebody else may have repaired them.
    pub(crate) fn trust_bitmaps(&self, space: &Space) {
        for group in &self.groups {
            group.withdrawn.give_back_to(space);
        }
    }

    /// The groups whose bitmaps could not be read when they were wanted last and that had free
    /// blocks, from group `start` on and then from the first.
    pub(crate) fn unreadable_from(&self, start: u32) -> impl Iterator<Item = u32> + '_ {
        let all = 0..self.groups.len() as u32;
        let start = start.min(all.end);
        Iterator::chain(start..all.end, 0..start).filter(|&group| self.is_unreadable(group))
    }

    /// Whether the bitmap of a group could not be read when it was wanted last, and the group had
    /// free blocks.
    pub(crate) fn is_unreadable(&self, group: u32) -> bool {
        let group = self.groups.get(group as usize);
        group.is_some_and(|group| group.withdrawn.is_any())
    }

    /// The block and the index in it of a group's descriptor.
    fn place(&self, group: u32) -> (usize, usize) {
        let group = group as usize;
        (
            group.checked_div(self.descriptors_per_block).unwrap_or(0),
            group.checked_rem(self.descriptors_per_block).unwrap_or(0),
        )
    }

    /// A count of a group; 0 if there is no such group.
    pub(crate) fn count(&self, group: u32, count: GroupCount) -> u32 {
        let (block, index) = self.place(group);
        self.descriptors
            .get(block)
            .and_then(|buffer| buffer.le32(index * DESCRIPTOR_WORDS + count.word()))
            .map_or(0, |word| count.of(word))
    }

    /// A count of all groups together.
    pub(crate) fn sum(&self, count: GroupCount) -> u64 {
        (0..self.groups.len() as u32)
            .map(|group| u64::from(self.count(group, count)))
            .sum()
    }

    /// Changes a count of a group, in memory and, later, on disk.
    pub(crate) fn change<F: FileSystem>(
        &self,
        sb: &SuperBlock<F>,
        group: u32,
        count: GroupCount,
        by: i32,
    ) {
        let (block, index) = self.place(group);
        if let Some(buffer) = self.descriptors.get(block) {
            buffer.update_le32(index * DESCRIPTOR_WORDS + count.word(), |word| {
                Some(count.changed(word, by))
            });
            sb.mark_dirty(buffer);
        }
    }

    /// Takes note of a directory that was put into a group.
    pub(crate) fn run_up_debt(&self, group: u32) {
        self.change_debt(group, |debt| debt.saturating_add(1).min(MAX_DEBT));
    }

    /// Takes note of a file that was put into a group.
    pub(crate) fn pay_debt(&self, group: u32) {
        self.change_debt(group, |debt| debt.saturating_sub(1));
    }

    /// The debt is a hint: of two changes at once, one may get lost.
    fn change_debt(&self, group: u32, change: impl Fn(u32) -> u32) {
        if let Some(group) = self.groups.get(group as usize) {
            group.debt.store(change(group.debt.load(Relaxed)), Relaxed);
        }
    }
}

/// Begins to read all blocks of descriptors, so that the device may read them in any order and at
/// once. C reads one after the other. What fails here fails again when it is waited for.
fn read_ahead<F: FileSystem>(sb: &NewSuperBlock<'_, F>, geometry: &Geometry) {
    plugged(|| {
        (0..geometry.descriptor_blocks())
            .filter_map(|nr| geometry.descriptor_block(nr))
            .for_each(|block| sb.readahead_block(block.into()));
    });
}

/// Checks the descriptor of group `group`, number `index` of the block in `buffer`.
fn read_layout(
    buffer: &Buffer,
    geometry: &Geometry,
    group: u32,
    index: u32,
) -> Result<Result<GroupLayout, GroupError>> {
    let mut descriptor = GroupDescriptor::new_zeroed();
    let offset = index as usize * size_of::<GroupDescriptor>();

    buffer.copy_to(offset, descriptor.as_mut_bytes())?;
    Ok(GroupLayout::new(geometry, group, &descriptor))
}

impl GroupCounts for GroupTable {
    fn free_inodes(&self, group: u32) -> u32 {
        self.count(group, GroupCount::FreeInodes)
    }

    fn free_blocks(&self, group: u32) -> u32 {
        self.count(group, GroupCount::FreeBlocks)
    }

    fn directories(&self, group: u32) -> u32 {
        self.count(group, GroupCount::Directories)
    }

    fn debt(&self, group: u32) -> u32 {
        self.groups
            .get(group as usize)
            .map_or(0, |group| group.debt.load(Relaxed))
    }
}

/// What the filesystem has in all, approximately, for decisions that are made often.
pub(crate) struct Counters {
    /// Free blocks.
    pub(crate) free_blocks: PercpuCounter,
    /// Free inodes.
    pub(crate) free_inodes: PercpuCounter,
    /// Directories.
    pub(crate) directories: PercpuCounter,
}

impl Counters {
    /// Begins with the counts of all groups.
    pub(crate) fn new(groups: &GroupTable) -> Result<Self> {
        let counter = |count| PercpuCounter::new(groups.sum(count) as i64);
        Ok(Self {
            free_blocks: counter(GroupCount::FreeBlocks)?,
            free_inodes: counter(GroupCount::FreeInodes)?,
            directories: counter(GroupCount::Directories)?,
        })
    }

    /// Takes over the counts of all groups, which somebody else has corrected.
    pub(crate) fn recount(&self, groups: &GroupTable) {
        self.free_blocks
            .set(groups.sum(GroupCount::FreeBlocks) as i64);
        self.free_inodes
            .set(groups.sum(GroupCount::FreeInodes) as i64);
        self.directories
            .set(groups.sum(GroupCount::Directories) as i64);
    }

    /// The counts, to decide with.
    pub(crate) fn totals(&self) -> Totals {
        Totals {
            free_inodes: self.free_inodes.read_positive(),
            free_blocks: self.free_blocks.read_positive(),
            directories: self.directories.read_positive(),
        }
    }
}
