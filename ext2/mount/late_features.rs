// SPDX-License-Identifier: GPL-2.0

//! Features that the superblock gets when something on the disk needs them for the first time.
//!
//! C counterparts: `ext2_xattr_update_super_block()`, `ext2_update_dynamic_rev()`, and what
//! `ext2_write_inode()` does about large files.
//!
//! Locks: `setting`, a mutex, while a feature is set and written; inside it those of
//! [`super_state`](super::super_state).

#![deny(unsafe_code)]

use super::{
    data::Ext2,
    mount_state::{
        self,
        SuperWord, //
    },
    super_state::sync_super, //
};
use crate::disk::{
    self,
    SuperBlock as DiskSuperBlock, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Mutex, //
    },
};
use rust_mpage::fs::{
    Level,
    SuperBlock,
    Wait, //
};

/// Such a feature.
#[derive(Clone, Copy)]
enum Feature {
    /// Extended attributes.
    Attributes,
    /// Files of 2 GiB or more.
    LargeFiles,
}

impl Feature {
    /// Its word of the superblock, and its bit there.
    const fn place(self) -> (SuperWord, u32) {
        match self {
            Self::Attributes => (SuperWord::Compat, disk::compat::EXT_ATTR),
            Self::LargeFiles => (SuperWord::RoCompat, disk::ro_compat::LARGE_FILE),
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Which of these features are on the disk.
#[pin_data]
pub(super) struct LateFeatures {
    /// Those that the disk is known to have, as bits: that the buffer has one says nothing, while
    /// it is being written, or after that has failed.
    on_disk: Atomic<u32>,
    #[pin]
    setting: Mutex<()>,
}

impl LateFeatures {
    /// Those that are [`on_disk`].
    pub(super) fn new(on_disk: u32) -> impl PinInit<Self> {
        pin_init!(Self {
            on_disk: Atomic::new(on_disk),
            setting <- new_mutex!((), "ext2_setting_feature"),
        })
    }
}

/// Those of a superblock that has been read, as bits.
pub(super) fn on_disk(disk: &DiskSuperBlock) -> u32 {
    let mut bits = 0;

    if disk.rev_level.get() == disk::revision::GOOD_OLD {
        return bits;
    }
    if disk.feature_compat.get() & disk::compat::EXT_ATTR != 0 {
        bits |= Feature::Attributes.bit();
    }
    if disk.feature_ro_compat.get() & disk::ro_compat::LARGE_FILE != 0 {
        bits |= Feature::LargeFiles.bit();
    }
    bits
}

/// Marks in the superblock that there are files of 2 GiB or more, unless it says so.
/// C: what `ext2_write_inode()` does about `EXT2_FEATURE_RO_COMPAT_LARGE_FILE`.
pub(crate) fn enable_large_files(sb: &SuperBlock<Ext2>) -> Result {
    enable(sb, Feature::LargeFiles)
}

/// Marks in the superblock that there are extended attributes, unless it says so.
/// C: `ext2_xattr_update_super_block()`.
pub(crate) fn enable_attributes(sb: &SuperBlock<Ext2>) -> Result {
    enable(sb, Feature::Attributes)
}

/// Sets a feature in the superblock, and writes that, unless the disk has it. Fails until it has;
/// in C who comes second goes on.
fn enable(sb: &SuperBlock<Ext2>, feature: Feature) -> Result {
    let state = &sb.data().state;
    let features = &state.late_features;
    let (word, bit) = feature.place();
    let is_on_disk =
        || features.on_disk.load(Acquire) & feature.bit() != 0 && state.get(word) & bit != 0;

    if is_on_disk() {
        return Ok(());
    }
    let _setting = features.setting.lock();
    if is_on_disk() {
        return Ok(());
    }
    if state.get(SuperWord::Revision) == disk::revision::GOOD_OLD {
        sb.message(
            Level::Warning,
            fmt!(
                "warning: raising the revision to {}, running e2fsck is recommended",
                disk::revision::DYNAMIC
            ),
        );
        state.change(SuperWord::FirstInode, |_| {
            disk::revision::GOOD_OLD_FIRST_INO
        });
        state.change(SuperWord::InodeSize, mount_state::with_old_inode_size);
        state.change(SuperWord::Revision, |_| disk::revision::DYNAMIC);
    }
    state.change(word, |word| word | bit);
    sync_super(sb, Wait::Yes)?;
    // Nobody else stores.
    let others = features.on_disk.load(Relaxed);
    features.on_disk.store(others | feature.bit(), Release);
    Ok(())
}
