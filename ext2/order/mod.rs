// SPDX-License-Identifier: GPL-2.0

//! The order in which metadata reaches the medium.
//!
//! Whatever is in a buffer of the device may be written at any time, by anybody. So what must not
//! be on the disk before something else is put into a buffer, or into a bio, only after that:
//!
//! - [`cuts`]: blocks that were freed get a new owner after what cut them off;
//! - [`branches`]: a pointer to a block of metadata after that block;
//! - [`names`]: a name after the inode that it leads to, and that inode's count of links;
//! - [`removals`]: the number of a deleted inode gets a new owner, and its image says that it is
//!   deleted, after the names that led to it.
//!
//! These are the rules of soft updates. There is no circle: a cut is in the metadata block itself;
//! a branch waits for nothing; a name waits for branches; a removal for names. Who writes for one of
//! them takes the locks in the opposite order, `removals`, a folio of a directory, `names`,
//! `branches`, and none is held by who waits for the tree of an inode. `cuts` is by itself, inside of
//! the tree mutex.
//!
//! Writing happens in a [`Batch`] for all that is waiting, with one flush of the device: what one
//! inode or directory needs, others will need soon.
//!
//! C counterpart: none; C ext2 leaves what a crash makes of its order to e2fsck.

#![deny(unsafe_code)]

mod batch;
pub(crate) mod branches;
pub(crate) mod cuts;
pub(crate) mod kept_links;
pub(crate) mod names;
mod pending_cuts;
mod records;
pub(crate) mod removals;

use self::{
    branches::FreshBranches,
    cuts::Cuts,
    names::NewNames,
    removals::Removals, //
};
use crate::super_block::Ext2;
use kernel::prelude::*;
use rust_mpage::{
    block::plugged,
    fs::{
        Buffer,
        SuperBlock, //
    }, //
};

/// What of a filesystem waits for what.
#[pin_data]
pub(crate) struct Order {
    #[pin]
    pub(crate) cuts: Cuts,
    #[pin]
    pub(crate) branches: FreshBranches,
    #[pin]
    pub(crate) names: NewNames,
    #[pin]
    pub(crate) removals: Removals,
}

impl Order {
    /// Nothing waits.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            cuts <- Cuts::new(),
            branches <- FreshBranches::new(),
            names <- NewNames::new(),
            removals <- Removals::new(),
        }? Error)
    }
}

/// What waits for a block of metadata to be on the medium.
trait Waiting {
    /// The block to be written. `None` if it is only to be flushed, or cannot be had, as
    /// [`has_failed`](Self::has_failed) says.
    fn block(&self) -> Option<&Buffer>;

    /// Notes whether it could be written.
    fn set_failed(&mut self, failed: bool);

    /// Whether it could not be had or written.
    fn has_failed(&self) -> bool;
}

/// Writes the blocks that `items` wait for, all at a time, and flushes the device. Those that could
/// not be written stay; all if the device cannot be flushed.
///
/// Items with the same block are next to each other.
fn write_blocks<T: Waiting>(sb: &SuperBlock<Ext2>, items: &mut KVVec<T>) {
    if items.is_empty() {
        return;
    }
    // All are under way before the first is waited for.
    plugged(|| {
        let mut last = None;
        for buffer in items.iter().filter_map(T::block) {
            if last.replace(buffer.number()) != Some(buffer.number()) {
                sb.rescue(buffer);
                buffer.start_write();
            }
        }
    });
    let mut last = None;
    for item in items.iter_mut() {
        let Some(buffer) = item.block() else {
            continue;
        };
        let number = buffer.number();
        let failed = match last {
            Some((same, failed)) if same == number => failed,
            _ => buffer.sync().is_err(),
        };
        last = Some((number, failed));
        item.set_failed(failed);
    }
    // Whoever wrote them: they may be in the device's cache, which loses one write and keeps
    // another that came later.
    if sb.device().flush().is_ok() {
        items.retain(|item| item.has_failed());
    }
}
