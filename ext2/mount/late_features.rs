// SPDX-License-Identifier: GPL-2.0

//! Features that the superblock gets when something on the disk needs them for the first time.
//!
//! C counterparts: none; C relies on what is in the buffer.
//!
//! Locks: `setting`, a mutex, while a feature is set and written.

#![deny(unsafe_code)]

use super::mount_state::SuperWord;
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

/// Such a feature.
#[derive(Clone, Copy)]
pub(super) enum Feature {
    /// Extended attributes.
    Attributes,
    /// Files of 2 GiB or more.
    LargeFiles,
}

impl Feature {
    /// Its word of the superblock, and its bit there.
    pub(super) const fn place(self) -> (SuperWord, u32) {
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

    /// Has the disk have a feature: if it may not, `write` sets it in the superblock, and writes
    /// that, unless somebody else has. `is_set` says whether the buffer has it.
    ///
    /// Fails as `write` does.
    pub(super) fn set(
        &self,
        feature: Feature,
        is_set: impl Fn() -> bool,
        write: impl FnOnce() -> Result,
    ) -> Result {
        if self.has(feature, &is_set) {
            return Ok(());
        }
        let _setting = self.setting.lock();
        if self.has(feature, &is_set) {
            return Ok(());
        }
        // Nobody else stores.
        let others = self.on_disk.load(Relaxed) & !feature.bit();
        // Somebody may have cleared it, as tune2fs does.
        self.on_disk.store(others, Release);
        write()?;
        self.on_disk.store(others | feature.bit(), Release);
        Ok(())
    }

    /// Whether the disk has a feature. `is_set` says whether the buffer has it.
    pub(super) fn has(&self, feature: Feature, is_set: impl Fn() -> bool) -> bool {
        self.on_disk.load(Acquire) & feature.bit() != 0 && is_set()
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

#[kunit_tests(rust_ext2_late_features)]
mod tests {
    use super::*;
    use core::cell::Cell;

    const FEATURE: Feature = Feature::Attributes;

    /// What is in the buffer is believed once it has been written, also if tune2fs has cleared
    /// meanwhile what was on the disk.
    #[test]
    fn what_was_cleared_is_written_before_it_is_believed() -> Result {
        let late = KBox::pin_init(LateFeatures::new(FEATURE.bit()), GFP_KERNEL)?;
        let late: &LateFeatures = &late;
        let (buffer, writes) = (Cell::new(true), Cell::new(0));
        let is_set = || buffer.get();
        let write = |result: Result| {
            writes.set(writes.get() + 1);
            buffer.set(true);
            result
        };

        late.set(FEATURE, is_set, || write(Ok(())))?;
        assert!(late.has(FEATURE, is_set) && writes.get() == 0);
        buffer.set(false);
        assert!(!late.has(FEATURE, is_set));
        for _ in 0..2 {
            assert_eq!(late.set(FEATURE, is_set, || write(Err(EIO))), Err(EIO));
            assert!(!late.has(FEATURE, is_set));
        }
        late.set(FEATURE, is_set, || write(Ok(())))?;
        assert!(late.has(FEATURE, is_set) && writes.get() == 3);
        assert!(!late.has(Feature::LargeFiles, is_set));
        Ok(())
    }
}
