// SPDX-License-Identifier: GPL-2.0

//! Numbers for a file's arrays of pointers to blocks, those in indirect blocks: the arrays of one
//! height are numbered as they follow each other in the file.
//!
//! Locks: none, these are plain values.

use crate::disk::{
    block_size::BlockSize,
    DIRECT_BLOCKS, //
};
use core::ops::Range;
use kernel::prelude::*;

/// How many heights there are.
pub(super) const HEIGHTS: u32 = 3;

/// Where a missing array is numbered, by its height above those with pointers to data, which are of
/// height 0.
const HEIGHT_SHIFT: u32 = 30;

/// The first block behind arrays of height `height`, and log2 of how many are behind each.
fn place(size: BlockSize, height: u32) -> (u64, u32) {
    let bits = size.pointer_bits();
    let first = match height {
        0 => 0,
        1 => 1 << bits,
        _ => (1 << bits) + (1 << (2 * bits)),
    };
    (DIRECT_BLOCKS as u64 + first, bits * (height + 1))
}

/// The number of the array of height `height` that is on the way to block `at` of a file; for
/// blocks in front of all of these, that of the first one.
#[inline]
pub(super) fn number(size: BlockSize, height: u32, at: u32) -> u32 {
    let (first, bits) = place(size, height);
    let number = u64::from(at).saturating_sub(first) >> bits;
    // At most 2^24, with the smallest blocks.
    height << HEIGHT_SHIFT | number as u32
}

/// The blocks behind an array.
pub(super) fn blocks_of(size: BlockSize, number: u32) -> Range<u32> {
    let height = number >> HEIGHT_SHIFT;
    let (first, bits) = place(size, height);
    let start = first + (u64::from(number & ((1 << HEIGHT_SHIFT) - 1)) << bits);
    let clamp = |block: u64| block.min(u32::MAX.into()) as u32;
    clamp(start)..clamp(start + (1 << bits))
}

#[kunit_tests(rust_ext2_array_numbers)]
mod tests {
    use super::*;
    use crate::tree::path::BlockPath;

    const SIZE: BlockSize = BlockSize::SMALLEST;

    #[test]
    fn arrays_are_on_the_way_to_their_blocks() -> Result {
        for at in [
            12,
            13,
            267,
            268,
            523,
            524,
            12 + 256 + 65535,
            12 + 256 + 65536,
            16_000_000,
        ] {
            let path = BlockPath::new(SIZE, at).map_err(|_| EIO)?;
            for height in 0..path.depth() as u32 - 1 {
                let blocks = blocks_of(SIZE, number(SIZE, height, at as u32));
                assert!(blocks.contains(&(at as u32)));
                assert_eq!(
                    blocks.len() as u64,
                    path.span(path.depth() - 2 - height as usize)
                );
            }
        }
        assert_eq!(blocks_of(SIZE, number(SIZE, 0, 268)), 268..524);
        assert_eq!(blocks_of(SIZE, number(SIZE, 1, 268)), 268..65804);
        Ok(())
    }
}
