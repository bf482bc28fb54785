// SPDX-License-Identifier: GPL-2.0

//! Plugs: I/O that is collected before the device sees it.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use crate::bindings;
use core::mem::MaybeUninit;

/// A plug that is started and ends when it is dropped.
///
/// # Invariants
///
/// `plug` points to a plug of this task that does not move and that was started.
#[must_use = "the plug has ended"]
struct Started(*mut bindings::blk_plug);

impl Drop for Started {
    fn drop(&mut self) {
        // SAFETY: By the type invariants; the value is dropped by the task that made it.
        unsafe { bindings::blk_finish_plug(self.0) };
    }
}

/// Does something under a plug: what it submits reaches the device together, unless the task has
/// to sleep. A plug within another has no effect.
///
/// C: `blk_start_plug()`, `blk_finish_plug()`.
pub fn plugged<R>(work: impl FnOnce() -> R) -> R {
    let mut place = MaybeUninit::<bindings::blk_plug>::uninit();
    // SAFETY: The place stays where it is until the guard, declared after it, is dropped.
    unsafe { bindings::blk_start_plug(place.as_mut_ptr()) };
    // INVARIANT: Started above.
    let _started = Started(place.as_mut_ptr());
    work()
}
