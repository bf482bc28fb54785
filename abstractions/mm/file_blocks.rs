// SPDX-License-Identifier: GPL-2.0

//! Where the blocks of a file are, for whoever goes to the device without the page cache, or only
//! wants to know.
//!
//! Locks: none are named here; who asks says what is held.

use crate::abstractions::block::BlockDevice;
use kernel::error::{
    code::EIO,
    Result, //
};

/// What the asker is about to do with the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Read them, or look where they are.
    Read,
    /// Write to them, where they are: nothing that the filesystem itself needs may be there.
    Overwrite,
}

/// Consecutive blocks of a file, which are nowhere, or consecutive on a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FileBlocks<'i> {
    len: u32,
    place: Option<(&'i BlockDevice, u64)>,
}

impl<'i> FileBlocks<'i> {
    /// `len` blocks, which are `place` on: a device, and the first block there. Of the answer to a
    /// question for `max` blocks; more are cut off.
    ///
    /// # Errors
    ///
    /// `EIO` if it makes no sense: no blocks, or block numbers that wrap.
    pub(crate) fn new(len: u32, max: u32, place: Option<(&'i BlockDevice, u64)>) -> Result<Self> {
        let len = len.min(max);
        let wraps = place.is_some_and(|(_, start)| start.checked_add(len.into()).is_none());
        if len == 0 || wraps {
            return Err(EIO);
        }
        Ok(Self { len, place })
    }

    /// How many blocks, at least 1.
    pub fn count(&self) -> u32 {
        self.len
    }

    /// The device, and the number of the first block there; [`None`] if they have no place.
    pub fn place(&self) -> Option<(&'i BlockDevice, u64)> {
        self.place
    }
}
