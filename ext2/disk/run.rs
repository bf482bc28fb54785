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

/// How many blocks in a row are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    /// So many are needed now: a window is to have room for them.
    pub(crate) needed: u32,
    /// As many as this are taken, as if each more were asked for by itself and next.
    pub(crate) most: u32,
}
