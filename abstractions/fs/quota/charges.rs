// SPDX-License-Identifier: GPL-2.0

//! Disk quota: what users and groups have of a filesystem, and may have.
//!
//! C header: [`include/linux/quotaops.h`](srctree/include/linux/quotaops.h)
//!
//! The kernel's code counts, and keeps what it counts in files of the filesystem. Whom an inode is
//! counted for hangs on the inode: the kernel finds it when somebody begins to change the inode,
//! which the wrappers see to, see [`FsInode::initialize_quota`].
//!
//! What is counted is a value until it is sure to be had. An inode is counted when it is inserted,
//! see [`UnhashedInode::insert`](crate::fs::UnhashedInode::insert), and no more when it has been
//! deleted: a filesystem has no part in that. Its blocks are a [`SpaceCharge`], which comes back
//! when it is dropped. That is also the only way to count them in the inode, `i_blocks`.
//!
//! Blocks that an inode will have later are reserved: nobody who counts gets more for it, and it is
//! in no quota file. What is reserved goes with the inode if it gets other owners; it is counted
//! when the blocks are there, see [`FsInode::charge_promised`], or given back.
//!
//! The files are in `files.rs`.
//!
//! A filesystem without quota, or with none that is turned on, pays the look at a word of the
//! superblock. C: `inode_quota_active()`.
//!
//! Locks: finding whom an inode is counted for, and writing that back, takes the kernel's locks of
//! quota, reads and writes the quota files, and allocates blocks for these; so none of the
//! filesystem's own locks may be held then. Counting takes spinlocks only, `i_lock` and inside it
//! those of quota.
//!
//! Left out: quota by projects.

use crate::{
    abstractions::fs::{
        AnySuperBlock,
        FileSystem,
        FsInode,
        Inode, //
    },
    bindings, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

const RESERVE: c_int = bindings::RUST_MPAGE_DQUOT_SPACE_RESERVE;

impl AnySuperBlock {
    /// Whether quota of any kind is turned on, or suspended. C: `sb_any_quota_loaded()`.
    #[inline]
    pub fn has_quota(&self) -> bool {
        // SAFETY: The superblock is valid; the kernel reads the word without a lock, too.
        unsafe { bindings::rust_mpage_helper_sb_any_quota_loaded(self.as_raw()) }
    }
}

impl Inode {
    /// Whether it is a quota file in use: it is not counted, and only the kernel writes to it.
    /// C: `IS_NOQUOTA()`.
    #[inline]
    pub fn is_quota_file(&self) -> bool {
        // SAFETY: The inode is valid.
        unsafe { bindings::rust_mpage_helper_is_noquota(self.as_raw()) }
    }
}

impl<T: FileSystem> FsInode<T> {
    /// Finds whom the inode is counted for, before it is changed. C: `dquot_initialize()`.
    ///
    /// The wrappers have called it where the VFS asks for a change of an inode or a directory, for
    /// who has opened a file to write to it, and for inodes that are created or deleted.
    pub fn initialize_quota(&self) -> Result {
        // SAFETY: The inode is valid, and of a filesystem that knows where an inode has it.
        to_result(unsafe { bindings::rust_mpage_helper_dquot_initialize(self.as_raw()) })
    }

    /// Counts `bytes` more on disk, in the inode, too. May be called without `i_rwsem`. Does not
    /// mark the inode dirty: the device has the old number of blocks until somebody does.
    /// C: `dquot_alloc_space_nodirty()`.
    ///
    /// Fails with `EDQUOT` if somebody it is counted for would have too much.
    pub fn charge(&self, bytes: u64) -> Result<SpaceCharge<'_, T>> {
        SpaceCharge::new(self, bytes, bindings::RUST_MPAGE_DQUOT_SPACE_WARN)
    }

    /// As [`Self::charge`], of more than is needed: nobody is told that it is too much, nor does it
    /// begin the time for which more than the soft limit may be had.
    /// C: `dquot_prealloc_block_nodirty()`.
    pub fn charge_ahead(&self, bytes: u64) -> Result<SpaceCharge<'_, T>> {
        SpaceCharge::new(self, bytes, 0)
    }

    /// Reserves `bytes`, to be counted when the inode has them. What is reserved for an inode is
    /// changed by one at a time, by who takes care of that. C: `dquot_reserve_block()`.
    ///
    /// Fails with `EDQUOT` if somebody it is counted for would have too much.
    pub fn reserve(&self, bytes: u64) -> Result {
        self.add(bytes, RESERVE | bindings::RUST_MPAGE_DQUOT_SPACE_WARN)
    }

    /// As [`Self::reserve`], of more than is needed, see [`Self::charge_ahead`].
    pub fn reserve_ahead(&self, bytes: u64) -> Result {
        self.add(bytes, RESERVE)
    }

    /// As [`Self::reserve`], even if it is too much: of blocks that are about to be given back, in
    /// place of which there will be others.
    pub fn reserve_anyway(&self, bytes: u64) {
        // It does not fail.
        let _ = self.add(bytes, RESERVE | bindings::RUST_MPAGE_DQUOT_SPACE_NOFAIL);
    }

    /// How many bytes are reserved.
    #[inline]
    pub fn reserved(&self) -> u64 {
        u64::try_from(self.reserved_by_quota()).unwrap_or(0)
    }

    /// Gives back what is reserved beyond `bytes`. C: `dquot_release_reservation_block()`.
    #[inline]
    pub fn reserve_no_more_than(&self, bytes: u64) {
        let beyond = self.reserved().saturating_sub(bytes);
        if beyond != 0 {
            let beyond = i64::try_from(beyond).unwrap_or(i64::MAX);
            // SAFETY: The inode is valid, and of a filesystem that knows where an inode has whom it
            // is counted for.
            unsafe { bindings::rust_mpage_helper_dquot_release_reservation(self.as_raw(), beyond) }
        }
    }

    /// Counts `bytes` more on disk, as [`Self::charge`], of what has been had before: those that
    /// are reserved, and are so no more, and the rest even if it is too much. The rest was had when
    /// nobody asked for whom it counts. C: `dquot_claim_block()`, and
    /// `dquot_alloc_block_nofail()`, but for the mark.
    pub fn charge_promised(&self, bytes: u64) {
        let before = self.reserved();
        let claimed = i64::try_from(before.min(bytes)).unwrap_or(i64::MAX);
        if claimed != 0 {
            // SAFETY: The inode is valid, and of a filesystem that knows where an inode has whom it
            // is counted for.
            unsafe { bindings::rust_mpage_helper_dquot_claim_space(self.as_raw(), claimed) }
        }
        // Of an inode that is getting an owner just now the kernel may claim less, and warn: the
        // owner is there before what is reserved is. The inode has its blocks all the same; what
        // its other owners have is quotacheck's then.
        let counted = before.saturating_sub(self.reserved());
        let flags = bindings::RUST_MPAGE_DQUOT_SPACE_WARN | bindings::RUST_MPAGE_DQUOT_SPACE_NOFAIL;
        if counted < bytes {
            // It does not fail.
            let _ = self.add(bytes - counted, flags);
        }
    }

    fn add(&self, bytes: u64, flags: c_int) -> Result {
        let bytes = i64::try_from(bytes).map_err(|_| EFBIG)?;
        // SAFETY: The inode is valid, and of a filesystem that knows where an inode has whom it is
        // counted for.
        to_result(unsafe {
            bindings::rust_mpage_helper_dquot_alloc_space(self.as_raw(), bytes, flags)
        })
    }

    /// Counts `bytes` less on disk, in the inode, too, as [`Self::charge`] counts more.
    /// C: `dquot_free_space_nodirty()`.
    pub fn sub_bytes(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        // SAFETY: The inode is valid, and of a filesystem that knows where an inode has whom it is
        // counted for.
        unsafe { bindings::rust_mpage_helper_dquot_free_space(self.as_raw(), bytes) }
    }
}

