// SPDX-License-Identifier: GPL-2.0

//! Whether a filesystem may change: it may be read-only, or frozen, or about to be.
//!
//! C header: [`include/linux/fs/super.h`](srctree/include/linux/fs/super.h)
//!
//! Writes, faults and deletions have asked before they begin. Writeback has not, and may come at
//! any time; but all that it has to do on such a filesystem is what it could not do before.
//!
//! Locks: [`ChangeGuard`] is the innermost level of what freezing waits for, `sb_start_intwrite()`.
//! It is taken without waiting, and so inside of any other lock; while it is held no memory may be
//! allocated in a way that drops inodes, which would wait for the freezing that waits for the
//! guard, see [`without_fs_reclaim`](crate::abstractions::mm::without_fs_reclaim).

use super::Inode;
use crate::bindings;
use core::marker::PhantomData;

/// Whether a later writeback may do what this one cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Later {
    /// It may.
    Possible,
    /// No: the filesystem is read-only or frozen, or this is the last writeback before it is.
    Never,
}

/// The filesystem is not frozen, and will not be while the value lives, nor was it read-only.
///
/// # Invariants
///
/// Freezing waits for the value: it has the level `SB_FREEZE_FS` of `sb`, which is mounted for
/// `'i`.
#[must_use = "the filesystem may be frozen again"]
pub struct ChangeGuard<'i> {
    sb: *mut bindings::super_block,
    _inode: PhantomData<&'i Inode>,
}

impl Inode {
    fn sb(&self) -> *mut bindings::super_block {
        // SAFETY: The inode is valid; the field does not change while the inode is in use.
        unsafe { (*self.as_raw()).i_sb }
    }

    /// Keeps the filesystem from being frozen, to allocate blocks. [`None`] if it is frozen or
    /// read-only: then nothing may be allocated. C: `sb_start_intwrite_trylock()`.
    #[inline]
    pub fn start_change(&self) -> Option<ChangeGuard<'_>> {
        let sb = self.sb();
        // SAFETY: The superblock is valid, since it is mounted while its inodes are in use.
        if !unsafe { bindings::rust_mpage_helper_sb_start_change(sb) } {
            return None;
        }
        // INVARIANT: Taken just above.
        Some(ChangeGuard {
            sb,
            _inode: PhantomData,
        })
    }

    /// Whether what cannot be written now may be written later.
    pub fn later(&self) -> Later {
        // SAFETY: The superblock is valid, as above; its state is read in one piece.
        match unsafe { bindings::rust_mpage_helper_sb_is_closing(self.sb()) } {
            false => Later::Possible,
            true => Later::Never,
        }
    }
}

impl Drop for ChangeGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The level is ours by the type invariants and given up here.
        unsafe { bindings::rust_mpage_helper_sb_end_intwrite(self.sb) };
    }
}
