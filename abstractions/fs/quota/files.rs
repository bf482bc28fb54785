// SPDX-License-Identifier: GPL-2.0

//! The quota files of a mounted filesystem: which they are, and what they are used for.
//!
//! C header: [`include/linux/quotaops.h`](srctree/include/linux/quotaops.h)
//!
//! Locks: `s_umount`, exclusively, when quota is turned on or off, suspended or resumed.
//! [`QuotaLock`], inside the kernel's locks of quota, while a file is read or written as one.

use crate::{
    abstractions::fs::{
        FileSystem,
        FsInode,
        HeldInode,
        InodeType,
        SuperBlock, //
    },
    bindings, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    error::to_result,
    new_mutex,
    prelude::*,
    sync::Mutex, //
};

/// What a quota file is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaUse {
    /// The kernel reads and writes it.
    On,
    /// The kernel does not any more, nor does anybody else: the filesystem is about to be read-only
    /// or unmounted.
    Suspended,
    /// It is a file as any other.
    Off,
}

/// Has the quota files of a filesystem read and written by one at a time. The kernel has no lock
/// for that where the format is the oldest one, and, of the others, where what is written has its
/// place in the file already. C: none.
#[pin_data]
pub struct QuotaLock {
    #[pin]
    lock: Mutex<()>,
}

impl QuotaLock {
    /// That of a filesystem which is being mounted.
    pub fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            lock <- new_mutex!((), "QuotaLock"),
        })
    }

    /// Calls `act` while nobody else does.
    #[cfg_attr(not(CONFIG_QUOTA), expect(dead_code))]
    pub(in crate::abstractions::fs) fn with<R>(&self, act: impl FnOnce() -> R) -> R {
        let _one = self.lock.lock();
        act()
    }
}

/// How a filesystem's quota is turned on and off.
pub(in crate::abstractions::fs) struct QuotaTable<T> {
    operations: &'static bindings::quotactl_ops,
    counting: &'static bindings::dquot_operations,
    mark: fn(HeldInode<'_, T>, QuotaUse),
}

impl<T: FileSystem> QuotaTable<T> {
    /// Operations of quota and of what is counted, and what is called when a quota file becomes
    /// one, or is one no more.
    pub(in crate::abstractions::fs) const fn new(
        operations: &'static bindings::quotactl_ops,
        counting: &'static bindings::dquot_operations,
        mark: fn(HeldInode<'_, T>, QuotaUse),
    ) -> Self {
        Self {
            operations,
            counting,
            mark,
        }
    }

    /// Lets quota be turned on.
    ///
    /// # Safety
    ///
    /// `sb` must be being filled, with the operations of a filesystem that has quota.
    pub(in crate::abstractions::fs) unsafe fn set_up(&self, sb: *mut bindings::super_block) {
        // SAFETY: By the safety requirements; the tables are static.
        unsafe {
            bindings::rust_mpage_helper_set_quota_operations(sb, self.operations, self.counting)
        }
    }

    /// Writes everything that is counted, and stops counting, before a filesystem becomes
    /// read-only. C: `dquot_suspend()`.
    ///
    /// # Safety
    ///
    /// `s_umount` must be held exclusively.
    pub(in crate::abstractions::fs) unsafe fn suspend(&self, sb: &SuperBlock<T>) -> Result {
        // SAFETY: The superblock is locked for this call; suspending turns nothing off.
        let files = unsafe { active_files(sb) };

        // SAFETY: By the safety requirements; the superblock is valid.
        to_result(unsafe { bindings::rust_mpage_helper_dquot_suspend(sb.as_raw()) })?;
        // They are to be on the device, too, and anybody's there: e2fsck's, or who mounts it next.
        for file in files.into_iter().flatten() {
            self.mark(file, QuotaUse::Suspended);
            // What was written past the pages is seen from now on. The kernel does that when quota
            // is turned off only.
            //
            // SAFETY: The inode is valid, and locked meanwhile.
            file.with_lock(|file| unsafe { bindings::truncate_pagecache(file.as_raw(), 0) });
            file.write_now();
        }
        Ok(())
    }

    /// Goes on counting, when a filesystem may be written to again; `tell` hears of each kind of
    /// quota that does not. C: `dquot_resume()`, which forgets the error of users if groups have
    /// none.
    ///
    /// # Safety
    ///
    /// `s_umount` must be held exclusively.
    pub(in crate::abstractions::fs) unsafe fn resume(
        &self,
        sb: &SuperBlock<T>,
        tell: impl Fn(&str, Error),
    ) {
        for (of, whose) in TYPES {
            // SAFETY: By the safety requirements; the superblock is valid.
            let resumed = unsafe { bindings::rust_mpage_helper_dquot_resume(sb.as_raw(), of) };
            if let Err(error) = to_result(resumed) {
                tell(whose, error);
            }
        }
        // SAFETY: The superblock is locked for this call, and what could not be resumed is off
        // already.
        for file in unsafe { active_files(sb) }.into_iter().flatten() {
            self.mark(file, QuotaUse::On);
        }
    }

    pub(in crate::abstractions::fs) fn mark(&self, file: &FsInode<T>, is: QuotaUse) {
        file.with_lock(|file| (self.mark)(file, is));
        file.mark_dirty();
    }
}

#[cfg(CONFIG_QUOTA)]
impl<T: FileSystem> HeldInode<'_, T> {
    /// Makes it a quota file in use: whoever wants to write to it is refused from now on. C: what
    /// `vfs_setup_quota_inode()` does to it.
    pub(in crate::abstractions::fs) fn begin_quota_file(&self) {
        const IS: u32 = bindings::S_NOQUOTA;
        // SAFETY: The inode is valid; the flags are changed atomically.
        unsafe { bindings::inode_set_flags(self.as_raw(), IS, IS) }
    }

