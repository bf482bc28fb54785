// SPDX-License-Identifier: GPL-2.0

//! The order in which metadata reaches the medium.
//!
//! Whatever is in a buffer of the device may be written at any time, by anybody. So what must not
//! be on the disk before something else is put into a buffer only after that:
//!
//! - [`cuts`]: blocks that were freed get a new owner after what cut them off;
//! - [`branches`]: the image of an inode has a pointer to an indirect block after that block.
//!
//! Writing happens in a batch for all that is waiting, with one flush of the device: what one inode
//! needs, others will need soon. Others add to the next batch meanwhile.
//!
//! C counterpart: none; C ext2 leaves what a crash makes of its order to e2fsck.

#![deny(unsafe_code)]

mod batch;
pub(crate) mod branches;
pub(crate) mod cuts;
mod pending_cuts;

use self::{
    branches::FreshBranches,
    cuts::Cuts, //
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
}

impl Order {
    /// Nothing waits.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            cuts <- Cuts::new(),
            branches <- FreshBranches::new(),
        }? Error)
    }
}

/// What waits for a block of metadata to be on the medium.
trait Waiting {
    /// The block to be written.
    fn block(&self) -> &Buffer;

    /// Notes whether it could be written.
    fn set_failed(&mut self, failed: bool);

    /// Whether it could not be written.
    fn has_failed(&self) -> bool;
}

/// Writes the blocks that `items` wait for, all at a time, and flushes the device. Those that could
/// not be written stay; all if the device cannot be flushed.
fn write_blocks<T: Waiting>(sb: &SuperBlock<Ext2>, items: &mut KVVec<T>) {
    if items.is_empty() {
        return;
    }
    // All are under way before the first is waited for.
    plugged(|| {
        for item in items.iter() {
            sb.rescue(item.block());
            item.block().start_write();
        }
    });
    for item in items.iter_mut() {
        let failed = item.block().sync().is_err();
        item.set_failed(failed);
    }
    // Whoever wrote them: they may be in the device's cache, which loses one write and keeps
    // another that came later.
    if sb.device().flush().is_ok() {
        items.retain(|item| item.has_failed());
    }
}
