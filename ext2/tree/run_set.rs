// SPDX-License-Identifier: GPL-2.0

//! A set of numbers that come in runs, such as the blocks of a file.
//!
//! Locks: the caller's.

use core::ops::Range;
use kernel::{
    alloc::{
        AllocError,
        Flags, //
    },
    prelude::*, //
};

/// A set of numbers.
///
/// The last run, which is the one that grows, is no field of its own, but in memory with the
/// others: all that joins, cuts and divides runs would have two cases. It costs a file an
/// allocation when it is first promised something, and a reference for each append.
///
/// # Invariants
///
/// No run is empty; they are in order, and between two of them a number is missing. `len` is how
/// many numbers are in them.
pub(crate) struct RunSet {
    runs: KVec<Range<u32>>,
    len: u32,
}

impl RunSet {
    /// No numbers.
    pub(crate) const fn new() -> Self {
        Self {
            runs: KVec::new(),
            len: 0,
        }
    }

    /// How many numbers there are.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// In how many runs they come.
    pub(crate) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Makes room for `runs` more runs.
    #[inline]
    pub(crate) fn reserve(&mut self, runs: usize, flags: Flags) -> Result<(), AllocError> {
        self.runs.reserve(runs, flags)
    }

    /// The numbers of the set from `at` on without a gap, if `at` is one of them.
    #[inline]
    pub(crate) fn run_from(&self, at: u32) -> Option<Range<u32>> {
        let run = self.first_beyond(at)?;
        run.contains(&at).then_some(at..run.end)
    }

    /// Whether the last of the numbers is the one in front of `at`.
    #[inline]
    pub(crate) fn ends_at(&self, at: u32) -> bool {
        self.runs.last().is_some_and(|last| last.end == at)
    }

    /// Whether a run goes from in front of `at` to behind it.
    pub(crate) fn goes_over(&self, at: u32) -> bool {
        self.first_beyond(at).is_some_and(|run| run.start < at)
    }

    /// The first numbers of the set in `range` without a gap.
    pub(crate) fn next_in(&self, range: Range<u32>) -> Option<Range<u32>> {
        let run = self.first_beyond(range.start)?;
        let (start, end) = (run.start.max(range.start), run.end.min(range.end));
        (start < end).then_some(start..end)
    }

    /// The first run that ends beyond `at`.
    #[inline]
    fn first_beyond(&self, at: u32) -> Option<&Range<u32>> {
        self.runs.get(self.index_beyond(at))
    }

    #[inline]
    fn index_beyond(&self, at: u32) -> usize {
        // What grows, grows at its end.
        match self.runs.last() {
            Some(last) if last.start <= at && at < last.end => self.runs.len() - 1,
            _ => self.runs.partition_point(|run| run.end <= at),
        }
    }

    /// Adds the numbers of `range`. How many are new; none of them if a run more would be needed
    /// than there is room for, see [`Self::reserve`].
    #[inline]
    pub(crate) fn insert(&mut self, range: Range<u32>) -> u32 {
        if range.is_empty() {
            return 0;
        }
        // What grows, grows at its end.
        if let Some(last) = self.runs.last_mut() {
            if last.end == range.start {
                let added = range.end - range.start;
                last.end = range.end;
                self.len += added;
                return added;
            }
        }
        self.insert_anywhere(range)
    }

    fn insert_anywhere(&mut self, range: Range<u32>) -> u32 {
        // Those that overlap it or touch it become one with it.
        let first = self.runs.partition_point(|run| run.end < range.start);
        let end = self.runs.partition_point(|run| run.start <= range.end);
        let joined = self.runs.get(first..end).unwrap_or(&[]);
        let before: u32 = joined.iter().map(|run| run.end - run.start).sum();
        let whole = Range {
            start: joined
                .first()
                .map_or(range.start, |run| run.start.min(range.start)),
            end: joined
                .last()
                .map_or(range.end, |run| run.end.max(range.end)),
        };
        let added = (whole.end - whole.start) - before;
        match self.runs.get_mut(first) {
            Some(run) if first < end => {
                *run = whole;
                self.remove_runs(first + 1..end);
            }
            _ => {
                if self.runs.insert_within_capacity(first, whole).is_err() {
                    return 0;
                }
            }
        }
        self.len += added;
        added
    }

    /// Gives back the memory, if there are no numbers.
    pub(crate) fn free(&mut self) {
        if self.len == 0 {
            self.runs = KVec::new();
        }
    }

    /// Removes the numbers of `range`. How many went. Where a run has to become two and there is no
    /// room for that, what is behind the range goes, too: who cuts off an end piece by piece, from
    /// front to back, wants that in any case.
    pub(crate) fn remove(&mut self, range: Range<u32>) -> u32 {
        let before = self.len;
        if range.is_empty() {
            return 0;
        }
        let first = self.index_beyond(range.start);
        let mut gone = first;
        while let Some(run) = self.runs.get_mut(gone) {
            if run.start >= range.end {
                break;
            }
            let (front, back) = (run.start..range.start, range.end..run.end);
            let len = run.end - run.start;
            match (front.is_empty(), back.is_empty()) {
                (true, true) => {
                    self.len -= len;
                    gone += 1;
                }
                (true, false) => {
                    self.len -= range.end - run.start;
                    *run = back;
                    break;
                }
                (false, true) => {
                    // The one in front of those that go.
                    self.len -= run.end - range.start;
                    *run = front;
                    let end = self.runs.partition_point(|run| run.end <= range.end);
                    let inner = self.runs.get(gone + 1..end).unwrap_or(&[]);
                    self.len -= inner.iter().map(|run| run.end - run.start).sum::<u32>();
                    self.remove_runs(gone + 1..end);
                    if let Some(run) = self.runs.get_mut(gone + 1) {
                        if run.start < range.end {
                            self.len -= range.end - run.start;
                            run.start = range.end;
                        }
                    }
                    return before - self.len;
                }
                (false, false) => {
                    self.split(gone, front, back);
                    return before - self.len;
                }
            }
        }
        self.remove_runs(first..gone);
        before - self.len
    }

