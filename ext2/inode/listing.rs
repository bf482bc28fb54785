// SPDX-License-Identifier: GPL-2.0

//! How far a directory was listed, and how many of the names that were listed have been looked up
//! since, or removed: of how many others it is worth reading ahead what will be needed.
//!
//! `ls -l`, `find` and `rsync` list a directory and then ask for each inode. Who only lists it, or
//! opens a few files, needs no inodes. So each name that is looked up is reason to read ahead those
//! of a few more of the names that were listed, twice as many each time, up to a limit. What is
//! read in vain is never more than a few times what was asked for. The names are counted from the
//! first one on, since some programs ask in another order, of the names or of the inodes.
//!
//! Locks: none. What is read ahead is a matter of time only, so of two changes at once one may get
//! lost.
//!
//! C counterpart: none; ext4 has the neighbours on the disk only, as
//! [`read_block`](crate::inode::place::read_block) has.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// How many names it is ahead for each that was looked up.
const EACH: u32 = 4;

/// What is known. Positions are in bytes from the start of the directory, which has 32 bits of
/// them. What is read ahead is `MOST` names at most ahead of those that were looked up.
pub(crate) struct Listing<const MOST: u32> {
    /// Where the last reader has come to.
    end: Atomic<u32>,
    /// Names looked up of those before `end`.
    found: Atomic<u32>,
    /// Up to where inodes were read ahead, and of how many names.
    ahead: Atomic<u32>,
    covered: Atomic<u32>,
}

/// What is to be read ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ahead {
    /// From the first entry on that starts here or behind.
    pub(crate) from: u32,
    /// Up to here.
    pub(crate) end: u32,
    /// Of so many names.
    pub(crate) names: u32,
}

impl<const MOST: u32> Listing<MOST> {
    /// It was not listed.
    pub(crate) const fn new() -> Self {
        Self {
            end: Atomic::new(0),
            found: Atomic::new(0),
            ahead: Atomic::new(0),
            covered: Atomic::new(0),
        }
    }

    /// Notes that a reader has come from one position to another.
    pub(crate) fn listed(&self, from: u64, to: u64) {
        let to = u32::try_from(to).unwrap_or(u32::MAX);

        if from == 0 {
            self.found.store(0, Relaxed);
            self.ahead.store(0, Relaxed);
            self.covered.store(0, Relaxed);
        } else if to <= self.end.load(Relaxed) {
            return;
        }
        self.end.store(to, Relaxed);
    }

    /// Notes that the name at `position` was looked up. What is to be read ahead now.
    #[inline]
    pub(crate) fn looked_up(&self, position: u64) -> Option<Ahead> {
        let end = self.end.load(Relaxed);
        if position >= u64::from(end) {
            return None;
        }
        self.count();
        self.ahead()
    }

    /// Notes that one of the names was looked up.
    #[inline]
    pub(crate) fn count(&self) {
        let found = self.found.load(Relaxed).saturating_add(1);

        self.found.store(found, Relaxed);
    }

    /// How many names were looked up since somebody began to list them.
    pub(crate) fn count_of_found(&self) -> u32 {
        self.found.load(Relaxed)
    }

    /// Notes that all names that are listed are going to be looked up.
    pub(crate) fn expect_all(&self) {
        self.found.store(MOST, Relaxed);
    }

    /// What is to be read ahead now.
    #[inline]
    pub(crate) fn ahead(&self) -> Option<Ahead> {
        let (from, end) = (self.ahead.load(Relaxed), self.end.load(Relaxed));
        let found = self.found.load(Relaxed);
        let names = wanted(found, self.covered.load(Relaxed), MOST);

        (from < end && names != 0).then_some(Ahead { from, end, names })
    }

    /// Notes that the inodes of so many more names, up to a position, were read ahead.
    pub(crate) fn has_read(&self, names: u32, to: u32) {
        let covered = self.covered.load(Relaxed).saturating_add(names);

        self.covered.store(covered, Relaxed);
        self.ahead.store(to, Relaxed);
    }
}

