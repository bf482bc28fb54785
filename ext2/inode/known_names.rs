// SPDX-License-Identifier: GPL-2.0

//! What is known of the names of a directory: nothing, until somebody looks for one; and how far it
//! was listed.

#![deny(unsafe_code)]

use super::listing::Listing;
use crate::index::Index;
use kernel::sync::{
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
}

impl KnownNames {
    pub(crate) const fn new() -> Self {
        Self {
            index: SetOnce::new(),
            listing: Listing::new(),
            removal: Listing::new(),
        }
    }

    /// Notes that a reader has come from one position to another.
    pub(crate) fn listed(&self, from: u64, to: u64) {
        self.listing.listed(from, to);
        self.removal.listed(from, to);
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
