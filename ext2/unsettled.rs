// SPDX-License-Identifier: GPL-2.0

//! Freed blocks get a new owner only when the disk knows that the old one has lost them.
//!
//! Who frees blocks [`add`](Unsettled::add)s them with the metadata block that cuts them off, whose
//! buffer is dirty by then; who gets blocks from the allocator [`settle`](Unsettled::settle)s them
//! before pointing to them, which writes these metadata blocks, and flushes the device, if any of
//! the blocks is among those freed. A new file that was never written needs none of it. So what it
//! costs is a write and a flush now and then where a disk is nearly full or files come and go; C has
//! no such order, and e2fsck finds blocks with two owners after a crash.
//!
//! Locks: `pending`, inside of an inode's tree mutex, outside of buffer locks; held while the
//! metadata blocks are written, because nobody may use what is noted until they are.

#![deny(unsafe_code)]

use crate::{
    pending_cuts::PendingCuts,
    report,
    super_block::Ext2, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Mutex, //
    },
};
use rust_mpage_core::abstractions::fs::{
    Buffer,
    SuperBlock, //
};

/// The freed blocks of a filesystem that the disk may say are in use.
#[pin_data]
pub(crate) struct Unsettled {
    #[pin]
    pending: Mutex<PendingCuts>,
    /// Whether there are any: 0 or 1. So that allocation need not take the lock.
    any: Atomic<u32>,
}

impl Unsettled {
    /// None.
    pub(crate) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            pending <- new_mutex!(PendingCuts::new()?, "ext2_unsettled"),
            any: Atomic::new(0),
        }? Error)
    }

    /// Notes blocks that are about to be freed and that `guard`, a dirty metadata block, has cut off.
    ///
    /// Fails with `EIO`: the blocks must not be freed.
    pub(crate) fn add(&self, sb: &SuperBlock<Ext2>, first: u32, count: u32, guard: u32) -> Result {
        let mut pending = self.pending.lock();

        if pending.add(first, count, guard).is_err() {
            write(sb, pending.guards())?;
            pending.clear();
            pending.add(first, count, guard).map_err(|_| EIO)?;
        }
        // Before the bits of the blocks are cleared, which is ordered against who sets them.
        self.any.xchg(1, Full);
        Ok(())
    }

    /// Makes sure that the disk does not say of these blocks, just allocated, that they are another
    /// file's.
    ///
    /// Fails with `EIO`: nobody may use the blocks. They should stay allocated, so that the next one
    /// who asks gets others.
    pub(crate) fn settle(&self, sb: &SuperBlock<Ext2>, first: u32, count: u32) -> Result {
        if self.any.load(Relaxed) == 0 {
            return Ok(());
        }
        let mut pending = self.pending.lock();
        if !pending.has(first, count) {
            return Ok(());
        }
        write(sb, pending.guards())?;
        pending.clear();
        self.any.store(0, Relaxed);
        Ok(())
    }
}

/// Brings metadata blocks to the medium.
fn write(sb: &SuperBlock<Ext2>, blocks: &[u32]) -> Result {
    // All are under way before the first is waited for.
    for &block in blocks {
        if let Ok(buffer) = sb.bread(block.into()) {
            buffer.start_write();
        }
    }
    let mut result = Ok(());
    for &block in blocks {
        let written = sb
            .bread(block.into())
            .and_then(|buffer: Buffer| buffer.sync());
        if let Err(error) = written {
            report::corrupt(sb, fmt!("cannot write metadata block {block}"));
            result = Err(error);
        }
    }
    // Whoever wrote them: they may be in the device's cache, which loses one write and keeps
    // another that came later.
    let flushed = sb.device().flush();
    result.and(flushed)
}
