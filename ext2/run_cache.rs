// SPDX-License-Identifier: GPL-2.0

//! The runs of blocks that reads of a file have found.
//!
//! A search for a block costs a look into the buffer cache for each level of indirect blocks, which
//! is a good part of what the read of a page at a random place costs. So what a search finds is
//! remembered here, as the whole run that the last array of pointers has there, and the next
//! question to the same array is answered without a search.
//!
//! A run is believed while the inode's count of cuts is the one of before the search that found
//! it. Blocks of a file do not move, and holes are not remembered, so nothing but a truncation can
//! make a run wrong.
//!
//! Locks: none. An entry has a sequence count: odd while somebody changes it, in which case others
//! do without it.
//!
//! C has no counterpart; ext4's is the extent status tree.

#![deny(unsafe_code)]

use kernel::{
    alloc::flags::__GFP_NOWARN,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        barrier::{
            smp_mb,
            Read,
            Write, //
        },
        SetOnce, //
    },
};

/// The most entries that a file has: 10 KiB.
const MAX_ENTRIES: usize = 512;
/// One in so many searches that find their entry taken, and useless, takes it over.
const PATIENCE: u32 = 16;

/// Blocks of a file that are consecutive on the device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CachedRun {
    /// The first, in the file.
    pub(crate) start: u32,
    /// The first, on the device.
    pub(crate) first: u32,
    /// Number of blocks, at least 1.
    pub(crate) count: u32,
}

impl CachedRun {
    /// What follows block `at` of the file, and that, if it is in the run: the first block on the
    /// device, and how many.
    #[inline]
    pub(crate) fn from(&self, at: u32) -> Option<(u32, u32)> {
        let skip = at.checked_sub(self.start)?;
        let left = self.count.checked_sub(skip).filter(|left| *left > 0)?;
        Some((self.first.checked_add(skip)?, left))
    }
}

/// One run, and when it was true.
struct Entry {
    sequence: Atomic<u32>,
    start: Atomic<u32>,
    first: Atomic<u32>,
    /// 0: nothing is known.
    count: Atomic<u32>,
    cuts: Atomic<u32>,
}

impl Entry {
    const fn new() -> Self {
        Self {
            sequence: Atomic::new(0),
            start: Atomic::new(0),
            first: Atomic::new(0),
            count: Atomic::new(0),
            cuts: Atomic::new(0),
        }
    }

    /// The run, if there is one that was true at this count of cuts.
    #[inline]
    fn read(&self, cuts: u32) -> Option<CachedRun> {
        let sequence = self.sequence.load(Acquire);
        let run = CachedRun {
            start: self.start.load(Relaxed),
            first: self.first.load(Relaxed),
            count: self.count.load(Relaxed),
        };
        let same = self.cuts.load(Relaxed) == cuts;
        // The fields before the second look at the count.
        smp_mb(Read);
        let steady = sequence & 1 == 0 && self.sequence.load(Relaxed) == sequence;
        (steady && same && run.count > 0).then_some(run)
    }

    /// Takes a run in; not if somebody else is at it.
    fn write(&self, run: CachedRun, cuts: u32) {
        let sequence = self.sequence.load(Relaxed);
        let mine = sequence & 1 == 0
            && self
                .sequence
                .cmpxchg(sequence, sequence.wrapping_add(1), Acquire)
                .is_ok();
        if !mine {
            return;
        }
        // The odd count before the fields.
        smp_mb(Write);
        self.start.store(run.start, Relaxed);
        self.first.store(run.first, Relaxed);
        self.count.store(run.count, Relaxed);
        self.cuts.store(cuts, Relaxed);
        self.sequence.store(sequence.wrapping_add(2), Release);
    }
}

/// The runs of one file: an entry for each array of pointers, as far as there are entries.
pub(crate) struct RunCache {
    entries: SetOnce<KVec<Entry>>,
    refused: Atomic<u32>,
}

/// What to search for when the cache has no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Search {
    /// What was asked for: nothing will be remembered.
    Asked,
    /// The whole run.
    Run,
}

impl RunCache {
    pub(crate) const fn new() -> Self {
        Self {
            entries: SetOnce::new(),
            refused: Atomic::new(0),
        }
    }

    /// The entry for `array`, counted from the start of the file.
    #[inline]
    fn entry(&self, array: u32) -> Option<&Entry> {
        let entries = self.entries.as_ref()?;
        // The number of entries is a power of two.
        entries.get(array as usize & entries.len().wrapping_sub(1))
    }

    /// What is known of block `at` of the file, whose pointer is in `array`, at this count of cuts:
    /// the block on the device, and how many follow it there, itself included.
    #[inline]
    pub(crate) fn find(&self, array: u32, at: u32, cuts: u32) -> Option<(u32, u32)> {
        self.entry(array)?.read(cuts)?.from(at)
    }

