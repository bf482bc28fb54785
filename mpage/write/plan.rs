// SPDX-License-Identifier: GPL-2.0

//! Decides how a folio is written. Pure: no I/O, no folio, no allocation; buffers are an iterator
//! of their states, and the mapper is a closure.
//!
//! A folio with buffers is looked at as it is: [`whole_run`] says whether a bio can take it. A
//! folio without is mapped, as many blocks at a time as the mapper likes: [`WritePlan`]. Nothing is
//! mapped behind the end of the file, see [`Place`].
//!
//! C counterpart: the deciding half of `mpage_write_folio()`.

use crate::{
    abstractions::{
        fs::Later,
        mm::{
            BufferState,
            WritebackReason, //
        }, //
    },
    mpage::{
        mapping::{
            BlockCount,
            Extent,
            LogicalBlock,
            Mapping,
            PhysicalBlock, //
        },
        read::plan::{
            FolioPlan,
            Step, //
        },
        window::{
            Run,
            Span,
            Window, //
        },
    },
};
use core::ops::Range;
use kernel::error::{
    code::{
        EAGAIN,
        EDQUOT,
        EINTR,
        EIO,
        ENOMEM,
        ENOSPC, //
    },
    Error,
    Result, //
};

/// Where the end of the file is, seen from a folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the folio, or where it ends.
    Inside,
    /// In the folio: so many bytes of it belong to the file.
    Straddles(u32),
    /// In front of the folio, or where it begins: nothing of it belongs to the file.
    Beyond,
}

impl Place {
    /// Of a folio of `len` bytes at `position` in a file of `size` bytes.
    pub(super) fn of(position: u64, len: usize, size: u64) -> Self {
        match size.checked_sub(position) {
            None | Some(0) => Self::Beyond,
            // A folio is at most a huge page.
            Some(inside) if inside < len as u64 => Self::Straddles(inside as u32),
            Some(_) => Self::Inside,
        }
    }

    /// How many of a folio's `blocks` belong to the file, at least in part.
    pub(super) fn file_blocks(self, blocks: u32, block_bits: u32) -> u32 {
        match self {
            Self::Inside => blocks,
            Self::Straddles(bytes) => bytes.div_ceil(1 << block_bits),
            Self::Beyond => 0,
        }
    }
}

/// Why a folio with buffers cannot go into a bio as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// A dirty buffer has no block: stores to a mapped page of a hole.
    Unmapped,
    /// A buffer is clean or not uptodate: only parts of the folio are to be written.
    Partial,
    /// The blocks are not one run from the start of the folio.
    Scattered,
    /// A buffer is locked, or its block is in an odd state.
    Busy,
}

/// The run that the folio of these buffers is: all mapped, dirty, uptodate and contiguous, up to
/// the first that has no block; behind that none has one.
pub(super) fn whole_run<D: Copy + PartialEq>(
    buffers: impl Iterator<Item = BufferState<D>>,
) -> Result<Run<D>, Unfit> {
    let mut run: Option<Run<D>> = None;
    let mut hole = false;
    for (index, buffer) in (0..).zip(buffers) {
        if buffer.busy {
            return Err(Unfit::Busy);
        }
        let Some((device, block)) = buffer.block else {
            if buffer.dirty {
                return Err(Unfit::Unmapped);
            }
            hole = true;
            continue;
        };
        if hole {
            return Err(Unfit::Scattered);
        }
        if !buffer.dirty || !buffer.uptodate {
            return Err(Unfit::Partial);
        }
        let next = one_block(index, device, block, buffer.boundary);
        match &mut run {
            None => run = Some(next),
            Some(run) if run.continues_with(&next) => run.take_in(&next),
            Some(_) => return Err(Unfit::Scattered),
        }
    }
    // Without any block there is nothing that a bio could write.
    run.ok_or(Unfit::Partial)
}

/// The first dirty buffers without a block, from buffer `from` on, of the first `end`.
pub(super) fn next_unmapped<D>(
    buffers: impl Iterator<Item = BufferState<D>>,
    from: u32,
    end: u32,
) -> Option<Span> {
    let mut span: Option<Span> = None;
    for (index, buffer) in (0..end).zip(buffers).skip(from as usize) {
        match (
            &mut span,
            buffer.dirty && buffer.block.is_none() && !buffer.busy,
        ) {
            (None, true) => {
                span = Some(Span {
                    start: index,
                    len: 1,
                });
            }
            (Some(span), true) => span.len += 1,
            (Some(_), false) => break,
            (None, false) => {}
        }
    }
    span
}

