// SPDX-License-Identifier: GPL-2.0

//! Which blocks of a folio are valid and which are dirty, as bits. Pure: no folio, no allocation.
//!
//! A valid block has in memory what is to be read of it; a dirty one is valid, and has to be
//! written. There are two layouts: up to [`INLINE_BLOCKS`] blocks share one word with a tag, others
//! have words of their own. What is done costs by the word, or by the run of blocks that are alike,
//! and not by the block.
//!
//! Locks: valid bits change under the folio's lock only. Dirty bits are set without it, too, by who
//! has stored to a mapped page; so all bits are changed atomically, and nobody believes that a
//! dirty bit is clear for longer than it takes to look.

use crate::abstractions::update::update;
use core::ops::Range;
use kernel::sync::atomic::{
    Atomic,
    Full,
    Relaxed, //
};

/// The bits of a single word that are its tag, from bit 0 on.
pub(super) const TAG_BITS: u32 = 2;

/// The most blocks that a single word has room for, beside its tag.
pub(super) const INLINE_BLOCKS: u32 = (u64::BITS - TAG_BITS) / 2;

/// A bit for each block of a folio, from bit `shift` of the first word on.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    words: &'a [Atomic<u64>],
    shift: u32,
    len: u32,
}

/// The bits `from..to` of a word, of which there are 64.
#[inline(always)]
fn mask(from: u32, to: u32) -> u64 {
    match to.saturating_sub(from) {
        0 => 0,
        len => (u64::MAX >> (64 - len.min(64))) << from.min(63),
    }
}

/// Changes a word in one step.
#[inline(always)]
fn change(word: &Atomic<u64>, by: impl Fn(u64) -> u64) {
    let _ = update(
        word.load(Relaxed),
        |old, new| word.cmpxchg(old, new, Full),
        |old| Some(by(old)).filter(|new| *new != old),
    );
}

impl<'a> Bits<'a> {
    /// The words that have bits of `range`, and which of them.
    fn words(&self, range: Range<u32>) -> impl Iterator<Item = (&'a Atomic<u64>, u64)> {
        let start = range.start.min(self.len) + self.shift;
        let end = range.end.min(self.len) + self.shift;
        let words = self.words;
        let last = if start < end { end.div_ceil(64) } else { 0 };
        (start / 64..last).filter_map(move |index| {
            let base = index * 64;
            let bits = mask(start.max(base) - base, end.min(base + 64) - base);
            Some((words.get(index as usize)?, bits))
        })
    }

    /// The word that has all bits of a range, if one has, and which of its bits: a few blocks are
    /// what is asked about most.
    #[inline(always)]
    fn only_word(&self, range: &Range<u32>) -> Option<(&'a Atomic<u64>, u64)> {
        let start = range.start.min(self.len) + self.shift;
        let end = range.end.min(self.len) + self.shift;
        let index = start / 64;
        if start >= end || (end - 1) / 64 != index {
            return None;
        }
        let bits = mask(start % 64, end - index * 64);
        Some((self.words.get(index as usize)?, bits))
    }

    /// Sets the bits of these blocks.
    #[inline(always)]
    pub(super) fn set(&self, range: Range<u32>) {
        match self.only_word(&range) {
            Some((word, bits)) => change(word, |old| old | bits),
            None => self.set_many(range),
        }
    }

    #[inline(never)]
    fn set_many(&self, range: Range<u32>) {
        for (word, bits) in self.words(range) {
            change(word, |old| old | bits);
        }
    }

    /// Clears the bits of these blocks.
    pub(super) fn clear(&self, range: Range<u32>) {
        if let Some((word, bits)) = self.only_word(&range) {
            return change(word, |old| old & !bits);
        }
        for (word, bits) in self.words(range) {
            change(word, |old| old & !bits);
        }
    }

    /// Whether the bits of all these blocks are set.
    #[inline(always)]
    pub(super) fn all(&self, range: Range<u32>) -> bool {
        match self.only_word(&range) {
            Some((word, bits)) => word.load(Relaxed) & bits == bits,
            None => self.all_many(range),
        }
    }

