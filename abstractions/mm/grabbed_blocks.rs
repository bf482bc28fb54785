// SPDX-License-Identifier: GPL-2.0

//! Blocks of a grabbed folio that has no buffer_heads: how they become valid and dirty.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)
//!
//! Locks: a [`GrabbedFolio`] is locked.

use super::{
    FolioBlocks,
    GrabbedFolio, //
};
use crate::abstractions::{
    block::{
        read_now,
        BlockDevice,
        Sector, //
    },
    fs::InodeType, //
};
use core::ops::Range;
use kernel::error::{
    code::EINVAL,
    Result, //
};

impl<I: InodeType> GrabbedFolio<'_, I> {
    /// The blocks of the folio; [`None`] if folios of the file have buffer_heads.
    #[inline]
    pub(crate) fn blocks(&self) -> Option<FolioBlocks<'_>> {
        // SAFETY: The folio is locked while it is borrowed.
        unsafe { (**self).blocks_without_buffers() }
    }

    /// Zeroes those of the blocks that are not valid: what is on the disk of them is not the
    /// file's.
    pub(crate) fn zero_invalid(&self, within: Range<u32>) {
        let Some(blocks) = self.blocks() else { return };
        let mut at = within.start;
        while let Some(run) = blocks.next_invalid(at..within.end) {
            at = run.end;
            self.zero_bytes(blocks.bytes(run.clone()));
            blocks.mark_valid(run);
        }
    }

    /// Zeroes these blocks and makes them dirty, whatever is on the disk of them.
    pub(crate) fn zero_and_dirty(&self, range: Range<u32>) {
        if let Some(blocks) = self.blocks() {
            self.zero_bytes(blocks.bytes(range.clone()));
            blocks.mark_valid(range.clone());
            blocks.mark_dirty(range);
        }
    }

    /// Reads a block that is not valid from `sector` of `device`, and waits for that.
    ///
    /// # Errors
    ///
    /// What the device says; `EINVAL` if the block is valid, or not in the folio.
    pub(crate) fn read_block(&self, block: u32, device: &BlockDevice, sector: Sector) -> Result {
        let one = block..block.saturating_add(1);
        let blocks = self.blocks().ok_or(EINVAL)?;
        if !blocks.whole().contains(&block) || blocks.are_valid(one.clone()) {
            return Err(EINVAL);
        }
        // SAFETY: The folio is locked, and nobody reads a block that is not valid.
        unsafe { read_now(device, sector, self, blocks.bytes(one.clone())) }?;
        blocks.mark_valid(one);
        Ok(())
    }
}