/// The first run of buffers that can be written, from buffer `from` on, of the first `end`: those
/// that are mapped and dirty. A dirty buffer that is not uptodate is one whose earlier write has
/// failed, and that was stored to since.
pub(super) fn next_writable<D: Copy + PartialEq>(
    buffers: impl Iterator<Item = BufferState<D>>,
    from: u32,
    end: u32,
) -> Option<Run<D>> {
    let mut run: Option<Run<D>> = None;
    for (index, buffer) in (0..end).zip(buffers).skip(from as usize) {
        let next = match buffer.block {
            Some((device, block)) if buffer.dirty && !buffer.busy => {
                one_block(index, device, block, buffer.boundary)
            }
            _ if run.is_some() => break,
            _ => continue,
        };
        match &mut run {
            None => run = Some(next),
            Some(run) if run.continues_with(&next) => run.take_in(&next),
            Some(_) => break,
        }
    }
    run
}

fn one_block<D>(index: u32, device: D, block: u64, boundary: bool) -> Run<D> {
    Run {
        span: Span {
            start: index,
            len: 1,
        },
        device,
        block: PhysicalBlock(block),
        boundary,
    }
}

/// What was said of blocks that are to be written.
pub(super) enum Answer<D> {
    /// Where they are.
    Blocks(Mapping<D>),
    /// They have none and cannot get any; what is behind them is written all the same.
    LeftOut {
        /// How many.
        len: BlockCount,
        /// Why.
        error: Error,
    },
}

impl<D> From<Mapping<D>> for Answer<D> {
    fn from(mapping: Mapping<D>) -> Self {
        Self::Blocks(mapping)
    }
}

/// The walk through a folio without buffers.
pub(super) struct WritePlan<'w, D> {
    plan: FolioPlan<'w, D>,
    file_blocks: u32,
    /// What comes behind the run that was told last.
    error: Option<Error>,
    /// Why blocks were left out.
    left_out: Option<Error>,
    /// All of the folio's blocks have been decided.
    is_decided: bool,
}

impl<'w, D: Copy + PartialEq> WritePlan<'w, D> {
    /// Plans a folio whose first file block is `first` and of whose blocks `file_blocks` belong to
    /// the file. What the mapper said before is forgotten: of an earlier folio it may not be true
    /// any more, for this folio's lock did not keep truncation away from its blocks.
    pub(super) fn new(window: &'w mut Window<D>, first: u64, file_blocks: u32) -> Self {
        window.cached = None;
        let end = first + u64::from(file_blocks);
        Self {
            plan: FolioPlan::new(window, first..end, end),
            file_blocks,
            error: None,
            left_out: None,
            is_decided: false,
        }
    }

    /// Whether something was said of each block: if there is an error still, it is of those that
    /// were left out.
    pub(super) fn is_decided(&self) -> bool {
        self.is_decided
    }

    /// The next run of blocks to write, or [`None`] when the folio is decided. Together they are
    /// all of the folio's blocks that belong to the file.
    ///
    /// # Errors
    ///
    /// What `allocate` says; `EIO` if its answer makes no sense, such as a hole. By then all blocks
    /// in front of the error have been told: they may be fresh, and must not stay unwritten. If
    /// blocks were left out, the reason of the first, when all others have been told.
    pub(super) fn next<A: Into<Answer<D>>>(
        &mut self,
        allocate: impl FnMut(LogicalBlock, BlockCount) -> Result<A>,
    ) -> Result<Option<Run<D>>> {
        let result = match self.error.take() {
            Some(error) => Err(error),
            None => self.decide(allocate),
        };
        result.or_else(|error| match self.plan.take_held() {
            Some(run) => {
                self.error = Some(error);
                Ok(Some(run))
            }
            None => Err(error),
        })
    }

