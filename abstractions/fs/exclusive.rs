// SPDX-License-Identifier: GPL-2.0

//! Inodes whose contents are about to change.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! The bytes of a directory are a slice to who reads it, [`DirectoryPage`](super::DirectoryPage): so
//! whatever changes the pages or the size of a file takes the proof that nobody reads them.
//!
//! Locks: `i_rwsem` of the inode, exclusively, held by the VFS.

use super::{
    FileSystem,
    FsInode,
    Inode,
    InodeType,
    InvalidateLock, //
};
use crate::bindings;
use core::ops::Deref;
use kernel::prelude::*;

/// An inode whose contents and size nobody else reads or changes, but writeback, which only reads.
///
/// # Invariants
///
/// For `'a`, the inode's `i_rwsem` is held exclusively, or nobody else uses the inode because it is
/// new or evicted; and there is no [`LockedDirectory`](super::LockedDirectory) of it.
pub struct ExclusiveInode<'a, I>(&'a I);

impl<I> Deref for ExclusiveInode<'_, I> {
    type Target = I;

    #[inline]
    fn deref(&self) -> &I {
        self.0
    }
}

impl<'a, I> ExclusiveInode<'a, I> {
    /// # Safety
    ///
    /// The type invariants must hold.
    #[inline]
    pub(in crate::abstractions) unsafe fn new(inode: &'a I) -> Self {
        // INVARIANT: By the safety requirements.
        Self(inode)
    }

    /// The inode, for as long as nobody else uses it.
    #[inline]
    pub fn inode(&self) -> &'a I {
        self.0
    }
}

impl<I: InodeType> ExclusiveInode<'_, I> {
    /// Sets the size of the file in bytes; not more than a file can have. C: `i_size_write()`.
    pub(crate) fn write_size(&self, size: u64) {
        let inode: &Inode = self.0.as_ref();
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        // SAFETY: The inode is valid, and nobody else changes its size by the type invariants.
        unsafe { bindings::rust_mpage_helper_i_size_write(inode.as_raw(), size) };
    }
}

impl<T: FileSystem> ExclusiveInode<'_, FsInode<T>> {
    /// Sets the size to 0, and leaves pages and blocks alone. How a file grows is in
    /// `mpage/store/file_end.rs`.
    pub fn clear_size(&self) {
        self.write_size(0);
    }

    /// Sets the file's size and drops the pages beyond it, `pages` keeping away who would bring
    /// others; what there is behind its old end, and in its last block, is the caller's concern.
    /// C: `truncate_setsize()`.
    ///
    /// # Errors
    ///
    /// `EFBIG` if no file can be so large; `EINVAL` if `pages` are another file's.
    pub(crate) fn truncate_setsize(&self, pages: &InvalidateLock<'_, T>, size: u64) -> Result {
        let size = i64::try_from(size).map_err(|_| EFBIG)?;
        if !core::ptr::eq(pages.inode(), self.0) {
            return Err(EINVAL);
        }
        // SAFETY: The inode is valid, and nobody else reads its pages by the type invariants.
        unsafe { bindings::truncate_setsize(self.as_raw(), size) };
        Ok(())
    }
}
