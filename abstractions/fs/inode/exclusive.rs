// SPDX-License-Identifier: GPL-2.0

//! Inodes whose contents are about to change.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! The bytes of a directory are a slice to who reads it,
//! [`DirectoryPage`](crate::fs::DirectoryPage): so whatever changes the pages or the size of a file
//! takes the proof that nobody reads them.
//!
//! Locks: `i_rwsem` of the inode, exclusively, held by the VFS.

use super::{
    Inode,
    InodeType, //
};
use crate::bindings;
use core::ops::Deref;

/// An inode whose contents and size nobody else reads or changes, but writeback, which only reads.
///
/// # Invariants
///
/// For `'a`, the inode's `i_rwsem` is held exclusively, or nobody else uses the inode because it is
/// new or evicted; and there is no [`LockedDirectory`](crate::fs::LockedDirectory) of it.
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
    #[inline]
    pub(crate) fn write_size(&self, size: u64) {
        let inode: &Inode = self.0.as_ref();
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        // SAFETY: The inode is valid, and nobody else changes its size by the type invariants.
        unsafe { bindings::rust_mpage_helper_i_size_write(inode.as_raw(), size) };
    }

    /// Takes out of the page cache what is behind the end of the file, after a write that has
    /// failed. C: `truncate_pagecache()`.
    pub(in crate::abstractions) fn drop_pages_beyond_end(&self) {
        let inode: &Inode = self.0.as_ref();
        // A size fits.
        let size = inode.size() as bindings::loff_t;
        // SAFETY: The inode is valid, and nobody else changes its size by the type invariants.
        unsafe { bindings::truncate_pagecache(inode.as_raw(), size) };
    }
}