    fn decide<A: Into<Answer<D>>>(
        &mut self,
        mut allocate: impl FnMut(LogicalBlock, BlockCount) -> Result<A>,
    ) -> Result<Option<Run<D>>> {
        loop {
            let left_out = &mut self.left_out;
            let step = self.plan.next(|at, max| match allocate(at, max)?.into() {
                Answer::LeftOut { len, error } => {
                    left_out.get_or_insert(error);
                    Ok(Mapping::hole(len))
                }
                Answer::Blocks(mapping) if matches!(mapping.extent, Extent::Hole) => Err(EIO),
                // That the block is uptodate in the folio is no news to who writes it.
                Answer::Blocks(mapping) => Ok(Mapping {
                    filled: None,
                    ..mapping
                }),
            })?;
            match step {
                Some(Step::Read(run) | Step::Filled(run, _)) => return Ok(Some(run)),
                Some(Step::Zero(span)) if span.start < self.file_blocks => {
                    // If not left out, the file has become shorter than the window knows.
                    self.left_out.ok_or(EIO)?;
                }
                Some(Step::Zero(_)) | None => {
                    self.is_decided = true;
                    return self.left_out.take().map_or(Ok(None), Err);
                }
            }
        }
    }
}

/// What becomes of data that could not get its blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// It stays dirty: a later writeback may be able to save it.
    Dirty,
    /// It is given up, as by C.
    Clean,
}

/// Whether blocks may be got later after `error`. So nothing is wrong with the file, nor with the
/// mapper.
pub(super) fn may_pass(error: Error) -> bool {
    [ENOSPC, EDQUOT, ENOMEM, EAGAIN, EINTR].contains(&error)
}

/// The first block of a range that `known` says yes to. Where an error is, there are more of its
/// kind: blocks are looked at in steps that grow, of 64 at most, and then between two of them.
pub(super) fn first_known(range: Range<u32>, mut known: impl FnMut(u32) -> bool) -> Option<u32> {
    const FARTHEST: u32 = 64;
    let last = range.end.checked_sub(1)?;
    let (mut low, mut at, mut step) = (range.start, range.start, 1);
    while at <= last && !known(at) {
        low = at + 1;
        at = match at == last {
            true => range.end,
            false => (at + step).min(last),
        };
        step = (step * 2).min(FARTHEST);
    }
    let mut high = at;
    while low < high && high <= last {
        let middle = low + (high - low) / 2;
        if known(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    (high <= last).then_some(high)
}

/// What becomes of a folio after the mapper has failed with `error`.
///
/// A full disk may not be full for ever, so its data waits, and so does what there was no memory
/// for. But the first not while the system is short of clean memory: everybody who writes anything
/// would wait for a writeback that cannot succeed. And neither on a filesystem that is being frozen
/// or made read-only: no later writeback may allocate.
pub(super) fn after_error(error: Error, reason: WritebackReason, later: Later) -> Afterwards {
    let may_wait = error == ENOMEM || reason != WritebackReason::Memory;
    if may_pass(error) && may_wait && later == Later::Possible {
        Afterwards::Dirty
    } else {
        Afterwards::Clean
    }
}

/// What has become of those blocks of a folio that could not get their places, each of its own.
#[derive(Default)]
pub(super) struct Failures {
    first: Option<Error>,
    keeps_some: bool,
}

impl Failures {
    /// Some blocks could not because of `error`, and this becomes of them.
    pub(super) fn note(&mut self, error: Error, afterwards: Afterwards) {
        self.first.get_or_insert(error);
        self.keeps_some |= afterwards == Afterwards::Dirty;
    }

    /// The first error, if there was one.
    pub(super) fn first(&self) -> Option<Error> {
        self.first
    }

    /// Whether some of them are dirty still.
    pub(super) fn keeps_some(&self) -> bool {
        self.keeps_some
    }
}

/// What bounds the bytes that a request may still write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The file's size in bytes.
    pub(super) size: u64,
    /// Behind the last byte that the request is about.
    pub(super) range_end: u64,
    /// Pages that the request still wants.
    pub(super) pages_wanted: u64,
    /// Pages that the file has in the cache.
    pub(super) pages_cached: u64,
}

/// How many pages a bio may get that begins at file position `position`: at least 1, and no more
/// than are left to write.
pub(super) fn pages_left(position: u64, bounds: &Bounds, page_shift: usize) -> u32 {
    let end = bounds.size.min(bounds.range_end);
    let pages = end.saturating_sub(position).div_ceil(1 << page_shift);
    let pages = pages.min(bounds.pages_wanted).min(bounds.pages_cached);
    u32::try_from(pages).unwrap_or(u32::MAX).max(1)
}
