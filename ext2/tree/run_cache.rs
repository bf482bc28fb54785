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
//! The memory is that of whoever reads: it is charged to the reader's cgroup. It grows with use,
//! not with the size of the file: there are more entries once as many questions as there are
//! entries came to one that another array has. It has a bound, and goes with the inode, which
//! reclaim frees.
//!
//! Locks: none. An entry that somebody is changing is one that others do without.
//!
//! C has no counterpart; ext4's is the extent status tree.

#![deny(unsafe_code)]

use crate::sync::{
    cut_count::Cuts,
    sequenced::Sequenced, //
};
use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        Flags, //
    },
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        SetOnce, //
    },
};

/// The entries that a file has at first.
const FIRST_ENTRIES: usize = 1 << FIRST_BITS;
const FIRST_BITS: u32 = 3;
/// How often their number may double.
const GROWTHS: usize = 6;
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

/// One run, the array that has its pointers, and when it was true.
struct Entry(Sequenced<3>);

impl Entry {
    fn new() -> Self {
        // A count of 0: nothing is known.
        Self(Sequenced::new([0; 3]))
    }

    /// The run and its array, if there is one that was true at this count of cuts.
    #[inline]
    fn read(&self, cuts: Cuts) -> Option<(u32, CachedRun)> {
        let [then, place, length] = self.0.read()?;
        let (start, first) = halves(place);
        let (array, count) = halves(length);
        let run = CachedRun {
            start,
            first,
            count,
        };
        (then == cuts.number() && count > 0).then_some((array, run))
    }

    /// Takes a run in; not if somebody else is at it.
    fn write(&self, array: u32, run: CachedRun, cuts: Cuts) {
        self.0.write([
            cuts.number(),
            whole(run.start, run.first),
            whole(array, run.count),
        ]);
    }
}

/// Two numbers as one.
#[inline]
fn whole(high: u32, low: u32) -> u64 {
    u64::from(high) << u32::BITS | u64::from(low)
}

/// And back.
#[inline]
fn halves(whole: u64) -> (u32, u32) {
    ((whole >> u32::BITS) as u32, whole as u32)
}

/// Where the entries of a file are.
struct Table {
    first: [Entry; FIRST_ENTRIES],
    /// As many again as there are before, each time.
    more: [SetOnce<KVec<Entry>>; GROWTHS],
    /// How many of these there are.
    grown: Atomic<u32>,
    /// Questions that came to an entry of another array, since the last growth.
    crowded: Atomic<u32>,
    /// Questions that came to an entry that has another run.
    refused: Atomic<u32>,
}

impl Table {
    fn new() -> Self {
        Self {
            first: core::array::from_fn(|_| Entry::new()),
            more: [const { SetOnce::new() }; GROWTHS],
            grown: Atomic::new(0),
            crowded: Atomic::new(0),
            refused: Atomic::new(0),
        }
    }

    /// The number of entries, a power of two.
    #[inline]
    fn len(&self) -> usize {
        FIRST_ENTRIES << self.grown.load(Acquire)
    }

    /// The entry for `array`, counted from the start of the file.
    #[inline]
    fn entry(&self, array: u32) -> Option<&Entry> {
        let index = array as usize & self.len().wrapping_sub(1);
        if let Some(entry) = self.first.get(index) {
            return Some(entry);
        }
        // Above the first entries the highest bit says which growth it came with.
        let growth = index.checked_ilog2()?.checked_sub(FIRST_BITS)?;
        self.more
            .get(growth as usize)?
            .as_ref()?
            .get(index.checked_sub(FIRST_ENTRIES << growth)?)
    }

    /// What to search for, the entry for `array` having the run of `owner`.
    fn refuse(&self, array: u32, owner: u32) -> Search {
        let elsewhere = (array ^ owner) as usize & self.len().wrapping_sub(1) != 0;

        // From before there were so many entries, or there are more now.
        if elsewhere || (array != owner && self.is_crowded() && self.grow()) {
            return Search::Run;
        }
        match self.refused.fetch_add(1, Relaxed) % PATIENCE {
            0 => Search::Run,
            _ => Search::Asked,
        }
    }

    /// Counts a question that came to an entry of another array. Whether there were as many as
    /// there are entries.
    fn is_crowded(&self) -> bool {
        self.crowded.fetch_add(1, Relaxed) as usize + 1 >= self.len()
    }

