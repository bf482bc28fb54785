// SPDX-License-Identifier: GPL-2.0

//! Inodes, as any filesystem's.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::{
    abstractions::block::BlockDevice,
    bindings, //
};
use core::ptr;
use kernel::{
    sync::atomic::{
        Acquire,
        Atomic, //
    },
    types::Opaque, //
};

/// An inode of a filesystem on a block device.
///
/// # Invariants
///
/// Wraps a valid `struct inode` that is referenced, directly or by what is being done to it, while
/// a reference of this type lives, and whose superblock has a block device.
#[repr(transparent)]
pub struct Inode(Opaque<bindings::inode>);

// SAFETY: Inodes are shared between processors; the methods here read what C reads without a lock.
unsafe impl Send for Inode {}
// SAFETY: As above.
unsafe impl Sync for Inode {}

/// A type that stands for an inode of one kind of filesystem.
///
/// # Safety
///
/// A `&Self` must be an inode's address, as [`Inode`] is: a transparent wrapper.
pub unsafe trait InodeType: AsRef<Inode> {
    /// Borrows an inode from its C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `ptr` must point to an inode that the invariants of [`Inode`] and of the
    /// implementing type hold for.
    unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self;

    /// Whether a page of a directory could not be written, and has not been since: nobody else has
    /// what is in it.
    ///
    /// For whoever is to free memory, so it neither sleeps nor takes a lock.
    fn has_unwritten_pages(&self) -> bool {
        false
    }
}

// SAFETY: `Inode` is transparent.
unsafe impl InodeType for Inode {
    #[inline(always)]
    unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self {
        // SAFETY: By the safety requirements; `Self` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }
}

impl AsRef<Inode> for Inode {
    #[inline(always)]
    fn as_ref(&self) -> &Inode {
        self
    }
}

impl Inode {
    /// The C pointer.
    #[inline(always)]
    pub fn as_raw(&self) -> *mut bindings::inode {
        self.0.get()
    }

    /// The file's size in bytes. C: `i_size_read()`.
    #[inline(always)]
    pub fn size(&self) -> u64 {
        // SAFETY: The inode is valid; the field is aligned and only ever accessed as a whole.
        let size = unsafe { Atomic::from_ptr(ptr::addr_of_mut!((*self.as_raw()).i_size)) };
        // Pairs with the release in i_size_write().
        i64::max(size.load(Acquire), 0) as u64
    }

    /// Marks the inode to be written. C: `mark_inode_dirty()`.
    #[inline]
    pub fn mark_dirty(&self) {
        // SAFETY: The inode is valid.
        unsafe { bindings::rust_mpage_helper_mark_inode_dirty(self.as_raw()) }
    }

    /// Base-2 logarithm of the block size in bytes.
    #[inline(always)]
    pub fn block_bits(&self) -> u32 {
        // SAFETY: The inode is valid; the field does not change while the inode is in use.
        u32::from(unsafe { (*self.as_raw()).i_blkbits })
    }

    /// The inode's number.
    #[inline(always)]
    pub fn number(&self) -> u64 {
        // SAFETY: The inode is valid; the field does not change while the inode is in use.
        unsafe { (*self.as_raw()).i_ino }
    }

    /// Forgets what the device's own cache has of `len` blocks of the filesystem from `first` on,
    /// for they are a file's now: a buffer that was dirty when they belonged to somebody else must
    /// not be written over the file. Writing does so itself with blocks that are new.
    /// C: `clean_bdev_aliases()`.
    pub fn forget_cached_blocks(&self, first: u64, len: u32) {
        self.device().forget_cached(first, len, self.block_bits());
    }

    /// The device of the filesystem that the inode belongs to.
    #[inline(always)]
    pub fn device(&self) -> &BlockDevice {
        // SAFETY: By the type invariants the superblock has a device, which is open as long as the
        // filesystem is mounted, which it is while an inode is referenced.
        unsafe { BlockDevice::from_raw((*(*self.as_raw()).i_sb).s_bdev) }
    }
}
