// SPDX-License-Identifier: GPL-2.0

//! Bitmaps on disk: bits of metadata blocks.
//!
//! Bit number `n` is bit `n % 8` of byte `n / 8`, as in C's `*_bit_le()` functions. Bits change
//! atomically, so bitmaps need no lock: whoever finds bits clear and sets them, with
//! [`Buffer::update_le32`], owns them.

use super::Buffer;
use crate::bindings;
use kernel::ffi::c_int;

impl Buffer {
    /// How many bits the block has.
    pub fn bits(&self) -> u32 {
        u32::try_from(self.size())
            .unwrap_or(u32::MAX / u8::BITS)
            .saturating_mul(u8::BITS)
    }

    /// Clears bit number `nr`: whether it was set before, or `None` beyond the end.
    /// C: `test_and_clear_bit_le()`.
    pub fn test_and_clear_le_bit(&self, nr: u32) -> Option<bool> {
        let bit = c_int::try_from(nr).ok()?;
        // SAFETY: The bit is within the block, whose start is aligned to a long. Whoever else
        // accesses the word it is in does so with single accesses.
        (nr < self.bits()).then(|| unsafe {
            bindings::rust_mpage_helper_test_and_clear_bit_le(bit, self.data().cast())
        })
    }
}
