// SPDX-License-Identifier: GPL-2.0

//! Decides what each part of a folio needs in order to be read. Pure: no I/O, no folio, no
//! allocation; the mapper is a closure.
//!
//! A [`Window`] is what one readahead or read_folio call may ask about; it keeps the mapper's last
//! answer, which serves the following folios. A [`FolioPlan`] goes through one folio and yields
//! [`Step`]s: zero this, read that run. Neighbouring mappings that are contiguous on the disk make
//! one run. Blocks behind the end of the file are holes, and nobody is asked about them.

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

/// What a part of a folio needs. Positions are blocks from the start of the folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<D> {
    /// A hole, or behind the end of the file.
    Zero(Span),
    /// Blocks to read.
    Read(Run<D>),
    /// The mapper filled this block itself, which lives there.
    Filled(Run<D>),
}

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
struct Placed<D> {
    start: LogicalBlock,
    mapping: Mapping<D>,
}

impl<D> Placed<D> {
    /// Blocks of the mapping from `at` on, if it covers `at`.
    fn covers(&self, at: u64) -> Option<u32> {
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
    blocks_per_page: u32,
    cached: Option<Placed<D>>,
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
    #[inline(always)]
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
    #[inline(always)]
    fn ask_end(&self, folio_end: u64, request_end: u64) -> u64 {
        request_end.max(folio_end).min(self.file_end)
    }

    /// Asks about the first block of the folio of the file blocks `folio`, unless the last answer
    /// covers it or it is behind the end of the file.
    ///
    /// # Errors
    ///
    /// As of [`FolioPlan::next`].
    #[inline(always)]
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
    #[inline(always)]
    fn ask(
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
    #[inline(always)]
    pub(super) fn whole(&self, first: u64, blocks: u32) -> Option<Whole<D>> {
        let placed = self.cached.as_ref()?;
        let left = placed.covers(first)?;
        if left < blocks || placed.mapping.uptodate {
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

/// The walk through one folio.
pub(super) struct FolioPlan<'w, D> {
    window: &'w mut Window<D>,
    /// The file block that the folio begins with.
    first: u64,
    /// Blocks of the folio that are decided.
    at: u32,
    /// Blocks of the folio.
    blocks: u32,
    /// Behind the last file block that may be asked about.
    ask_end: u64,
    /// A run that the next mapping may continue.
    held: Option<Run<D>>,
}

impl<'w, D: Copy + PartialEq> FolioPlan<'w, D> {
    /// Plans a folio that covers the file blocks `folio`, with the request going on to block
    /// `request_end`.
    pub(super) fn new(window: &'w mut Window<D>, folio: Range<u64>, request_end: u64) -> Self {
        Self {
            first: folio.start,
            at: 0,
            // A folio is at most a huge page of 512-byte blocks.
            blocks: folio.end.saturating_sub(folio.start) as u32,
            ask_end: window.ask_end(folio.end, request_end),
            window,
            held: None,
        }
    }

    /// The next step, or [`None`] when the folio is decided. The steps cover the folio without
    /// gaps, but a [`Step::Zero`] or [`Step::Filled`] may come before the [`Step::Read`] in front of
    /// it.
    ///
    /// `lookup` is asked only for blocks before the end of the file and of the request.
    ///
    /// # Errors
    ///
    /// What `lookup` says; `EIO` if its answer makes no sense.
    #[inline]
    pub(super) fn next(
        &mut self,
        mut lookup: impl FnMut(LogicalBlock, BlockCount) -> Result<Mapping<D>>,
    ) -> Result<Option<Step<D>>> {
        while self.at < self.blocks {
            let block = self.first + u64::from(self.at);
            if block >= self.ask_end {
                return Ok(Some(self.zero(self.blocks - self.at)));
            }
            if let Some(run) = self.goes_first(block) {
                return Ok(Some(Step::Read(run)));
            }
            let (placed, left) = self.mapping_at(block, &mut lookup)?;
            let len = left.min(self.blocks - self.at);
            match placed.mapping.extent {
                Extent::Hole => return Ok(Some(self.zero(len))),
                Extent::Mapped { device, start } => {
                    let offset = block - placed.start.0;
                    let run = Run {
                        span: Span {
                            start: self.at,
                            len,
                        },
                        device,
                        block: PhysicalBlock(start.0.checked_add(offset).ok_or(EIO)?),
                        boundary: placed.mapping.boundary && len == left,
                    };
                    if placed.mapping.uptodate {
                        return Ok(Some(self.filled(run)));
                    }
                    self.at += len;
                    if let Some(done) = self.hold(run) {
                        return Ok(Some(Step::Read(done)));
                    }
                }
            }
        }
        Ok(self.held.take().map(Step::Read))
    }

    /// The run that should be read before there is a question about `block`, which leads to
    /// metadata behind that run: C, whose folios are pages, has submitted it at the end of its page.
    fn goes_first(&mut self, block: u64) -> Option<Run<D>> {
        let at_page_end = self.at % self.window.blocks_per_page.max(1) == 0;
        let known = |placed: Placed<D>| placed.covers(block).is_some();
        let run = self.held.filter(|run| run.boundary && at_page_end)?;
        if self.window.cached.is_some_and(known) {
            return None;
        }
        self.held = None;
        Some(run)
    }

    /// The mapping that covers `block`, cached or asked for, and its blocks from `block` on.
    #[inline]
    fn mapping_at(
        &mut self,
        block: u64,
        lookup: &mut impl FnMut(LogicalBlock, BlockCount) -> Result<Mapping<D>>,
    ) -> Result<(Placed<D>, u32)> {
        if let Some(placed) = self.window.cached {
            if let Some(left) = placed.covers(block) {
                return Ok((placed, left));
            }
        }
        let placed = self.window.ask(block, self.ask_end, lookup)?;
        Ok((placed, placed.mapping.len.0))
    }

    /// The blocks that are decided but not told yet, when `lookup` has failed behind them.
    pub(super) fn take_held(&mut self) -> Option<Run<D>> {
        self.held.take()
    }

    fn zero(&mut self, len: u32) -> Step<D> {
        let start = self.at;
        self.at += len;
        Step::Zero(Span { start, len })
    }

    /// One block is there; what the mapper said of those behind it is not to be relied on.
    fn filled(&mut self, mut run: Run<D>) -> Step<D> {
        self.window.cached = None;
        self.at += 1;
        run.boundary &= run.span.len == 1;
        run.span.len = 1;
        Step::Filled(run)
    }

    /// Joins `run` to the held one; returns that one if they do not join.
    fn hold(&mut self, run: Run<D>) -> Option<Run<D>> {
        match &mut self.held {
            Some(held) if held.continues_with(&run) => {
                held.take_in(&run);
                None
            }
            held => held.replace(run),
        }
    }
}
