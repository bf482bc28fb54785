// SPDX-License-Identifier: GPL-2.0

//! Cutting files: what keeps page faults away. What takes pages out of the page cache is in
//! `exclusive.rs`.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Locks: `invalidate_lock` of a mapping, inside of `i_rwsem` and outside of the locks of folios.

use super::{
    FileSystem,
    FsInode, //
};
use crate::bindings;
use kernel::types::NotThreadSafe;

/// Nobody brings pages of the file into the page cache, because they are about to go.
///
/// # Invariants
///
/// `invalidate_lock` of the inode's mapping is held exclusively, by this value.
pub struct InvalidateLock<'a, T: FileSystem>(&'a FsInode<T>, NotThreadSafe);

impl<T: FileSystem> InvalidateLock<'_, T> {
    /// The file.
    pub(super) fn inode(&self) -> &FsInode<T> {
        self.0
    }
}

impl<T: FileSystem> Drop for InvalidateLock<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The lock is ours by the type invariants.
        unsafe { bindings::rust_mpage_helper_filemap_invalidate_unlock(self.0.mapping()) }
    }
}

/// Nobody takes pages of the file out of the page cache for good.
///
/// # Invariants
///
/// `invalidate_lock` of the inode's mapping is held shared, by this value.
pub struct InvalidateLockShared<'a, T: FileSystem>(&'a FsInode<T>, NotThreadSafe);

impl<T: FileSystem> Drop for InvalidateLockShared<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The lock is ours by the type invariants.
        unsafe { bindings::rust_mpage_helper_filemap_invalidate_unlock_shared(self.0.mapping()) }
    }
}

impl<T: FileSystem> FsInode<T> {
    /// Keeps page faults and readahead away. C: `filemap_invalidate_lock()`.
    pub fn lock_invalidate(&self) -> InvalidateLock<'_, T> {
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe { bindings::rust_mpage_helper_filemap_invalidate_lock(self.mapping()) };
        // INVARIANT: Locked just above.
        InvalidateLock(self, NotThreadSafe)
    }

    /// Keeps away who has [`InvalidateLock`]. C: `filemap_invalidate_lock_shared()`.
    pub fn lock_invalidate_shared(&self) -> InvalidateLockShared<'_, T> {
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe { bindings::rust_mpage_helper_filemap_invalidate_lock_shared(self.mapping()) };
        // INVARIANT: Locked just above.
        InvalidateLockShared(self, NotThreadSafe)
    }

    /// Waits until direct I/O to the file has ended. With `i_rwsem` held exclusively, none starts.
    /// C: `inode_dio_wait()`.
    pub fn wait_for_direct_io(&self) {
        // SAFETY: The inode is valid.
        unsafe { bindings::inode_dio_wait(self.as_raw()) }
    }
}
