// SPDX-License-Identifier: GPL-2.0

//! Inodes whose attributes nobody else changes.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: `i_rwsem` of the inode, exclusively, held by the VFS. What is set here is read by others
//! without a lock, in one piece.

use super::{
    ExclusiveInode,
    FsInode,
    InodeFlags, //
};
use crate::{
    abstractions::fs::FileSystem,
    bindings, //
};
use core::{
    ops::Deref,
    ptr, //
};
use kernel::types::NotThreadSafe;

/// An inode whose links, times and flags nobody else changes. Others may read it, and what it
/// contains; nobody does of an [`ExclusiveInode`].
///
/// # Invariants
///
/// For `'a`, this task holds the inode's `i_rwsem` exclusively, or nobody else uses the inode
/// because it is new or evicted.
pub struct HeldInode<'a, T> {
    inode: &'a FsInode<T>,
    _task: NotThreadSafe,
}

impl<T> Clone for HeldInode<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for HeldInode<'_, T> {}

impl<T> Deref for HeldInode<'_, T> {
    type Target = FsInode<T>;

    #[inline]
    fn deref(&self) -> &FsInode<T> {
        self.inode
    }
}

impl<'a, T> HeldInode<'a, T> {
    /// # Safety
    ///
    /// The type invariants must hold.
    #[inline]
    pub(in crate::abstractions::fs) unsafe fn new(inode: &'a FsInode<T>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            inode,
            _task: NotThreadSafe,
        }
    }

    /// The inode, for as long as it is held.
    #[inline]
    pub fn inode(&self) -> &'a FsInode<T> {
        self.inode
    }
}

impl<T> ExclusiveInode<'_, FsInode<T>> {
    /// That nobody else changes its attributes, either.
    #[inline]
    pub fn held(&self) -> HeldInode<'_, T> {
        // SAFETY: What the invariants of `Self` say is more.
        unsafe { HeldInode::new(self) }
    }
}

/// Changing the inode; what it has on disk is counted in quota's `charges.rs`. Nothing here marks
/// it to be written: [`Inode::mark_dirty`](super::Inode::mark_dirty) does.
impl<T: FileSystem> HeldInode<'_, T> {
    /// Counts one link more. C: `inc_nlink()`, which warns of a file that has none and may not be
    /// linked again; but a corrupt filesystem can have a directory that says so.
    pub fn inc_nlink(&self) {
        match self.nlink() {
            // SAFETY: The inode is valid.
            0 => unsafe { bindings::set_nlink(self.as_raw(), 1) },
            // SAFETY: As above.
            _ => unsafe { bindings::inc_nlink(self.as_raw()) },
        }
    }

    /// Counts one link less. A count that is 0 already, which a corrupt filesystem can bring
    /// about, stays so; and so does that of a directory that is 2 or less: a directory has a name
    /// and its own entry until [`Self::drop_last_links`] is called. C: `drop_nlink()`.
    pub fn drop_nlink(&self) {
        let least = if self.is_directory() { 2 } else { 0 };

        if self.nlink() > least {
            // SAFETY: The inode is valid.
            unsafe { bindings::drop_nlink(self.as_raw()) }
        }
    }

    /// Counts `links` less, but not less than none: those that a directory has until the end, of
    /// one that is empty. C: `drop_nlink()`, several times.
    pub fn drop_last_links(&self, links: u32) {
        for _ in 0..links.min(self.nlink()) {
            // SAFETY: The inode is valid, and its count is not 0.
            unsafe { bindings::drop_nlink(self.as_raw()) }
        }
    }

    /// The contents change now, and so does the inode.
    pub fn set_mtime_and_ctime_now(&self) {
        // SAFETY: The inode is valid.
        unsafe { bindings::rust_mpage_helper_set_mtime_and_ctime_current(self.as_raw()) }
    }

    /// The inode changed when `other` did last. C: `inode_set_ctime_to_ts()`.
    pub fn set_ctime_of(&self, other: &FsInode<T>) {
        // SAFETY: Both inodes are valid.
        unsafe { bindings::rust_mpage_helper_set_ctime_of(self.as_raw(), other.as_raw()) }
    }

    /// Sets what distinguishes the file from earlier ones with the same inode number.
    pub fn set_generation(&self, generation: u32) {
        // SAFETY: The inode is valid; others read the field without a lock.
        unsafe { ptr::addr_of_mut!((*self.as_raw()).i_generation).write_volatile(generation) }
    }

    /// Sets those flags that [`InodeFlags`] has names for, and leaves the others.
    /// C: `inode_set_flags()`.
    pub fn set_flags(&self, flags: InodeFlags) {
        // SAFETY: The inode is valid; the flags are changed atomically.
        unsafe {
            bindings::inode_set_flags(self.as_raw(), flags.into_raw(), InodeFlags::ALL.into_raw())
        }
    }
}
