// SPDX-License-Identifier: GPL-2.0

//! Runs of the little-endian 32-bit words of a block: looked at and set two at a time.
//!
//! What is read and written at a time are 64 bits, so that each word changes in one step.
//!
//! Locks: none. Who reads while somebody changes words gets old ones or new ones.

use super::Buffer;
use core::{
    ops::Range,
    slice, //
};
use kernel::{
    error::{
        code::EUCLEAN,
        Result, //
    },
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Two words.
type Pair = Atomic<u64>;

/// Two words as they are in memory.
#[inline(always)]
fn pair(first: u32, second: u32) -> u64 {
    let (first, second) = (u64::from(first.to_le()), u64::from(second.to_le()));
    match cfg!(target_endian = "little") {
        true => first | second << u32::BITS,
        false => first << u32::BITS | second,
    }
}

/// And back.
#[inline(always)]
fn halves(pair: u64) -> (u32, u32) {
    let (low, high) = (pair as u32, (pair >> u32::BITS) as u32);
    match cfg!(target_endian = "little") {
        true => (u32::from_le(low), u32::from_le(high)),
        false => (u32::from_le(high), u32::from_le(low)),
    }
}

/// The pair whose words are two more each, as long as there are such.
#[inline(always)]
fn two_more(value: u64) -> u64 {
    const TWO_EACH: u64 = 2 << u32::BITS | 2;
    if cfg!(target_endian = "little") {
        return value.wrapping_add(TWO_EACH);
    }
    let (first, second) = halves(value);
    pair(first.wrapping_add(2), second.wrapping_add(2))
}

/// A range of words: one that is the second of its pair, whole pairs, and one that is the first.
struct Parts<'p> {
    front: Option<&'p Pair>,
    whole: &'p [Pair],
    back: Option<&'p Pair>,
}

impl<'p> Parts<'p> {
    /// [`None`] if not all words of the range are there.
    #[inline(always)]
    fn of(pairs: &'p [Pair], words: &Range<usize>) -> Option<Self> {
        let (start, end) = (words.start, words.end.max(words.start));
        let whole = start.div_ceil(2);
        let parts = match whole > end / 2 {
            // Nothing, of an odd number on.
            true => Self {
                front: None,
                whole: &[],
                back: None,
            },
            false => Self {
                front: if start % 2 != 0 {
                    pairs.get(start / 2)
                } else {
                    None
                },
                whole: pairs.get(whole..end / 2)?,
                back: if end % 2 != 0 {
                    Some(pairs.get(end / 2)?)
                } else {
                    None
                },
            },
        };
        (end <= 2 * pairs.len()).then_some(parts)
    }
}

/// So many pairs are looked at in one go.
const AT_ONCE: usize = 4;

/// How many words of the range, from the first on, are zero.
#[inline(always)]
fn zeros(pairs: &[Pair], words: Range<usize>) -> Option<usize> {
    let parts = Parts::of(pairs, &words)?;
    let mut count = 0;
    if let Some(front) = parts.front {
        if halves(front.load(Relaxed)).1 != 0 {
            return Some(0);
        }
        count = 1;
    }
    let is_zero = |chunk: &&[Pair]| chunk.iter().fold(0, |all, it| all | it.load(Relaxed)) == 0;
    let skip = AT_ONCE
        * parts
            .whole
            .chunks_exact(AT_ONCE)
            .take_while(is_zero)
            .count();
    count += 2 * skip;
    for pair in parts.whole.get(skip..).unwrap_or(&[]) {
        let value = pair.load(Relaxed);
        if value != 0 {
            return Some(count + usize::from(halves(value).0 == 0));
        }
        count += 2;
    }
    let last = parts
        .back
        .is_some_and(|back| halves(back.load(Relaxed)).0 == 0);
    Some(count + usize::from(last))
}

/// How many pairs, from the first on, are `next` and the numbers that follow it; perhaps not all of
/// them.
#[inline(always)]
fn ascending_pairs(pairs: &[Pair], next: u64) -> usize {
    let Ok(first) = u32::try_from(next) else {
        return 0;
    };
    // So many do not come to an end of the numbers.
    let most = ((u32::MAX - first) / 2) as usize;
    let pairs = pairs.get(..most).unwrap_or(pairs);
    let mut expected = pair(first, first.wrapping_add(1));
    let mut count = 0;
    for chunk in pairs.chunks_exact(AT_ONCE) {
        let mut differs = 0;
        for pair in chunk {
            differs |= pair.load(Relaxed) ^ expected;
            expected = two_more(expected);
        }
        if differs != 0 {
            break;
        }
        count += AT_ONCE;
    }
    count
}

/// How many words of the range, from the first on, are `first`, and each one more than the one
/// before.
#[inline(always)]
fn ascending(pairs: &[Pair], words: Range<usize>, first: u32) -> Option<usize> {
    let parts = Parts::of(pairs, &words)?;
    let mut count = 0;
    // No word is more than all that there are.
    let mut next = u64::from(first);
    let is = |word: u32, next: u64| u64::from(word) == next;
    if let Some(front) = parts.front {
        if !is(halves(front.load(Relaxed)).1, next) {
            return Some(0);
        }
        (count, next) = (1, next + 1);
    }
    let skip = ascending_pairs(parts.whole, next);
    (count, next) = (count + 2 * skip, next + 2 * skip as u64);
    for pair in parts.whole.get(skip..).unwrap_or(&[]) {
        let (one, other) = halves(pair.load(Relaxed));
        if !is(one, next) {
            return Some(count);
        }
        if !is(other, next + 1) {
            return Some(count + 1);
        }
        (count, next) = (count + 2, next + 2);
    }
    let last = |back: &Pair| is(halves(back.load(Relaxed)).0, next);
    Some(count + usize::from(parts.back.is_some_and(last)))
}

