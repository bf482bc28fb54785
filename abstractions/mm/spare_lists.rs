// SPDX-License-Identifier: GPL-2.0

//! The lists of who has memory that can be done without, one for each cgroup and node and one of
//! all, and how they are asked for it.
//!
//! Who wants memory of a cgroup asks those in its list, and who goes beyond the limit, which is for
//! all, those in that of all; one after the other. Who is asked and has used theirs since they were
//! last asked goes to the end of the list; who gives up all that it has is in none any more.
//!
//! C header: [`include/linux/list_lru.h`](srctree/include/linux/list_lru.h)
//!
//! Locks: that of the lists, a spinlock, inside of the mutex of a [`Holding`]. No memory is
//! allocated or freed with it held, and of who is asked the mutex is only tried: so memory reclaim
//! may come here from anywhere.

use super::spare::SpareSlice;
use crate::{
    bindings,
    compat, //
};
use core::{
    mem::{
        offset_of,
        ManuallyDrop, //
    },
    ptr,
    ptr::NonNull, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        Refcount, //
    },
    types::Opaque, //
};

/// Memory of one owner.
#[derive(Default)]
pub struct SpareParts {
    /// Words.
    pub words: Option<SpareSlice<u64>>,
    /// Bytes.
    pub bytes: Option<SpareSlice<u8>>,
}

impl SpareParts {
    fn len(&self) -> usize {
        self.words.as_ref().map_or(0, |words| size_of_val(&**words))
            + self.bytes.as_ref().map_or(0, |bytes| bytes.len())
    }
}

/// Takes the memory out.
pub(super) fn take(parts: &mut SpareParts) -> SpareParts {
    core::mem::take(parts)
}

/// What the list has of an owner: nothing of the owner's own, which may be code of a module that
/// goes.
///
/// # Invariants
///
/// It is an object of `rust_mpage_spare_alloc()`. While `item` is in the lists there is a reference
/// more, which is theirs.
#[pin_data]
pub(super) struct Holding {
    #[pin]
    item: Opaque<bindings::rust_mpage_spare_item>,
    references: Refcount,
    /// Whether it was used since this was asked last: 0 or 1.
    pub(super) used: Atomic<u32>,
    #[pin]
    pub(super) parts: Mutex<SpareParts>,
}

// SAFETY: The item is only changed under the lock of the lists.
unsafe impl Send for Holding {}
// SAFETY: As above.
unsafe impl Sync for Holding {}

impl Holding {
    /// Not generic: lockdep wants one name for the mutex, and each crate has its own copy of one.
    ///
    /// Fails with `ENOMEM`.
    #[inline(never)]
    pub(super) fn new() -> Result<ARef<Self>> {
        // SAFETY: Process context; the result is checked.
        let slot = unsafe { bindings::rust_mpage_spare_alloc() }.cast::<Self>();
        let slot = NonNull::new(slot).ok_or(ENOMEM)?;
        let init = pin_init!(Self {
            item <- Opaque::ffi_init(|item| {
                // SAFETY: The item is in the slot, which is ours.
                unsafe { bindings::rust_mpage_spare_init(item) }
            }),
            references: Refcount::new(1),
            used: Atomic::new(1),
            parts <- new_mutex!(SpareParts::default(), "rust_mpage_spare"),
        });
        // INVARIANT: The object is new, and in no list.
        // SAFETY: It has the size and the alignment of a `Holding`, and does not move.
        let Ok(()) = unsafe { compat::raw_try_init(slot.as_ptr(), init) };
        // SAFETY: The reference is the first one.
        Ok(unsafe { ARef::from_raw(slot) })
    }

    /// Whether it is in the lists, which may change at any time: it may have given up what it had,
    /// and be in them still.
    pub(super) fn is_in(&self) -> bool {
        // SAFETY: The item is ours.
        let item = unsafe { ptr::addr_of_mut!((*self.item.get()).of_cgroup) };
        // SAFETY: The item is initialised, and read in one piece, as `list_empty()` does.
        unsafe { ptr::addr_of!((*item).next).read_volatile() != item }
    }

    /// Puts it into the lists, if it is in none.
    pub(super) fn add(this: &ARef<Self>) {
        let of_lists = ARef::into_raw(this.clone());
        // INVARIANT: If it was in none, the lists have the reference.
        // SAFETY: The object is one of `rust_mpage_spare_alloc()` by the type invariants.
        if !unsafe { bindings::rust_mpage_spare_add(this.item.get()) } {
            // SAFETY: The reference was made above.
            drop(unsafe { ARef::from_raw(of_lists) });
        }
    }