/// Bytes on disk that have been counted for an inode. They are no more when this is dropped.
#[must_use = "they are not counted any more"]
pub struct SpaceCharge<'i, T: FileSystem> {
    inode: &'i FsInode<T>,
    bytes: u64,
}

impl<'i, T: FileSystem> SpaceCharge<'i, T> {
    fn new(inode: &'i FsInode<T>, bytes: u64, flags: c_int) -> Result<Self> {
        inode.add(bytes, flags)?;
        Ok(Self { inode, bytes })
    }

    /// How many they are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// So many of them stay counted, or all; the rest does not.
    pub fn keep(mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl<T: FileSystem> Drop for SpaceCharge<'_, T> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.inode.sub_bytes(self.bytes);
            // Somebody may have stored an image with them.
            self.inode.mark_dirty();
        }
    }
}

/// An inode that has been counted. It is no more when this is dropped.
#[must_use = "it is not counted any more"]
pub(in crate::abstractions::fs) struct InodeCharge(NonNull<bindings::inode>);

impl InodeCharge {
    /// Counts a new inode, which has its owners. C: `dquot_initialize()`, `dquot_alloc_inode()`.
    ///
    /// Fails with `EDQUOT` if somebody it is counted for would have too many.
    ///
    /// # Safety
    ///
    /// `inode` must be valid while the value lives, and of a filesystem with a `WriteVTable` or no
    /// quota.
    pub(in crate::abstractions::fs) unsafe fn new(inode: NonNull<bindings::inode>) -> Result<Self> {
        // SAFETY: By the safety requirements the inode is valid.
        to_result(unsafe { bindings::rust_mpage_helper_dquot_initialize(inode.as_ptr()) })?;
        // SAFETY: As above.
        to_result(unsafe { bindings::rust_mpage_helper_dquot_alloc_inode(inode.as_ptr()) })?;
        Ok(Self(inode))
    }

    /// It stays counted until it is deleted.
    pub(in crate::abstractions::fs) fn keep(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for InodeCharge {
    fn drop(&mut self) {
        // SAFETY: The inode is valid by the safety requirements of `new`, which has counted it.
        unsafe { bindings::rust_mpage_helper_dquot_free_inode(self.0.as_ptr()) }
    }
}