    #[inline(never)]
    fn all_many(&self, range: Range<u32>) -> bool {
        self.words(range)
            .all(|(word, bits)| word.load(Relaxed) & bits == bits)
    }

    /// The first block of the range, if there is one, whose bit is as `word ^ flip` has it set.
    fn find(&self, range: Range<u32>, flip: u64) -> Option<u32> {
        let first = (range.start.min(self.len) + self.shift) / 64;
        (first..)
            .zip(self.words(range))
            .find_map(|(index, (word, bits))| {
                let found = (word.load(Relaxed) ^ flip) & bits;
                (found != 0).then(|| index * 64 + found.trailing_zeros() - self.shift)
            })
    }

    /// The first run of blocks in the range whose bits are all as wanted.
    fn run(&self, range: Range<u32>, flip: u64) -> Option<Range<u32>> {
        let end = range.end.min(self.len);
        let start = self.find(range, flip)?;
        Some(start..self.find(start..end, !flip).unwrap_or(end))
    }

    /// The first run of blocks in the range whose bits are set.
    pub(super) fn next_set(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.run(range, 0)
    }

    /// The first run of blocks in the range whose bits are clear.
    pub(super) fn next_clear(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.run(range, u64::MAX)
    }
}

/// What is known of the blocks of a folio.
#[derive(Clone, Copy)]
pub(super) struct BlockBits<'a> {
    words: &'a [Atomic<u64>],
    blocks: u32,
}

impl<'a> BlockBits<'a> {
    /// How many words so many blocks take.
    pub(super) const fn words_for(blocks: u32) -> usize {
        match blocks {
            0..=INLINE_BLOCKS => 1,
            _ => 2 * blocks.div_ceil(64) as usize,
        }
    }

    /// The bits of `blocks` blocks in [`Self::words_for`] them. The tag of a single word is not
    /// looked at.
    pub(super) fn new(words: &'a [Atomic<u64>], blocks: u32) -> Self {
        Self { words, blocks }
    }

    /// All blocks.
    pub(super) fn whole(&self) -> Range<u32> {
        0..self.blocks
    }

    /// Which blocks are valid.
    #[inline(always)]
    pub(super) fn valid(&self) -> Bits<'a> {
        match self.words.len() {
            0 | 1 => self.bits(self.words, TAG_BITS),
            len => self.bits(self.words.get(..len / 2).unwrap_or_default(), 0),
        }
    }

    /// Which blocks are dirty.
    #[inline(always)]
    pub(super) fn dirty(&self) -> Bits<'a> {
        match self.words.len() {
            0 | 1 => self.bits(self.words, TAG_BITS + INLINE_BLOCKS),
            len => self.bits(self.words.get(len / 2..).unwrap_or_default(), 0),
        }
    }

    #[inline(always)]
    fn bits(&self, words: &'a [Atomic<u64>], shift: u32) -> Bits<'a> {
        Bits {
            words,
            shift,
            len: self.blocks,
        }
    }

    /// Makes blocks valid and dirty, if the one behind them is there, and is not valid; and if all
    /// of them are in one word. Whether it did.
    ///
    /// # Safety
    ///
    /// The caller must have the folio's lock: words of valid bits alone are changed with that only,
    /// and a bit that is lost would be one of a block that is dirty, and so is valid.
    #[inline(always)]
    pub(super) unsafe fn fill(&self, range: &Range<u32>) -> bool {
        let (start, end) = (range.start, range.end);
        if start >= end || end >= self.blocks || start / 64 != end / 64 {
            return false;
        }
        let bits = mask(start % 64, end % 64);
        let is_next = |valid: u64| valid >> (end % 64) & 1 != 0;
        match self.words {
            [word] => {
                if is_next(word.load(Relaxed) >> TAG_BITS) {
                    return false;
                }
                let both = bits << TAG_BITS | bits << (TAG_BITS + INLINE_BLOCKS);
                change(word, |old| old | both);
            }
            words => {
                let (valid, dirty) = words.split_at(words.len() / 2);
                let index = (start / 64) as usize;
                let (Some(valid), Some(dirty)) = (valid.get(index), dirty.get(index)) else {
                    return false;
                };
                let before = valid.load(Relaxed);
                if is_next(before) {
                    return false;
                }
                // Words of valid bits alone change under the folio's lock only.
                valid.store(before | bits, Relaxed);
                change(dirty, |old| old | bits);
            }
        }
        true
    }

    /// Makes blocks dirty: a few, mostly.
    #[inline(always)]
    pub(super) fn set_dirty(&self, range: Range<u32>) {
        let (start, end) = (range.start, range.end);
        let index = start / 64;
        if start >= end || end > self.blocks || (end - 1) / 64 != index {
            return self.dirty().set(range);
        }
        let bits = mask(start % 64, end - index * 64);
        match self.words {
            [word] => change(word, |old| old | bits << (TAG_BITS + INLINE_BLOCKS)),
            words => {
                if let Some(word) = words.get(words.len() / 2 + index as usize) {
                    change(word, |old| old | bits);
                }
            }
        }
    }

    /// Makes all blocks dirty that are valid.
    pub(super) fn dirty_valid(&self) {
        let mut at = 0;
        while let Some(run) = self.valid().next_set(at..self.blocks) {
            at = run.end;
            self.dirty().set(run);
        }
    }
}

