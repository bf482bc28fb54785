// SPDX-License-Identifier: GPL-2.0

//! Counted references to inodes.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! An inode must not be referenced when its filesystem is unmounted, nor be referenced anew while
//! it is written or evicted, when the count may be 0. So a reference comes from the inode cache
//! only, and not from a `&FsInode`; and it has the lifetime for which the filesystem was known to
//! be mounted, which is that of an operation. It cannot be kept with the filesystem's data, with an
//! inode's, or in static memory.
//!
//! One that is leaked is an inode that is busy when the filesystem is unmounted: the kernel says
//! so, and leaves it in memory with nobody who uses it.
//!
//! Locks: none to hold one. Giving the last one back may evict and delete the inode, with all the
//! locks of that; so it may sleep, and waits for ever for one that is held.

use super::{
    FsInode,
    InodeType, //
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
    ops::Deref,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// A counted reference to an inode of `T`, whose filesystem is mounted for `'m`.
///
/// # Invariants
///
/// `inode` is an inode of `T`'s cache whose data is initialised, and on which `self` owns a
/// reference.
#[must_use = "the reference is given back"]
pub struct InodeRef<'m, T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _mount: PhantomData<&'m SuperBlock<T>>,
}

impl<'m, T: FileSystem> InodeRef<'m, T> {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// The type invariants must hold, the reference must be the caller's, and the filesystem be
    /// mounted for `'m`.
    pub(in crate::abstractions::fs) unsafe fn from_raw(inode: NonNull<bindings::inode>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            inode,
            _mount: PhantomData,
        }
    }

    /// Gives the reference to the caller, who asked for an inode of the mount `sb`.
    ///
    /// Fails with `EXDEV` if it is one of another.
    pub(in crate::abstractions::fs) fn into_raw_on(
        self,
        sb: *mut bindings::super_block,
    ) -> Result<*mut bindings::inode> {
        check_mount(self.super_block().as_raw(), sb)?;
        Ok(ManuallyDrop::new(self).inode.as_ptr())
    }
}

/// Fails with `EXDEV` if the first superblock is not the second. Lifetimes keep inodes of different
/// mounts of a filesystem apart, but they are one type, and what the VFS does with an inode of
/// another mount is a loop or worse.
pub(in crate::abstractions::fs) fn check_mount(
    have: *mut bindings::super_block,
    want: *mut bindings::super_block,
) -> Result {
    match have == want {
        true => Ok(()),
        false => Err(EXDEV),
    }
}

impl<T: FileSystem> Deref for InodeRef<'_, T> {
    type Target = FsInode<T>;

    #[inline]
    fn deref(&self) -> &FsInode<T> {
        // SAFETY: By the type invariants, and the superblock is one of `T`.
        unsafe { FsInode::from_raw(self.inode.as_ptr()) }
    }
}

impl<T: FileSystem> Drop for InodeRef<'_, T> {
    /// C: `iput()`.
    fn drop(&mut self) {
        // SAFETY: The reference is ours by the type invariants, and given up here.
        unsafe { bindings::iput(self.inode.as_ptr()) }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_inode_ref)]
mod tests {
    use super::{
        bindings,
        check_mount, //
    };
    use kernel::prelude::*;

    #[test]
    fn an_inode_of_another_mount_is_refused() -> Result {
        let mut one: KBox<bindings::super_block> = KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let mut other: KBox<bindings::super_block> =
            KBox::init(pin_init::init_zeroed(), GFP_KERNEL)?;
        let (one, other) = (&raw mut *one, &raw mut *other);

        assert_eq!(check_mount(one, one), Ok(()));
        assert_eq!(check_mount(other, one), Err(EXDEV));
        assert_eq!(check_mount(core::ptr::null_mut(), one), Err(EXDEV));
        Ok(())
    }
}
