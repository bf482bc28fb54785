// SPDX-License-Identifier: GPL-2.0

//! Flags of inodes.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;

/// Flags of an inode that the VFS heeds.
#[derive(Clone, Copy, Default)]
pub struct InodeFlags(u32);

impl InodeFlags {
    /// All that have a name here.
    pub(super) const ALL: Self = Self::SYNC
        .with(Self::APPEND)
        .with(Self::IMMUTABLE)
        .with(Self::NO_ATIME)
        .with(Self::DIR_SYNC);
    /// Writes are synchronous.
    pub const SYNC: Self = Self(bindings::S_SYNC);
    /// It can only be appended to.
    pub const APPEND: Self = Self(bindings::S_APPEND);
    /// It cannot be changed.
    pub const IMMUTABLE: Self = Self(bindings::S_IMMUTABLE);
    /// Access times are not updated.
    pub const NO_ATIME: Self = Self(bindings::S_NOATIME);
    /// Changes of the directory are synchronous.
    pub const DIR_SYNC: Self = Self(bindings::S_DIRSYNC);

    /// With the flags of `other`, too.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(in crate::abstractions::fs) fn into_raw(self) -> u32 {
        self.0
    }
}
