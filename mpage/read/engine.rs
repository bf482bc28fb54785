// SPDX-License-Identifier: GPL-2.0

//! Reading: acts on the plan of each folio.
//!
//! Locks: folio locks, each owned by a [`LockedFolio`] and passed on to the bio that reads the
//! folio; the mapper may take the filesystem's own locks inside them.
//!
//! A folio whose blocks are one run, with holes anywhere around it, joins the current bio if it
//! continues it on the disk. A folio of several runs takes a bio for each. A folio that has
//! buffers is read through them, because they may know parts that are newer than the disk.
//!
//! C counterpart: `do_mpage_readpage()`, `mpage_readahead()`, `mpage_read_folio()`.

use super::{
    counters::Fallback,
    plan::{
        FolioPlan,
        Step, //
    },
    sink::{
        Joined,
        Sink, //
    },
};
use crate::{
    abstractions::{
        block::{
            BlockDevice,
            ReadIntent,
            SplitRead, //
        },
        mm::{
            Adopted,
            BlockState,
            ByteRange,
            Folio,
            LockedFolio,
            Readahead, //
        },
    },
    mpage::{
        mapping::{
            plain,
            MapSource, //
        },
        window::{
            Run,
            Span,
            Whole,
            Window, //
        },
    },
};
use kernel::{
    error::{
        code::EIO,
        Result, //
    },
    page::PAGE_SHIFT,
    sync::Arc, //
};

/// Starts the reads of a readahead request. A filesystem's `readahead` operation is this line.
///
/// Stops at a folio that cannot be mapped; who needs it will ask for it and get the error.
///
/// Context: process context, may sleep. C: `mpage_readahead()`.
pub fn readahead<M: MapSource>(mapper: M, inode: &M::Inode, mut request: Readahead<'_>) {
    let mut reader = Reader::new(mapper, inode, ReadIntent::Readahead);
    while let Some(folio) = request.next() {
        if reader.read(folio, request.pages_left()).is_err() {
            break;
        }
    }
    reader.submit();
}

/// Starts the read of one folio. A filesystem's `read_folio` operation is this line.
///
/// The folio is unlocked when the read ends, or before this returns if nothing has to be read.
///
/// # Errors
///
/// The mapper's; the folio is then not uptodate, and unlocked now or when the parts that were
/// already being read are.
///
/// Context: process context, may sleep. C: `mpage_read_folio()`.
pub fn read_folio<M: MapSource>(mapper: M, inode: &M::Inode, folio: LockedFolio) -> Result {
    let mut reader = Reader::new(mapper, inode, ReadIntent::Demand);
    let pages = folio.pages();
    let result = reader.read(folio, pages);
    reader.submit();
    result
}

/// The state of one call.
pub(super) struct Reader<'i, M: MapSource> {
    mapper: M,
    inode: &'i M::Inode,
    pub(super) window: Window<&'i BlockDevice>,
    sink: Sink,
}

impl<'i, M: MapSource> Reader<'i, M> {
    pub(super) fn new(mapper: M, inode: &'i M::Inode, intent: ReadIntent) -> Self {
        let block_bits = plain(inode).block_bits();
        Self {
            mapper,
            inode,
            // Nothing is asked before `read` has set the size.
            window: Window::new(0, block_bits),
            sink: Sink::new(block_bits, intent),
        }
    }

    pub(super) fn submit(&mut self) {
        self.sink.flush();
    }

    /// Reads one folio; the request has `pages_left` pages from its start on.
    #[inline(always)]
    pub(super) fn read(&mut self, folio: LockedFolio, pages_left: u32) -> Result {
        if folio.is_uptodate() {
            return Ok(());
        }
        if folio.has_buffers() {
            return self.read_through_buffers(folio, Fallback::Buffers);
        }
        let bits = self.sink.block_bits;
        // Under the folio's lock: who makes the file longer by what is in this folio comes later.
        self.window.set_size(plain(self.inode).size(), bits);
        let first = folio.position() >> bits;
        let blocks = (folio.size() >> bits) as u32;
        let result = match self.whole(&folio, first, blocks, pages_left) {
            Ok(Some(Whole::Run(run))) => self.join(folio, run, blocks, pages_left),
            Ok(Some(Whole::Hole)) => {
                folio.zero(folio.whole());
                self.end_hole(folio);
                Ok(())
            }
            Ok(None) => self.carry_out(folio, first, blocks, pages_left),
            Err(error) => Err(error),
        };
        if result.is_err() {
            self.sink.tally.failed_folios += 1;
        }
        result
    }

