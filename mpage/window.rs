// SPDX-License-Identifier: GPL-2.0

//! What one call knows of where the blocks of a file are: the mapper's last answer, and the runs of
//! a folio that it makes. Pure: no I/O, no folio, no allocation; the mapper is a closure.
//!
//! A [`Window`] is what one readahead, read_folio or writeback call may ask about; it keeps the
//! mapper's last answer, which serves the following folios. Blocks behind the end of the file are
//! holes, and nobody is asked about them.

use super::mapping::{
    BlockCount,
    Extent,
    LogicalBlock,
    Mapping,
    PhysicalBlock, //
};
use core::ops::Range;
use kernel::{
    error::{
        code::EIO,
        Result, //
    },
    page::PAGE_SIZE, //
};

/// Consecutive blocks of a folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The first, from the start of the folio.
    pub(super) start: u32,
    /// How many; at least 1.
    pub(super) len: u32,
}

impl Span {
    /// Behind the last.
    pub(super) fn end(&self) -> u32 {
        self.start + self.len
    }
}

/// Blocks of a folio that are consecutive on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run<D> {
    /// Which blocks of the folio.
    pub(super) span: Span,
    /// The device.
    pub(super) device: D,
    /// Where the first is.
    pub(super) block: PhysicalBlock,
    /// The last of them is the last of a mapping in front of metadata.
    pub(super) boundary: bool,
}

impl<D: PartialEq> Run<D> {
    /// Whether `next` comes right behind it, in the folio and on the device.
    pub(super) fn continues_with(&self, next: &Self) -> bool {
        self.device == next.device
            && self.span.end() == next.span.start
            && self.block.0.checked_add(u64::from(self.span.len)) == Some(next.block.0)
    }

    /// Takes in a run that it continues with.
    pub(super) fn take_in(&mut self, next: &Self) {
        self.span.len += next.span.len;
        self.boundary = next.boundary;
    }
}

/// A mapping and where in the file it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<D> {
    pub(super) start: LogicalBlock,
    pub(super) mapping: Mapping<D>,
}

impl<D> Placed<D> {
    /// Blocks of the mapping from `at` on, if it covers `at`.
    pub(super) fn covers(&self, at: u64) -> Option<u32> {
        let skip = u32::try_from(at.checked_sub(self.start.0)?).ok()?;
        self.mapping
            .len
            .0
            .checked_sub(skip)
            .filter(|&left| left > 0)
    }
}

/// The file blocks that one call may ask about, and the mapper's last answer.
pub(super) struct Window<D> {
    /// Behind the last block of the file.
    file_end: u64,
    pub(super) blocks_per_page: u32,
    pub(super) cached: Option<Placed<D>>,
}

impl<D: Copy> Window<D> {
    /// A window on a file of `size` bytes in blocks of `1 << block_bits` bytes.
    pub(super) fn new(size: u64, block_bits: u32) -> Self {
        Self {
            // As `div_ceil()`, without a division.
            file_end: (size >> block_bits) + u64::from(size & ((1 << block_bits) - 1) != 0),
            blocks_per_page: (PAGE_SIZE >> block_bits) as u32,
            cached: None,
        }
    }

    /// The file has `size` bytes now.
    #[inline]
    pub(super) fn set_size(&mut self, size: u64, block_bits: u32) {
        self.file_end = Self::new(size, block_bits).file_end;
    }

    /// What comes next was not locked when the mapper answered last: if there was a hole, there may
    /// be blocks by now. (Blocks stay; who takes them away takes `invalidate_lock` first.)
    pub(super) fn forget_hole(&mut self) {
        let is_hole = |placed: &Placed<D>| matches!(placed.mapping.extent, Extent::Hole);
        self.cached = self.cached.filter(|placed| !is_hole(placed));
    }

    /// Behind the last block that may be asked about, for the sake of the folio that ends in front
    /// of block `folio_end` of a request that ends in front of block `request_end`.
    #[inline]
    pub(super) fn ask_end(&self, folio_end: u64, request_end: u64) -> u64 {
        request_end.max(folio_end).min(self.file_end)
    }

    /// Asks about the first block of the folio of the file blocks `folio`, unless the last answer
    /// covers it or it is behind the end of the file.
    ///
    /// # Errors
    ///
    /// What `lookup` says; `EIO` if its answer makes no sense.
    #[inline]
    pub(super) fn look_at(
        &mut self,
        folio: Range<u64>,
        request_end: u64,
        lookup: impl FnOnce(LogicalBlock, BlockCount) -> Result<Mapping<D>>,
    ) -> Result {
        let end = self.ask_end(folio.end, request_end);
        let covers = |placed: Placed<D>| placed.covers(folio.start).is_some();
        if folio.start < end && !self.cached.is_some_and(covers) {
            self.ask(folio.start, end, lookup)?;
        }
        Ok(())
    }

    /// Asks about `block` and those behind it, up to `end`, and keeps the answer.
    #[inline]
    pub(super) fn ask(
        &mut self,
        block: u64,
        end: u64,
        lookup: impl FnOnce(LogicalBlock, BlockCount) -> Result<Mapping<D>>,
    ) -> Result<Placed<D>> {
        let max = u32::try_from(end.saturating_sub(block)).unwrap_or(u32::MAX);
        let mut mapping = lookup(LogicalBlock(block), BlockCount(max))?;
        if mapping.len.0 == 0 {
            return Err(EIO);
        }
        if mapping.len.0 > max {
            mapping.len.0 = max;
            mapping.boundary = false;
        }
        let placed = Placed {
            start: LogicalBlock(block),
            mapping,
        };
        self.cached = Some(placed);
        Ok(placed)
    }

    /// What the folio of the `blocks` file blocks from `first` on is, if the last answer says so of
    /// all of it: nothing is to be planned then.
    #[inline]
    pub(super) fn whole(&self, first: u64, blocks: u32) -> Option<Whole<D>> {
        let placed = self.cached.as_ref()?;
        let left = placed.covers(first)?;
        if left < blocks || placed.mapping.filled.is_some() {
            return None;
        }
        let Extent::Mapped { device, start } = placed.mapping.extent else {
            return Some(Whole::Hole);
        };
        Some(Whole::Run(Run {
            span: Span {
                start: 0,
                len: blocks,
            },
            device,
            block: PhysicalBlock(start.0.checked_add(first.checked_sub(placed.start.0)?)?),
            boundary: placed.mapping.boundary && left == blocks,
        }))
    }
}

/// A folio of which there is one thing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole<D> {
    /// It is a hole.
    Hole,
    /// It is consecutive blocks.
    Run(Run<D>),
}
