// SPDX-License-Identifier: GPL-2.0

//! Blocks of metadata are written, all that wait at a time.
//!
//! Locks: none; the caller has those of what waits.

#![deny(unsafe_code)]

use super::sort::sort_by_key;
use kernel::prelude::*;
use rust_mpage::{
    block::plugged,
    fs::{
        Buffer,
        FileSystem,
        SuperBlock, //
    }, //
};

/// Something that waits for a block of metadata to be on the medium.
pub(super) struct Waiting<T> {
    /// What it is.
    pub(super) what: T,
    /// The block to be written. `None` if it is only to be flushed, or cannot be had, as `failed`
    /// says.
    pub(super) block: Option<Buffer>,
    /// Why it could not be had or written, if so.
    pub(super) failed: Option<Error>,
}

impl<T> Waiting<T> {
    /// It waits for a block, or only for the device to be flushed.
    pub(super) fn new(what: T, block: Option<Buffer>) -> Self {
        Self {
            what,
            block,
            failed: None,
        }
    }

    /// What [`write_blocks`] left it for, for a message.
    pub(super) fn errno(&self, flushed: Result) -> c_int {
        self.failed.or(flushed.err()).unwrap_or(EIO).to_errno()
    }
}

/// As [`write_blocks`], of items in any order.
pub(super) fn write_sorted<F: FileSystem, T>(
    sb: &SuperBlock<F>,
    items: &mut KVVec<Waiting<T>>,
) -> Result {
    sort_by_key(items, |item| item.block.as_ref().map(Buffer::number));
    write_blocks(sb, items)
}

/// Writes the blocks that `items` wait for, all at a time, and flushes the device. Those that could
/// not be written stay; all if the device cannot be flushed, and that is the error.
///
/// Items with the same block are next to each other.
pub(super) fn write_blocks<F: FileSystem, T>(
    sb: &SuperBlock<F>,
    items: &mut KVVec<Waiting<T>>,
) -> Result {
    if items.is_empty() {
        return Ok(());
    }
    // All are under way before the first is waited for.
    plugged(|| {
        let mut last = None;
        for buffer in items.iter().filter_map(|item| item.block.as_ref()) {
            if last.replace(buffer.number()) != Some(buffer.number()) {
                sb.rescue(buffer);
                // Who waits for it below hears of an error.
                let _ = sb.start_write(buffer);
            }
        }
    });
    let mut last = None;
    for item in items.iter_mut() {
        let Some(buffer) = &item.block else {
            continue;
        };
        let number = buffer.number();
        let failed = match last {
            Some((same, failed)) if same == number => failed,
            _ => sb.sync_buffer(buffer).err(),
        };
        last = Some((number, failed));
        item.failed = failed;
    }
    // Whoever wrote them: they may be in the device's cache, which loses one write and keeps
    // another that came later.
    sb.device().flush()?;
    items.retain(|item| item.failed.is_some());
    Ok(())
}
