// SPDX-License-Identifier: GPL-2.0

//! Blocks that were freed while the disk still says whose they are.
//!
//! A freed block may be given to another file at once, and then reach the disk as that file's while
//! the pointer that was cut is still there: after a crash the block has two owners. So for each
//! freed run it is noted which metadata block, its *guard*, has the cut pointer; until the guards
//! are written, the run is not to be used again.
//!
//! Bounded: when it is full, the guards are to be written and all is forgotten.
//!
//! Pure data, no C counterpart: C leaves such files to e2fsck. Writing is in
//! [`cuts`](crate::order::cuts).
//!
//! Locks: none, the owner has one.

use kernel::prelude::*;
use rust_mpage::mm::without_fs_reclaim;

/// How many runs, and how many guards.
pub(super) const CAPACITY: usize = 512;

/// A run of blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Freed {
    first: u32,
    /// Behind the last block.
    end: u64,
}

/// Freed runs and their guards.
///
/// # Invariants
///
/// `runs` are ordered, and neither overlap nor touch; `guards` are ordered, and each is there once.
/// Both have memory for [`CAPACITY`] items.
pub(crate) struct PendingCuts {
    runs: KVec<Freed>,
    guards: KVec<u32>,
}

/// There is no room: the guards have to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

impl PendingCuts {
    /// None.
    pub(crate) fn new() -> Result<Self> {
        // INVARIANT: Both are empty.
        Ok(Self {
            runs: KVec::with_capacity(CAPACITY, GFP_KERNEL)?,
            guards: KVec::with_capacity(CAPACITY, GFP_KERNEL)?,
        })
    }

    /// Notes that `count` blocks from `first` on are free once `guard` is written.
    pub(crate) fn add(&mut self, first: u32, count: u32, guard: u32) -> Result<(), Full> {
        if self.runs.len() >= CAPACITY || self.guards.len() >= CAPACITY {
            return Err(Full);
        }
        if let Err(at) = self.guards.binary_search(&guard) {
            insert(&mut self.guards, at, guard)?;
        }
        self.add_run(Freed {
            first,
            end: u64::from(first) + u64::from(count),
        })
    }

    fn add_run(&mut self, mut new: Freed) -> Result<(), Full> {
        // Those that overlap or touch the new one become part of it.
        let from = self.runs.partition_point(|run| run.end < new.first.into());
        let behind = self.runs.iter().skip(from);
        let joined = behind
            .take_while(|run| u64::from(run.first) <= new.end)
            .count();
        for run in self.runs.iter().skip(from).take(joined) {
            new.first = new.first.min(run.first);
            new.end = new.end.max(run.end);
        }
        match self.runs.get_mut(from) {
            Some(place) if joined > 0 => {
                *place = new;
                remove(&mut self.runs, from + 1, joined - 1);
                Ok(())
            }
            _ => insert(&mut self.runs, from, new),
        }
    }

    /// Whether any of `count` blocks from `first` on must not be used yet.
    pub(crate) fn has(&self, first: u32, count: u32) -> bool {
        self.next(first, count).is_some()
    }

    /// The first of `count` blocks from `first` on that must not be used yet, and how many in a row
    /// must not.
    pub(crate) fn next(&self, first: u32, count: u32) -> Option<(u32, u32)> {
        let end = u64::from(first) + u64::from(count);
        let at = self.runs.partition_point(|run| run.end <= first.into());
        let run = self.runs.get(at)?;
        let from = run.first.max(first);
        let len = run.end.min(end).checked_sub(from.into())?;
        (len != 0).then_some((from, len as u32))
    }

    /// Whether a metadata block is one of those to be written.
    pub(crate) fn has_guard(&self, guard: u32) -> bool {
        self.guards.binary_search(&guard).is_ok()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The metadata blocks to be written, in order.
    #[cfg(CONFIG_KUNIT)]
    pub(crate) fn guards(&self) -> &[u32] {
        &self.guards
    }

    /// Takes over all of `other`, which is then empty, and grows for it.
    ///
    /// Fails with `ENOMEM`; then nothing has changed.
    pub(crate) fn absorb(&mut self, other: &mut Self) -> Result {
        without_fs_reclaim(|| {
            self.runs.reserve(other.runs.len(), GFP_KERNEL)?;
            self.guards.reserve(other.guards.len(), GFP_KERNEL)
        })?;
        for &guard in &other.guards {
            if let Err(at) = self.guards.binary_search(&guard) {
                // There is memory.
                let _ = insert(&mut self.guards, at, guard);
            }
        }
        for &run in &other.runs {
            let _ = self.add_run(run);
        }
        other.clear();
        Ok(())
    }

    /// Forgets all, as the guards are written.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.guards.clear();
    }
}

/// Inserts at `at`. There is memory.
fn insert<T>(vec: &mut KVec<T>, at: usize, value: T) -> Result<(), Full> {
    vec.push_within_capacity(value).map_err(|_| Full)?;
    if let Some(behind) = vec.get_mut(at..) {
        behind.rotate_right(1);
    }
    Ok(())
}

/// Removes `count` items at `at`.
fn remove<T>(vec: &mut KVec<T>, at: usize, count: usize) {
    let len = vec.len().saturating_sub(count);

    if let Some(behind) = vec.get_mut(at..) {
        behind.rotate_left(count.min(behind.len()));
    }
    vec.truncate(len);
}

