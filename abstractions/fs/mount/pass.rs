// SPDX-License-Identifier: GPL-2.0

//! On what occasion an inode is written.
//!
//! C header: [`include/linux/writeback.h`](srctree/include/linux/writeback.h)

use crate::bindings;

/// Which inodes are being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// This one alone: somebody waits for it, or it leaves memory. It is not dirty afterwards.
    One,
    /// Many of the filesystem, one after the other, by the flusher. One that is dirty again comes
    /// again with the next, which for a sync is this: `sync_fs` follows, and may have it written.
    Many,
}

impl Pass {
    /// # Safety
    ///
    /// `wbc` must be the valid argument of a `write_inode` operation.
    #[inline]
    pub(super) unsafe fn from_raw(wbc: *mut bindings::writeback_control) -> Self {
        // SAFETY: By the safety requirements.
        let flags = unsafe {
            bindings::writeback_control::for_sync_raw(wbc)
                | bindings::writeback_control::tagged_writepages_raw(wbc)
                | bindings::writeback_control::range_cyclic_raw(wbc)
        };
        // The functions of the kernel that write one inode set none of them, and each reason to
        // wake the flusher sets one.
        match flags {
            0 => Self::One,
            _ => Self::Many,
        }
    }
}

/// Whether the caller of `write_inode` asks for the metadata of the inode next.
/// C: `__writeback_single_inode()`.
///
/// # Safety
///
/// `wbc` must be the valid argument of a `write_inode` operation.
pub(super) unsafe fn is_waited_for(wbc: *mut bindings::writeback_control) -> bool {
    // SAFETY: By the safety requirements.
    unsafe {
        (*wbc).sync_mode == bindings::writeback_sync_modes_WB_SYNC_ALL
            && bindings::writeback_control::for_sync_raw(wbc) == 0
    }
}
