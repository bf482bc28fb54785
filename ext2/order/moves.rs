// SPDX-License-Identifier: GPL-2.0

//! Which pages of directories have lost names that other pages have got.
//!
//! A page that waits is not waited for: so nothing waits in a circle, nor behind another, and what
//! is waited for can be written at any time.
//!
//! Locks: the mutex of [`MovedNames`](crate::order::moved::MovedNames) that they are in.

#![deny(unsafe_code)]

use super::sort::sort_by_key;
use core::ops::Range;
use kernel::prelude::*;
use rust_mpage::mm::without_fs_reclaim;

/// The most that are kept.
const MOST: usize = 1024;

/// A page of a directory.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Page {
    /// The number of the directory.
    pub(crate) directory: u32,
    /// Which of its pages.
    pub(crate) index: u64,
}

/// No page: there is no inode of this number.
const NOBODY: Page = Page {
    directory: 0,
    index: 0,
};

impl Page {
    /// Whether it is one of these pages of a directory.
    fn is_in(self, directory: u32, pages: &Range<u64>) -> bool {
        self.directory == directory && pages.contains(&self.index)
    }
}

/// Names have moved from a page to another.
#[derive(Clone, Copy)]
struct Move {
    /// It waits.
    old: Page,
    /// For this one.
    new: Page,
    /// When the last of them has.
    serial: u64,
    /// The new page could not be written the last time.
    has_failed: bool,
}

/// All that has not been settled.
pub(super) struct Moves {
    list: KVVec<Move>,
    serial: u64,
}

impl Moves {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            list: KVVec::new(),
            serial: 0,
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether one of these pages of a directory waits for another.
    pub(super) fn waits(&self, directory: u32, pages: &Range<u64>) -> bool {
        let mut list = self.list.iter();
        list.any(|one| one.old.is_in(directory, pages))
    }

    /// Whether one of these pages waits for one that could not be written the last time.
    pub(super) fn has_failed(&self, directory: u32, pages: &Range<u64>) -> bool {
        let mut list = self.list.iter();
        list.any(|one| one.has_failed && one.old.is_in(directory, pages))
    }

    /// Whether a page of a directory is waited for.
    pub(super) fn is_awaited(&self, directory: u32) -> bool {
        self.list.iter().any(|one| one.new.directory == directory)
    }

    /// Whether `old` can wait for `new` now.
    pub(super) fn can_add(&self, old: Page, new: Page) -> bool {
        let mut list = self.list.iter();
        old != new && self.len() < MOST && !list.any(|one| one.new == old || one.old == new)
    }

    /// Has `old` wait for `new`, which has got a name of it just now; they [can](Self::can_add).
    ///
    /// Fails with `ENOMEM`.
    pub(super) fn add(&mut self, old: Page, new: Page) -> Result {
        let serial = self.serial + 1;
        let mut list = self.list.iter_mut();
        match list.find(|one| one.old == old && one.new == new) {
            Some(one) => one.serial = serial,
            None => without_fs_reclaim(|| {
                let one = Move {
                    old,
                    new,
                    serial,
                    has_failed: false,
                };
                self.list.push(one, GFP_KERNEL)
            })?,
        }
        self.serial = serial;
        Ok(())
    }

    /// The pages that are waited for, in order and each once, and the number of the last move.
    ///
    /// Fails with `ENOMEM`.
    pub(super) fn awaited(&self) -> Result<(KVVec<Page>, u64)> {
        let mut pages = without_fs_reclaim(|| KVVec::with_capacity(self.len(), GFP_KERNEL))?;
        for one in self.list.iter() {
            // There is memory.
            let _ = pages.push_within_capacity(one.new);
        }
        sort_by_key(&mut pages, |&page| page);
        let mut last = None;
        pages.retain(|&mut page| last.replace(page) != Some(page));
        Ok((pages, self.serial))
    }

    /// Forgets the moves up to number `serial`: their new pages are on the medium, but for
    /// `failed`, which are in order.
    pub(super) fn settle(&mut self, serial: u64, failed: &[Page]) {
        for one in self.list.iter_mut() {
            one.has_failed = failed.binary_search(&one.new).is_ok();
        }
        self.list
            .retain(|one| one.serial > serial || one.has_failed);
    }

    /// The pages of a directory are not written any more. What they have waited for is waited for
    /// all the same, until it is settled: somebody may be writing it just now, for whom it must not
    /// begin to wait.
    pub(super) fn forget(&mut self, directory: u32) {
        let of_it = |one: &&mut Move| one.old.directory == directory;
        for one in self.list.iter_mut().filter(of_it) {
            one.old = NOBODY;
        }
    }
}

#[kunit_tests(rust_ext2_moves)]
mod tests {
    use super::*;
    use crate::disk::test_images::Random;

    const fn page(directory: u32, index: u64) -> Page {
        Page { directory, index }
    }

    const A: Page = page(2, 0);
    const B: Page = page(2, 7);
    const C: Page = page(12, 1);

