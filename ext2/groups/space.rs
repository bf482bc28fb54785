// SPDX-License-Identifier: GPL-2.0

//! How many blocks are free, and how many of them nobody has been promised.
//!
//! Whoever wants blocks claims them here first, and looks for them in the bitmaps then. A claim is
//! a value, [`Promised`]: it is spent on blocks that have been found, or what is left of it comes
//! back when it goes. So what one has been promised no other gets, and who has a promise finds as
//! many free bits as it says.
//!
//! C counterpart: `ext2_has_free_blocks()`, which looks and claims nothing;
//! `ext4_claim_free_clusters()`.
//!
//! Locks: none. A claim is one atomic step.

use crate::disk::run::Wanted;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full,
        Relaxed, //
    }, //
};

/// The free blocks of a filesystem.
pub(crate) struct Space {
    /// What the bitmaps say.
    free: Atomic<i64>,
    /// What of that nobody has been promised. Less than nothing while blocks go back to who was
    /// promised them.
    available: Atomic<i64>,
    /// What of the free blocks is in groups whose bitmaps cannot be read, and neither of the above.
    withdrawn: Atomic<i64>,
}

/// Whose the reserved blocks are, for who claims some.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reserve {
    /// Others': so many are not to be had.
    Keep(u32),
    /// One's own, too.
    Use,
}

impl Space {
    /// So many blocks are free.
    pub(crate) fn new(free: u64) -> Self {
        Self {
            free: Atomic::new(free as i64),
            available: Atomic::new(free as i64),
            withdrawn: Atomic::new(0),
        }
    }

    /// How many blocks the bitmaps say are free, of those that somebody can have.
    pub(crate) fn free(&self) -> u64 {
        self.free.load(Relaxed).max(0) as u64
    }

    /// How many of the free blocks have been promised, while others claim and spend some.
    pub(crate) fn promised(&self) -> u64 {
        self.outstanding().max(0) as u64
    }

    /// How many blocks have been promised, and neither spent nor given back. If nobody has any,
    /// less than nothing are those that came back twice.
    pub(crate) fn outstanding(&self) -> i64 {
        self.free.load(Relaxed) - self.available.load(Relaxed)
    }

    /// How many free blocks nobody can have, for their bitmaps cannot be read.
    pub(crate) fn withdrawn(&self) -> u64 {
        self.withdrawn.load(Relaxed).max(0) as u64
    }

    /// Takes free blocks of a group out that nobody can have, or puts them back.
    fn withdraw(&self, count: i64) {
        self.free.add(-count, Relaxed);
        self.available.add(-count, Relaxed);
        self.withdrawn.add(count, Relaxed);
    }

    /// How many blocks can be claimed.
    #[inline]
    pub(crate) fn available(&self) -> u64 {
        self.available.load(Relaxed).max(0) as u64
    }

    /// Claims as many of the wanted blocks as there are for the caller: all while there are many,
    /// those that are needed as long as one is there that is not reserved. [`None`] if these cannot
    /// be had.
    pub(crate) fn claim(&self, wanted: Wanted, reserve: Reserve) -> Option<Promised<'_>> {
        let mut available = self.available.load(Relaxed);
        loop {
            let count = amount(available, wanted, reserve)?;
            match self.take(available, count) {
                Ok(promised) => return Some(promised),
                Err(now) => available = now,
            }
        }
    }

    /// Claims `count` blocks, if so many more than `left` are there, and nobody else is claiming
    /// any. As [`Self::claim`] for who wants them all, where there are many, in one step.
    #[inline]
    pub(crate) fn claim_of_many(&self, count: u32, left: u64) -> Option<Promised<'_>> {
        let available = self.available.load(Relaxed);
        let after = available - i64::from(count);
        if after < 0 || (after as u64) < left {
            return None;
        }
        self.take(available, count).ok()
    }

    /// Takes `count` blocks out, if `available` are still; else fails with how many are.
    #[inline]
    fn take(&self, available: i64, count: u32) -> Result<Promised<'_>, i64> {
        let after = available - i64::from(count);
        match self.available.cmpxchg(available, after, Relaxed) {
            // INVARIANT: They have been taken out just now.
            Ok(_) => Ok(Promised { space: self, count }),
            Err(now) => Err(now),
        }
    }

    /// Takes blocks for who must have them, though others may have been promised what there is:
    /// some that were promised have been lost. What is available may be less than nothing then.
    pub(crate) fn claim_anyway(&self, count: u32) -> Promised<'_> {
        self.available.add(-i64::from(count), Relaxed);
        // INVARIANT: They have been taken out just now.
        Promised { space: self, count }
    }

    /// What somebody has kept of a promise is one again.
    pub(crate) fn resume(&self, kept: Kept) -> Promised<'_> {
        // INVARIANT: They were taken out for the promise that was kept.
        Promised {
            space: self,
            count: kept.0,
        }
    }

    /// So many blocks are free now, for somebody else has corrected the bitmaps. Nobody uses any
    /// meanwhile; what has been promised still is, and what nobody can have comes back as it went.
    pub(crate) fn recount(&self, free: u64) {
        let more = free as i64 - self.withdrawn.load(Relaxed) - self.free.load(Relaxed);

        self.free.add(more, Relaxed);
        self.available.add(more, Relaxed);
    }

    /// Blocks have become free.
    pub(crate) fn add_freed(&self, count: u32) {
        self.free.add(i64::from(count), Relaxed);
        self.available.add(i64::from(count), Relaxed);
    }
}

