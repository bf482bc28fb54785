// SPDX-License-Identifier: GPL-2.0

//! What is known of the names of a directory: nothing, until somebody looks for one; how far it
//! was listed, and what came of that; and where it was found itself.

#![deny(unsafe_code)]

use super::listing::Listing;
use crate::index::Index;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        SetOnce, //
    },
};

/// What is known of a directory's names.
pub(crate) struct KnownNames {
    /// Its index, which is made once and may know nothing.
    index: SetOnce<Arc<Index>>,
    /// How far it was listed, and which names were looked up since.
    pub(crate) listing: Listing<1024>,
    /// The same of names that were removed. What is needed of an inode that is not in memory yet
    /// is not known, so this is not as far ahead.
    pub(crate) removal: Listing<64>,
    /// The same of its directories that were listed themselves.
    pub(crate) descent: Listing<16>,
    /// How many of its directories were removed since it was listed.
    cleared: Atomic<u32>,
    /// The last of them of which the inode was not in memory.
    tried: Atomic<u32>,
    /// The directory in which this was looked up and not listed since, 0 if there is none, and
    /// where in that.
    parent: Atomic<u32>,
    position: Atomic<u32>,
}

impl KnownNames {
    pub(crate) const fn new() -> Self {
        Self {
            index: SetOnce::new(),
            listing: Listing::new(),
            removal: Listing::new(),
            descent: Listing::new(),
            cleared: Atomic::new(0),
            tried: Atomic::new(0),
            parent: Atomic::new(0),
            position: Atomic::new(0),
        }
    }

    /// Notes that a reader has come from one position to another.
    pub(crate) fn listed(&self, from: u64, to: u64) {
        self.listing.listed(from, to);
        self.removal.listed(from, to);
        self.descent.listed(from, to);
        if from == 0 {
            self.cleared.store(0, Relaxed);
        }
    }

    /// Notes in which directory this was looked up, and where in that.
    pub(crate) fn found_in(&self, parent: u32, position: u32) {
        self.position.store(position, Relaxed);
        self.parent.store(parent, Relaxed);
    }

    /// The number of the directory in which this was looked up, which may be gone since, and where
    /// in that: once for each time that it was.
    pub(crate) fn take_parent(&self) -> Option<(u32, u32)> {
        let parent = self.parent.xchg(0, Relaxed);

        (parent != 0).then(|| (parent, self.position.load(Relaxed)))
    }

    /// Notes that one of its directories was removed.
    pub(crate) fn note_cleared(&self) {
        self.cleared
            .store(self.cleared.load(Relaxed).saturating_add(1), Relaxed);
    }

    /// Whether who lists one of its directories after the other removes them.
    pub(crate) fn is_being_cleared(&self) -> bool {
        are_being_cleared(self.descent.count_of_found(), self.cleared.load(Relaxed))
    }

    /// Notes that all of its names will be removed, and of its directories the first, too.
    pub(crate) fn expect_to_be_cleared(&self) {
        self.removal.expect_all();
        self.cleared.store(1, Relaxed);
    }

    /// Whether this is the first time in a row that the inode of a directory is not in memory.
    pub(crate) fn descent_tries(&self, inode: u32) -> bool {
        self.tried.xchg(inode, Relaxed) != inode
    }

    /// The index, if there ever was one.
    pub(crate) fn get(&self) -> Option<&Arc<Index>> {
        self.index.as_ref()
    }

    /// As [`get`](Self::get), and if there is none a new one. `None` if there is no memory.
    pub(crate) fn get_or_new(&self) -> Option<&Arc<Index>> {
        if self.index.as_ref().is_none() {
            // Of two who make one at the same time one finds none, or that of the other.
            self.index.populate(Index::new().ok()?);
        }
        self.index.as_ref()
    }
}

/// Of as many directories as were listed at least half have been removed.
fn are_being_cleared(listed: u32, removed: u32) -> bool {
    removed != 0 && removed >= listed.div_ceil(2)
}

#[kunit_tests(rust_ext2_known_names)]
mod tests {
    use super::*;

    /// Who removes each that he has listed, before he lists the next.
    #[test]
    fn one_after_the_other_goes() {
        let known = KnownNames::new();

        known.listed(0, 4096);
        for listed in 1..100 {
            known.descent.count();
            assert_eq!(known.is_being_cleared(), listed > 1);
            known.note_cleared();
        }
        known.listed(0, 4096);
        known.descent.count();
        assert!(!known.is_being_cleared());
        known.expect_to_be_cleared();
        assert!(known.is_being_cleared());
    }

    /// Who removes one of many that he lists does not go on.
    #[test]
    fn one_of_many_goes() {
        let known = KnownNames::new();

        known.listed(0, 4096);
        known.note_cleared();
        for listed in 1..100 {
            known.descent.count();
            assert_eq!(known.is_being_cleared(), listed <= 2);
        }
    }

    #[test]
    fn it_is_listed_once_after_it_was_found() {
        let known = KnownNames::new();

        assert_eq!(known.take_parent(), None);
        known.found_in(7, 24);
        assert_eq!(known.take_parent(), Some((7, 24)));
        assert_eq!(known.take_parent(), None);
    }

    #[test]
    fn what_is_not_in_memory_is_asked_for_once() {
        let known = KnownNames::new();

        assert!(known.descent_tries(12) && !known.descent_tries(12));
        assert!(known.descent_tries(13) && known.descent_tries(12));
    }
}