    #[test]
    fn nothing_waits_for_what_waits() -> Result {
        let mut moves = Moves::new();

        assert!(!moves.can_add(A, A) && moves.can_add(A, B));
        moves.add(A, B)?;
        assert!(!moves.can_add(B, A) && !moves.can_add(B, C) && !moves.can_add(C, A));
        assert!(moves.can_add(A, C) && moves.can_add(C, B));
        moves.add(A, C)?;
        assert!(moves.waits(2, &(0..1)) && moves.waits(2, &(0..u64::MAX)));
        assert!(!moves.waits(2, &(1..u64::MAX)) && !moves.waits(12, &(0..u64::MAX)));
        Ok(())
    }

    #[test]
    fn what_came_since_is_not_settled() -> Result {
        let mut moves = Moves::new();

        moves.add(A, B)?;
        moves.add(A, C)?;
        let (pages, serial) = moves.awaited()?;
        assert_eq!(&pages[..], [B, C]);
        // It is the same as before, and later.
        moves.add(A, C)?;
        assert_eq!(moves.len(), 2);
        moves.settle(serial, &[]);
        assert!(moves.can_add(B, C) && moves.waits(2, &(0..1)) && !moves.can_add(C, B));
        let (pages, serial) = moves.awaited()?;
        assert_eq!(&pages[..], [C]);
        moves.settle(serial, &[C]);
        assert!(moves.waits(2, &(0..1)));
        // What waits for another since then has not failed.
        let other = page(30, 0);
        moves.add(other, B)?;
        moves.settle(serial, &[C]);
        assert!(moves.has_failed(2, &(0..1)) && !moves.has_failed(2, &(1..u64::MAX)));
        assert!(moves.waits(30, &(0..1)) && !moves.has_failed(30, &(0..1)));
        moves.settle(serial + 1, &[]);
        assert_eq!(moves.len(), 0);
        Ok(())
    }

    #[test]
    fn what_is_gone_waits_for_nothing() -> Result {
        let mut moves = Moves::new();

        moves.add(A, C)?;
        moves.forget(12);
        assert!(moves.waits(2, &(0..1)) && moves.is_awaited(12) && !moves.is_awaited(2));
        moves.forget(2);
        // Who writes what it waited for may be at it.
        assert!(!moves.waits(2, &(0..1)) && !moves.can_add(C, B) && moves.can_add(A, B));
        let (pages, serial) = moves.awaited()?;
        assert_eq!(&pages[..], [C]);
        moves.settle(serial, &[]);
        assert!(moves.len() == 0 && !moves.is_awaited(12) && moves.can_add(C, B));
        Ok(())
    }

    #[test]
    fn there_are_not_too_many() -> Result {
        let mut moves = Moves::new();

        for index in 0..MOST as u64 {
            assert!(moves.can_add(page(2, index), C));
            moves.add(page(2, index), C)?;
        }
        assert!(!moves.can_add(page(2, MOST as u64), C));
        Ok(())
    }

    const PAGES: u64 = 5;
    const NAMES: usize = 24;

    /// Names move at random from page to page, and pages are written at any time that they may
    /// be: whatever part of the writes the medium has that have not been flushed, each name is on
    /// one of its pages. What waits stays only for as long as nobody settles it.
    #[test]
    fn no_name_is_lost() -> Result {
        let mut random = Random::new(20);
        let mut moves = Moves::new();
        let mut places = [A; NAMES].map(|_| page(1, 0));
        // Of each page the names, as bits: in memory, and the writes up to the last flush and
        // since.
        let mut pages = [0u32; PAGES as usize];
        let mut writes: KVec<(usize, u32)> = KVec::new();
        let mut medium = [0u32; PAGES as usize];
        let mut waited = 0;

        pages[0] = (1 << NAMES) - 1;
        medium[0] = pages[0];
        for _ in 0..4000 {
            match random.below(8) {
                0 => {
                    let (awaited, serial) = moves.awaited()?;
                    for one in awaited.iter() {
                        let at = one.index as usize;
                        writes.push((at, pages[at]), GFP_KERNEL)?;
                    }
                    look(&mut random, medium, &writes);
                    for (at, names) in writes.drain_all() {
                        medium[at] = names;
                    }
                    moves.settle(serial, &[]);
                }
                1..=3 => {
                    let at = random.below(PAGES);
                    if moves.waits(1, &(at..at + 1)) {
                        waited += 1;
                    } else {
                        writes.push((at as usize, pages[at as usize]), GFP_KERNEL)?;
                        look(&mut random, medium, &writes);
                    }
                }
                _ => {
                    let name = random.below(NAMES as u64) as usize;
                    let (old, new) = (places[name], page(1, random.below(PAGES)));
                    if moves.can_add(old, new) {
                        moves.add(old, new)?;
                        pages[old.index as usize] &= !(1 << name);
                        pages[new.index as usize] |= 1 << name;
                        places[name] = new;
                    }
                }
            }
        }
        assert!(waited > 100);
        Ok(())
    }

    /// Any part of `writes` is on the medium, in their order.
    fn look(random: &mut Random, medium: [u32; PAGES as usize], writes: &[(usize, u32)]) {
        for _ in 0..8 {
            let mut disk = medium;
            let has = random.next();
            for (number, &(at, names)) in writes.iter().enumerate() {
                if has >> (number % 64) & 1 != 0 {
                    disk[at] = names;
                }
            }
            assert_eq!(
                disk.iter().fold(0, |all, names| all | names),
                (1 << NAMES) - 1
            );
        }
    }
}