/// The blocks of `1 << bits` bytes that a range of bytes has any part of.
#[inline]
pub(super) fn outward(bytes: Range<usize>, bits: u32) -> Range<u32> {
    if bytes.is_empty() {
        return 0..0;
    }
    let last = (bytes.end - 1).wrapping_shr(bits);
    bytes.start.wrapping_shr(bits) as u32..(last + 1) as u32
}

/// The blocks of `1 << bits` bytes that a range of bytes has all of.
pub(super) fn inward(bytes: Range<usize>, bits: u32) -> Range<u32> {
    let start = bytes.start.div_ceil(1 << bits) as u32;
    start..start.max((bytes.end >> bits) as u32)
}

#[kernel::macros::kunit_tests(rust_mpage_block_bits)]
mod tests {
    use super::{
        inward,
        outward,
        Bits,
        BlockBits,
        TAG_BITS, //
    };
    use core::ops::Range;
    use kernel::{
        prelude::*,
        sync::atomic::{
            Atomic,
            Relaxed, //
        }, //
    };

    /// What is not a block's in the words of a test.
    const TAG: u64 = 1;

    /// Numbers by chance, always the same.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, end: u32) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            ((self.0 >> 33) % u64::from(end)) as u32
        }

        fn range(&mut self, end: u32) -> Range<u32> {
            let (one, other) = (self.below(end + 1), self.below(end + 1));
            one.min(other)..one.max(other)
        }
    }

    fn words(blocks: u32) -> Result<KVec<Atomic<u64>>> {
        let mut words = KVec::new();
        for _ in 0..BlockBits::words_for(blocks) {
            words.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(words)
    }

    fn model(blocks: u32) -> Result<KVec<bool>> {
        Ok(KVec::from_elem(false, blocks as usize, GFP_KERNEL)?)
    }

    fn fill(model: &mut [bool], range: &Range<u32>, value: bool) {
        model[range.start as usize..range.end as usize].fill(value);
    }

    /// The first run of `value` in a range of the model.
    fn run(model: &[bool], range: &Range<u32>, value: bool) -> Option<Range<u32>> {
        let is = |at: &u32| model[*at as usize] == value;
        let start = range.clone().find(is)?;
        let end = (start..range.end).find(|at| !is(at));
        Some(start..end.unwrap_or(range.end))
    }

    fn same(bits: Bits<'_>, model: &[bool], range: &Range<u32>) -> bool {
        let all = range.clone().all(|at| model[at as usize]);
        bits.all(range.clone()) == all
            && bits.next_set(range.clone()) == run(model, range, true)
            && bits.next_clear(range.clone()) == run(model, range, false)
    }

    /// Some steps with as many blocks, each looked at in the model, too.
    fn follows_model(blocks: u32, steps: u32, seed: u64) -> Result<bool> {
        let words = words(blocks)?;
        let single = words.len() == 1;
        if single {
            words[0].store(TAG, Relaxed);
        }
        let bits = BlockBits::new(&words, blocks);
        let (mut valid, mut dirty) = (model(blocks)?, model(blocks)?);
        let mut chance = Chance(seed);

        for _ in 0..steps {
            let range = chance.range(blocks);
            match chance.below(7) {
                0 => {
                    bits.valid().set(range.clone());
                    fill(&mut valid, &range, true);
                }
                1 => {
                    bits.valid().clear(range.clone());
                    fill(&mut valid, &range, false);
                }
                2 => {
                    match chance.below(2) {
                        0 => bits.dirty().set(range.clone()),
                        _ => bits.set_dirty(range.clone()),
                    }
                    fill(&mut dirty, &range, true);
                }
                3 => {
                    bits.dirty().clear(range.clone());
                    fill(&mut dirty, &range, false);
                }
                4 | 5 => {
                    // A few blocks, as who appends fills them.
                    let range = range.start..range.end.min(range.start + 3);
                    let next_is_free =
                        range.end < blocks && !valid.get(range.end as usize).unwrap_or(&true);
                    // SAFETY: There is no folio, and nobody else has the words.
                    let filled = unsafe { bits.fill(&range) };
                    if filled && (range.is_empty() || !next_is_free) {
                        return Ok(false);
                    }
                    if !filled && next_is_free && range.len() == 1 && range.end % 64 != 0 {
                        return Ok(false);
                    }
                    if filled {
                        fill(&mut valid, &range, true);
                        fill(&mut dirty, &range, true);
                    }
                }
                _ => {
                    bits.dirty_valid();
                    for (dirty, valid) in dirty.iter_mut().zip(&valid) {
                        *dirty |= *valid;
                    }
                }
            }
            let look = chance.range(blocks);
            if !same(bits.valid(), &valid, &look) || !same(bits.dirty(), &dirty, &look) {
                return Ok(false);
            }
            let tag = words[0].load(Relaxed) & ((1 << TAG_BITS) - 1);
            if single && tag != TAG {
                return Ok(false);
            }
        }
        Ok(true)
    }

    #[test]
    fn in_one_word_as_the_model() -> Result {
        for blocks in [1, 2, 4, 8, 16, 31] {
            assert!(follows_model(blocks, 300, 0x9e37_79b9 + u64::from(blocks))?);
        }
        Ok(())
    }

    #[test]
    fn in_many_words_as_the_model() -> Result {
        for blocks in [32, 63, 64, 65, 128, 512, 2048, 4096] {
            assert!(follows_model(blocks, 120, 0x85eb_ca6b + u64::from(blocks))?);
        }
        Ok(())
    }

    #[test]
    fn nothing_is_no_run() -> Result {
        let words = words(2048)?;
        let bits = BlockBits::new(&words, 2048);
        assert_eq!(bits.dirty().next_set(0..2048), None);
        assert_eq!(bits.dirty().next_clear(7..7), None);
        assert_eq!(bits.valid().next_clear(0..5000), Some(0..2048));
        assert!(bits.valid().all(9..9));
        Ok(())
    }

    /// Somebody stores to a page after its bits were taken and before it is written.
    #[test]
    fn what_is_set_after_the_take_is_kept() -> Result {
        let words = words(4)?;
        let bits = BlockBits::new(&words, 4);
        bits.dirty().set(1..3);
        let run = bits.dirty().next_set(0..4).unwrap_or(0..0);
        assert_eq!(run, 1..3);
        bits.dirty().clear(run);
        bits.dirty().set(0..4);
        assert_eq!(bits.dirty().next_set(0..4), Some(0..4));
        Ok(())
    }

    #[test]
    fn rounding() {
        assert_eq!(outward(0..4096, 10), 0..4);
        assert_eq!(outward(1..1024, 10), 0..1);
        assert_eq!(outward(1023..1025, 10), 0..2);
        assert_eq!(outward(1024..1025, 10), 1..2);
        assert!(outward(1024..1024, 10).is_empty());
        assert_eq!(inward(0..4096, 10), 0..4);
        assert_eq!(inward(1..3072, 10), 1..3);
        assert_eq!(inward(1..3071, 10), 1..2);
        assert!(inward(1..1024, 10).is_empty());
        assert!(inward(1023..1025, 10).is_empty());
        assert_eq!(inward(1024..2048, 10), 1..2);
    }
}