#[kunit_tests(rust_ext2_pending_cuts)]
mod tests {
    use super::*;

    /// Ranges and guards, for comparison.
    fn is(cuts: &PendingCuts, runs: &[(u32, u64)], guards: &[u32]) -> bool {
        let have = cuts.runs.iter().map(|run| (run.first, run.end));
        have.eq(runs.iter().copied()) && cuts.guards() == guards
    }

    #[test]
    fn runs_are_joined() -> Result {
        let mut cuts = PendingCuts::new()?;
        assert!(cuts.is_empty() && !cuts.has(0, u32::MAX));

        assert_eq!(cuts.add(100, 10, 5), Ok(()));
        assert_eq!(cuts.add(50, 10, 4), Ok(()));
        assert_eq!(cuts.add(200, 10, 5), Ok(()));
        assert!(is(&cuts, &[(50, 60), (100, 110), (200, 210)], &[4, 5]));
        // Before, behind, between.
        assert_eq!(cuts.add(99, 1, 6), Ok(()));
        assert_eq!(cuts.add(110, 1, 5), Ok(()));
        assert!(is(&cuts, &[(50, 60), (99, 111), (200, 210)], &[4, 5, 6]));
        assert_eq!(cuts.add(60, 39, 1), Ok(()));
        assert!(is(&cuts, &[(50, 111), (200, 210)], &[1, 4, 5, 6]));
        // Freed twice, on a corrupt filesystem.
        assert_eq!(cuts.add(100, 105, 1), Ok(()));
        assert!(is(&cuts, &[(50, 210)], &[1, 4, 5, 6]));
        assert_eq!(cuts.add(u32::MAX, 2, 1), Ok(()));
        assert_eq!(cuts.add(60, 2, 1), Ok(()));
        assert!(is(
            &cuts,
            &[(50, 210), (u32::MAX, (1 << 32) + 1)],
            &[1, 4, 5, 6]
        ));

        cuts.clear();
        assert!(cuts.is_empty() && is(&cuts, &[], &[]));
        Ok(())
    }

    #[test]
    fn what_must_not_be_used() -> Result {
        let mut cuts = PendingCuts::new()?;
        for first in [100, 300, 200] {
            assert_eq!(cuts.add(first, 10, 1), Ok(()));
        }

        assert!(!cuts.has(90, 10) && cuts.has(90, 11) && cuts.has(100, 1));
        assert!(cuts.has(109, 1) && !cuts.has(110, 90) && cuts.has(110, 91));
        assert!(cuts.has(0, u32::MAX) && !cuts.has(310, 5) && cuts.has(309, 1));
        assert!(!cuts.has(0, 0) && !cuts.has(100, 0));

        assert_eq!(cuts.next(0, 1000), Some((100, 10)));
        assert_eq!(cuts.next(105, 1000), Some((105, 5)));
        assert_eq!(cuts.next(110, 100), Some((200, 10)));
        assert_eq!(cuts.next(110, 93), Some((200, 3)));
        assert_eq!(cuts.next(110, 90), None);
        assert_eq!(cuts.next(310, u32::MAX), None);
        Ok(())
    }

    #[test]
    fn full_of_runs_or_of_guards() -> Result {
        let mut cuts = PendingCuts::new()?;
        for i in 0..CAPACITY as u32 {
            assert_eq!(cuts.add(i * 10, 5, 1), Ok(()));
        }
        assert_eq!(cuts.add(7, 1, 1), Err(Full));
        cuts.clear();
        assert_eq!(cuts.add(7, 1, 1), Ok(()));
        cuts.clear();
        for i in (0..CAPACITY as u32).rev() {
            assert_eq!(cuts.add(5, 1, i), Ok(()));
        }
        assert_eq!(cuts.add(5, 1, 0), Err(Full));
        assert!(cuts.guards().is_sorted() && cuts.guards().len() == CAPACITY);
        Ok(())
    }

    #[test]
    fn takes_over_more_than_fit() -> Result {
        let (mut cuts, mut more) = (PendingCuts::new()?, PendingCuts::new()?);
        for i in 0..CAPACITY as u32 {
            assert_eq!(cuts.add(i * 10, 5, i), Ok(()));
            assert_eq!(more.add(i * 10 + 7, 1, i + 100), Ok(()));
        }
        cuts.absorb(&mut more)?;
        assert!(more.is_empty() && cuts.runs.len() == 2 * CAPACITY);
        assert!(cuts.has(7, 1) && cuts.has(5110, 1) && !cuts.has(6, 1));
        assert!(cuts.guards().is_sorted() && cuts.guards().len() == CAPACITY + 100);
        Ok(())
    }

    #[test]
    fn as_a_bitmap_would() -> Result {
        let mut cuts = PendingCuts::new()?;
        let mut bits = [false; 256];
        let mut seed: u32 = 1;

        for _ in 0..200 {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            let (first, count) = ((seed >> 8) % 240, (seed >> 20) % 7 + 1);
            assert_eq!(cuts.add(first, count, 1), Ok(()));
            for bit in bits.iter_mut().skip(first as usize).take(count as usize) {
                *bit = true;
            }
            for at in 0..256u32 {
                assert_eq!(Some(&cuts.has(at, 1)), bits.get(at as usize));
            }
            if cuts.runs.len() > 20 {
                cuts.clear();
                bits = [false; 256];
            }
        }
        Ok(())
    }
}
