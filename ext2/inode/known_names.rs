// SPDX-License-Identifier: GPL-2.0

//! What is known of the names of a directory: nothing, until somebody looks for one.

#![deny(unsafe_code)]

use crate::index::Index;
use kernel::sync::{
    Arc,
    SetOnce, //
};

/// The index of a directory, which is made once and may know nothing.
pub(crate) struct KnownNames(SetOnce<Arc<Index>>);

impl KnownNames {
    pub(crate) const fn new() -> Self {
        Self(SetOnce::new())
    }

    /// The index, if there ever was one.
    pub(crate) fn get(&self) -> Option<&Arc<Index>> {
        self.0.as_ref()
    }

    /// As [`get`](Self::get), and if there is none a new one. `None` if there is no memory.
    pub(crate) fn get_or_new(&self) -> Option<&Arc<Index>> {
        if self.0.as_ref().is_none() {
            // Of two who make one at the same time one finds none, or that of the other.
            self.0.populate(Index::new().ok()?);
        }
        self.0.as_ref()
    }
}
