// SPDX-License-Identifier: GPL-2.0

//! Bitmaps of blocks and inodes: finding what is free, and claiming it.
//!
//! A bitmap is shared by everybody who allocates in its group. Searching only reads; what a search
//! has found is claimed word by word, each in one atomic step, so whoever was faster is noticed and
//! the search goes on behind it.
//!
//! Locks: none are needed, and none are taken.

use crate::disk::run::Run;
use kernel::prelude::*;

const WORD_BITS: u32 = u32::BITS;
const BYTE_BITS: u32 = u8::BITS;

/// How far behind a goal the first search goes: to the next multiple of this.
const NEAR_BITS: u32 = 64;

/// How far before a free run's first bit that was found its true start is looked for.
const MAX_STEPS_BACK: u32 = 7;

/// A bitmap, of the blocks or the inodes of one group. A set bit is in use.
pub(crate) trait Bitmap {
    /// Word number `index`, bits `32 * index` and up from its least significant one; `None` beyond
    /// the end of the bitmap.
    fn word(&self, index: u32) -> Option<u32>;

    /// Sets these bits of word number `index` in one step, if all of them are clear. Says whether
    /// they were, so whether they are now the caller's. A bit beyond the end is never clear.
    fn claim_in_word(&self, index: u32, bits: u32) -> bool;

    /// As [`Self::claim_in_word`], of one bit.
    fn claim(&self, bit: u32) -> bool {
        self.claim_in_word(bit / WORD_BITS, 1 << (bit % WORD_BITS))
    }

    /// Clears a bit atomically. Says whether it was set.
    fn release(&self, bit: u32) -> bool;
}

/// Where in a bitmap to allocate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Range {
    /// Anywhere before `end`.
    Group {
        /// The bit after the last one that may be used.
        end: u32,
    },
    /// In a window that is reserved for the caller.
    Window {
        /// The window's first bit in this bitmap.
        start: u32,
        /// The bit after its last one in this bitmap.
        end: u32,
    },
}

/// Whether `bit` is set; one beyond the end counts as set.
pub(crate) fn is_set(bitmap: &impl Bitmap, bit: u32) -> bool {
    bitmap
        .word(bit / WORD_BITS)
        .is_none_or(|word| word & (1 << (bit % WORD_BITS)) != 0)
}

/// The first clear bit of those from `from` to before `end`. C: `ext2_find_next_zero_bit()`.
pub(crate) fn next_clear(bitmap: &impl Bitmap, from: u32, end: u32) -> Option<u32> {
    let mut index = from / WORD_BITS;
    let mut clear = !bitmap.word(index)? & (u32::MAX << (from % WORD_BITS));

    while clear == 0 {
        index += 1;
        if index >= end.div_ceil(WORD_BITS) {
            return None;
        }
        clear = !bitmap.word(index)?;
    }
    Some(index * WORD_BITS + clear.trailing_zeros()).filter(|&bit| bit < end)
}

/// The first bit of the first byte that is all clear, of the bytes from that of bit `from` to that
/// of bit `end - 1`.
fn next_clear_byte(bitmap: &impl Bitmap, from: u32, end: u32) -> Option<u32> {
    let mut before = from % WORD_BITS / BYTE_BITS;

    for index in from / WORD_BITS..end.div_ceil(WORD_BITS) {
        let bytes = bitmap.word(index)?.to_le_bytes();
        let found = bytes.iter().skip(before as usize).position(|&b| b == 0);
        if let Some(found) = found {
            return Some(index * WORD_BITS + (before + found as u32) * BYTE_BITS);
        }
        before = 0;
    }
    None
}

/// A free bit for data: one close behind `start`, or else the first of a free byte, or else any.
/// C: `find_next_usable_block()`.
fn find_usable(bitmap: &impl Bitmap, start: u32, end: u32) -> Option<u32> {
    if start > 0 {
        let near = start.next_multiple_of(NEAR_BITS).min(end);
        if start < near {
            if let Some(bit) = next_clear(bitmap, start, near) {
                return Some(bit);
            }
        }
    }
    next_clear_byte(bitmap, start, end)
        .filter(|bit| (start..end).contains(bit))
        .or_else(|| next_clear(bitmap, start, end))
}

/// Claims the clear bits in a row from `first` on to before `end`, a word at a time. How many.
fn claim_clear(bitmap: &impl Bitmap, first: u32, end: u32) -> u32 {
    let mut at = first;
    while at < end {
        let (index, low) = (at / WORD_BITS, at % WORD_BITS);
        let Some(word) = bitmap.word(index) else {
            break;
        };
        let room = (WORD_BITS - low).min(end - at);
        let clear = (word >> low).trailing_zeros().min(room);
        if clear == 0 {
            break;
        }
        // If somebody was faster the word is looked at again, and has fewer.
        if bitmap.claim_in_word(index, (u32::MAX >> (WORD_BITS - clear)) << low) {
            at += clear;
        }
    }
    at - first
}

