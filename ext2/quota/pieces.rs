// SPDX-License-Identifier: GPL-2.0

//! The parts of blocks that a part of a file is.
//!
//! Locks: none; pure.

#![deny(unsafe_code)]

use kernel::prelude::*;

/// The words that quota files consist of, in bytes.
const WORD: u64 = size_of::<u32>() as u64;

/// A part of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// The block of the file.
    pub(super) block: u64,
    /// Where in the block it begins.
    pub(super) offset: usize,
    /// How many bytes it has.
    pub(super) len: usize,
}

/// How many of `len` bytes from `at` on can be read of a file of `size` bytes. What is less than a
/// word at the end of the file is no part of it.
pub(super) fn readable(size: u64, at: u64, len: usize) -> usize {
    let left = (size - size % WORD).saturating_sub(at);
    usize::try_from(left).unwrap_or(usize::MAX).min(len)
}

/// The pieces of `len` bytes from `at` on, in blocks of 2 to the power of `bits`.
pub(super) fn pieces(bits: u32, at: u64, len: usize) -> impl Iterator<Item = Piece> {
    let block_size = 1_u64 << bits;
    let (mut at, mut left) = (at, len);

    core::iter::from_fn(move || {
        let offset = at & (block_size - 1);
        let here = usize::try_from(block_size - offset).unwrap_or(0).min(left);
        if here == 0 {
            return None;
        }
        let piece = Piece {
            block: at >> bits,
            offset: offset as usize,
            len: here,
        };
        at = at.checked_add(here as u64)?;
        left -= here;
        Some(piece)
    })
}

#[kunit_tests(rust_ext2_quota_pieces)]
mod tests {
    use super::*;

    fn piece(block: u64, offset: usize, len: usize) -> Piece {
        Piece { block, offset, len }
    }

    #[test]
    fn pieces_end_with_their_blocks() {
        assert!(pieces(10, 8, 24).eq([piece(0, 8, 24)]));
        assert!(pieces(10, 1024, 1024).eq([piece(1, 0, 1024)]));
        assert!(pieces(10, 1000, 1080).eq([
            piece(0, 1000, 24),
            piece(1, 0, 1024),
            piece(2, 0, 32)
        ]));
        assert!(pieces(12, 1024, 1024).eq([piece(0, 1024, 1024)]));
        assert!(pieces(12, 77, 0).next().is_none());
    }

    /// A hostile file can have any numbers in it.
    #[test]
    fn no_piece_is_behind_the_last_byte() {
        // Its end has no position.
        assert_eq!(pieces(10, u64::MAX - 3, 8).count(), 0);
        assert_eq!(pieces(10, u64::MAX - 7, 4).count(), 1);
        assert_eq!(pieces(12, u64::MAX, usize::MAX).count(), 0);
    }

    #[test]
    fn nothing_is_read_behind_the_end() {
        assert_eq!(readable(8192, 0, 1024), 1024);
        assert_eq!(readable(8192, 8000, 1024), 192);
        assert_eq!(readable(8192, 8192, 1024), 0);
        assert_eq!(readable(8192, 9000, 1024), 0);
        assert_eq!(readable(8191, 8184, 8), 4);
        assert_eq!(readable(3, 0, 8), 0);
        assert_eq!(readable(u64::MAX, 0, usize::MAX), usize::MAX - 3);
    }
}
