// SPDX-License-Identifier: GPL-2.0

//! Inodes of one kind of filesystem, with that filesystem's data.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! An inode is allocated together with the filesystem's data in one slab object, see `slot.rs`. The
//! inode cache hands out a [`NewInode`](super::NewInode), which only its owner sees; that is
//! filled, which writes the data, or given up. So whoever sees an [`FsInode`] sees initialised
//! data.
//!
//! Left out: making inodes that are not on disk yet, which is in `new_inode.rs`; changing them,
//! which is in `held.rs` and `inode_state.rs`.

use super::{
    slot::Slot,
    Inode,
    InodeType,
    InodeView, //
};
use crate::{
    abstractions::fs::FileSystem,
    bindings, //
};
use core::{
    ops::Deref,
    ptr, //
};
use kernel::sync::atomic::{
    Acquire,
    Atomic, //
};

/// An inode of the filesystem `T`.
///
/// It is in use, but that need not be by a counted reference; those are
/// [`InodeRef`](super::InodeRef)s.
///
/// # Invariants
///
/// As of [`Inode`]; the inode was allocated by the inode cache of `T`, its data is initialised,
/// and its superblock is a `SuperBlock<T>`.
#[repr(transparent)]
pub struct FsInode<T>(InodeView<T>);

impl<T> Deref for FsInode<T> {
    type Target = InodeView<T>;

    #[inline]
    fn deref(&self) -> &InodeView<T> {
        &self.0
    }
}

impl<T> AsRef<Inode> for FsInode<T> {
    #[inline]
    fn as_ref(&self) -> &Inode {
        &self.0
    }
}

// SAFETY: `FsInode` is a transparent wrapper of `InodeView`, and so of `Inode`.
unsafe impl<T: FileSystem> InodeType for FsInode<T> {
    #[inline]
    unsafe fn from_raw<'a>(ptr: *mut bindings::inode) -> &'a Self {
        // SAFETY: By the safety requirements; `Self` is a transparent wrapper.
        unsafe { &*ptr.cast() }
    }

    fn has_unwritten_pages(&self) -> bool {
        self.is_directory() && self.has_failed_since(self.written().load(Acquire))
    }
}

impl<T: FileSystem> FsInode<T> {
    /// The list of metadata blocks.
    pub(in crate::abstractions::fs) fn metadata(&self) -> *mut bindings::mapping_metadata_bhs {
        // SAFETY: By the type invariants, the inode comes from the inode cache.
        unsafe { Self::metadata_of(self.as_raw()) }
    }

    /// The errors of the mapping after which all its pages have been written.
    pub(super) fn written(&self) -> &Atomic<bindings::errseq_t> {
        // SAFETY: By the type invariants, the inode comes from the inode cache; the field is
        // aligned, and only ever accessed as a whole once the inode is in use.
        unsafe { Atomic::from_ptr(ptr::addr_of_mut!((*Slot::<T>::of(self.as_raw())).written)) }
    }

    /// How many bytes the kernel's quota code has reserved for it.
    #[inline]
    pub(in crate::abstractions::fs) fn reserved_by_quota(&self) -> bindings::qsize_t {
        // SAFETY: By the type invariants, the inode comes from the inode cache; the kernel changes
        // the field as a whole.
        unsafe { ptr::addr_of!((*Slot::<T>::of(self.as_raw())).reserved).read_volatile() }
    }

    /// The list of metadata blocks of an inode.
    ///
    /// # Safety
    ///
    /// `inode` must come from `T`'s inode cache.
    pub(in crate::abstractions::fs) unsafe fn metadata_of(
        inode: *mut bindings::inode,
    ) -> *mut bindings::mapping_metadata_bhs {
        // SAFETY: The inode is the field of a slot by the safety requirements.
        unsafe { ptr::addr_of_mut!((*Slot::<T>::of(inode)).metadata) }
    }

    /// The inode that is evicted, unless it could not be read or has never been filled.
    ///
    /// # Safety
    ///
    /// `inode` must come from `T`'s inode cache and be being evicted, for `'a`.
    pub(in crate::abstractions::fs) unsafe fn from_evicted<'a>(
        inode: *mut bindings::inode,
    ) -> Option<&'a Self> {
        // SAFETY:
        // - the inode comes from `T`'s cache by the safety requirements, and so is that of a slot;
        // - who evicts it is the only one to look at the flag, which is not written any more;
        // - `is_bad_inode()` reads a field of a valid inode;
        // - with its data initialised, the type invariants hold, for as long as it is being
        //   evicted.
        unsafe {
            if (*Slot::<T>::of(inode)).initialised && !bindings::is_bad_inode(inode) {
                Some(Self::from_raw(inode))
            } else {
                None
            }
        }
    }

    /// The inode of a dentry.
    ///
    /// # Safety
    ///
    /// For `'a`, `dentry` must be a positive dentry of a mounted filesystem of `T`.
    pub(in crate::abstractions::fs) unsafe fn of_dentry<'a>(
        dentry: *mut bindings::dentry,
    ) -> &'a Self {
        // SAFETY:
        // - the dentry is valid by the safety requirements, and keeps its inode in use;
        // - an inode that a dentry has is filled, and so the type invariants hold.
        unsafe { Self::from_raw((*dentry).d_inode) }
    }

    pub(in crate::abstractions::fs) fn mapping(&self) -> *mut bindings::address_space {
        // SAFETY: The inode is valid, and keeps its mapping.
        unsafe { (*self.as_raw()).i_mapping }
    }
}
