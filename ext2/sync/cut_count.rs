// SPDX-License-Identifier: GPL-2.0

//! How often something was cut off the tree of an inode.
//!
//! Who looks at the tree without a lock asks for the count before and after: what was seen is the
//! file's if it is the same. What is remembered is believed while it is. So the count must never
//! come to where it was: it has 64 bits, and nothing but this file can add to it.
//!
//! Locks: cuts are counted under the tree mutex. To ask needs none.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
    },
};

/// A number of cuts that an inode had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cuts(u64);

impl Cuts {
    /// As a number, to be kept.
    #[inline]
    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

/// Counts the cuts of an inode.
pub(crate) struct CutCount(Atomic<u64>);

impl CutCount {
    /// There was none.
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// How many there were, to be asked before looking at the tree.
    #[inline]
    pub(crate) fn now(&self) -> Cuts {
        Cuts(self.0.load(Acquire))
    }

    /// Whether there were any since [`Self::now`] gave `cuts`; asked after looking at the tree.
    #[inline]
    pub(crate) fn has_changed_since(&self, cuts: Cuts) -> bool {
        // What was read of the tree was read before this.
        smp_mb(Read);
        self.0.load(Relaxed) != cuts.0
    }

    /// Counts one, the tree being locked: pointers were set to null, what they pointed to is about
    /// to be freed.
    pub(crate) fn count(&self) {
        self.0.store(self.0.load(Relaxed).wrapping_add(1), Release);
        // Before what is freed is used again.
        smp_mb(Write);
    }
}

#[cfg(CONFIG_KUNIT)]
impl Cuts {
    /// As a test wants them.
    pub(crate) const fn of(number: u64) -> Self {
        Self(number)
    }
}

#[cfg(CONFIG_KUNIT)]
impl CutCount {
    /// As if there had been so many, for tests.
    pub(crate) fn pretend(&self, cuts: Cuts) {
        self.0.store(cuts.0, Relaxed);
    }
}

#[kunit_tests(rust_ext2_cuts)]
mod tests {
    use super::*;

    /// With 32 bits the count would be what it was at first.
    #[test]
    fn the_count_does_not_come_round() {
        let count = CutCount::new();
        let first = count.now();
        count.pretend(Cuts::of(u32::MAX.into()));
        count.count();
        assert!(count.has_changed_since(first));
        assert!(count.now() != first);
    }
}
