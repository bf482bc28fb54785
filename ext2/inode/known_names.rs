// SPDX-License-Identifier: GPL-2.0

//! What is known of the names of a directory: nothing, until somebody looks for one; how far it
//! was listed, and what came of that; and where it was found itself.

#![deny(unsafe_code)]

use super::listing::Listing;
use crate::index::Index;
use kernel::sync::{
    atomic::{
        Atomic,
        Relaxed, //
    },
    Arc,
    SetOnce, //
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
    /// The directory in which this was looked up last, 0 if it never was.
    parent: Atomic<u32>,
}

impl KnownNames {
    pub(crate) const fn new() -> Self {
        Self {
            index: SetOnce::new(),
            listing: Listing::new(),
            removal: Listing::new(),
            descent: Listing::new(),
            parent: Atomic::new(0),
        }
    }

    /// Notes that a reader has come from one position to another.
    pub(crate) fn listed(&self, from: u64, to: u64) {
        self.listing.listed(from, to);
        self.removal.listed(from, to);
        self.descent.listed(from, to);
    }

    /// The number of the directory in which this was looked up last, which may have changed or be
    /// gone since.
    pub(crate) fn parent(&self) -> Option<u32> {
        Some(self.parent.load(Relaxed)).filter(|&parent| parent != 0)
    }

    /// Notes in which directory this was looked up.
    pub(crate) fn found_in(&self, parent: u32) {
        self.parent.store(parent, Relaxed);
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