    /// Undoes that. C: what `vfs_cleanup_quota_inode()` does to it.
    pub(in crate::abstractions::fs) fn end_quota_file(&self) {
        // SAFETY: As above.
        unsafe { bindings::inode_set_flags(self.as_raw(), 0, bindings::S_NOQUOTA) }
    }
}

/// The kinds of quota that there are, and whose.
pub(in crate::abstractions::fs) const TYPES: [(c_int, &str); 2] = [
    (bindings::quota_type_USRQUOTA as c_int, "users"),
    (bindings::quota_type_GRPQUOTA as c_int, "groups"),
];

/// The quota file of a kind, if quota of that kind is turned on or suspended.
///
/// # Safety
///
/// For `'a`, `s_umount` must be held and that kind not be turned off, or the kernel be reading or
/// writing the file.
pub(in crate::abstractions::fs) unsafe fn file_of<'a, T: FileSystem>(
    sb: &'a SuperBlock<T>,
    of: c_int,
) -> Option<&'a FsInode<T>> {
    let index = usize::try_from(of).ok()?;
    // SAFETY: The superblock is valid. The pointers change in one piece.
    let files = unsafe { ptr::addr_of!((*sb.as_raw()).s_dquot.files).read_volatile() };
    let file = NonNull::new(*files.get(index)?)?;
    // SAFETY: A quota file is a regular file of the same filesystem that has been opened by its
    // name, so it is an inode of `T`'s cache with its data. The kernel has a reference to it while
    // it is there, which it is for `'a` by the safety requirements.
    Some(unsafe { FsInode::from_raw(file.as_ptr()) })
}

/// Whether quota of a kind is turned on, and not suspended. C: `sb_has_quota_active()`.
pub(in crate::abstractions::fs) fn is_active<T: FileSystem>(sb: &SuperBlock<T>, of: c_int) -> bool {
    // SAFETY: The superblock is valid; the kernel reads the word without a lock, too.
    unsafe { bindings::rust_mpage_helper_sb_has_quota_active(sb.as_raw(), of) }
}

/// The quota files that are in use, and not suspended.
///
/// # Safety
///
/// For `'a`, `s_umount` must be held and no quota be turned off.
pub(in crate::abstractions::fs) unsafe fn active_files<'a, T: FileSystem>(
    sb: &'a SuperBlock<T>,
) -> [Option<&'a FsInode<T>>; TYPES.len()] {
    TYPES.map(|(of, _)| {
        if !is_active(sb, of) {
            return None;
        }
        // SAFETY: By the safety requirements.
        unsafe { file_of(sb, of) }
    })
}