    /// Doubles the number of entries, if it may be doubled. Whether it did.
    ///
    /// The old ones stay where they are; what moves to a new one is found again.
    #[cold]
    fn grow(&self) -> bool {
        let grown = self.grown.load(Acquire);
        let Some(place) = self.more.get(grown as usize) else {
            return false;
        };
        // Without memory not the next time either.
        self.crowded.store(0, Relaxed);
        let Ok(entries) = entries(FIRST_ENTRIES << grown) else {
            return false;
        };
        // Somebody else's are as good.
        if place.populate(entries) {
            self.grown.store(grown + 1, Release);
        }
        true
    }
}

/// So many entries in which nothing is known.
fn entries(count: usize) -> Result<KVec<Entry>> {
    let mut entries = KVec::with_capacity(count, flags())?;
    for _ in 0..count {
        entries.push_within_capacity(Entry::new())?;
    }
    Ok(entries)
}

/// To allocate without waiting, and without a word, at the cost of the current task's cgroup.
fn flags() -> Flags {
    GFP_NOWAIT | __GFP_NOWARN | (GFP_KERNEL_ACCOUNT & !GFP_KERNEL)
}

/// The runs of one file: an entry for each array of pointers, as far as there are entries.
pub(crate) struct RunCache(SetOnce<KBox<Table>>);

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
        Self(SetOnce::new())
    }

    /// What is known of block `at` of the file, whose pointer is in `array`, at this count of cuts:
    /// the block on the device, and how many follow it there, itself included.
    #[inline]
    pub(crate) fn find(&self, array: u32, at: u32, cuts: Cuts) -> Option<(u32, u32)> {
        let (_, run) = self.0.as_ref()?.entry(array)?.read(cuts)?;
        run.from(at)
    }

    /// Says what to search for, for a block whose pointer is in `array`, after [`Self::find`] found
    /// nothing.
    ///
    /// An entry that has another run is left alone most of the time: in a file that is much larger
    /// than the cache, or scattered, what is remembered is hardly ever asked for, and should cost
    /// little.
    pub(crate) fn plan(&self, array: u32, cuts: Cuts) -> Search {
        let Some(table) = self.table() else {
            return Search::Asked;
        };
        match table.entry(array).map(|entry| entry.read(cuts)) {
            None => Search::Asked,
            Some(None) => Search::Run,
            Some(Some((owner, _))) => table.refuse(array, owner),
        }
    }

    /// Remembers a run of `array`, found by a search that began at this count of cuts and was not
    /// disturbed by any.
    pub(crate) fn remember(&self, array: u32, run: CachedRun, cuts: Cuts) {
        if let Some(entry) = self.0.as_ref().and_then(|table| table.entry(array)) {
            entry.write(array, run, cuts);
        }
    }

    /// The entries. Without memory there are none.
    fn table(&self) -> Option<&Table> {
        if self.0.as_ref().is_none() {
            let table = KBox::new(Table::new(), flags()).ok()?;
            // Somebody else's is as good.
            self.0.populate(table);
        }
        self.0.as_ref().map(|table| &**table)
    }
}

#[kunit_tests(rust_ext2_run_cache)]
mod tests {
    use super::*;

    const NOW: Cuts = Cuts::of(0);
    const MAX_ENTRIES: usize = FIRST_ENTRIES << GROWTHS;

    fn run(start: u32, first: u32, count: u32) -> CachedRun {
        CachedRun {
            start,
            first,
            count,
        }
    }

    /// The run of an array that is one run.
    fn run_of(array: u32) -> CachedRun {
        run(12 + array * 1024, 50_000 + array * 1024, 1024)
    }

    /// A question for the first block of an array, and what follows from it. Whether it was known.
    fn ask(cache: &RunCache, array: u32) -> bool {
        let run = run_of(array);
        if let Some(found) = cache.find(array, run.start, NOW) {
            assert_eq!(found, (run.first, run.count));
            return true;
        }
        if cache.plan(array, NOW) == Search::Run {
            cache.remember(array, run, NOW);
        }
        false
    }

