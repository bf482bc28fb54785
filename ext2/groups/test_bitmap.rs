// SPDX-License-Identifier: GPL-2.0

//! A bitmap in memory, for the KUnit suites of this crate.

use super::bitmap::Bitmap;
use core::cell::Cell;

/// A bitmap of 256 bits, all clear at first.
pub(crate) struct TestBitmap([Cell<u32>; 8]);

impl TestBitmap {
    pub(crate) fn new() -> Self {
        Self(Default::default())
    }

    fn change(&self, bit: u32, with: impl Fn(u32, u32) -> u32) -> Option<bool> {
        let cell = self.0.get((bit / u32::BITS) as usize)?;
        let (old, mask) = (cell.get(), 1 << (bit % u32::BITS));

        cell.set(with(old, mask));
        Some(old & mask != 0)
    }
}

impl Bitmap for TestBitmap {
    fn word(&self, index: u32) -> Option<u32> {
        self.0.get(index as usize).map(Cell::get)
    }

    fn claim_in_word(&self, index: u32, bits: u32) -> bool {
        let is_clear = self.word(index).is_some_and(|word| word & bits == 0);
        if is_clear {
            let _ = self.change(index * u32::BITS, |word, _| word | bits);
        }
        is_clear
    }

    fn release(&self, bit: u32) -> bool {
        self.change(bit, |word, mask| word & !mask) == Some(true)
    }
}
