// SPDX-License-Identifier: GPL-2.0

//! What keeps writes into the cache the library's own: nobody else says how they are done, or
//! begins one that is not ended.
//!
//! Locks: none.

mod sealed {
    /// What the library alone implements, not for its mappers.
    pub trait SealedWrites {}
}

pub(crate) use self::sealed::SealedWrites;

/// That it is the VFS's write that is done, and that who has begun it will end it.
pub struct Called {
    drops_behind: bool,
}

impl Called {
    /// For who ends the write. If it `drops_behind`, its data is not to stay in memory when it is
    /// on the device, unless it is there already: `RWF_DONTCACHE`.
    pub(in crate::abstractions::fs) fn to_write(drops_behind: bool) -> Self {
        Self { drops_behind }
    }

    /// Whether the write's data is not to stay in memory.
    pub(crate) fn drops_behind(&self) -> bool {
        self.drops_behind
    }
}