    /// Takes it out of the lists.
    pub(super) fn remove(&self) {
        // SAFETY: The object is one of `rust_mpage_spare_alloc()` by the type invariants.
        if unsafe { bindings::rust_mpage_spare_del(self.item.get()) } {
            // SAFETY: The lists had a reference by the type invariants, and have it no more.
            drop(unsafe { ARef::from_raw(NonNull::from(self)) });
        }
    }

    /// # Safety
    ///
    /// `item` is that of a `Holding`.
    unsafe fn of_item(item: NonNull<bindings::rust_mpage_spare_item>) -> NonNull<Self> {
        // SAFETY: By the safety requirements it is in one.
        unsafe { item.byte_sub(offset_of!(Self, item)) }.cast()
    }
}

// SAFETY: It is freed with the last reference, and there is none without one.
unsafe impl AlwaysRefCounted for Holding {
    fn inc_ref(&self) {
        self.references.inc();
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: By the safety requirements there is a reference.
        let last = ManuallyDrop::new(unsafe { ARef::from_raw(obj) });
        if !last.references.dec_and_test() {
            return;
        }
        // SAFETY: It was the last one, so that nobody else has the object.
        unsafe { ptr::drop_in_place(obj.as_ptr()) };
        // SAFETY: It is one of `rust_mpage_spare_alloc()` by the type invariants.
        unsafe { bindings::rust_mpage_spare_free(obj.as_ptr().cast()) };
    }
}

/// How many are asked at a time at most.
pub(super) const MOST_ASKED: usize = 256;

/// Who is asked for memory: those in the list that memory is wanted of, or all of them.
///
/// # Invariants
///
/// The control is valid, or null.
#[derive(Clone, Copy)]
pub(super) struct Asked(*mut bindings::shrink_control);

impl Asked {
    /// All of them.
    pub(super) const ALL: Self = Self(ptr::null_mut());

    /// Those that a shrinker is to ask.
    ///
    /// # Safety
    ///
    /// The control is valid for as long as the value is used.
    pub(super) unsafe fn of(control: *mut bindings::shrink_control) -> Self {
        // INVARIANT: By the safety requirements.
        Self(control)
    }

    /// How many there are.
    pub(super) fn count(self) -> usize {
        // SAFETY: The control is valid or null by the type invariants.
        unsafe { bindings::rust_mpage_spare_count(self.0) as usize }
    }

    /// Asks each in turn up to `times` times, from the one on who comes after the last who was
    /// asked, and no more than are asked at a time, until `bytes` are free. How many are.
    pub(super) fn ask(self, times: usize, bytes: usize) -> usize {
        let mut left = self.count().saturating_mul(times).min(MOST_ASKED) as c_ulong;
        let mut free = 0;

        while left != 0 && free < bytes {
            let mut parts = SpareParts::default();
            let argument = ptr::from_mut(&mut parts).cast();
            // SAFETY: The control is valid or null by the type invariants, and `gives_callback` is
            // called with an item of the lists and with `parts`.
            let gave = unsafe {
                bindings::rust_mpage_spare_ask(self.0, Some(gives_callback), argument, &mut left)
            };
            if let Some(gave) = NonNull::new(gave) {
                // SAFETY: In the lists are the items of `Holding`s.
                let holding = unsafe { Holding::of_item(gave) };
                // SAFETY: By the type invariants the lists had a reference, and have it no more.
                drop(unsafe { ARef::from_raw(holding) });
            }
            // Freed here, without the lock.
            free += parts.len();
        }
        free
    }
}

/// Whether one gives up what it has: not if it has used it, or cannot give it up now.
///
/// # Safety
///
/// `item` is that of a `Holding`, and `argument` points to `SpareParts`.
unsafe extern "C" fn gives_callback(
    item: *mut bindings::rust_mpage_spare_item,
    argument: *mut c_void,
) -> bool {
    let Some(item) = NonNull::new(item) else {
        return false;
    };
    // SAFETY: By the safety requirements.
    let holding = unsafe { Holding::of_item(item) };
    // SAFETY: The lists, which are locked, have a reference, and keep it.
    let holding = ManuallyDrop::new(unsafe { ARef::from_raw(holding) });
    // SAFETY: By the safety requirements.
    let parts = unsafe { &mut *argument.cast::<SpareParts>() };

    if holding.used.xchg(0, Relaxed) != 0 {
        return false;
    }
    let Some(mut given) = holding.parts.try_lock() else {
        return false;
    };
    *parts = take(&mut given);
    true
}
