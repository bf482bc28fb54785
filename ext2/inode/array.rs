// SPDX-License-Identifier: GPL-2.0

//! An array of block pointers: the one in an inode, or an indirect block.
//!
//! Locks: pointers are read without one, each in one piece. They change under the inode's tree
//! mutex only.

#![deny(unsafe_code)]

use super::data::Ext2Inode;
use crate::disk::run::Run;
use kernel::prelude::*;
use rust_mpage::fs::Buffer;

/// An array of block pointers of an inode.
pub(crate) enum PointerArray {
    /// The one in the inode.
    Inode,
    /// An indirect block.
    Indirect(Buffer),
}

impl PointerArray {
    /// Pointer number `index`, or `None` beyond the last.
    #[inline]
    pub(crate) fn get(&self, inode: &Ext2Inode, index: u32) -> Option<u32> {
        match self {
            Self::Inode => inode.data().pointer(index),
            Self::Indirect(buffer) => buffer.le32(index as usize),
        }
    }

    /// Changes pointer number `index`. Fails with `EUCLEAN` beyond the last.
    pub(crate) fn set(&self, inode: &Ext2Inode, index: u32, block: u32) -> Result {
        match self {
            Self::Inode => inode.data().set_pointer(index, block),
            Self::Indirect(buffer) => buffer.set_le32(index as usize, block),
        }
    }

    /// Makes `index` and the pointers after it point to the blocks of a run, one each. Fails with
    /// `EUCLEAN` if some would be beyond the last; none has changed then.
    pub(crate) fn set_all(&self, inode: &Ext2Inode, index: u32, run: Run) -> Result {
        let last = index.saturating_add(run.count.saturating_sub(1));
        self.get(inode, last).ok_or(EUCLEAN)?;
        match self {
            Self::Inode => (index..=last)
                .zip(run.first..)
                .try_for_each(|(index, block)| self.set(inode, index, block)),
            Self::Indirect(buffer) => {
                buffer.set_ascending(index as usize, run.count as usize, run.first)
            }
        }
    }

    /// Notes that pointers have changed, for a sync of the inode to write them.
    pub(crate) fn mark_dirty(&self, inode: &Ext2Inode) {
        match self {
            Self::Inode => inode.mark_dirty(),
            Self::Indirect(buffer) => inode.mark_metadata_dirty(buffer),
        }
    }

    /// The block that it is in; `None` if it is the inode's.
    pub(crate) fn block(&self) -> Option<u32> {
        match self {
            Self::Inode => None,
            // An indirect block is found by a pointer of 32 bits.
            Self::Indirect(buffer) => Some(buffer.number() as u32),
        }
    }

    /// Whether all pointers before number `end` are null.
    pub(crate) fn is_null_before(&self, inode: &Ext2Inode, end: u32) -> bool {
        match self {
            Self::Inode => (0..end).all(|index| self.get(inode, index) == Some(0)),
            Self::Indirect(buffer) => buffer.zeros_from(0, end as usize) == Some(end as usize),
        }
    }
}
