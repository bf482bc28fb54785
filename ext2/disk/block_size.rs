// SPDX-License-Identifier: GPL-2.0

//! The block size of an ext2 filesystem, as a value that cannot be wrong.
//!
//! Everything in ext2 counts in blocks, so a bad block size turns every later computation into
//! nonsense. A [`BlockSize`] exists only for the sizes that the format knows; whether the running
//! kernel can use the size is another question, which [`geometry`](crate::disk::geometry) answers.
//!
//! Locks: none, these are plain values.

use super::structures::Le32;
use kernel::prelude::*;

/// A block size that the ext2 format allows: a power of two from 1 KiB to 64 KiB.
///
/// # Invariants
///
/// `bits` is between [`BlockSize::MIN_BITS`] and [`BlockSize::MAX_BITS`], inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockSize {
    bits: u32,
}

impl BlockSize {
    /// log2 of the smallest block size, `EXT2_MIN_BLOCK_LOG_SIZE`.
    pub(crate) const MIN_BITS: u32 = 10;

    /// log2 of the largest block size, `EXT2_MAX_BLOCK_LOG_SIZE`.
    pub(crate) const MAX_BITS: u32 = 16;

    /// The smallest, in tests.
    #[cfg(CONFIG_KUNIT)]
    // INVARIANT: It is the first that there is.
    pub(crate) const SMALLEST: Self = Self {
        bits: Self::MIN_BITS,
    };

    /// Makes a block size from its log2, `s_blocksize_bits`; `None` if ext2 has no such size.
    pub(crate) const fn from_bits(bits: u32) -> Option<Self> {
        if bits >= Self::MIN_BITS && bits <= Self::MAX_BITS {
            // INVARIANT: Just checked.
            Some(Self { bits })
        } else {
            None
        }
    }

    /// log2 of the size in bytes, `EXT2_BLOCK_SIZE_BITS()`.
    pub(crate) const fn bits(self) -> u32 {
        self.bits
    }

    /// The size in bytes, `EXT2_BLOCK_SIZE()`.
    pub(crate) const fn bytes(self) -> u32 {
        1 << self.bits
    }

    /// The size in units of 512 bytes, the unit of `i_blocks`.
    pub(crate) const fn sectors(self) -> u32 {
        1 << (self.bits - 9)
    }

    /// log2 of [`pointers`](Self::pointers), `EXT2_ADDR_PER_BLOCK_BITS()`.
    pub(crate) const fn pointer_bits(self) -> u32 {
        self.bits - size_of::<Le32>().ilog2()
    }

    /// How many block pointers an indirect block holds, `EXT2_ADDR_PER_BLOCK()`.
    pub(crate) const fn pointers(self) -> u32 {
        1 << self.pointer_bits()
    }

    /// How many bits, each standing for a block or an inode, a bitmap block holds.
    pub(crate) const fn bitmap_bits(self) -> u32 {
        self.bytes() * 8
    }
}

#[kunit_tests(rust_ext2_block_size)]
mod tests {
    use super::*;

    #[test]
    fn only_sizes_of_the_format() {
        for bits in 0..=64 {
            assert_eq!(
                BlockSize::from_bits(bits).is_some(),
                (10..=16).contains(&bits)
            );
        }
        assert!(BlockSize::from_bits(u32::MAX).is_none());
    }

    #[test]
    fn derived_sizes() {
        let one_k = BlockSize::from_bits(10).map(|s| (s.bytes(), s.sectors(), s.pointers()));
        let four_k = BlockSize::from_bits(12).map(|s| (s.bytes(), s.sectors(), s.pointers()));
        let largest = BlockSize::from_bits(16).map(|s| (s.bytes(), s.sectors(), s.pointers()));

        assert_eq!(one_k, Some((1024, 2, 256)));
        assert_eq!(four_k, Some((4096, 8, 1024)));
        assert_eq!(largest, Some((65536, 128, 16384)));
        assert_eq!(
            BlockSize::from_bits(12).map(|s| s.bitmap_bits()),
            Some(32768)
        );
    }
}
