// SPDX-License-Identifier: GPL-2.0

//! Inodes of files that are being created.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! An [`UnhashedInode`] is memory; the filesystem finds it a number, and [`UnhashedInode::insert`]
//! makes it a [`CreatedInode`], which nobody else can use yet. It ends in one of two ways: the
//! operation that has created it gives it a name, or it is dropped, and deleted like any file
//! without a name, from the disk, too.

use super::{
    FileSystem,
    FsInode,
    HeldInode,
    InodeFlags,
    InodeType,
    Operations,
    SuperBlock, //
};
use crate::{
    abstractions::fs::{
        inode::{
            check_mount,
            init_data, //
        },
        quota::InodeCharge, //
    },
    bindings, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    page::PAGE_SIZE,
    prelude::*, //
};

/// Whose group a new file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupFrom {
    /// The current task's, or the directory's if its set-group-ID bit is set, as in System V.
    /// C: `inode_init_owner()`.
    Process,
    /// The directory's, as in BSD: the mount option `grpid`.
    Directory,
}

/// What a new inode is to be.
#[derive(Clone, Copy)]
pub struct Creation {
    /// Its number.
    pub number: u64,
    /// The type and the permissions, as in `st_mode`.
    pub mode: u16,
    /// Whose group it has.
    pub group: GroupFrom,
    /// What distinguishes the file from earlier ones with the same inode number.
    pub generation: u32,
    /// The flags.
    pub flags: InodeFlags,
}

impl<T: FileSystem> SuperBlock<T> {
    /// Makes an inode, which has no number yet. C: `new_inode()`.
    pub fn new_inode(&self) -> Result<UnhashedInode<'_, T>> {
        // SAFETY: The superblock is valid and mounted.
        let inode = NonNull::new(unsafe { bindings::new_inode(self.as_raw()) }).ok_or(ENOMEM)?;
        // INVARIANT: new_inode() returns an inode of `alloc_inode`, referenced for the caller, that
        // cannot be found.
        Ok(UnhashedInode {
            inode,
            _mount: PhantomData,
        })
    }
}

/// An inode that cannot be found, of a filesystem that is mounted for `'m`.
///
/// # Invariants
///
/// `inode` is an inode of `T`'s cache that is not hashed and has never been used, and `self` owns
/// the only reference.
#[must_use = "the inode is given up"]
pub struct UnhashedInode<'m, T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _mount: PhantomData<&'m SuperBlock<T>>,
}

impl<'m, T: FileSystem> UnhashedInode<'m, T> {
    /// Fills the inode, as one of a file that is created in `dir` now, and lets it be found: who
    /// looks for its number waits until it has a name or is dropped.
    ///
    /// It has one link, and no size, or that of a symbolic link that is kept with the inode.
    ///
    /// It is counted in its owners' quota.
    ///
    /// Fails with `EINVAL` if the operations are not those of the type in the mode, with `EBUSY` if
    /// the number is in use, with `EDQUOT`, or as `data` does. The inode is dropped then; its
    /// number is not freed.
    pub fn insert(
        self,
        dir: &FsInode<T>,
        creation: &Creation,
        operations: Operations<T>,
        data: impl PinInit<T::InodeData, Error>,
    ) -> Result<CreatedInode<'m, T>> {
        let inode = self.inode.as_ptr();
        operations.check(creation.mode)?;
        // SAFETY: The inode comes from `T`'s cache and is ours; it has never been used, so its data
        // is not initialised, and it is dropped if this fails.
        unsafe { init_data::<T>(inode, data)? };
        // SAFETY: The inode is ours alone, so its fields may be set, directly and with the
        // functions for some of them, which only read `dir`, a valid inode.
        unsafe {
            (*inode).i_ino = creation.number;
            match creation.group {
                GroupFrom::Process => {
                    bindings::rust_mpage_helper_inode_init_owner(inode, dir.as_raw(), creation.mode)
                }
                GroupFrom::Directory => bindings::rust_mpage_helper_inode_init_owner_bsd(
                    inode,
                    dir.as_raw(),
                    creation.mode,
                ),
            }
            bindings::simple_inode_init_ts(inode);
            (*inode).i_generation = creation.generation;
            let flags = creation.flags.into_raw();
            bindings::inode_set_flags(inode, flags, flags);
        }
        // SAFETY: The inode is valid as long as `self`, and comes from `T`'s cache.
        let charge = unsafe { InodeCharge::new(self.inode)? };
        // SAFETY: The inode is valid, not hashed, and has its number.
        to_result(unsafe { bindings::insert_inode_locked(inode) })?;

        // Nothing fails from here on.
        charge.keep();
        let this = ManuallyDrop::new(self);
        // SAFETY: The inode is valid, and nobody else uses it.
        let mode = unsafe { (*inode).i_mode };
        // SAFETY: The inode is new and ours, and of the type that they were checked for: its mode
        // may have lost a permission since.
        unsafe { operations.apply(inode, mode) };
        // INVARIANT: The data is initialised, and insert_inode_locked() has set I_NEW. The
        // reference is passed on.
        Ok(CreatedInode {
            inode: this.inode,
            _mount: PhantomData,
        })
    }
}

