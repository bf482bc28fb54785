// SPDX-License-Identifier: GPL-2.0

//! The lists of who has memory that can be done without, one for each cgroup and node, and how they
//! are asked for it.
//!
//! Who wants memory asks those in one list, or in all of them, one after the other. Who has used
//! theirs since they were last asked goes to the end of the list; who gives up all that it has is
//! in none any more.
//!
//! C header: [`include/linux/list_lru.h`](srctree/include/linux/list_lru.h)
//!
//! Locks: that of a list, a spinlock, inside of the mutex of a [`Holding`]. No memory is allocated
//! or freed with it held, and of who is asked the mutex is only tried: so memory reclaim may come
//! here from anywhere.

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
/// It is an object of `rust_mpage_spare_alloc()`. While `item` is in a list there is a reference
/// more, which is of the list.
#[pin_data]
pub(super) struct Holding {
    #[pin]
    item: Opaque<bindings::list_head>,
    references: Refcount,
    /// Whether it was used since this was asked last: 0 or 1.
    pub(super) used: Atomic<u32>,
    #[pin]
    pub(super) parts: Mutex<SpareParts>,
}

// SAFETY: The item is only changed under the lock of a list.
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
            item <- Opaque::ffi_init(|item: *mut bindings::list_head| {
                // SAFETY: The item is in the slot, which is ours.
                unsafe {
                    item.write(bindings::list_head {
                        next: item,
                        prev: item,
                    })
                }
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

    /// Whether it is in a list, which may change at any time.
    pub(super) fn is_in(&self) -> bool {
        let item = self.item.get();
        // SAFETY: The item is initialised, and read in one piece, as `list_empty()` does.
        unsafe { ptr::addr_of!((*item).next).read_volatile() != item }
    }

    /// Puts it into the list of its cgroup, if it is in none.
    pub(super) fn add(this: &ARef<Self>) {
        let of_list = ARef::into_raw(this.clone());
        // INVARIANT: If it was in none, the list has the reference.
        // SAFETY: The object is one of `rust_mpage_spare_alloc()` by the type invariants.
        if !unsafe { bindings::rust_mpage_spare_add(this.item.get()) } {
            // SAFETY: The reference was made above.
            drop(unsafe { ARef::from_raw(of_list) });
        }
    }

    /// Takes it out of the list.
    pub(super) fn remove(&self) {
        // SAFETY: The object is one of `rust_mpage_spare_alloc()` by the type invariants.
        if unsafe { bindings::rust_mpage_spare_del(self.item.get()) } {
            // SAFETY: The list had a reference by the type invariants, and has it no more.
            drop(unsafe { ARef::from_raw(NonNull::from(self)) });
        }
    }

    /// # Safety
    ///
    /// `item` is that of a `Holding`.
    unsafe fn of_item(item: NonNull<bindings::list_head>) -> NonNull<Self> {
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

    /// Asks each up to `times` times, or so many as are asked at a time, until `bytes` are free.
    /// How many are.
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
                // SAFETY: By the type invariants the list had a reference, and has it no more.
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
unsafe extern "C" fn gives_callback(item: *mut bindings::list_head, argument: *mut c_void) -> bool {
    let Some(item) = NonNull::new(item) else {
        return false;
    };
    // SAFETY: By the safety requirements.
    let holding = unsafe { Holding::of_item(item) };
    // SAFETY: The list, which is locked, has a reference, and keeps it.
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
