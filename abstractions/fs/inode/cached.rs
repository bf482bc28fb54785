// SPDX-License-Identifier: GPL-2.0

//! Inodes that may be in memory, looked for without waiting for any of them.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Locks: `inode_hash_lock`, a spinlock, while an inode is looked for; inside it the inode's
//! `i_lock`. Who evicts an inode waits, before anything, for those who look at it. So who looks at
//! one must not evict any, or wait for who does: lockdep has a name for that, `fs_visits`. What
//! looks owns no reference, asking for one waits for nobody, and who gives one back all the same
//! does not wait, but has the inode stay until nobody looks at it: `bindings/visits.c`.

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
    marker::PhantomData,
    mem::MaybeUninit,
    ptr,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

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
/// The inode comes from the cache of `T`, is initialised, and this counts among its visits; the
/// visitor has entered, and stays where it is for `'m`.
#[must_use = "the visit has ended"]
struct Visit<'m, T: FileSystem> {
    inode: NonNull<bindings::inode>,
    visitor: &'m mut MaybeUninit<bindings::rust_mpage_visitor>,
    _filesystem: PhantomData<T>,
}

impl<'m, T: FileSystem> Visit<'m, T> {
    /// Goes on with a visit that has been counted.
    ///
    /// # Safety
    ///
    /// `inode` must come from the cache of `T` and be initialised, and the visit be the caller's.
    unsafe fn enter(
        inode: NonNull<bindings::inode>,
        visitor: &'m mut MaybeUninit<bindings::rust_mpage_visitor>,
    ) -> Self {
        // SAFETY: The visitor is there until it has left, in `drop`.
        unsafe { bindings::rust_mpage_enter_visit(visitor.as_mut_ptr()) };
        // INVARIANT: By the safety requirements; entered just above.
        Self {
            inode,
            visitor,
            _filesystem: PhantomData,
        }
    }

    /// The inode.
    fn inode(&self) -> &InodeView<T> {
        // SAFETY: An inode that is initialised, comes from the cache of `T` and is visited may be
        // looked at as an `InodeView`: it stays until the visit ends.
        unsafe { self.inode.cast::<InodeView<T>>().as_ref() }
    }
}

impl<T: FileSystem> Drop for Visit<'_, T> {
    fn drop(&mut self) {
        let inode = self.inode.as_ptr();
        // SAFETY: The inode is valid until the visit ends, which it does here, once; the visitor
        // has entered by the type invariants.
        let is_late = unsafe {
            bindings::rust_mpage_end_visit(inode, visits::<T>(inode), self.visitor.as_mut_ptr())
        };
        if is_late {
            // SAFETY: The inode was left to the last visitor, which this was.
            unsafe { Slot::<T>::end_late(Slot::of(inode)) };
        }
    }
}

/// Whether the current task looks at an inode that nobody evicts meanwhile: so who evicts one may
/// be waiting for it.
pub(super) fn is_visiting() -> bool {
    // SAFETY: May be called in any context of a task.
    unsafe { bindings::rust_mpage_is_visiting() }
}

/// Where the visits of an inode are counted.
///
/// # Safety
///
/// `inode` must come from `T`'s inode cache.
unsafe fn visits<T: FileSystem>(inode: *mut bindings::inode) -> *mut bindings::rust_mpage_visits {
    // SAFETY: The inode is the field of a slot by the safety requirements.
    unsafe { ptr::addr_of_mut!((*Slot::<T>::of(inode)).visits) }
}

/// Waits until nobody visits an inode, unless the current task visits one. Nobody begins to
/// afterwards.
///
/// # Safety
///
/// `inode` must come from `T`'s inode cache, and somebody be about to evict it.
pub(in crate::abstractions::fs) unsafe fn wait_for_visits<T: FileSystem>(
    inode: *mut bindings::inode,
) {
    // SAFETY: May be called where one may sleep.
    unsafe { bindings::rust_mpage_may_wait_for_visits() };
    // SAFETY: By the safety requirements.
    unsafe { bindings::rust_mpage_wait_for_visits(inode, visits::<T>(inode)) };
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
    /// begins to waits until `act` returns. So memory is had in there without entering filesystems,
    /// and it is `Copy`, so that no reference to an inode can go with it; what waits for who evicts
    /// one in another way waits for ever, which lockdep says of `fs_visits`.
    ///
    /// The inode may still be without a name, but it has all its attributes.
    /// C: `find_inode_nowait()`, as `ext4_update_other_inode_time()` uses it, with a spinlock held.
    pub fn with_cached_inode<R>(
        &self,
        number: u64,
        act: impl FnOnce(&InodeView<T>) -> R + Copy,
    ) -> Cached<R> {
        let mut visitor = MaybeUninit::uninit();
        // SAFETY: The callback is one of those.
        match unsafe { self.find(number, visit_callback::<T>) } {
            Cached::Here(inode) => {
                // SAFETY: The callback has counted the visit of an inode that is initialised, and
                // comes from the cache of `T`.
                let visit = unsafe { Visit::<T>::enter(inode, &mut visitor) };
                Cached::Here(without_fs_reclaim(|| act(visit.inode())))
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

    /// Waits until inode number `number` is not being read or evicted, and for a moment if it is
    /// being created. C: `ilookup()`, which does not wait for that.
    ///
    /// May sleep, and may evict the inode. Does not wait in
    /// [`with_cached_inode`](Self::with_cached_inode), whose end somebody may wait for.
    pub fn wait_for_inode(&self, number: u64) {
        if is_visiting() {
            return;
        }
        // SAFETY: The superblock is valid and mounted.
        let inode = unsafe { bindings::ilookup(self.as_raw(), number) };
        if !inode.is_null() {
            // SAFETY: ilookup() has taken a reference.
            unsafe { bindings::iput(inode) };
        } else {
            fsleep(Delta::from_millis(1));
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
            && bindings::rust_mpage_begin_visit(inode, visits::<T>(inode))
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