    /// What a folio is as a whole, if that can be said after one question at most: then there is
    /// nothing to be planned.
    #[inline(always)]
    fn whole(
        &mut self,
        folio: &Folio,
        first: u64,
        blocks: u32,
        pages_left: u32,
    ) -> Result<Option<Whole<&'i BlockDevice>>> {
        let request = (u64::from(pages_left) << PAGE_SHIFT) >> self.sink.block_bits;
        let calls = &mut self.sink.tally.mapper_calls;
        let (mapper, inode) = (self.mapper, self.inode);
        let range = first..first + u64::from(blocks);
        self.window.look_at(range, first + request, |at, max| {
            *calls += 1;
            mapper.map(inode, folio, at, max)
        })?;
        Ok(self.window.whole(first, blocks))
    }

    /// Plans a folio and does what the plan says.
    #[inline(never)]
    fn carry_out(
        &mut self,
        folio: LockedFolio,
        first: u64,
        blocks: u32,
        pages_left: u32,
    ) -> Result {
        let request = (u64::from(pages_left) << PAGE_SHIFT) >> self.sink.block_bits;
        let end = first + u64::from(blocks);
        let mut plan = FolioPlan::new(&mut self.window, first..end, first + request);
        let (mapper, inode) = (self.mapper, self.inode);
        let mut target = Target::Whole(folio);
        let mut held: Option<Run<_>> = None;
        // A mapper that answers block by block has a step for each block of a hole.
        let mut hole: Option<Span> = None;
        loop {
            let calls = &mut self.sink.tally.mapper_calls;
            let step = plan.next(|at, max| {
                *calls += 1;
                mapper.map(inode, target.folio(), at, max)
            });
            match step {
                Err(error) => {
                    target.fail();
                    return Err(error);
                }
                Ok(Some(Step::Zero(span))) => match &mut hole {
                    Some(hole) if hole.end() == span.start => hole.len += span.len,
                    hole => {
                        if let Some(before) = hole.replace(span) {
                            target.zero(self.sink.bytes(before));
                        }
                    }
                },
                Ok(Some(Step::Read(run))) => {
                    let mut due = [held.replace(run), None];
                    if run.boundary && run.span.end() < blocks {
                        // The next question reads metadata that is behind this run.
                        due[1] = held.take();
                    }
                    for part in due.into_iter().flatten() {
                        target = match target.split() {
                            Ok(split) => split,
                            Err(folio) => {
                                return self.read_through_buffers(folio, Fallback::NoMemory);
                            }
                        };
                        target.read(&mut self.sink, part)?;
                    }
                }
                Ok(Some(Step::Filled(run))) => match target {
                    Target::Whole(folio) => return self.adopt(folio, run),
                    // The other parts are on their way; this one is there already.
                    Target::Split(_) => {}
                },
                Ok(None) => break,
            }
        }
        if let Some(hole) = hole {
            target.zero(self.sink.bytes(hole));
        }
        match (target, held) {
            (Target::Whole(folio), None) => {
                self.end_hole(folio);
                Ok(())
            }
            (Target::Whole(folio), Some(run)) => {
                match self.sink.join(folio, run, blocks, pages_left)? {
                    Joined::InBio => Ok(()),
                    Joined::NoMemory(folio) => self.read_through_buffers(folio, Fallback::NoMemory),
                }
            }
            (split, last) => {
                self.sink.tally.folios += 1;
                self.sink.tally.split_folios += 1;
                last.map_or(Ok(()), |run| split.read(&mut self.sink, run))?;
                split.so_far()
            }
        }
    }

    /// Ends the read of a folio that is zeroed already.
    #[inline]
    fn end_hole(&mut self, folio: LockedFolio) {
        self.sink.tally.folios += 1;
        self.sink.tally.hole_folios += 1;
        folio.end_read(true);
    }

    /// Reads a folio of one run.
    #[inline(always)]
    fn join(
        &mut self,
        folio: LockedFolio,
        run: Run<&BlockDevice>,
        blocks: u32,
        pages_left: u32,
    ) -> Result {
        match self.sink.join(folio, run, blocks, pages_left)? {
            Joined::InBio => Ok(()),
            Joined::NoMemory(folio) => self.read_through_buffers(folio, Fallback::NoMemory),
        }
    }

    /// The mapper has filled a block of the folio. C: `map_buffer_to_folio()`.
    #[cold]
    fn adopt(&mut self, folio: LockedFolio, run: Run<&BlockDevice>) -> Result {
        let state = BlockState {
            device: run.device,
            block: run.block.0,
            boundary: run.boundary,
        };
        let index = run.span.start as usize;
        match folio.adopt_block(index, self.sink.block_bits, state)? {
            Adopted::WholeFolio => {
                self.sink.flush();
                self.sink.tally.folios += 1;
                folio.end_read(true);
                Ok(())
            }
            Adopted::Block => self.read_through_buffers(folio, Fallback::Filled),
        }
    }

    #[cold]
    fn read_through_buffers(&mut self, folio: LockedFolio, reason: Fallback) -> Result {
        self.sink.flush();
        self.sink.tally.fallback(reason);
        folio.read_through_buffers(self.mapper.get_block())
    }
}

/// A folio while its plan is carried out.
enum Target {
    /// One run, or none, so far.
    Whole(LockedFolio),
    /// Several.
    Split(Arc<SplitRead>),
}

impl Target {
    fn folio(&self) -> &Folio {
        match self {
            Self::Whole(folio) => folio,
            Self::Split(split) => split.folio(),
        }
    }

    fn zero(&self, range: ByteRange) {
        match self {
            Self::Whole(folio) => folio.zero(range),
            Self::Split(split) => split.zero(range),
        }
    }

    /// The folio will not be uptodate. It is unlocked when this value and all its parts are gone.
    fn fail(&self) {
        if let Self::Split(split) = self {
            split.fail();
        }
    }

    /// Prepares for several bios. With no memory the folio comes back.
    fn split(self) -> Result<Self, LockedFolio> {
        match self {
            Self::Whole(folio) => SplitRead::new(folio).map(Self::Split),
            split => Ok(split),
        }
    }

    /// Reads a run of a folio of several.
    fn read(&self, sink: &mut Sink, run: Run<&BlockDevice>) -> Result {
        match self {
            Self::Whole(_) => Err(EIO),
            Self::Split(split) => sink.read_piece(split, run),
        }
    }

    /// Whether a part has failed already, on a device that answers at once or that is gone.
    fn so_far(&self) -> Result {
        match self {
            Self::Split(split) if split.has_failed() => Err(EIO),
            _ => Ok(()),
        }
    }
}
