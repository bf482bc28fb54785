// SPDX-License-Identifier: GPL-2.0

//! Counters that many processors change at once.
//!
//! C header: [`include/linux/percpu_counter.h`](srctree/include/linux/percpu_counter.h)
//!
//! Left out: exact sums. What a filesystem decides with these may be approximate, and what it has
//! to know exactly it counts elsewhere.

use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// A count.
///
/// The kernel knows of all counters, in a list. So that it never has one that is not there any
/// more, each is in memory of its own: a value that is left in the static memory of a module, or
/// leaked, leaves the kernel what it has.
pub struct PercpuCounter(Pin<KBox<Listed>>);

/// A `struct percpu_counter`.
///
/// # Invariants
///
/// `counter` is initialised.
#[pin_data(PinnedDrop)]
struct Listed {
    #[pin]
    counter: Opaque<bindings::percpu_counter>,
}

// SAFETY: A counter belongs to no task.
unsafe impl Send for Listed {}
// SAFETY: Counters are changed by many tasks at once; the C functions see to that.
unsafe impl Sync for Listed {}

impl PercpuCounter {
    /// A counter that begins with `amount`. Fails with `ENOMEM`. C: `percpu_counter_init()`.
    // Not inlined elsewhere: a lock class has one name, and each crate its own copy of that.
    #[inline(never)]
    pub fn new(amount: i64) -> Result<Self> {
        let listed = try_pin_init!(Listed {
            // INVARIANT: Initialised by C, and not used if that fails.
            counter <- Opaque::try_ffi_init(move |slot: *mut bindings::percpu_counter| {
                // SAFETY: The slot is ours to write, and pinned. Dropping destroys the counter.
                to_result(unsafe { bindings::rust_mpage_helper_percpu_counter_init(slot, amount) })
            }),
        }? Error);
        Ok(Self(KBox::pin_init(listed, GFP_KERNEL)?))
    }

    /// Begins anew with `amount`. C: `percpu_counter_set()`.
    pub fn set(&self, amount: i64) {
        // SAFETY: The counter is initialised by the type invariants.
        unsafe { bindings::rust_mpage_helper_percpu_counter_set(self.as_raw(), amount) }
    }

    /// Adds `amount`, which may be negative. C: `percpu_counter_add()`.
    #[inline]
    pub fn add(&self, amount: i64) {
        // SAFETY: The counter is initialised by the type invariants.
        unsafe { bindings::rust_mpage_helper_percpu_counter_add(self.as_raw(), amount) }
    }

    /// About the count, and not less than 0. C: `percpu_counter_read_positive()`.
    #[inline]
    pub fn read_positive(&self) -> u64 {
        // SAFETY: The counter is initialised by the type invariants.
        let count = unsafe { bindings::rust_mpage_helper_percpu_counter_read(self.as_raw()) };
        count.max(0) as u64
    }

    /// The C pointer.
    #[inline]
    fn as_raw(&self) -> *mut bindings::percpu_counter {
        self.0.counter.get()
    }
}

#[pinned_drop]
impl PinnedDrop for Listed {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The counter is initialised by the type invariants, and not used any more.
        unsafe { bindings::rust_mpage_helper_percpu_counter_destroy(self.counter.get()) }
    }
}

#[kernel::macros::kunit_tests(rust_mpage_percpu_counter)]
mod tests {
    use super::*;

    /// Wherever the value is, and wherever it goes.
    #[test]
    fn what_the_kernel_lists_is_not_in_the_value() -> Result {
        let counter = PercpuCounter::new(3)?;
        let (value, listed) = ((&raw const counter).addr(), counter.as_raw());
        assert!(!(value..value + size_of::<PercpuCounter>()).contains(&listed.addr()));

        let moved = Some(counter);
        assert_eq!(moved.as_ref().map(PercpuCounter::as_raw), Some(listed));
        assert_eq!(moved.map(|counter| counter.read_positive()), Some(3));
        Ok(())
    }
}
