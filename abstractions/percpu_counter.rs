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

/// A count, `struct percpu_counter`.
///
/// # Invariants
///
/// `counter` is initialised.
#[pin_data(PinnedDrop)]
pub struct PercpuCounter {
    #[pin]
    counter: Opaque<bindings::percpu_counter>,
}

// SAFETY: A counter belongs to no task.
unsafe impl Send for PercpuCounter {}
// SAFETY: Counters are changed by many tasks at once; the C functions see to that.
unsafe impl Sync for PercpuCounter {}

impl PercpuCounter {
    /// A counter that begins with `amount`. Fails with `ENOMEM`. C: `percpu_counter_init()`.
    pub fn new(amount: i64) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // INVARIANT: Initialised by C, and not used if that fails.
            counter <- Opaque::try_ffi_init(move |slot: *mut bindings::percpu_counter| {
                // SAFETY: The slot is ours to write, and pinned. Dropping destroys the counter.
                to_result(unsafe { bindings::rust_mpage_helper_percpu_counter_init(slot, amount) })
            }),
        }? Error)
    }

    /// Begins anew with `amount`. C: `percpu_counter_set()`.
    pub fn set(&self, amount: i64) {
        // SAFETY: The counter is initialised by the type invariants.
        unsafe { bindings::rust_mpage_helper_percpu_counter_set(self.counter.get(), amount) }
    }

    /// Adds `amount`, which may be negative. C: `percpu_counter_add()`.
    #[inline]
    pub fn add(&self, amount: i64) {
        // SAFETY: The counter is initialised by the type invariants.
        unsafe { bindings::rust_mpage_helper_percpu_counter_add(self.counter.get(), amount) }
    }

    /// About the count, and not less than 0. C: `percpu_counter_read_positive()`.
    #[inline]
    pub fn read_positive(&self) -> u64 {
        // SAFETY: As above.
        let count = unsafe { bindings::rust_mpage_helper_percpu_counter_read(self.counter.get()) };
        count.max(0) as u64
    }
}

#[pinned_drop]
impl PinnedDrop for PercpuCounter {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: The counter is initialised by the type invariants, and not used any more.
        unsafe { bindings::rust_mpage_helper_percpu_counter_destroy(self.counter.get()) }
    }
}
