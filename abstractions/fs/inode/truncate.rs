// SPDX-License-Identifier: GPL-2.0

//! Cutting files: what keeps page faults away, and what takes pages out of the page cache.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Locks: `invalidate_lock` of a mapping, inside of `i_rwsem` and outside of the locks of folios.

use super::{
    ExclusiveInode,
    FsInode, //
};
use crate::{
    abstractions::fs::FileSystem,
    bindings, //
};
use core::ops::Deref;
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// Nobody brings pages of the file into the page cache, because they are about to go.
///
/// # Invariants
///
/// `invalidate_lock` of the inode's mapping is held exclusively, by this value.
#[must_use = "the lock is released"]
pub struct InvalidateLock<'a, T: FileSystem>(&'a FsInode<T>, NotThreadSafe);

impl<T: FileSystem> InvalidateLock<'_, T> {
    /// The file.
    pub fn inode(&self) -> &FsInode<T> {
        self.0
    }

    /// Whether a device may store to a page of the file at any time: somebody has pinned one. Who
    /// wants to pin one to have it stored to waits for the lock, if the pages have been written.
    #[cfg(CONFIG_QUOTA)]
    pub(in crate::abstractions::fs) fn has_pinned_pages(&self) -> bool {
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe { bindings::rust_mpage_helper_mapping_maybe_pinned(self.0.mapping()) }
    }
}

impl<T: FileSystem> ExclusiveInode<'_, FsInode<T>> {
    /// Sets the size to 0, and leaves pages and blocks alone. How a file grows is in
    /// `mpage/store/file_end.rs`.
    pub fn clear_size(&self) {
        self.write_size(0);
    }

    /// As [`FsInode::lock_invalidate`], for whoever is about to set the file's size.
    pub fn lock_pages(&self) -> ExclusivePages<'_, T> {
        ExclusivePages {
            inode: self,
            pages: self.lock_invalidate(),
        }
    }
}

/// A file that nobody else reads or changes, and nobody brings pages of into the page cache: its
/// size may be set.
#[must_use = "the lock is released"]
pub struct ExclusivePages<'a, T: FileSystem> {
    inode: &'a ExclusiveInode<'a, FsInode<T>>,
    pages: InvalidateLock<'a, T>,
}

impl<'a, T: FileSystem> Deref for ExclusivePages<'a, T> {
    type Target = InvalidateLock<'a, T>;

    fn deref(&self) -> &InvalidateLock<'a, T> {
        &self.pages
    }
}

impl<'a, T: FileSystem> ExclusivePages<'a, T> {
    /// The file.
    pub fn exclusive(&self) -> &'a ExclusiveInode<'a, FsInode<T>> {
        self.inode
    }

    /// Sets the file's size and drops the pages beyond it; what there is behind its old end, and in
    /// its last block, is the caller's concern. C: `truncate_setsize()`.
    ///
    /// # Errors
    ///
    /// `EFBIG` if no file can be so large.
    pub(crate) fn truncate_setsize(&self, size: u64) -> Result {
        let size = i64::try_from(size).map_err(|_| EFBIG)?;
        // SAFETY: The inode is valid, and nobody else reads its pages, as the proofs of that say,
        // which are of one inode: `pages` was made of `inode`.
        unsafe { bindings::truncate_setsize(self.inode.as_raw(), size) };
        Ok(())
    }
}

impl<T: FileSystem> Drop for InvalidateLock<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The lock is ours by the type invariants.
        unsafe { bindings::rust_mpage_helper_filemap_invalidate_unlock(self.0.mapping()) }
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

    /// Waits until direct I/O to the file has ended. With `i_rwsem` held exclusively, none starts.
    /// C: `inode_dio_wait()`.
    pub fn wait_for_direct_io(&self) {
        // SAFETY: The inode is valid.
        unsafe { bindings::inode_dio_wait(self.as_raw()) }
    }
}
