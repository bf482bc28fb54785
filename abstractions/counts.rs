// SPDX-License-Identifier: GPL-2.0

//! Counts that every processor keeps by itself, so that counting costs no shared cache line.
//!
//! C header: [`include/linux/percpu-defs.h`](srctree/include/linux/percpu-defs.h)
//!
//! There are as many as `bindings/helpers.h` says, and they live as long as the module. For what an
//! object counts there is [`PercpuCounter`](super::percpu_counter::PercpuCounter).

use crate::bindings;
use kernel::{
    fmt,
    prelude::*, //
};

/// One of the counts. It shows itself as its sum.
///
/// # Invariants
///
/// There is a count of that number.
pub struct Count(u32);

impl Count {
    /// How many there are.
    const COUNTS: u32 = bindings::RUST_MPAGE_COUNTS;

    /// Count number `WHICH`; who else uses it adds to the same. A number that there is not does not
    /// compile.
    pub const fn number<const WHICH: u32>() -> Self {
        const { assert!(WHICH < Self::COUNTS) };
        // INVARIANT: Just checked.
        Self(WHICH)
    }

    /// Adds to it, on this processor. For any context.
    #[inline]
    pub fn add(&self, amount: u64) {
        if amount != 0 {
            // SAFETY: There is such a count by the type invariants.
            unsafe { bindings::rust_mpage_helper_count(self.0, amount as i64) }
        }
    }

    /// The sum over all processors; what is added meanwhile may be in it or not.
    pub fn sum(&self) -> i64 {
        // SAFETY: As above.
        unsafe { bindings::rust_mpage_helper_counted(self.0) }
    }
}

impl fmt::Debug for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.sum(), f)
    }
}

#[kunit_tests(rust_mpage_counts)]
mod tests {
    use super::*;

    /// Nobody else's.
    static MINE: Count = Count::number::<{ Count::COUNTS - 1 }>();
    static NEIGHBOUR: Count = Count::number::<{ Count::COUNTS - 2 }>();

    #[test]
    fn a_count_has_what_was_added_to_it() {
        let (before, beside) = (MINE.sum(), NEIGHBOUR.sum());
        MINE.add(5);
        MINE.add(0);
        MINE.add(1 << 40);
        assert_eq!(MINE.sum() - before, (1 << 40) + 5);
        assert_eq!(NEIGHBOUR.sum(), beside);
    }
}