    /// Says what to search for, for a block whose pointer is in `array`, in a file of so many
    /// arrays, after [`Self::find`] found nothing.
    ///
    /// An entry that has another run is left alone most of the time: in a file that is much larger
    /// than the cache, or scattered, what is remembered is hardly ever asked for, and should cost
    /// little.
    pub(crate) fn plan(&self, array: u32, arrays: u32, cuts: u32) -> Search {
        if self.entries.as_ref().is_none() {
            self.set_up(arrays);
        }
        let Some(entry) = self.entry(array) else {
            return Search::Asked;
        };
        if entry.read(cuts).is_none() {
            return Search::Run;
        }
        match self.refused.fetch_add(1, Relaxed) % PATIENCE {
            0 => Search::Run,
            _ => Search::Asked,
        }
    }

    /// Remembers a run of `array`, found by a search that began at this count of cuts and was not
    /// disturbed by any.
    pub(crate) fn remember(&self, array: u32, run: CachedRun, cuts: u32) {
        if let Some(entry) = self.entry(array) {
            entry.write(run, cuts);
        }
    }

    /// Makes entries for a file of so many arrays. Without memory there are none.
    #[cold]
    fn set_up(&self, arrays: u32) {
        let count = (arrays.max(1) as usize)
            .next_power_of_two()
            .min(MAX_ENTRIES);
        let flags = GFP_NOWAIT | __GFP_NOWARN;
        let Ok(mut entries) = KVec::with_capacity(count, flags) else {
            return;
        };
        for _ in 0..count {
            if entries.push(Entry::new(), flags).is_err() {
                return;
            }
        }
        // Somebody else's are as good.
        self.entries.populate(entries);
    }
}

#[kunit_tests(rust_ext2_run_cache)]
mod tests {
    use super::*;

    fn run(start: u32, first: u32, count: u32) -> CachedRun {
        CachedRun {
            start,
            first,
            count,
        }
    }

    #[test]
    fn a_run_answers_for_its_blocks_only() {
        let high = run(100, u32::MAX, 10);
        let run = run(100, 5000, 10);
        assert_eq!(run.from(99), None);
        assert_eq!(run.from(100), Some((5000, 10)));
        assert_eq!(run.from(109), Some((5009, 1)));
        assert_eq!(run.from(110), None);
        assert_eq!(high.from(101), None);
    }

    #[test]
    fn what_is_remembered_is_found() {
        let cache = RunCache::new();
        assert_eq!(cache.find(3, 40, 0), None);
        assert_eq!(cache.plan(3, 8, 0), Search::Run);
        cache.remember(3, run(40, 900, 5), 0);
        assert_eq!(cache.find(3, 42, 0), Some((902, 3)));
        assert_eq!(cache.find(3, 45, 0), None);
        assert_eq!(cache.find(3, 39, 0), None);
        assert_eq!(cache.find(4, 42, 0), None);
    }

    /// After a truncation nothing of before is believed, and later finds are.
    #[test]
    fn a_cut_makes_it_forget() {
        let cache = RunCache::new();
        assert_eq!(cache.plan(0, 1, 7), Search::Run);
        cache.remember(0, run(12, 500, 1000), 7);
        assert_eq!(cache.find(0, 20, 7), Some((508, 992)));
        assert_eq!(cache.find(0, 20, 8), None);
        assert_eq!(cache.plan(0, 1, 8), Search::Run);
        cache.remember(0, run(12, 700, 10), 8);
        assert_eq!(cache.find(0, 20, 8), Some((708, 2)));
        assert_eq!(cache.find(0, 20, 7), None);
    }

    /// A second run of the same array takes the place of the first.
    #[test]
    fn the_last_run_of_an_array_stays() {
        let cache = RunCache::new();
        assert_eq!(cache.plan(0, 1, 0), Search::Run);
        cache.remember(0, run(0, 500, 10), 0);
        cache.remember(0, run(50, 900, 10), 0);
        assert_eq!(cache.find(0, 5, 0), None);
        assert_eq!(cache.find(0, 55, 0), Some((905, 5)));
    }

    /// In a file with more arrays than entries, few searches take an entry over.
    #[test]
    fn a_huge_file_is_patient() {
        let cache = RunCache::new();
        let entries = MAX_ENTRIES as u32;
        let arrays = 4 * entries;
        assert_eq!(cache.plan(1, arrays, 0), Search::Run);
        cache.remember(1, run(100, 7000, 100), 0);
        // The same entry, of another array.
        let other = 1 + entries;
        let whole = (0..2 * PATIENCE)
            .filter(|_| cache.plan(other, arrays, 0) == Search::Run)
            .count();
        assert_eq!(whole, 2);
        assert_eq!(cache.find(other, 9000, 0), None);
        cache.remember(other, run(9000, 3, 100), 0);
        assert_eq!(cache.find(1, 100, 0), None);
        assert_eq!(cache.find(other, 9050, 0), Some((53, 50)));
    }

    #[test]
    fn while_an_entry_changes_others_do_without() {
        let entry = Entry::new();
        entry.write(run(1, 2, 3), 0);
        assert_eq!(entry.read(0), Some(run(1, 2, 3)));
        entry.sequence.store(5, Relaxed);
        assert_eq!(entry.read(0), None);
        entry.write(run(9, 9, 9), 0);
        entry.sequence.store(6, Relaxed);
        assert_eq!(entry.read(0), Some(run(1, 2, 3)));
    }
}
