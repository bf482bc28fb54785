// SPDX-License-Identifier: GPL-2.0

//! Inodes that may be in memory, looked for without waiting for any of them.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: `inode_hash_lock`, a spinlock, while an inode is looked for; inside it the inode's
//! `i_lock`. Who evicts an inode waits, before anything, for those who look at it.

use super::{
    slot::{
        is_initialised,
        Slot, //
    },
    InodeRef,
    InodeView, //
};
use crate::{
    abstractions::{
        fs::{
            FileSystem,
            SuperBlock, //
        },
        mm::without_fs_reclaim, //
    },
    bindings, //
};
use core::{
    ffi::c_void,
    ptr,
    ptr::NonNull, //
};
use kernel::prelude::*;

/// What is known of an inode without waiting for it.
pub enum Cached<R> {
    /// It is not in memory.
    Absent,
    /// It is being read, or evicted.
    Busy,
    /// It is in memory.
    Here(R),
}

/// An inode that is not evicted for `'m`.
///
/// # Invariants
///
/// The inode comes from the cache of `T`, is initialised, and this counts among its visits.
struct Visit<'m, T: FileSystem>(&'m InodeView<T>);

impl<T: FileSystem> Drop for Visit<'_, T> {
    fn drop(&mut self) {
        let inode = self.0.as_raw();
        // SAFETY: The inode is valid until the visit ends, which it does here, once.
        unsafe { bindings::rust_mpage_helper_end_visit(inode, visits::<T>(inode)) };
    }
}

/// Where the visits of an inode are counted.
///
/// # Safety
///
/// `inode` must come from `T`'s inode cache.
unsafe fn visits<T: FileSystem>(inode: *mut bindings::inode) -> *mut u32 {
    // SAFETY: The inode is the field of a slot by the safety requirements.
    unsafe { ptr::addr_of_mut!((*Slot::<T>::of(inode)).visits) }
}

/// Waits until nobody visits an inode. Nobody begins to afterwards.
///
/// # Safety
///
/// `inode` must come from `T`'s inode cache, and somebody be about to evict it.
pub(in crate::abstractions::fs) unsafe fn wait_for_visits<T: FileSystem>(
    inode: *mut bindings::inode,
) {
    // SAFETY: By the safety requirements.
    unsafe { bindings::rust_mpage_helper_wait_for_visits(inode, visits::<T>(inode)) };
}

type FoundFn = unsafe extern "C" fn(*mut bindings::inode, u64, *mut c_void) -> c_int;

impl<T: FileSystem> SuperBlock<T> {
    /// Looks for inode number `number`.
    ///
    /// # Safety
    ///
    /// `found` must be one of the callbacks below, of `T`.
    unsafe fn find(&self, number: u64, found: FoundFn) -> Cached<NonNull<bindings::inode>> {
        let mut is_there = false;
        // SAFETY: The superblock is valid and mounted; the callback takes this type of data, which
        // lives until the call returns.
        let inode = unsafe {
            bindings::find_inode_nowait(
                self.as_raw(),
                number,
                Some(found),
                ptr::from_mut(&mut is_there).cast(),
            )
        };
        match NonNull::new(inode) {
            Some(inode) => Cached::Here(inode),
            None if is_there => Cached::Busy,
            None => Cached::Absent,
        }
    }

    /// Calls `act` with inode number `number`, if that is in memory and nobody is evicting it. Who
    /// begins to waits until `act` returns, which must not wait for that, and does not enter a
    /// filesystem to get memory.
    ///
    /// The inode may still be without a name, but it has all its attributes.
    /// C: `find_inode_nowait()`, as `ext4_update_other_inode_time()` uses it, with a spinlock held.
    pub fn with_cached_inode<R>(
        &self,
        number: u64,
        act: impl FnOnce(&InodeView<T>) -> R,
    ) -> Cached<R> {
        // SAFETY: The callback is one of those.
        match unsafe { self.find(number, visit_callback::<T>) } {
            Cached::Here(inode) => {
                // SAFETY: An inode that is initialised, comes from the cache of `T` and is not
                // evicted may be looked at as an `InodeView`. INVARIANT: The callback has counted
                // the visit.
                let visit = Visit(unsafe { inode.cast::<InodeView<T>>().as_ref() });
                Cached::Here(without_fs_reclaim(|| act(visit.0)))
            }
            Cached::Busy => Cached::Busy,
            Cached::Absent => Cached::Absent,
        }
    }

    /// Inode number `number`, if it is in memory, has been filled, and nobody is evicting it.
    ///
    /// C: `ilookup()`, which waits.
    pub fn cached_inode(&self, number: u64) -> Cached<InodeRef<'_, T>> {
        // SAFETY: The callback is one of those.
        match unsafe { self.find(number, reference_callback::<T>) } {
            // SAFETY: The callback has taken a reference on what it has found, an inode of the
            // filesystem with its data.
            Cached::Here(inode) => Cached::Here(unsafe { InodeRef::from_raw(inode) }),
            Cached::Busy => Cached::Busy,
            Cached::Absent => Cached::Absent,
        }
    }

    /// Waits until inode number `number` is not being read or evicted. C: `ilookup()`.
    ///
    /// May sleep, and may evict the inode.
    pub fn wait_for_inode(&self, number: u64) {
        // SAFETY: The superblock is valid and mounted.
        let inode = unsafe { bindings::ilookup(self.as_raw(), number) };
        if !inode.is_null() {
            // SAFETY: ilookup() has taken a reference.
            unsafe { bindings::iput(inode) };
        }
    }
}

/// Begins a visit, if nobody evicts the inode. One that will be evicted, `I_WILL_FREE`, is about to
/// be written; one that is being created, `I_CREATING`, gets its name just now.
///
/// # Safety
///
/// Called by find_inode_nowait(), with `inode_hash_lock` held, for an inode of a superblock of `T`;
/// `data` must point to a `bool` that nobody else uses.
unsafe extern "C" fn visit_callback<T: FileSystem>(
    inode: *mut bindings::inode,
    number: u64,
    data: *mut c_void,
) -> c_int {
    // SAFETY:
    // - the inode is hashed, and so valid as long as the lock is held;
    // - `data` is the flag of this search, which nobody else uses;
    // - the inode comes from the cache of `T`, and so it has a count of visits.
    unsafe {
        if (*inode).i_ino != number {
            return 0;
        }
        *data.cast::<bool>() = true;
        if is_initialised::<T>(inode)
            && !bindings::is_bad_inode(inode)
            && bindings::rust_mpage_helper_begin_visit(inode, visits::<T>(inode))
        {
            1
        } else {
            -1
        }
    }
}

/// # Safety
///
/// Called by find_inode_nowait(), with `inode_hash_lock` held, for an inode of a superblock of `T`;
/// `data` must point to a `bool` that nobody else uses.
unsafe extern "C" fn reference_callback<T: FileSystem>(
    inode: *mut bindings::inode,
    number: u64,
    data: *mut c_void,
) -> c_int {
    // SAFETY:
    // - the inode is hashed, and so valid as long as the lock is held; its state may be asked for;
    // - `data` is the flag of this search, which nobody else uses;
    // - igrab() refuses an inode that is on its way out.
    unsafe {
        if (*inode).i_ino != number {
            return 0;
        }
        *data.cast::<bool>() = true;
        let state = bindings::rust_mpage_helper_inode_state(inode);
        if state & bindings::inode_state_flags_enum_I_NEW == 0
            && is_initialised::<T>(inode)
            && !bindings::is_bad_inode(inode)
            && !bindings::igrab(inode).is_null()
        {
            1
        } else {
            -1
        }
    }
}