/// How many free blocks of a group have been taken out of a [`Space`]: those that it had when its
/// bitmap could not be read. Just as many come back, when it can be; what changes in the group
/// meanwhile, by who has had the bitmap before, changes the [`Space`] as ever.
///
/// C counterpart: none in ext2; `ext4_mark_group_bitmap_corrupted()`, after which they are gone for
/// good.
pub(crate) struct Withdrawn(Atomic<u32>);

impl Withdrawn {
    /// None has been.
    pub(crate) const fn none() -> Self {
        Self(Atomic::new(0))
    }

    /// Whether any has been.
    #[inline]
    pub(crate) fn is_any(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    /// The bitmap of the group, which has `free` free blocks, could not be read.
    pub(crate) fn take_from(&self, space: &Space, free: u32) {
        if self.is_any() || free == 0 {
            return;
        }
        // Before anybody can put them back: there is never too much that can be claimed.
        space.withdraw(free.into());
        if self.0.cmpxchg(0, free, Full).is_err() {
            space.withdraw(-i64::from(free));
        }
    }

    /// The bitmap of the group could be read.
    #[inline]
    pub(crate) fn give_back_to(&self, space: &Space) {
        if self.is_any() {
            space.withdraw(-i64::from(self.0.xchg(0, Full)));
        }
    }
}

/// How many blocks somebody may have.
fn amount(available: i64, wanted: Wanted, reserve: Reserve) -> Option<u32> {
    const MANY: i64 = 16;
    let open = match reserve {
        Reserve::Keep(reserved) => available - i64::from(reserved),
        Reserve::Use => available,
    };
    if open >= i64::from(wanted.most) * MANY {
        Some(wanted.most)
    } else if open > 0 && available >= i64::from(wanted.needed) {
        Some(wanted.needed)
    } else {
        None
    }
}

/// Free blocks that nobody else gets. What has not been spent of them comes back with the value.
///
/// # Invariants
///
/// `count` blocks are not among those that `space` has available, for the sake of this value.
#[must_use]
pub(crate) struct Promised<'s> {
    space: &'s Space,
    count: u32,
}