    /// Makes two runs of number `index`, or one if there is no room for two.
    fn split(&mut self, index: usize, front: Range<u32>, back: Range<u32>) {
        let (front_len, back_len) = (front.end - front.start, back.end - back.start);
        let len = self.runs.get(index).map_or(0, |run| run.end - run.start);
        let is_split = self
            .runs
            .insert_within_capacity(index + 1, back.clone())
            .is_ok();
        self.set(index, front);
        let kept = match is_split {
            true => front_len + back_len,
            false => front_len,
        };
        self.len -= len - kept;
    }

    fn set(&mut self, index: usize, to: Range<u32>) {
        if let Some(run) = self.runs.get_mut(index) {
            *run = to;
        }
    }

    /// Removes runs by their index; their numbers are not counted any more.
    fn remove_runs(&mut self, gone: Range<usize>) {
        let count = gone.len();
        if count == 0 || gone.end > self.runs.len() {
            return;
        }
        for index in gone.end..self.runs.len() {
            if let Some(run) = self.runs.get(index).cloned() {
                self.set(index - count, run);
            }
        }
        self.runs.truncate(self.runs.len() - count);
    }
}

#[kunit_tests(rust_ext2_run_set)]
mod tests {
    use super::*;

    const NUMBERS: u32 = 64;

    /// As a set of bits.
    #[inline(never)]
    fn check(set: &RunSet, bits: u64) {
        assert_eq!(set.len(), bits.count_ones());
        let mut seen = 0u64;
        let mut end = None;
        for run in &set.runs {
            assert!(run.start < run.end && end < Some(run.start));
            end = Some(run.end);
            seen |= mask(run.clone());
        }
        assert_eq!(seen, bits);
    }

    fn mask(range: Range<u32>) -> u64 {
        range.fold(0, |word, bit| word | 1 << bit)
    }

    fn random(state: &mut u32) -> u32 {
        *state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        *state >> 16
    }

    #[inline(never)]
    fn random_range(state: &mut u32) -> Range<u32> {
        let start = random(state) % NUMBERS;
        let len = match random(state) % 4 {
            0 => random(state) % NUMBERS,
            _ => random(state) % 6,
        };
        start..(start + len).min(NUMBERS)
    }

    #[test]
    fn it_ends_behind_its_last_number() -> Result {
        let mut set = RunSet::new();
        assert!(!set.ends_at(0));
        set.reserve(2, GFP_KERNEL)?;
        set.insert(3..5);
        set.insert(8..9);
        assert!(set.ends_at(9));
        for at in [0, 3, 5, 8, 10] {
            assert!(!set.ends_at(at));
        }
        Ok(())
    }

    #[test]
    fn as_a_set_of_bits() -> Result {
        let mut state = 1;
        for _ in 0..40 {
            let mut set = RunSet::new();
            let mut bits = 0u64;
            for _ in 0..100 {
                let range = random_range(&mut state);
                set.reserve(1, GFP_KERNEL)?;
                if random(&mut state) % 2 == 0 {
                    let added = (mask(range.clone()) & !bits).count_ones();
                    assert_eq!(set.insert(range.clone()), added);
                    bits |= mask(range);
                } else {
                    let removed = (mask(range.clone()) & bits).count_ones();
                    assert_eq!(set.remove(range.clone()), removed);
                    bits &= !mask(range);
                }
                check(&set, bits);
                let from = random(&mut state) % NUMBERS;
                let ones = (bits >> from).trailing_ones();
                let run = (ones > 0).then_some(from..from + ones);
                assert_eq!(set.run_from(from), run);
                let within = random_range(&mut state);
                let inside = bits & mask(within.clone());
                let first = inside.trailing_zeros();
                let next = (inside != 0).then(|| first..first + (inside >> first).trailing_ones());
                assert_eq!(set.next_in(within), next);
            }
        }
        Ok(())
    }

    #[test]
    fn without_room_more_is_removed_and_nothing_inserted() -> Result {
        let mut set = RunSet::new();
        set.reserve(4, GFP_KERNEL)?;
        let room = set.runs.capacity() as u32;
        for number in 0..room {
            assert_eq!(set.insert(number * 10..number * 10 + 9), 9);
        }
        assert_eq!(set.insert(1000..1001), 0);
        // The part in front stays.
        assert_eq!(set.remove(7..8), 2);
        assert_eq!(set.next_in(0..10), Some(0..7));
        assert_eq!(set.remove(2..3), 5);
        assert_eq!(set.next_in(0..10), Some(0..2));
        assert_eq!(set.len(), 9 * room - 7);

        // There is room for one more.
        set.remove(10..19);
        assert_eq!(set.remove(34..35), 1);
        assert_eq!(set.next_in(35..40), Some(35..39));
        assert_eq!(set.remove(24..25), 5);
        set.remove(0..u32::MAX);
        set.free();
        assert_eq!(set.runs.capacity(), 0);
        Ok(())
    }
}
