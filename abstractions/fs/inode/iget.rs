// SPDX-License-Identifier: GPL-2.0

//! Inodes that are read from the disk: from the inode cache to its owner, who fills it.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    cached::is_visiting,
    slot::init_data,
    InodeFlags,
    InodeRef,
    Operations, //
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
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::prelude::*;

/// An inode from the inode cache.
#[must_use = "the inode is given back, or given up"]
pub enum Iget<'m, T: FileSystem> {
    /// It has been read before.
    Cached(InodeRef<'m, T>),
    /// It is this caller's to read.
    New(NewInode<'m, T>),
}

/// What the VFS has to know about an inode.
#[derive(Clone, Copy)]
pub struct Attributes {
    /// The type and the permissions, as in `st_mode`.
    pub mode: u16,
    /// The owner, in the filesystem's user namespace.
    pub uid: u32,
    /// The group, in the filesystem's user namespace.
    pub gid: u32,
    /// The number of links.
    pub links: u32,
    /// The size in bytes.
    pub size: u64,
    /// The space on disk, in units of 512 bytes.
    pub blocks: u64,
    /// The time of the last access, in seconds since 1970, as the others.
    pub atime: i64,
    /// The time of the last change of the contents.
    pub mtime: i64,
    /// The time of the last change of the inode.
    pub ctime: i64,
    /// What distinguishes the file from earlier ones with the same inode number.
    pub generation: u32,
    /// The flags.
    pub flags: InodeFlags,
}

/// An inode that nobody else sees, to be filled, of a filesystem that is mounted for `'m`.
///
/// # Invariants
///
/// `inode` is an inode of `T`'s cache with `I_NEW` set by this task, whose data is not initialised,
/// and on which `self` owns a reference.
#[must_use = "the inode is given up"]
pub struct NewInode<'m, T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _mount: PhantomData<&'m SuperBlock<T>>,
}

impl<'m, T: FileSystem> NewInode<'m, T> {
    /// Takes over a new inode.
    ///
    /// # Safety
    ///
    /// The type invariants must hold for `inode`, the reference must be the caller's, and the
    /// filesystem be mounted for `'m`.
    pub(in crate::abstractions::fs) unsafe fn from_raw(inode: NonNull<bindings::inode>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            inode,
            _mount: PhantomData,
        }
    }

    /// The inode's number.
    pub fn number(&self) -> u64 {
        // SAFETY: The inode is valid.
        unsafe { (*self.inode.as_ptr()).i_ino }
    }

    /// Fills the inode and lets everybody see it.
    ///
    /// Fails with `EINVAL` if the operations are not those of the type in the mode, with `EUCLEAN`
    /// if no file can have the size, or as `data` does; the inode is given up then.
    pub fn init(
        self,
        attributes: &Attributes,
        operations: Operations<T>,
        data: impl PinInit<T::InodeData, Error>,
    ) -> Result<InodeRef<'m, T>> {
        let inode = self.inode.as_ptr();
        operations.check(attributes.mode)?;
        let size = i64::try_from(attributes.size).map_err(|_| EUCLEAN)?;
        // Before the data: who finds the inode with that can use it.
        self.set_attributes(attributes, size);
        // SAFETY: The inode is in a slot of ours by the type invariants, and nobody else uses it.
        // The data is not initialised.
        unsafe { init_data::<T>(inode, data)? };
        // Nothing fails from here on.
        let this = ManuallyDrop::new(self);
        // SAFETY: The inode is new and ours, and has the mode that they were checked for.
        unsafe { operations.apply(inode, attributes.mode) };
        // SAFETY: The inode is new and ours. unlock_new_inode() orders the above before others'
        // accesses.
        unsafe { bindings::unlock_new_inode(inode) };
        // SAFETY: The data is initialised, and `I_NEW` is gone. The reference is passed on.
        Ok(unsafe { InodeRef::from_raw(this.inode) })
    }

    fn set_attributes(&self, attributes: &Attributes, size: i64) {
        let raw = self.inode.as_ptr();
        // SAFETY: Nobody else looks at the inode while it is new by the type invariants, so its
        // fields are ours to set, directly and with the functions for some of them, which take no
        // lock.
        unsafe {
            (*raw).i_mode = attributes.mode;
            bindings::rust_mpage_helper_i_uid_write(raw, attributes.uid);
            bindings::rust_mpage_helper_i_gid_write(raw, attributes.gid);
            bindings::set_nlink(raw, attributes.links);
            (*raw).i_size = size;
            (*raw).i_blocks = attributes.blocks;
            (*raw).i_atime_sec = attributes.atime;
            (*raw).i_mtime_sec = attributes.mtime;
            (*raw).i_ctime_sec = attributes.ctime;
            (*raw).i_atime_nsec = 0;
            (*raw).i_mtime_nsec = 0;
            (*raw).i_ctime_nsec = 0;
            (*raw).i_generation = attributes.generation;
            bindings::inode_set_flags(
                raw,
                attributes.flags.into_raw(),
                attributes.flags.into_raw(),
            );
        }
    }
}

impl<T: FileSystem> Drop for NewInode<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The inode is new and ours; the reference is given up. C: iget_failed().
        unsafe { bindings::iget_failed(self.inode.as_ptr()) }
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// Gets inode number `ino` from the inode cache, or a new inode to be filled.
    /// C: `iget_locked()`.
    ///
    /// Fails with `EDEADLK` in [`with_cached_inode`](Self::with_cached_inode), whose end somebody
    /// may wait for who is waited for here.
    pub fn iget(&self, ino: u64) -> Result<Iget<'_, T>> {
        if is_visiting() {
            return Err(EDEADLK);
        }
        // SAFETY: The superblock is valid and mounted.
        let inode = unsafe { bindings::iget_locked(self.as_raw(), ino) };
        let inode = NonNull::new(inode).ok_or(ENOMEM)?;
        // SAFETY: The inode is valid and referenced; iget_locked() waits for I_NEW of others.
        let state = unsafe { ptr::addr_of!((*inode.as_ptr()).i_state.__state).read_volatile() };
        if state & bindings::inode_state_flags_enum_I_NEW != 0 {
            // SAFETY: The inode is new, so it is this caller's to fill, and it comes from
            // `alloc_inode` of this filesystem.
            Ok(Iget::New(unsafe { NewInode::from_raw(inode) }))
        } else {
            // SAFETY: The inode has been filled by `NewInode::init`, as every inode of this
            // filesystem that has lost I_NEW and is found. The reference is passed on.
            Ok(Iget::Cached(unsafe { InodeRef::from_raw(inode) }))
        }
    }
}
