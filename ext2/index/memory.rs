// SPDX-License-Identifier: GPL-2.0

//! Where the memory of an index comes from. Tests have it fail.

#![deny(unsafe_code)]

use rust_mpage::mm::SpareSlice;

/// Gives memory that is zero, if there is any.
pub(crate) trait Memory {
    /// `count` words.
    fn words(&self, count: usize) -> Option<SpareSlice<u64>>;

    /// `count` bytes.
    fn bytes(&self, count: usize) -> Option<SpareSlice<u8>>;
}

/// The machine's.
pub(crate) struct Machine;

impl Memory for Machine {
    fn words(&self, count: usize) -> Option<SpareSlice<u64>> {
        SpareSlice::zeroed(count)
    }

    fn bytes(&self, count: usize) -> Option<SpareSlice<u8>> {
        SpareSlice::zeroed(count)
    }
}