impl Promised<'_> {
    /// How many blocks are left of it.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// So many blocks have been found, and are marked as in use: they are not free any more.
    pub(crate) fn spend(&mut self, count: u32) {
        self.space.free.add(-i64::from(count), Relaxed);
        // INVARIANT: Not free blocks are not available either. More than was promised are taken
        // from what others may have.
        let (left, beyond) = match self.count.checked_sub(count) {
            Some(left) => (left, 0),
            None => (0, count - self.count),
        };
        self.count = left;
        if beyond != 0 {
            self.space.available.add(-i64::from(beyond), Relaxed);
        }
    }

    /// So many blocks that it was spent on are about to be freed, and nobody else is to get them.
    pub(crate) fn take_back(&mut self, count: u32) {
        // INVARIANT: Taken out here; that they are free is told by who frees them.
        self.space.available.add(-i64::from(count), Relaxed);
        self.count += count;
    }

    /// So many blocks that it was spent on cannot be had: others are promised in place of them,
    /// though there may be none, as by [`Space::claim_anyway`].
    pub(crate) fn replace(&mut self, count: u32) {
        // INVARIANT: Taken out here.
        self.space.available.add(-i64::from(count), Relaxed);
        self.count += count;
    }

    /// So many blocks of it are for somebody else.
    #[inline]
    pub(crate) fn split(&mut self, count: u32) -> Self {
        let count = count.min(self.count);
        // INVARIANT: They change hands.
        self.count -= count;
        Self {
            space: self.space,
            count,
        }
    }

    /// It is kept, by who says so.
    #[inline]
    pub(crate) fn keep(self) -> Kept {
        let kept = Kept(self.count);
        core::mem::forget(self);
        kept
    }
}

impl Drop for Promised<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.count != 0 {
            self.space.available.add(i64::from(self.count), Relaxed);
        }
    }
}

/// Blocks of a promise that somebody keeps, who knows the [`Space`] that they are of.
#[must_use]
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Kept(u32);

impl Kept {
    /// No blocks.
    pub(crate) const fn none() -> Self {
        Self(0)
    }

    /// How many there are.
    #[inline]
    pub(crate) fn count(&self) -> u32 {
        self.0
    }

    /// As many more.
    #[inline]
    pub(crate) fn add(&mut self, more: Kept) {
        self.0 += more.0;
    }

    /// Takes up to `count` of them.
    #[inline]
    pub(crate) fn take(&mut self, count: u32) -> Kept {
        let count = count.min(self.0);
        self.0 -= count;
        Kept(count)
    }
}

#[kunit_tests(rust_ext2_space)]
mod tests {
    use super::*;

    const fn wanted(needed: u32, most: u32) -> Wanted {
        Wanted { needed, most }
    }

    #[test]
    fn how_much_one_may_have() {
        let keep = Reserve::Keep(100);

        assert_eq!(amount(1000, wanted(1, 8), keep), Some(8));
        assert_eq!(amount(227, wanted(1, 8), keep), Some(1));
        assert_eq!(amount(101, wanted(1, 8), keep), Some(1));
        // One that is not reserved is enough for all that are needed, as in C.
        assert_eq!(amount(101, wanted(3, 8), keep), Some(3));
        assert_eq!(amount(100, wanted(1, 1), keep), None);
        assert_eq!(amount(-5, wanted(1, 1), keep), None);
        assert_eq!(amount(2, wanted(3, 8), Reserve::Keep(0)), None);

        assert_eq!(amount(1, wanted(1, 8), Reserve::Use), Some(1));
        assert_eq!(amount(0, wanted(1, 8), Reserve::Use), None);
    }

    #[test]
    fn what_is_promised_nobody_else_gets() -> Result {
        let space = Space::new(3);
        let two = space.claim(wanted(2, 2), Reserve::Use).ok_or(ENOSPC)?;

        assert_eq!((space.free(), space.promised()), (3, 2));
        assert!(space.claim(wanted(2, 2), Reserve::Use).is_none());
        let one = space.claim(wanted(1, 1), Reserve::Use).ok_or(ENOSPC)?;
        assert!(space.claim(wanted(1, 1), Reserve::Use).is_none());
        drop(one);
        assert_eq!(space.available(), 1);
        drop(two);
        assert_eq!((space.available(), space.promised()), (3, 0));
        Ok(())
    }

    #[test]
    fn of_many_some_are_left() -> Result {
        let space = Space::new(100);

        assert!(space.claim_of_many(11, 90).is_none());
        let ten = space.claim_of_many(10, 90).ok_or(ENOSPC)?;
        assert_eq!((ten.count(), space.available()), (10, 90));
        assert!(space.claim_of_many(1, 90).is_none());
        assert!(space.claim_of_many(91, 0).is_none());
        drop(ten);
        assert_eq!(space.available(), 100);
        Ok(())
    }