/// Of how many names inodes are to be read, when `found` were looked up and those of `covered` have
/// been read: none as long as half of the distance is left, which is `most` at most; and one more
/// than that at most.
fn wanted(found: u32, covered: u32, most: u32) -> u32 {
    let distance = found.saturating_mul(EACH).min(most);

    match covered < found.saturating_add(distance / 2) {
        true => (found.saturating_add(distance) - covered).min(most.saturating_add(1)),
        false => 0,
    }
}

#[kunit_tests(rust_ext2_listing)]
mod tests {
    use super::*;

    const MOST: u32 = 1024;
    type Listing = super::Listing<MOST>;

    /// Who asks for all has all read, soon many at a time, each before it is asked for.
    #[test]
    fn all_that_is_asked_for_is_read() {
        const NAMES: u32 = 5000;
        let listing = Listing::new();
        let (mut read, mut times) = (0, 0);

        // The names are 16 bytes long.
        listing.listed(0, u64::from(16 * NAMES));
        for name in 0..NAMES {
            if let Some(ahead) = listing.looked_up(u64::from(16 * name)) {
                assert!(ahead.from == 16 * read && ahead.end == 16 * NAMES);
                assert!(ahead.names <= MOST + 1);
                read = NAMES.min(read + ahead.names);
                times += 1;
                listing.has_read(ahead.names, 16 * read);
            }
            assert!(name < read);
        }
        assert!(read == NAMES && times < 20);
    }

    /// In whatever order: no more than a few for each.
    #[test]
    fn little_is_read_in_vain() {
        let mut random = crate::disk::test_images::Random::new(7);
        let listing = Listing::new();
        let mut read = 0;

        listing.listed(0, 1 << 20);
        for found in 1..2000 {
            if let Some(ahead) = listing.looked_up(random.below(1 << 20)) {
                read += ahead.names;
                listing.has_read(ahead.names, 16 * read);
            }
            assert!(read >= found && read <= (1 + EACH) * found && read <= found + MOST);
        }
    }

    #[test]
    fn who_is_expected_to_ask_for_all_is_ahead_at_once() {
        let listing = Listing::new();

        listing.listed(0, 1 << 20);
        listing.expect_all();
        assert_eq!(
            listing.looked_up(0).map(|ahead| ahead.names),
            Some(MOST + 1)
        );
        // Many that were looked up before anybody asked do not come at once either.
        listing.listed(0, 1 << 20);
        for _ in 0..3 * MOST {
            listing.count();
        }
        assert_eq!(listing.count_of_found(), 3 * MOST);
        assert_eq!(listing.ahead().map(|ahead| ahead.names), Some(MOST + 1));
    }

    #[test]
    fn only_what_was_listed_counts() {
        let listing = Listing::new();

        assert_eq!(listing.looked_up(0), None);
        listing.listed(0, 1000);
        assert_eq!(listing.looked_up(1000), None);
        assert!(listing.looked_up(999).is_some());
        // Another part; a part that was listed before.
        listing.listed(1000, 1500);
        listing.listed(200, 300);
        assert_eq!(listing.looked_up(1400).map(|ahead| ahead.end), Some(1500));
        listing.has_read(9, 1500);
        assert_eq!(listing.looked_up(0), None);
        // From the beginning.
        listing.listed(0, 700);
        let ahead = Ahead {
            from: 0,
            end: 700,
            names: 1 + EACH,
        };
        assert_eq!(listing.looked_up(600), Some(ahead));
        assert_eq!(listing.looked_up(800), None);
    }

    #[test]
    fn no_number_is_too_large() {
        let listing = Listing::new();

        listing.listed(0, u64::MAX);
        listing.has_read(u32::MAX, u32::MAX - 1);
        listing.has_read(u32::MAX, u32::MAX - 1);
        listing.found.store(u32::MAX, Relaxed);
        assert_eq!(listing.looked_up(5), None);
        assert_eq!(wanted(u32::MAX, u32::MAX - 1, MOST), 1);
        assert_eq!(listing.looked_up(u64::MAX), None);
    }
}