/// Claims up to `count` bits in a row: from the first free one at or after `goal` on, or, without
/// one or with one outside the window, where there seems to be room. C: `ext2_try_to_allocate()`.
pub(crate) fn claim_run(
    bitmap: &impl Bitmap,
    range: Range,
    goal: Option<u32>,
    count: u32,
) -> Option<Run> {
    let (start, end, goal) = match range {
        Range::Group { end } => (0, end, goal),
        Range::Window { start, end } => {
            (start, end, goal.filter(|goal| (start..end).contains(goal)))
        }
    };
    let mut first = match goal {
        Some(goal) => goal,
        None => {
            let mut found = find_usable(bitmap, start, end)?;
            if let Range::Group { .. } = range {
                let lowest = found.saturating_sub(MAX_STEPS_BACK).max(start);
                while found > lowest && !is_set(bitmap, found - 1) {
                    found -= 1;
                }
            }
            found
        }
    };

    loop {
        first = next_clear(bitmap, first, end)?;
        // Fewer than there seem to be if somebody else takes them.
        let claimed = claim_clear(bitmap, first, end.min(first.saturating_add(count)));
        if claimed > 0 {
            return Some(Run {
                first,
                count: claimed,
            });
        }
        // Lost to somebody else, or there was nothing to claim.
        first = first.checked_add(1).filter(|&bit| bit < end && count > 0)?;
    }
}

/// Claims the first free bit of those from `from` to before `end` that is `wanted`.
pub(crate) fn claim_first_that(
    bitmap: &impl Bitmap,
    from: u32,
    end: u32,
    wanted: impl Fn(u32) -> bool,
) -> Option<u32> {
    let mut at = from;
    while at < end {
        at = next_clear(bitmap, at, end)?;
        if wanted(at) && bitmap.claim(at) {
            // Somebody may have had it, and freed it, meanwhile.
            if wanted(at) {
                return Some(at);
            }
            bitmap.release(at);
        }
        at += 1;
    }
    None
}

#[kunit_tests(rust_ext2_bitmap)]
mod tests {
    use super::*;
    use crate::{
        disk::test_images::Random,
        groups::test_bitmap::TestBitmap, //
    };

    const GROUP: Range = Range::Group { end: 256 };

    #[inline(never)]
    fn run(first: u32, count: u32) -> Option<Run> {
        Some(Run { first, count })
    }

    #[test]
    fn next_clear_looks_at_every_bit() -> Result {
        let mut random = Random::new(3);

        for _ in 0..200 {
            let map = TestBitmap::new();
            for _ in 0..random.below(400) {
                let _ = map.claim(random.below(256) as u32);
            }
            let (from, end) = (random.below(256) as u32, random.below(257) as u32);
            let expected = (from..end).find(|&bit| !is_set(&map, bit));
            assert_eq!(next_clear(&map, from, end), expected);
        }
        assert_eq!(next_clear(&TestBitmap::new(), 256, 300), None);
        Ok(())
    }

    #[test]
    fn a_goal_is_taken_or_the_next_free_bit_after_it() {
        let map = TestBitmap::new();

        assert_eq!(claim_run(&map, GROUP, Some(100), 4), run(100, 4));
        assert_eq!(claim_run(&map, GROUP, Some(100), 4), run(104, 4));
        assert_eq!(claim_run(&map, GROUP, Some(98), 4), run(98, 2));
        assert_eq!(claim_run(&map, GROUP, Some(254), 4), run(254, 2));
        assert_eq!(claim_run(&map, GROUP, Some(254), 4), None);
        assert_eq!(claim_run(&map, GROUP, Some(0), 0), None);
    }

    #[test]
    fn without_a_goal_a_free_byte_goes_first() {
        let map = TestBitmap::new();

        // Bits 1 to 15 and 26 to 255 are free: the first byte is not, the second has one in use.
        for bit in Iterator::chain([0, 12].into_iter(), 16..26) {
            let _ = map.claim(bit);
        }
        // Byte 32 to 39 is free; 7 steps back from it is 26, the first free one before it.
        assert_eq!(claim_run(&map, GROUP, None, 3), run(26, 3));
        assert_eq!(claim_run(&map, GROUP, None, 300), run(29, 227));
        // No free byte is left.
        assert_eq!(claim_run(&map, GROUP, None, 300), run(1, 11));
        assert_eq!(claim_run(&map, GROUP, None, 300), run(13, 3));
        assert_eq!(claim_run(&map, GROUP, None, 300), None);
    }

    #[test]
    fn a_window_is_not_left() {
        let map = TestBitmap::new();
        let window = Range::Window { start: 70, end: 90 };

        // Near the start, before a free byte.
        let _ = map.claim(70);
        assert_eq!(claim_run(&map, window, None, 2), run(71, 2));
        // A goal outside is none.
        assert_eq!(claim_run(&map, window, Some(100), 2), run(73, 2));
        // Nothing is taken before the window, though it is free.
        assert_eq!(claim_run(&map, window, Some(80), 100), run(80, 10));
        assert_eq!(claim_run(&map, window, Some(80), 100), None);
        assert_eq!(claim_run(&map, window, None, 100), run(75, 5));
        assert_eq!(claim_run(&map, window, None, 100), None);
        assert!(!is_set(&map, 69) && !is_set(&map, 90));
    }

    #[test]
    fn the_first_free_inode() {
        let map = TestBitmap::new();

        assert_eq!(claim_first_that(&map, 0, 2, |_| true), Some(0));
        assert_eq!(claim_first_that(&map, 0, 2, |_| true), Some(1));
        assert_eq!(claim_first_that(&map, 0, 2, |_| true), None);
        assert!(map.release(0) && !map.release(0));
        assert_eq!(claim_first_that(&map, 0, 2, |_| true), Some(0));
        assert_eq!(claim_first_that(&map, 1000, 2000, |_| true), None);
    }
}