    #[test]
    fn a_promise_is_spent_or_comes_back() -> Result {
        let space = Space::new(100);
        let mut promised = space.claim(wanted(4, 4), Reserve::Use).ok_or(ENOSPC)?;

        promised.spend(3);
        assert_eq!((space.free(), space.promised()), (97, 1));
        // They could not be used: they are free again, and promised still.
        promised.take_back(3);
        space.add_freed(3);
        assert_eq!((space.free(), space.promised()), (100, 4));
        // One cannot be used by anybody.
        promised.spend(1);
        promised.replace(1);
        assert_eq!((space.free(), space.promised()), (99, 4));
        let other = promised.split(1);
        drop(promised);
        assert_eq!((space.available(), other.count()), (98, 1));

        let mut kept = other.keep();
        assert_eq!((space.promised(), kept.count()), (1, 1));
        drop(space.resume(kept.take(5)));
        assert_eq!((space.promised(), kept.count()), (0, 0));
        let _ = space.resume(kept).keep();
        Ok(())
    }

    #[test]
    fn what_is_promised_stays_so_when_it_is_counted_anew() -> Result {
        let space = Space::new(10);
        let four = space.claim(wanted(4, 4), Reserve::Use).ok_or(ENOSPC)?;

        space.recount(8);
        assert_eq!((space.free(), space.available()), (8, 4));
        space.recount(12);
        assert_eq!((space.free(), space.promised()), (12, 4));
        drop(four);
        assert_eq!(space.available(), 12);

        let group = Withdrawn::none();
        group.take_from(&space, 5);
        space.recount(10);
        assert_eq!((space.free(), space.available()), (5, 5));
        group.give_back_to(&space);
        assert_eq!((space.free(), space.available()), (10, 10));
        Ok(())
    }

    #[test]
    fn what_is_withdrawn_comes_back_once() -> Result {
        let space = Space::new(100);
        let (one, two) = (Withdrawn::none(), Withdrawn::none());
        let mut promised = space.claim(wanted(20, 20), Reserve::Use).ok_or(ENOSPC)?;

        one.take_from(&space, 60);
        one.take_from(&space, 60);
        two.take_from(&space, 0);
        assert!(one.is_any() && !two.is_any());
        assert_eq!(
            (space.available(), space.promised(), space.withdrawn()),
            (20, 20, 60)
        );
        assert!(space.claim(wanted(21, 21), Reserve::Use).is_none());
        // Who has had the bitmap before goes on.
        promised.spend(5);
        space.add_freed(2);
        two.take_from(&space, 30);
        // More is promised than there is.
        assert_eq!((space.available(), space.promised()), (0, 15));

        one.give_back_to(&space);
        one.give_back_to(&space);
        assert_eq!((space.available(), space.withdrawn()), (52, 30));
        two.give_back_to(&space);
        drop(promised);
        assert_eq!((space.free(), space.available()), (97, 97));
        Ok(())
    }

    #[test]
    fn who_comes_second_takes_nothing() -> Result {
        let space = Space::new(10);
        let first = space.claim(wanted(3, 3), Reserve::Use).ok_or(ENOSPC)?;

        assert_eq!(space.take(10, 2).err(), Some(7));
        assert_eq!((space.outstanding(), space.available()), (3, 7));
        drop(first);
        assert_eq!((space.outstanding(), space.available()), (0, 10));
        Ok(())
    }

    #[test]
    fn what_comes_back_twice_is_less_than_nothing() -> Result {
        let space = Space::new(10);
        let promised = space.claim(wanted(3, 3), Reserve::Use).ok_or(ENOSPC)?;
        let kept = promised.keep();
        let again = Kept(kept.count());

        assert_eq!(space.outstanding(), 3);
        drop(space.resume(kept));
        assert_eq!(space.outstanding(), 0);
        drop(space.resume(again));
        assert_eq!((space.outstanding(), space.promised()), (-3, 0));
        Ok(())
    }

    #[test]
    fn what_is_found_beyond_a_promise_is_not_available() -> Result {
        let space = Space::new(10);
        let mut promised = space.claim(wanted(1, 1), Reserve::Use).ok_or(ENOSPC)?;

        promised.spend(3);
        assert_eq!(
            (space.free(), space.available(), space.promised()),
            (7, 7, 0)
        );
        Ok(())
    }
}
