// SPDX-License-Identifier: GPL-2.0

//! What is kept for each mounted filesystem.
//!
//! The layout of the filesystem is read and checked once, at mount, and never changes. What changes
//! in the superblock is [`SuperState`]'s, what changes in descriptors [`GroupTable`]'s.
//!
//! Locks: none here; each part has its own.

#![deny(unsafe_code)]

use super::{
    live_options::LiveOptions,
    mount_state::DefaultOptions,
    options::Options,
    super_state::SuperState, //
};
use crate::{
    disk::geometry::{
        Geometry,
        InodeLocation, //
    },
    groups::{
        space::Space,
        table::{
            Counters,
            GroupTable, //
        },
        windows::Windows, //
    },
    order::Order, //
};
use core::ops::Range;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use rust_mpage::fs::{
    BlockCache,
    QuotaLock,
    RateLimit,
    Unwritten, //
};

/// The filesystem.
pub(crate) struct Ext2;

/// What is kept for each mounted filesystem; `struct ext2_sb_info`.
#[pin_data]
pub(crate) struct Ext2Data {
    pub(crate) geometry: Geometry,
    #[pin]
    pub(crate) reports: RateLimit,
    pub(crate) groups: GroupTable,
    /// How many blocks are free, and promised.
    pub(crate) space: Space,
    /// What is free in all groups, approximately.
    pub(crate) counters: Counters,
    /// The windows of files that grow.
    #[pin]
    pub(crate) windows: Windows,
    #[pin]
    pub(crate) state: SuperState,
    /// What has to be on the disk before what.
    #[pin]
    pub(crate) order: Order,
    /// Which blocks of attributes there are, to be shared.
    pub(crate) attribute_blocks: BlockCache<Ext2>,
    /// Metadata blocks that may not be on the disk yet.
    pub(crate) unwritten: Pin<KBox<Unwritten>>,
    #[pin]
    pub(crate) quota_lock: QuotaLock,
    pub(super) next_generation: Atomic<u32>,
    /// The identifier that `statfs(2)` shows.
    pub(super) id: u64,
    /// The value of the mount option `sb=`.
    pub(super) super_block: u32,
    pub(super) defaults: DefaultOptions,
    #[pin]
    pub(super) options: LiveOptions,
}

impl Ext2Data {
    /// The mount options, as they are now. Waits for who changes them.
    pub(crate) fn options(&self) -> Options {
        self.options.get()
    }

    /// Whether they say that blocks get their places when they are written.
    #[inline]
    pub(crate) fn delays_allocation(&self) -> bool {
        self.options.delays_allocation()
    }

    /// The block of the inode table that has an inode.
    pub(crate) fn inode_table_block(&self, location: &InodeLocation) -> Option<u32> {
        self.groups.inode_table_block(location)
    }

    /// The blocks of the inode table that are read with the one that has an inode.
    pub(crate) fn inode_table_around(&self, location: &InodeLocation) -> Range<u32> {
        self.groups.inode_table_around(location)
    }

    /// Whether any of these blocks, which the geometry says may hold data, is a bitmap or in an
    /// inode table. Inodes cannot have such blocks.
    pub(crate) fn is_group_metadata(&self, first: u32, count: u32) -> bool {
        self.geometry.by_group(first, count).any(|run| {
            self.geometry
                .group_of_block(run.first)
                .and_then(|group| self.groups.layout(group))
                .is_none_or(|layout| layout.overlaps(run.first, run.count))
        })
    }

    /// The generation of a new inode, a number that the last ones did not have.
    pub(crate) fn next_generation(&self) -> u32 {
        self.next_generation.fetch_add(1, Relaxed)
    }
}
