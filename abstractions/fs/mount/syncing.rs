// SPDX-License-Identifier: GPL-2.0

//! A filesystem that is being synced.
//!
//! C header: [`include/linux/writeback.h`](srctree/include/linux/writeback.h)
//!
//! Locks: `s_umount`, which the VFS holds.

use crate::{
    abstractions::fs::SuperBlock,
    bindings, //
};

/// A filesystem that is being synced: `s_umount` is held.
///
/// # Invariants
///
/// For `'a`, `s_umount` of the superblock is held.
pub struct Syncing<'a, T> {
    sb: &'a SuperBlock<T>,
}

impl<'a, T> Syncing<'a, T> {
    /// # Safety
    ///
    /// For `'a`, `s_umount` of `sb` must be held.
    pub(super) unsafe fn new(sb: &'a SuperBlock<T>) -> Self {
        // INVARIANT: By the safety requirements.
        Self { sb }
    }

    /// The filesystem.
    pub fn super_block(&self) -> &'a SuperBlock<T> {
        self.sb
    }

    /// Has all inodes that are dirty written once more, and their pages. C: `sync_inodes_sb()`.
    pub fn write_inodes(&self) {
        // SAFETY: The superblock is valid, and locked by the type invariants.
        unsafe { bindings::sync_inodes_sb(self.sb.as_raw()) }
    }
}
