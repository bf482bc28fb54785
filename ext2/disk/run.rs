// SPDX-License-Identifier: GPL-2.0

//! Blocks in a row.

/// Some blocks in a row, or the bits that stand for them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// The first.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
}
