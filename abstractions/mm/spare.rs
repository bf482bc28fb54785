// SPDX-License-Identifier: GPL-2.0

//! Memory that can be done without: for what was worked out once and can be worked out again.
//!
//! There is a limit for all of it on the machine. What would go beyond is not had, unless others
//! have not used theirs lately, see [`spare_objects`](super::spare_objects). It is charged to the
//! cgroup of who asks, and asking for it neither kills anybody nor enters a filesystem.
//!
//! C header: [`include/linux/slab.h`](srctree/include/linux/slab.h)

use super::spare_objects;
use crate::bindings;
use core::{
    ops::{
        Deref,
        DerefMut, //
    },
    ptr::NonNull,
    slice, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};
use zerocopy::FromZeros;

/// What is had, and may be. Changes only when memory is had or given back.
struct Budget {
    /// Bytes that are had.
    used: Atomic<usize>,
    /// The most that may be.
    limit: Atomic<usize>,
}

static BUDGET: Budget = Budget {
    used: Atomic::new(0),
    limit: Atomic::new(0),
};

/// Sets the limit in bytes.
pub(super) fn set_limit(bytes: usize) {
    BUDGET.limit.store(bytes, Relaxed);
}

/// How many bytes are had.
pub(super) fn used() -> usize {
    BUDGET.used.load(Relaxed)
}

/// Whether there may be any such memory.
pub fn has_spare_memory() -> bool {
    BUDGET.limit.load(Relaxed) != 0
}

/// Bytes that count as had.
#[must_use = "it does not count any more"]
struct Charge(usize);

impl Charge {
    fn new(bytes: usize) -> Option<Self> {
        let limit = BUDGET.limit.load(Relaxed);
        if bytes > limit {
            return None;
        }
        let used = BUDGET.used.fetch_add(bytes, Relaxed) + bytes;
        let charge = Self(bytes);
        if used > limit && spare_objects::give_up_unused(used - limit) < used - limit {
            return None;
        }
        Some(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        BUDGET.used.fetch_sub(self.0, Relaxed);
    }
}

/// A slice in memory that can be done without.
///
/// # Invariants
///
/// `start` points to `len` initialised values in memory of `kvmalloc()`, which `self` owns.
pub struct SpareSlice<T: Copy> {
    start: NonNull<T>,
    len: usize,
    _charge: Charge,
}

// SAFETY: It owns its values.
unsafe impl<T: Copy + Send> Send for SpareSlice<T> {}
// SAFETY: Shared references to it give shared references to the values only.
unsafe impl<T: Copy + Sync> Sync for SpareSlice<T> {}

impl<T: Copy + FromZeros> SpareSlice<T> {
    /// `len` zeroes. `None` if there is no memory for them, or they would be too many. May sleep.
    pub fn zeroed(len: usize) -> Option<Self> {
        let bytes = len
            .checked_mul(size_of::<T>())
            .filter(|&bytes| bytes != 0)?;
        let charge = Charge::new(bytes)?;
        // SAFETY: Process context; the result is checked.
        let start = unsafe { bindings::rust_mpage_helper_spare_zalloc(bytes) };
        // INVARIANT: The memory is new and zero, which is a value of each `FromZeros`, and aligned
        // for what needs no more than a pointer does.
        const { assert!(align_of::<T>() <= align_of::<usize>()) };
        Some(Self {
            start: NonNull::new(start.cast())?,
            len,
            _charge: charge,
        })
    }
}

impl<T: Copy> Deref for SpareSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: The values are there and initialised by the type invariants.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> DerefMut for SpareSlice<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: As above; who has `self` mutably has the values, too.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> Drop for SpareSlice<T> {
    fn drop(&mut self) {
        // SAFETY: The memory is ours by the type invariants, and not used any more.
        unsafe { bindings::kvfree(self.start.as_ptr().cast()) };
    }
}

#[kernel::macros::kunit_tests(rust_mpage_spare)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zero_and_counted() -> Result {
        let before = used();
        let mut words = SpareSlice::<u64>::zeroed(1000).ok_or(ENOMEM)?;
        assert!(words.len() == 1000 && words.iter().all(|&word| word == 0));
        assert!(used() >= before + 8000);
        words.fill(7);
        assert!(words.iter().all(|&word| word == 7));
        assert!(SpareSlice::<u8>::zeroed(0).is_none());
        assert!(SpareSlice::<u64>::zeroed(usize::MAX / 4).is_none());
        Ok(())
    }

    #[test]
    fn no_more_than_the_limit_is_had() {
        let limit = BUDGET.limit.load(Relaxed);
        assert!(SpareSlice::<u8>::zeroed(limit + 1).is_none());
        // What was refused does not count.
        assert!(Charge::new(limit + 1).is_none() && used() <= limit);
    }
}
