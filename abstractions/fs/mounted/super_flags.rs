// SPDX-License-Identifier: GPL-2.0

//! What may be done with a mounted filesystem, and how, as its superblock says.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: none; the flags are read and written in one piece, as C does.

use crate::{
    abstractions::{
        fs::AnySuperBlock,
        update::update, //
    },
    bindings, //
};
use core::ptr;
use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};

impl AnySuperBlock {
    /// All the flags, `SB_*`.
    #[inline]
    fn flags(&self) -> &Atomic<usize> {
        // SAFETY: The superblock is valid, and the field is aligned. C reads and writes it in one
        // piece, without a lock.
        unsafe { Atomic::from_ptr(ptr::addr_of_mut!((*self.as_raw()).s_flags)) }
    }

    #[inline]
    fn has_flags(&self, flags: usize) -> bool {
        self.flags().load(Relaxed) & flags != 0
    }

    /// Whether nothing may be written. C: `sb_rdonly()`.
    #[inline]
    pub fn is_read_only(&self) -> bool {
        self.has_flags(bindings::RUST_MPAGE_SB_RDONLY)
    }

    /// Whether it is frozen, or has only its superblock left to write before. C:
    /// `s_writers.frozen`.
    pub(in crate::abstractions::fs) fn is_frozen(&self) -> bool {
        // SAFETY: The superblock is valid; the field is read atomically.
        unsafe { bindings::rust_mpage_helper_sb_is_frozen(self.as_raw()) }
    }

    /// Whether whatever is changed is on the device when the call returns: the mount option
    /// `sync`. C: `SB_SYNCHRONOUS`.
    #[inline]
    pub fn is_synchronous(&self) -> bool {
        self.has_flags(bindings::RUST_MPAGE_SB_SYNCHRONOUS)
    }

    /// Whether changes of directories are on the device when the call returns: the mount options
    /// `sync` and `dirsync`.
    pub fn is_dir_synchronous(&self) -> bool {
        self.has_flags(bindings::RUST_MPAGE_SB_SYNCHRONOUS | bindings::RUST_MPAGE_SB_DIRSYNC)
    }

    /// Whether there are files without a link, which are open or being removed, so that what is on
    /// the device is not a whole filesystem. C: `s_remove_count`.
    pub fn removals_pending(&self) -> bool {
        // SAFETY: The superblock is valid; the count is read in one piece, as C does.
        unsafe { ptr::addr_of!((*self.as_raw()).s_remove_count.counter).read_volatile() != 0 }
    }

    /// Makes the filesystem read-only, as after an error, unless it is frozen or being frozen. Who
    /// is writing already is not stopped. Whether it is. C: `sb->s_flags |= SB_RDONLY`.
    ///
    /// What is thawed has to be what was frozen: `thaw_super()` leaves the locks of a filesystem
    /// that is read-only alone, and all who write would wait for ever.
    pub fn set_read_only(&self) -> bool {
        // SAFETY: The superblock is valid.
        if !unsafe { bindings::rust_mpage_helper_sb_start_write_trylock(self.as_raw()) } {
            return false;
        }
        self.mark_read_only();
        // SAFETY: Started above.
        unsafe { bindings::rust_mpage_helper_sb_end_write(self.as_raw()) };
        true
    }

    /// As [`set_read_only`](Self::set_read_only), for who is just about to give back the locks of a
    /// frozen filesystem, or has found that it cannot be frozen.
    pub(in crate::abstractions::fs) fn mark_read_only(&self) {
        self.set_flag(bindings::RUST_MPAGE_SB_RDONLY, true);
    }

    /// Whether access control lists are heeded: the mount option `acl`. C: `IS_POSIXACL()`.
    pub fn heeds_acls(&self) -> bool {
        self.has_flags(bindings::RUST_MPAGE_SB_POSIXACL)
    }

    /// Sets whether they are.
    pub fn set_heeds_acls(&self, heeds: bool) {
        self.set_flag(bindings::RUST_MPAGE_SB_POSIXACL, heeds);
    }

    fn set_flag(&self, flag: usize, is_set: bool) {
        let flags = self.flags();
        let _ = update(
            flags.load(Relaxed),
            |old, new| flags.cmpxchg(old, new, Full),
            |old| Some(if is_set { old | flag } else { old & !flag }),
        );
    }
}
