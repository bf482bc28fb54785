// SPDX-License-Identifier: GPL-2.0

//! Targets of symbolic links that are kept with their inodes.

use kernel::prelude::*;

/// The target of a symbolic link that is kept with its inode.
pub struct LinkTarget(KVec<u8>);

impl LinkTarget {
    /// Copies a target; what follows a NUL is not part of it.
    pub fn new(target: &[u8]) -> Result<Self> {
        let len = target.iter().position(|&b| b == 0).unwrap_or(target.len());
        let mut bytes = KVec::with_capacity(len + 1, GFP_KERNEL)?;
        bytes.extend_from_slice(target.get(..len).ok_or(EINVAL)?, GFP_KERNEL)?;
        bytes.push(0, GFP_KERNEL)?;
        Ok(Self(bytes))
    }

    /// The length in bytes, and the NUL-terminated string, which kfree() frees.
    pub(in crate::abstractions::fs) fn into_raw(self) -> (usize, *mut c_char) {
        let (bytes, len, _) = self.0.into_raw_parts();
        (len - 1, bytes.cast())
    }
}
