// SPDX-License-Identifier: GPL-2.0

//! Cutting files: what keeps page faults away, and what takes pages out of the page cache.
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
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// Nobody brings pages of the file into the page cache, because they are about to go.
///
/// # Invariants
///
/// `invalidate_lock` of the inode's mapping is held exclusively, by this value.
pub struct InvalidateLock<'a, T: FileSystem>(&'a FsInode<T>, NotThreadSafe);

impl<T: FileSystem> InvalidateLock<'_, T> {
    /// The file.
    pub(crate) fn inode(&self) -> &FsInode<T> {
        self.0
    }

    /// Sets the file's size and drops the pages beyond it; what there is behind its old end, and in
    /// its last block, is the caller's concern. `i_rwsem` is held. C: `truncate_setsize()`.
    ///
    /// # Errors
    ///
    /// `EFBIG` if no file can be so large.
    pub(crate) fn truncate_setsize(&self, size: u64) -> Result {
        let len = i64::try_from(size).map_err(|_| EFBIG)?;
        // SAFETY: The inode is valid, and the lock is held by the type invariants.
        unsafe { bindings::truncate_setsize(self.0.as_raw(), len) };
        Ok(())
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

    /// Drops the pages beyond `size`, which the file is not larger than. C: `truncate_pagecache()`.
    pub fn truncate_page_cache(&self, size: u64) {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        // SAFETY: The inode is valid.
        unsafe { bindings::truncate_pagecache(self.as_raw(), size) }
    }

    /// Waits until direct I/O to the file has ended. With `i_rwsem` held exclusively, none starts.
    /// C: `inode_dio_wait()`.
    pub fn wait_for_direct_io(&self) {
        // SAFETY: The inode is valid.
        unsafe { bindings::inode_dio_wait(self.as_raw()) }
    }
}