impl<T: FileSystem> Drop for UnhashedInode<'_, T> {
    fn drop(&mut self) {
        // SAFETY:
        // - the inode is valid, and nobody else's: a bad one is not deleted from the disk;
        // - the reference is ours by the type invariants, and given up here.
        unsafe {
            bindings::make_bad_inode(self.inode.as_ptr());
            bindings::iput(self.inode.as_ptr());
        }
    }
}

/// The inode of a file that has no name yet and that nobody else uses, of a filesystem that is
/// mounted for `'m`.
///
/// The operation that creates it returns it, to have it named. When it is dropped instead, the file
/// is deleted: the filesystem's `delete_inode` and `free_inode` run then, and wait for ever for
/// what the one who drops it has locked.
///
/// # Invariants
///
/// `inode` is an inode of `T`'s cache with `I_NEW` set by this task, whose data is initialised, and
/// on which `self` owns a reference.
#[must_use = "it is deleted again"]
pub struct CreatedInode<'m, T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _mount: PhantomData<&'m SuperBlock<T>>,
}

impl<T: FileSystem> Deref for CreatedInode<'_, T> {
    type Target = FsInode<T>;

    fn deref(&self) -> &FsInode<T> {
        // SAFETY: By the type invariants, and the superblock is one of `T`.
        unsafe { FsInode::from_raw(self.inode.as_ptr()) }
    }
}

impl<T: FileSystem> CreatedInode<'_, T> {
    /// That nobody else changes its attributes.
    pub fn held(&self) -> HeldInode<'_, T> {
        // SAFETY: The inode is new and ours by the type invariants.
        unsafe { HeldInode::new(self) }
    }

    /// The inode with `I_NEW`, and the reference, for the caller, who asked for an inode of the
    /// mount `sb` and of the type that is in `mode`.
    ///
    /// Fails with `EXDEV` if it is one of another mount, with `EINVAL` if it is of another type. It
    /// is dropped then.
    pub(super) fn into_raw_on(
        self,
        sb: *mut bindings::super_block,
        mode: u16,
    ) -> Result<*mut bindings::inode> {
        check_mount(self.super_block().as_raw(), sb)?;
        check_type(self.mode(), mode)?;
        Ok(ManuallyDrop::new(self).inode.as_ptr())
    }

    /// Writes the target of a symbolic link that is not kept with the inode, and sets the size.
    /// C: `page_symlink()`.
    ///
    /// Fails with `EINVAL` if the inode has no pages to write to, with `ENAMETOOLONG` if the target
    /// is longer than a page, and as the filesystem's `write_begin` does.
    pub fn write_target(&self, target: &[u8]) -> Result {
        if target.is_empty() {
            return Err(EINVAL);
        }
        if target.len() >= PAGE_SIZE {
            return Err(ENAMETOOLONG);
        }
        let len = c_int::try_from(target.len() + 1)?;
        // SAFETY: The inode is valid, and so is its mapping.
        let has_pages = unsafe { (*(*self.mapping()).a_ops).write_begin.is_some() };
        if !has_pages || u32::from(self.mode()) & bindings::S_IFMT != bindings::S_IFLNK {
            return Err(EINVAL);
        }
        // SAFETY: The inode is a symbolic link whose pages can be written and, by
        // `Operations::apply`, are not in high memory. All but the last of `len` bytes are copied.
        to_result(unsafe { bindings::page_symlink(self.as_raw(), target.as_ptr().cast(), len) })
    }
}

/// Fails with `EINVAL` if two modes are of different types.
fn check_type(have: u16, want: u16) -> Result {
    match u32::from(have ^ want) & bindings::S_IFMT {
        0 => Ok(()),
        _ => Err(EINVAL),
    }
}

impl<T: FileSystem> Drop for CreatedInode<'_, T> {
    fn drop(&mut self) {
        // SAFETY:
        // - the inode is valid, and nobody else's: without a link it is evicted, and deleted;
        // - it has I_NEW, which goes with this, and the reference is ours, by the type invariants.
        unsafe {
            bindings::clear_nlink(self.inode.as_ptr());
            bindings::discard_new_inode(self.inode.as_ptr());
        }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_created_inode)]
mod tests {
    use super::check_type;
    use kernel::prelude::*;

    #[test]
    fn a_file_of_another_type_is_refused() {
        assert_eq!(check_type(0o100_644, 0o100_000), Ok(()));
        assert_eq!(check_type(0o060_600, 0o060_000), Ok(()));
        assert_eq!(check_type(0o040_755, 0o100_000), Err(EINVAL));
        assert_eq!(check_type(0o100_644, 0o120_000), Err(EINVAL));
        assert_eq!(check_type(0o060_600, 0o020_000), Err(EINVAL));
    }
}
