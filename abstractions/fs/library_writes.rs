// SPDX-License-Identifier: GPL-2.0

//! What keeps writes into the cache the library's own: nobody else says how they are done, or begins
//! one that is not ended.
//!
//! Locks: none.

mod sealed {
    /// What the library alone implements, not for its mappers.
    pub trait SealedWrites {}
}

pub(crate) use self::sealed::SealedWrites;

/// That it is the VFS's write that is done, and that who has begun it will end it.
pub struct Called(());

impl Called {
    /// For who ends the write.
    pub(super) fn to_write() -> Self {
        Self(())
    }
}
