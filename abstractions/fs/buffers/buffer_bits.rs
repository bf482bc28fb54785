// SPDX-License-Identifier: GPL-2.0

//! Bitmaps on disk: bits of metadata blocks.
//!
//! Bit number `n` is bit `n % 8` of byte `n / 8`, as in C's `*_bit_le()` functions. Bits change
//! atomically, so bitmaps need no lock: whoever finds bits clear and sets them, with
//! [`Buffer::update_le32`], owns them.
//!
//! The search is a pure function of the words of a bitmap, and tested as that.

use super::Buffer;
use crate::bindings;
use kernel::ffi::{
    c_int,
    c_void, //
};

impl Buffer {
    /// How many bits the block has.
    pub fn bits(&self) -> u32 {
        u32::try_from(self.size())
            .unwrap_or(u32::MAX / u8::BITS)
            .saturating_mul(u8::BITS)
    }

    /// Whether bit number `nr` is set, or `None` beyond the end. C: `test_bit_le()`.
    pub fn test_le_bit(&self, nr: u32) -> Option<bool> {
        self.change_bit(nr, bindings::rust_mpage_helper_test_bit_le)
    }

    /// Clears bit number `nr`: whether it was set before, or `None` beyond the end.
    /// C: `test_and_clear_bit_le()`.
    pub fn test_and_clear_le_bit(&self, nr: u32) -> Option<bool> {
        self.change_bit(nr, bindings::rust_mpage_helper_test_and_clear_bit_le)
    }

    /// What one of C's functions for bits says of bit number `nr`.
    #[inline]
    fn change_bit(
        &self,
        nr: u32,
        function: unsafe extern "C" fn(c_int, *mut c_void) -> bool,
    ) -> Option<bool> {
        let nr = c_int::try_from(nr).ok()?;
        // SAFETY: The bit is within the block, whose start is aligned to a long. Whoever else
        // accesses the word it is in does so with single accesses.
        (nr.unsigned_abs() < self.bits()).then(|| unsafe { function(nr, self.data().cast()) })
    }

    /// The first clear bit from number `from` on and below `to`, or the end of the block.
    /// C: `find_next_zero_bit_le()`.
    pub fn next_zero_le_bit(&self, from: u32, to: u32) -> Option<u32> {
        next_set(from, to.min(self.bits()), |index| !self.search_word(index))
    }

    /// The first set bit from number `from` on and below `to`, or the end of the block.
    /// C: `find_next_bit_le()`.
    pub fn next_set_le_bit(&self, from: u32, to: u32) -> Option<u32> {
        next_set(from, to.min(self.bits()), |index| self.search_word(index))
    }

    /// Word number `index` of those that are searched; no bits beyond the end.
    fn search_word(&self, index: usize) -> u64 {
        if index >= self.size() / size_of::<u64>() {
            return 0;
        }
        // SAFETY: The word is within the block, and aligned. Others may change bits at any time;
        // the answer is a hint that changing the bit confirms.
        u64::from_le(unsafe { self.data().cast::<u64>().add(index).read_volatile() })
    }
}

/// The first bit from number `from` on and below `to` that is set, where `word(i)` has the bits
/// from number `64 * i` on, the lowest first. No word is asked for that has none of these bits.
fn next_set(from: u32, to: u32, word: impl Fn(usize) -> u64) -> Option<u32> {
    let mut at = from;

    while at < to {
        let shift = at % u64::BITS;
        let bits = word((at / u64::BITS) as usize) >> shift;
        if bits != 0 {
            let found = at.checked_add(bits.trailing_zeros())?;
            return (found < to).then_some(found);
        }
        at = at.checked_add(u64::BITS - shift)?;
    }
    None
}

#[kernel::macros::kunit_tests(rust_mpage_bits)]
mod tests {
    use super::next_set;

    /// Bits 3, 63, 64 and 130.
    const WORDS: [u64; 3] = [1 << 3 | 1 << 63, 1, 1 << 2];

    fn find(from: u32, to: u32) -> Option<u32> {
        next_set(from, to, |index| {
            WORDS.get(index).copied().unwrap_or(u64::MAX)
        })
    }

    fn find_clear(from: u32, to: u32) -> Option<u32> {
        next_set(from, to, |index| {
            !WORDS.get(index).copied().unwrap_or(u64::MAX)
        })
    }

    #[test]
    fn finds_each_bit_in_its_turn() {
        assert_eq!(find(0, 192), Some(3));
        assert_eq!(find(3, 192), Some(3));
        assert_eq!(find(4, 192), Some(63));
        assert_eq!(find(63, 192), Some(63));
        assert_eq!(find(64, 192), Some(64));
        assert_eq!(find(65, 192), Some(130));
        assert_eq!(find(131, 192), None);
    }

    #[test]
    fn stays_below_the_end() {
        assert_eq!(find(0, 3), None);
        assert_eq!(find(0, 4), Some(3));
        assert_eq!(find(4, 63), None);
        assert_eq!(find(65, 130), None);
        assert_eq!(find(5, 5), None);
        assert_eq!(find(7, 2), None);
    }

    #[test]
    fn finds_clear_bits() {
        assert_eq!(find_clear(0, 192), Some(0));
        assert_eq!(find_clear(3, 192), Some(4));
        assert_eq!(find_clear(63, 192), Some(65));
        assert_eq!(find_clear(130, 192), Some(131));
        assert_eq!(find_clear(63, 65), None);
    }

    #[test]
    fn ends_at_the_largest_number() {
        assert_eq!(next_set(u32::MAX - 1, u32::MAX, |_| 0), None);
        assert_eq!(
            next_set(u32::MAX - 1, u32::MAX, |_| 1 << 62),
            Some(u32::MAX - 1)
        );
    }
}