    fn len(cache: &RunCache) -> usize {
        cache.0.as_ref().map_or(0, |table| table.len())
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
        assert_eq!(cache.find(3, 40, NOW), None);
        assert_eq!(cache.plan(3, NOW), Search::Run);
        cache.remember(3, run(40, 900, 5), NOW);
        assert_eq!(cache.find(3, 42, NOW), Some((902, 3)));
        assert_eq!(cache.find(3, 45, NOW), None);
        assert_eq!(cache.find(3, 39, NOW), None);
        assert_eq!(cache.find(4, 42, NOW), None);
        let high = run(u32::MAX - 1, u32::MAX, 1);
        cache.remember(u32::MAX, high, NOW);
        assert_eq!(cache.find(u32::MAX, high.start, NOW), Some((u32::MAX, 1)));
    }

    /// After a truncation nothing of before is believed, and later finds are.
    #[test]
    fn a_cut_makes_it_forget() {
        let cache = RunCache::new();
        let (before, after) = (Cuts::of(7), Cuts::of(8));
        assert_eq!(cache.plan(0, before), Search::Run);
        cache.remember(0, run(12, 500, 1000), before);
        assert_eq!(cache.find(0, 20, before), Some((508, 992)));
        assert_eq!(cache.find(0, 20, after), None);
        assert_eq!(cache.plan(0, after), Search::Run);
        cache.remember(0, run(12, 700, 10), after);
        assert_eq!(cache.find(0, 20, after), Some((708, 2)));
        assert_eq!(cache.find(0, 20, before), None);
    }

    /// 2^32 cuts later it is another run, too.
    #[test]
    fn no_number_of_cuts_makes_it_remember() {
        let cache = RunCache::new();
        assert_eq!(cache.plan(0, NOW), Search::Run);
        cache.remember(0, run(12, 500, 1000), NOW);
        assert_eq!(cache.find(0, 20, Cuts::of(1 << 32)), None);
    }

    /// A second run of the same array takes the place of the first.
    #[test]
    fn the_last_run_of_an_array_stays() {
        let cache = RunCache::new();
        assert_eq!(cache.plan(0, NOW), Search::Run);
        cache.remember(0, run(0, 500, 10), NOW);
        cache.remember(0, run(50, 900, 10), NOW);
        assert_eq!(cache.find(0, 5, NOW), None);
        assert_eq!(cache.find(0, 55, NOW), Some((905, 5)));
    }

    /// The last page of a large file, or a few pages of it, is not worth many entries.
    #[test]
    fn memory_is_for_what_is_read() {
        let cache = RunCache::new();
        assert!(!ask(&cache, 511));
        assert!(ask(&cache, 511));
        assert_eq!(len(&cache), FIRST_ENTRIES);
        for array in (0..FIRST_ENTRIES as u32).map(|array| array * 8) {
            ask(&cache, array);
        }
        assert_eq!(len(&cache), FIRST_ENTRIES);
        assert!(size_of::<Table>() <= 512);
    }

    /// A file that was small when it was read first.
    #[test]
    fn a_file_that_grows_gets_more() {
        let cache = RunCache::new();
        assert!(!ask(&cache, 0) && ask(&cache, 0));
        // Enough questions at random places.
        for round in 0..20 {
            for array in 0..64 {
                ask(&cache, (array * 29 + round) % 64);
            }
        }
        assert_eq!(len(&cache), 64);
        assert!((0..64).all(|array| ask(&cache, array)));
    }

    /// In a file with more arrays than entries, few searches take an entry over.
    #[test]
    fn a_huge_file_is_patient() {
        let cache = RunCache::new();
        let entries = MAX_ENTRIES as u32;
        for _ in 0..8 {
            for array in 0..4 * entries {
                ask(&cache, array);
            }
        }
        assert_eq!(len(&cache), MAX_ENTRIES);
        // The same entry, of another array.
        let (one, other) = (1, 1 + entries);
        cache.remember(one, run_of(one), NOW);
        let whole = (0..2 * PATIENCE)
            .filter(|_| cache.plan(other, NOW) == Search::Run)
            .count();
        assert_eq!(whole, 2);
        assert!(ask(&cache, one));
        cache.remember(other, run_of(other), NOW);
        assert!(cache.find(one, run_of(one).start, NOW).is_none());
        assert!(ask(&cache, other));
        assert_eq!(len(&cache), MAX_ENTRIES);
    }
}
