// SPDX-License-Identifier: GPL-2.0

//! What is known of a file's promised blocks without its tree mutex, which has them, see
//! [`delayed`](crate::tree::delayed).
//!
//! Locks: none; the number of blocks changes under the tree mutex.

#![deny(unsafe_code)]

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// Whether blocks have been promised, and whether somebody trusts that they will not be for long.
pub(crate) struct DelayState {
    blocks: Atomic<u32>,
    /// 0 or 1.
    emptied: Atomic<u32>,
}

impl DelayState {
    pub(super) const fn new() -> Self {
        Self {
            blocks: Atomic::new(0),
            emptied: Atomic::new(0),
        }
    }

    /// How many blocks have been promised and have no place yet, arrays of pointers included. Of those
    /// of a folio the caller knows, if it is locked.
    #[inline]
    pub(crate) fn blocks(&self) -> u32 {
        self.blocks.load(Relaxed)
    }

    /// Notes how many there are, the tree being locked.
    #[inline]
    pub(crate) fn set_blocks(&self, count: u32) {
        self.blocks.store(count, Relaxed);
    }

    /// Notes that the file has been cut to nothing.
    pub(crate) fn note_emptied(&self) {
        self.emptied.store(1, Relaxed);
    }

    /// Whether it has been, since this was asked last.
    pub(crate) fn take_emptied(&self) -> bool {
        self.emptied.load(Relaxed) != 0 && self.emptied.xchg(0, Relaxed) != 0
    }
}