/// Sets the words of the range to `first` and the numbers that follow it; [`None`] if there are not
/// so many words, or numbers, and nothing is changed then.
#[inline(always)]
fn set_ascending(pairs: &[Pair], words: Range<usize>, first: u32) -> Option<()> {
    let parts = Parts::of(pairs, &words)?;
    let last = words.len().saturating_sub(1);
    first.checked_add(u32::try_from(last).ok()?)?;
    let mut next = first;
    if let Some(front) = parts.front {
        let (kept, _) = halves(front.load(Relaxed));
        front.store(pair(kept, next), Relaxed);
        next = next.wrapping_add(1);
    }
    let mut value = pair(next, next.wrapping_add(1));
    for whole in parts.whole {
        whole.store(value, Relaxed);
        value = two_more(value);
    }
    if let Some(back) = parts.back {
        let (_, kept) = halves(back.load(Relaxed));
        back.store(pair(halves(value).0, kept), Relaxed);
    }
    Some(())
}

impl Buffer {
    #[inline(always)]
    fn pairs(&self) -> &[Pair] {
        let len = self.size() / size_of::<Pair>();
        // SAFETY: The data is as long as the block, aligned to 512 bytes at least, and stays while
        // the buffer is referenced; all who access it do that in single steps, as Linux's memory
        // model wants it.
        unsafe { slice::from_raw_parts(self.data().cast_const().cast(), len) }
    }

    /// Fills the block with zeroes.
    pub(super) fn clear(&self) {
        self.pairs().iter().for_each(|pair| pair.store(0, Relaxed));
    }

    /// How many of the block's little-endian 32-bit words from number `index` on are zero, of
    /// `max`; [`None`] if the block has not so many.
    #[inline]
    pub fn zeros_from(&self, index: usize, max: usize) -> Option<usize> {
        zeros(self.pairs(), index..index.checked_add(max)?)
    }

    /// How many of them are `first`, and each one more than the one in front of it.
    #[inline]
    pub fn ascending_from(&self, index: usize, max: usize, first: u32) -> Option<usize> {
        ascending(self.pairs(), index..index.checked_add(max)?, first)
    }

    /// Sets `count` of them to `first` and the numbers that follow it.
    ///
    /// # Errors
    ///
    /// `EUCLEAN` if the block has not so many, or there are no such numbers; nothing is changed
    /// then.
    pub fn set_ascending(&self, index: usize, count: usize, first: u32) -> Result {
        let end = index.checked_add(count).ok_or(EUCLEAN)?;
        set_ascending(self.pairs(), index..end, first).ok_or(EUCLEAN)
    }
}

#[kernel::macros::kunit_tests(rust_mpage_words)]
mod tests {
    use super::*;

    const WORDS: usize = 22;

    fn block(words: [u32; WORDS]) -> [Pair; WORDS / 2] {
        core::array::from_fn(|at| Atomic::new(pair(words[2 * at], words[2 * at + 1])))
    }

    fn word(pairs: &[Pair], at: usize) -> u32 {
        let (first, second) = halves(pairs[at / 2].load(Relaxed));
        if at % 2 == 0 {
            first
        } else {
            second
        }
    }

    #[test]
    fn zeros_end_where_one_is_not() {
        for end in 0..WORDS {
            let mut words = [0; WORDS];
            words[end] = 1 << (end % 32);
            let pairs = block(words);
            for start in 0..=end {
                for len in 0..=WORDS - start {
                    let expected = len.min(end - start);
                    assert_eq!(zeros(&pairs, start..start + len), Some(expected));
                }
            }
        }
    }

    #[test]
    fn numbers_ascend_until_one_does_not() {
        for (begin, end) in [u32::MAX - 12, 1000]
            .into_iter()
            .flat_map(|begin| (0..WORDS).map(move |end| (begin, end)))
        {
            let mut words: [u32; WORDS] = core::array::from_fn(|at| begin.wrapping_add(at as u32));
            words[end] = 7;
            let pairs = block(words);
            for start in 0..=end {
                // Behind the largest number comes none.
                let Some(first) = begin.checked_add(start as u32) else {
                    continue;
                };
                let most = (u32::MAX - first) as usize + 1;
                for len in 0..=WORDS - start {
                    let expected = len.min(end - start).min(most);
                    assert_eq!(ascending(&pairs, start..start + len, first), Some(expected));
                }
            }
        }
    }

    #[test]
    fn what_is_set_is_set_and_nothing_else() {
        for start in 0..WORDS {
            for end in start..=WORDS {
                for first in [1000, u32::MAX - WORDS as u32 / 2] {
                    let pairs = block([99; WORDS]);
                    // There are so many numbers.
                    let fits = end - start <= (u32::MAX - first) as usize + 1;
                    let set = set_ascending(&pairs, start..end, first);
                    assert_eq!(set.is_some(), fits);
                    for at in 0..WORDS {
                        let expected = match fits && (start..end).contains(&at) {
                            true => first + (at - start) as u32,
                            false => 99,
                        };
                        assert_eq!(word(&pairs, at), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_is_behind_the_block() {
        let pairs = block([0; WORDS]);
        assert_eq!(zeros(&pairs, 20..WORDS + 1), None);
        assert_eq!(zeros(&pairs, WORDS..WORDS), Some(0));
        assert_eq!(zeros(&pairs, WORDS + 1..WORDS + 2), None);
        assert_eq!(ascending(&pairs, 20..WORDS + 2, 0), None);
        assert!(Parts::of(&pairs, &(21..WORDS + 1)).is_none());
    }
}
