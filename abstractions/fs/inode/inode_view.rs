// SPDX-License-Identifier: GPL-2.0

//! What inodes are like.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: none; nothing here sleeps, and nothing changes what an inode that is on its way out has
//! been stripped of: its pages, its metadata blocks, its place in lists.

use super::{
    slot::Slot,
    DeviceNumber,
    Inode, //
};
use crate::{
    abstractions::fs::{
        FileSystem,
        SuperBlock, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr, //
};

/// An inode of the filesystem `T` that is there, but may have no user, see
/// [`SuperBlock::with_cached_inode`]. One that is in use is an [`FsInode`](crate::fs::FsInode).
///
/// # Invariants
///
/// As of [`Inode`]; the inode was allocated by the inode cache of `T`, its data is initialised,
/// and its superblock is a [`SuperBlock<T>`].
#[repr(transparent)]
pub struct InodeView<T> {
    inode: Inode,
    _filesystem: PhantomData<T>,
}

// SAFETY: `T`'s data for inodes is `Send` and `Sync`, and so is the plain inode.
unsafe impl<T: FileSystem> Send for InodeView<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for InodeView<T> {}

impl<T> Deref for InodeView<T> {
    type Target = Inode;

    #[inline]
    fn deref(&self) -> &Inode {
        &self.inode
    }
}

impl<T: FileSystem> InodeView<T> {
    /// The filesystem's data of the inode.
    #[inline]
    pub fn data(&self) -> &T::InodeData {
        // SAFETY: By the type invariants, the inode is the field of a slot whose data is
        // initialised.
        unsafe { (*ptr::addr_of!((*Slot::<T>::of(self.as_raw())).data)).assume_init_ref() }
    }

    /// The superblock.
    #[inline]
    pub fn super_block(&self) -> &SuperBlock<T> {
        // SAFETY: By the type invariants.
        unsafe { SuperBlock::from_raw((*self.as_raw()).i_sb) }
    }

    /// The type and the permissions, as in `st_mode`.
    pub fn mode(&self) -> u16 {
        // SAFETY: The inode is valid; C reads the mode without a lock.
        unsafe { ptr::addr_of!((*self.as_raw()).i_mode).read_volatile() }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        u32::from(self.mode()) & bindings::S_IFMT == bindings::S_IFDIR
    }

    /// The space it takes on disk, in units of 512 bytes.
    pub fn blocks(&self) -> u64 {
        // SAFETY: The inode is valid; C reads the count without a lock.
        unsafe { ptr::addr_of!((*self.as_raw()).i_blocks).read_volatile() }
    }

    /// What distinguishes the file from earlier ones with the same inode number.
    pub fn generation(&self) -> u32 {
        // SAFETY: The inode is valid; C reads the generation without a lock.
        unsafe { ptr::addr_of!((*self.as_raw()).i_generation).read_volatile() }
    }

    /// The number of links.
    pub fn nlink(&self) -> u32 {
        // SAFETY: The inode is valid; C reads the count without a lock.
        unsafe { ptr::addr_of!((*self.as_raw()).__bindgen_anon_1.i_nlink).read_volatile() }
    }

    /// The owner, in the filesystem's user namespace. C: `i_uid_read()`.
    pub fn uid(&self) -> u32 {
        // SAFETY: The inode is valid.
        unsafe { bindings::rust_mpage_helper_i_uid_read(self.as_raw()) }
    }

    /// The group, in the filesystem's user namespace. C: `i_gid_read()`.
    pub fn gid(&self) -> u32 {
        // SAFETY: The inode is valid.
        unsafe { bindings::rust_mpage_helper_i_gid_read(self.as_raw()) }
    }

    /// The time of the last access, in seconds since 1970, as the others.
    pub fn atime(&self) -> i64 {
        // SAFETY: The inode is valid; C reads times without a lock.
        unsafe { ptr::addr_of!((*self.as_raw()).i_atime_sec).read_volatile() }
    }

    /// The time of the last change of the contents.
    pub fn mtime(&self) -> i64 {
        // SAFETY: As above.
        unsafe { ptr::addr_of!((*self.as_raw()).i_mtime_sec).read_volatile() }
    }

    /// The time of the last change of the inode.
    pub fn ctime(&self) -> i64 {
        // SAFETY: As above.
        unsafe { ptr::addr_of!((*self.as_raw()).i_ctime_sec).read_volatile() }
    }

    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        u32::from(self.mode()) & bindings::S_IFMT == bindings::S_IFREG
    }

    /// The device that a special file stands for.
    pub fn device_number(&self) -> DeviceNumber {
        // SAFETY: The inode is valid; the field does not change once it is filled.
        DeviceNumber::from_raw(unsafe { (*self.as_raw()).i_rdev })
    }

    #[inline]
    fn has_flags(&self, flags: u32) -> bool {
        // SAFETY: The inode is valid; C reads the flags without a lock.
        unsafe { ptr::addr_of!((*self.as_raw()).i_flags).read_volatile() & flags != 0 }
    }

    /// Whether it can only be appended to. C: `IS_APPEND()`.
    pub fn is_append(&self) -> bool {
        self.has_flags(bindings::S_APPEND)
    }

    /// Whether it cannot be changed. C: `IS_IMMUTABLE()`.
    pub fn is_immutable(&self) -> bool {
        self.has_flags(bindings::S_IMMUTABLE)
    }

    /// Whether what is written is on the device when the call returns, because the file or the
    /// mount asks for it. C: `IS_SYNC()`.
    #[inline]
    pub fn is_sync(&self) -> bool {
        self.has_flags(bindings::S_SYNC) || self.super_block().is_synchronous()
    }

    /// Whether changes of the inode, be it a file or a directory, are on the device when the call
    /// returns. C: `inode_needs_sync()`.
    pub fn needs_sync(&self) -> bool {
        // SAFETY: The inode is valid.
        unsafe { bindings::inode_needs_sync(self.as_raw()) != 0 }
    }

    /// Whether changes of the directory are on the device when the call returns.
    /// C: `IS_DIRSYNC()`.
    pub fn is_dirsync(&self) -> bool {
        self.has_flags(bindings::S_SYNC | bindings::S_DIRSYNC)
            || self.super_block().is_dir_synchronous()
    }
}
