// SPDX-License-Identifier: GPL-2.0

//! Inodes that may be in memory, looked for without waiting for any of them.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: `inode_hash_lock`, a spinlock, while an inode is looked for and used; inside it the
//! inode's `i_lock`.

use super::{
    slot::is_initialised,
    InodeRef,
    InodeView, //
};
use crate::{
    abstractions::fs::{
        FileSystem,
        SuperBlock, //
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

/// What is to be done with an inode, and what it gave.
struct Visit<'a, T, F, R> {
    act: Option<F>,
    result: Cached<R>,
    _filesystem: core::marker::PhantomData<&'a T>,
}

impl<T: FileSystem> SuperBlock<T> {
    /// Calls `act` with inode number `number`, if that is in memory and nobody is evicting it.
    ///
    /// The inode may still be without a name, but it has all its attributes. It may begin to be
    /// evicted while `act` runs, which must not sleep. C: `find_inode_nowait()`, as
    /// `ext4_update_other_inode_time()` uses it.
    pub fn with_cached_inode<R, F>(&self, number: u64, act: F) -> Cached<R>
    where
        F: FnOnce(&InodeView<T>) -> R,
    {
        let mut visit = Visit::<'_, T, F, R> {
            act: Some(act),
            result: Cached::Absent,
            _filesystem: core::marker::PhantomData,
        };
        // SAFETY: The superblock is valid and mounted; the callback is for this type of data, which
        // lives until the call returns. It takes no reference.
        unsafe {
            bindings::find_inode_nowait(
                self.as_raw(),
                number,
                Some(visit_callback::<T, F, R>),
                ptr::from_mut(&mut visit).cast(),
            )
        };
        visit.result
    }

    /// Inode number `number`, if it is in memory, has been filled, and nobody is evicting it.
    ///
    /// C: `ilookup()`, which waits.
    pub fn cached_inode(&self, number: u64) -> Cached<InodeRef<'_, T>> {
        let mut found = false;
        // SAFETY: The superblock is valid and mounted; the callback is for this type of data, which
        // lives until the call returns.
        let inode = unsafe {
            bindings::find_inode_nowait(
                self.as_raw(),
                number,
                Some(reference_callback::<T>),
                ptr::from_mut(&mut found).cast(),
            )
        };
        match NonNull::new(inode) {
            // SAFETY: The callback has taken a reference on what it has found, an inode of the
            // filesystem with its data.
            Some(inode) => Cached::Here(unsafe { InodeRef::from_raw(inode) }),
            None if found => Cached::Busy,
            None => Cached::Absent,
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

/// The state of an inode that is on its way out. One that will be, `I_WILL_FREE`, is about to be
/// written; one that is being created, `I_CREATING`, gets its name just now.
const GOING: u32 = bindings::inode_state_flags_enum_I_FREEING;

/// # Safety
///
/// Called by find_inode_nowait(), with `inode_hash_lock` held, for an inode of a superblock of `T`;
/// `data` must point to a `Visit<'_, T, F, R>` that nobody else uses.
unsafe extern "C" fn visit_callback<T, F, R>(
    inode: *mut bindings::inode,
    number: u64,
    data: *mut c_void,
) -> c_int
where
    T: FileSystem,
    F: FnOnce(&InodeView<T>) -> R,
{
    // SAFETY:
    // - the inode is hashed, and so valid as long as the lock is held; its state may be asked for;
    // - `data` is the visit of this search, which nobody else uses;
    // - an inode that is initialised, comes from the cache of `T` and is not freed before the lock is
    //   let go may be looked at as an `InodeView`, if it is evicted meanwhile, too.
    unsafe {
        if (*inode).i_ino != number {
            return 0;
        }
        let visit = &mut *data.cast::<Visit<'_, T, F, R>>();
        visit.result = Cached::Busy;
        if bindings::rust_mpage_helper_inode_state(inode) & GOING == 0
            && is_initialised::<T>(inode)
            && !bindings::is_bad_inode(inode)
        {
            if let Some(act) = visit.act.take() {
                visit.result = Cached::Here(act(&*inode.cast::<InodeView<T>>()));
            }
        }
    }
    // The search is over.
    -1
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
