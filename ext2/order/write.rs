// SPDX-License-Identifier: GPL-2.0

//! Blocks of metadata are written, all that wait at a time.
//!
//! Locks: none; the caller has those of what waits.

#![deny(unsafe_code)]

use kernel::prelude::*;
use rust_mpage::{
    block::plugged,
    fs::{
        Buffer,
        FileSystem,
        SuperBlock, //
    }, //
};

/// What waits for a block of metadata to be on the medium.
pub(super) trait Waiting {
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
pub(super) fn write_blocks<F: FileSystem, T: Waiting>(sb: &SuperBlock<F>, items: &mut KVVec<T>) {
    if items.is_empty() {
        return;
    }
    // All are under way before the first is waited for.
    plugged(|| {
        let mut last = None;
        for buffer in items.iter().filter_map(T::block) {
            if last.replace(buffer.number()) != Some(buffer.number()) {
                sb.rescue(buffer);
                sb.start_write(buffer);
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
            _ => sb.sync_buffer(buffer).is_err(),
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
