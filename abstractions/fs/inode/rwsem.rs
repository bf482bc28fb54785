// SPDX-License-Identifier: GPL-2.0

//! `i_rwsem` of an inode, taken here and not by the VFS.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    ExclusiveInode,
    FsInode,
    HeldInode,
    Inode,
    InodeType, //
};
use crate::bindings;
use kernel::types::NotThreadSafe;

/// Nobody changes the inode.
///
/// # Invariants
///
/// This value owns `i_rwsem` of the inode, shared.
#[must_use = "the lock is released"]
pub(in crate::abstractions::fs) struct SharedLock<'a>(&'a Inode, NotThreadSafe);

impl<'a> SharedLock<'a> {
    /// Waits for the lock. C: `inode_lock_shared()`.
    #[inline]
    pub(in crate::abstractions::fs) fn new(inode: &'a Inode) -> Self {
        // SAFETY: The inode is valid; `drop` releases the lock.
        unsafe { bindings::rust_mpage_helper_inode_lock_shared(inode.as_raw()) };
        // INVARIANT: Locked just above.
        Self(inode, NotThreadSafe)
    }

    /// Takes the lock, unless somebody changes the inode. C: `inode_trylock_shared()`.
    pub(in crate::abstractions::fs) fn try_new(inode: &'a Inode) -> Option<Self> {
        // SAFETY: The inode is valid; `drop` releases the lock.
        let is_locked = unsafe { bindings::rust_mpage_helper_inode_trylock_shared(inode.as_raw()) };
        // INVARIANT: Locked, if the helper says so.
        is_locked.then(|| Self(inode, NotThreadSafe))
    }

    /// Waits for the lock, if a request may wait. None if not.
    ///
    /// # Safety
    ///
    /// `iocb` must be a valid request.
    #[inline]
    pub(in crate::abstractions::fs) unsafe fn for_request(
        inode: &'a Inode,
        iocb: *mut bindings::kiocb,
    ) -> Option<Self> {
        // SAFETY: The inode is valid, and the request by the safety requirements; `drop` releases
        // the lock.
        let is_locked =
            unsafe { bindings::rust_mpage_helper_inode_lock_shared_for(inode.as_raw(), iocb) };
        // INVARIANT: Locked, if the helper says so.
        is_locked.then(|| Self(inode, NotThreadSafe))
    }
}

impl Drop for SharedLock<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: The lock is ours by the type invariants.
        unsafe { bindings::rust_mpage_helper_inode_unlock_shared(self.0.as_raw()) };
    }
}

/// Nobody else changes the inode, or looks into it with the lock held.
///
/// # Invariants
///
/// This value owns `i_rwsem` of the inode, exclusively.
#[must_use = "the lock is released"]
pub(in crate::abstractions::fs) struct ExclusiveLock<'a, I: InodeType>(&'a I, NotThreadSafe);

impl<'a, I: InodeType> ExclusiveLock<'a, I> {
    /// Waits for the lock, and for ever if this task has it already. C: `inode_lock()`.
    pub(in crate::abstractions::fs) fn new(inode: &'a I) -> Self {
        let plain: &Inode = inode.as_ref();
        // SAFETY: The inode is valid; `drop` releases the lock.
        unsafe { bindings::rust_mpage_helper_inode_lock(plain.as_raw()) };
        // INVARIANT: Locked just above.
        Self(inode, NotThreadSafe)
    }

    /// Waits for the lock, if a request may wait. None if not.
    ///
    /// # Safety
    ///
    /// `iocb` must be a valid request.
    pub(in crate::abstractions::fs) unsafe fn for_request(
        inode: &'a I,
        iocb: *mut bindings::kiocb,
    ) -> Option<Self> {
        let plain: &Inode = inode.as_ref();
        // SAFETY: The inode is valid, and the request by the safety requirements; `drop` releases
        // the lock.
        let is_locked = unsafe { bindings::rust_mpage_helper_inode_lock_for(plain.as_raw(), iocb) };
        // INVARIANT: Locked, if the helper says so.
        is_locked.then(|| Self(inode, NotThreadSafe))
    }

    /// That nobody else reads or changes its contents.
    pub(in crate::abstractions::fs) fn exclusive(&self) -> ExclusiveInode<'_, I> {
        // SAFETY: `i_rwsem` is held exclusively while `self` is borrowed, by the type invariants;
        // so nobody has it shared, as whoever has a `LockedDirectory`.
        unsafe { ExclusiveInode::new(self.0) }
    }
}

impl<T> FsInode<T> {
    /// Calls `act` with the inode held. Whoever holds it already waits for ever.
    pub(in crate::abstractions::fs) fn with_lock<R>(
        &self,
        act: impl FnOnce(HeldInode<'_, T>) -> R,
    ) -> R
    where
        Self: InodeType,
    {
        act(ExclusiveLock::new(self).exclusive().held())
    }
}

impl<I: InodeType> Drop for ExclusiveLock<'_, I> {
    fn drop(&mut self) {
        let plain: &Inode = self.0.as_ref();
        // SAFETY: The lock is ours by the type invariants.
        unsafe { bindings::rust_mpage_helper_inode_unlock(plain.as_raw()) };
    }
}
