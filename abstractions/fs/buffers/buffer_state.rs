// SPDX-License-Identifier: GPL-2.0

//! The word of bits that says what is known of a metadata block, `enum bh_state_bits`.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Locks: none; whoever has a reference may change bits that are his.

use super::Buffer;
use crate::abstractions::update::update;
use core::ptr;
use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};

impl Buffer {
    /// The word of the bits of its state, `enum bh_state_bits`.
    #[inline]
    fn state_word(&self) -> &Atomic<usize> {
        // SAFETY: The buffer is valid while it is referenced, and its state changes atomically.
        unsafe { Atomic::from_ptr(ptr::addr_of_mut!((*self.as_raw()).b_state).cast()) }
    }

    /// The bits of its state. Nothing is ordered by that.
    #[inline]
    pub(in crate::abstractions::fs) fn state(&self) -> usize {
        self.state_word().load(Relaxed)
    }

    /// Sets bits of its state. What it was before.
    pub(in crate::abstractions::fs) fn set_state(&self, bits: usize) -> usize {
        self.update_state(|state| Some(state | bits))
            .unwrap_or_else(|state| state)
    }

    /// Clears bits of its state.
    pub(super) fn clear_state(&self, bits: usize) {
        let _ = self.update_state(|state| Some(state & !bits));
    }

    /// Changes its state as [`update`] does.
    pub(super) fn update_state(
        &self,
        change: impl Fn(usize) -> Option<usize>,
    ) -> Result<usize, usize> {
        let word = self.state_word();
        update(
            word.load(Relaxed),
            |old, new| word.cmpxchg(old, new, Full),
            change,
        )
    }
}
