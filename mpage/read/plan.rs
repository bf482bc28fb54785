// SPDX-License-Identifier: GPL-2.0

//! Decides what each part of a folio needs in order to be read. Pure: no I/O, no folio, no
//! allocation; the mapper is a closure.
//!
//! A [`FolioPlan`] goes through one folio and yields [`Step`]s: zero this, read that run.
//! Neighbouring mappings that are contiguous on the disk make one run.

use crate::{
    abstractions::mm::Filled,
    mpage::{
        mapping::{
            BlockCount,
            Extent,
            LogicalBlock,
            Mapping,
            PhysicalBlock, //
        },
        window::{
            Placed,
            Run,
            Span,
            Window, //
        },
    },
};
use core::ops::Range;
use kernel::error::{
    code::EIO,
    Result, //
};

/// What a part of a folio needs. Positions are blocks from the start of the folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mpage) enum Step<D> {
    /// A hole, or behind the end of the file.
    Zero(Span),
    /// Blocks to read.
    Read(Run<D>),
    /// The mapper filled this block itself, which lives there.
    Filled(Run<D>, Filled),
}

/// The walk through one folio.
pub(in crate::mpage) struct FolioPlan<'w, D> {
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
    pub(in crate::mpage) fn new(
        window: &'w mut Window<D>,
        folio: Range<u64>,
        request_end: u64,
    ) -> Self {
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

    /// The next step, or [`None`] when the folio is decided. The steps cover the folio in order and
    /// without gaps.
    ///
    /// `lookup` is asked only for blocks before the end of the file and of the request.
    ///
    /// # Errors
    ///
    /// What `lookup` says; `EIO` if its answer makes no sense.
    #[inline]
    pub(in crate::mpage) fn next(
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
                    if let Some(filled) = placed.mapping.filled {
                        return Ok(Some(self.filled(run, filled)));
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
    /// metadata behind that run: C, whose folios are pages, has submitted it at the end of its
    /// page.
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
    pub(in crate::mpage) fn take_held(&mut self) -> Option<Run<D>> {
        self.held.take()
    }

    /// The run in front of a hole, or else the hole.
    fn zero(&mut self, len: u32) -> Step<D> {
        if let Some(run) = self.held.take() {
            return Step::Read(run);
        }
        let start = self.at;
        self.at += len;
        Step::Zero(Span { start, len })
    }

    /// The run in front of a block that is there, or else that block; what the mapper said of those
    /// behind it is not to be relied on.
    fn filled(&mut self, mut run: Run<D>, filled: Filled) -> Step<D> {
        if let Some(run) = self.held.take() {
            return Step::Read(run);
        }
        self.window.cached = None;
        self.at += 1;
        run.boundary &= run.span.len == 1;
        run.span.len = 1;
        Step::Filled(run, filled)
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
