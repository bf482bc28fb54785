// SPDX-License-Identifier: GPL-2.0

//! Folios without buffer_heads whose dirty flag writeback has taken: what of them is dirty still.
//!
//! While nothing is kept of a folio's blocks its flag says all. Two things need more when it is
//! taken: that somebody has pinned the folio, for a device that stores to it at any time, and that
//! some of the blocks are given up, and others not.
//!
//! Locks: the folio's, as of all [`FolioBlocks`].

use super::FolioBlocks;
use crate::bindings;
use core::ops::Range;
use kernel::sync::{
    atomic::Full,
    barrier::smp_mb, //
};

impl FolioBlocks<'_> {
    /// Begins to keep bits, if the folio is pinned and nothing is kept: its first `count` blocks
    /// are dirty, and about to be written, if they are valid at all. Its dirty flag is taken, so
    /// that stores to mappings of it are seen; so whoever has pinned it to store to it has done
    /// that before, and is seen here.
    pub(crate) fn keep_if_pinned(&self, count: u32) {
        if !self.folio.has_block_bits() && self.is_pinned() && self.folio.is_uptodate() {
            if let Some(bits) = self.bits_or_new() {
                bits.dirty().set(0..count);
            }
        }
    }

    /// Whether bits are kept that would be missed, although the folio is not dirty.
    pub(super) fn keeps_for_pins(&self) -> bool {
        self.is_pinned() && self.keeps_dirty()
    }

    /// Whether somebody may have pinned the folio, for a device.
    pub(super) fn is_pinned(&self) -> bool {
        // SAFETY: The folio is valid.
        unsafe { bindings::rust_mpage_helper_folio_maybe_pinned(self.folio.as_raw()) }
    }

    /// As [`Self::forget`], of a folio whose dirty flag somebody has taken, and of which
    /// `unwritten` are dirty if nothing is kept and they are valid at all.
    pub(crate) fn give_up(&self, range: Range<u32>, unwritten: Range<u32>) {
        let begins = !self.folio.has_block_bits();
        if let Some(bits) = self.bits_or_new() {
            if begins && self.folio.is_uptodate() {
                bits.dirty().set(unwritten);
                // Who has made the folio dirty and not seen the bits meant all blocks.
                smp_mb(Full);
                if self.folio.flag(bindings::pageflags_PG_dirty) {
                    self.all_dirty(&bits);
                }
            }
            bits.dirty().clear(range);
        }
    }
}
