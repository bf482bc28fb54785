// SPDX-License-Identifier: GPL-2.0

//! Reading: acts on the plan of each folio.
//!
//! Locks: folio locks, each owned by a [`LockedFolio`] and passed on to the bio that reads the
//! folio; the mapper may take the filesystem's own locks inside them.
//!
//! A folio whose blocks are one run, with holes anywhere around it, joins the current bio if it
//! continues it on the disk. A folio of several runs takes a bio for each. Of a folio of which some
//! blocks are valid the others are read ([`rest`](super::rest)). A folio that has buffers is read
//! through them, because they may know parts that are newer than the disk.
//!
//! C counterpart: `do_mpage_readpage()`, `mpage_readahead()`, `mpage_read_folio()`.

use super::{
    counters::Fallback,
    pending::Pending,
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
            SplitReader, //
        },
        fs::InodeType,
        mm::{
            Adopted,
            BlockState,
            Filled,
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
            Whole,
            Window, //
        },
    },
};
use kernel::{
    error::{
        code::{
            EIO,
            ENOMEM, //
        },
        Result, //
    },
    page::PAGE_SHIFT, //
};

/// Starts the reads of a readahead request. A filesystem's `readahead` operation is this line.
///
/// Stops at a folio that cannot be mapped; who needs it will ask for it and get the error.
///
/// Context: process context, may sleep. C: `mpage_readahead()`.
pub fn readahead<M: MapSource>(mapper: M, mut request: Readahead<'_, M::Inode>) {
    let mut reader = Reader::new(mapper, request.inode(), ReadIntent::Readahead);
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
pub fn read_folio<M: MapSource>(mapper: M, folio: LockedFolio<'_, M::Inode>) -> Result {
    let mut reader = Reader::new(mapper, folio.inode(), ReadIntent::Demand);
    let pages = folio.pages();
    let result = reader.read(folio, pages);
    reader.submit();
    result
}

/// The state of one call.
pub(super) struct Reader<'i, M: MapSource> {
    pub(super) mapper: M,
    pub(super) inode: &'i M::Inode,
    pub(super) window: Window<&'i BlockDevice>,
    pub(super) sink: Sink<'i>,
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
    pub(super) fn read(&mut self, folio: LockedFolio<'_, M::Inode>, pages_left: u32) -> Result {
        if folio.is_uptodate() {
            return Ok(());
        }
        if folio.has_private() {
            return self.read_known(folio, pages_left);
        }
        let bits = self.sink.block_bits;
        // Under the folio's lock: who makes the file longer by what is in this folio comes later.
        self.window.set_size(plain(self.inode).size(), bits);
        let first = folio.position() >> bits;
        let blocks = (folio.size() >> bits) as u32;
        let result = match self.whole(&folio, first, blocks, pages_left) {
            Ok(Some(Whole::Run(run))) => self.join(folio, run, blocks, pages_left),
            Ok(Some(Whole::Hole)) => {
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

    /// Reads a folio of which something is known already.
    #[cold]
    fn read_known(&mut self, folio: LockedFolio<'_, M::Inode>, pages_left: u32) -> Result {
        if folio.has_buffers() {
            return self.read_through_buffers(folio, Fallback::Buffers);
        }
        self.read_rest(folio, pages_left)
            .inspect_err(|_| self.sink.tally.failed_folios += 1)
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
        folio: LockedFolio<'_, M::Inode>,
        first: u64,
        blocks: u32,
        pages_left: u32,
    ) -> Result {
        let request = (u64::from(pages_left) << PAGE_SHIFT) >> self.sink.block_bits;
        let end = first + u64::from(blocks);
        let mut plan = FolioPlan::new(&mut self.window, first..end, first + request);
        let (mapper, inode) = (self.mapper, self.inode);
        let mut target = Target::Whole(folio);
        let mut pending = Pending::default();
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
                Ok(Some(Step::Zero(span))) => pending.add_hole(span),
                Ok(Some(Step::Read(run))) => {
                    if pending.run.is_some() {
                        target = match target.read(&mut self.sink, &mut pending) {
                            Ok(target) => target?,
                            Err(folio) => {
                                return self.read_through_buffers(folio, Fallback::NoMemory);
                            }
                        };
                    }
                    pending.run = Some(run);
                    // The next question reads metadata that is behind this run.
                    if run.boundary && run.span.end() < blocks {
                        target = match target.read(&mut self.sink, &mut pending) {
                            Ok(target) => target?,
                            Err(folio) => {
                                return self.read_through_buffers(folio, Fallback::NoMemory);
                            }
                        };
                    }
                }
                Ok(Some(Step::Filled(run, filled))) => match target {
                    Target::Whole(folio) => return self.adopt(folio, run, filled),
                    // The other parts are on their way; this one is there already.
                    Target::Split(ref mut split) => {
                        self.sink.read_pending(split, &mut pending)?;
                        split.note_filled(self.sink.bytes(run.span), filled);
                    }
                },
                Ok(None) => break,
            }
        }
        match (target, pending.run) {
            (Target::Whole(folio), None) => {
                self.end_hole(folio);
                Ok(())
            }
            (Target::Whole(folio), Some(run)) => self.join(folio, run, blocks, pages_left),
            (Target::Split(mut split), _) => {
                self.sink.tally.folios += 1;
                self.sink.tally.split_folios += 1;
                self.sink.read_pending(&mut split, &mut pending)?;
                match split.has_failed() {
                    // On a device that answers at once or that is gone.
                    true => Err(EIO),
                    false => Ok(()),
                }
            }
        }
    }

    /// Ends the read of a folio that is a hole.
    #[inline]
    fn end_hole(&mut self, folio: LockedFolio<'_, M::Inode>) {
        self.sink.tally.folios += 1;
        self.sink.tally.hole_folios += 1;
        folio.end_zeroed();
    }

    /// Reads a folio of one run.
    #[inline(always)]
    fn join(
        &mut self,
        folio: LockedFolio<'_, M::Inode>,
        run: Run<&'i BlockDevice>,
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
    fn adopt(
        &mut self,
        folio: LockedFolio<'_, M::Inode>,
        run: Run<&BlockDevice>,
        filled: Filled,
    ) -> Result {
        let state = BlockState {
            device: run.device,
            block: run.block.0,
            boundary: run.boundary,
        };
        self.sink.flush();
        match folio.adopt_block(run.span.start as usize, state, filled)? {
            Adopted::Ended => {
                self.sink.tally.folios += 1;
                Ok(())
            }
            Adopted::Block(folio) => self.read_through_buffers(folio, Fallback::Filled),
        }
    }

    #[cold]
    fn read_through_buffers(
        &mut self,
        folio: LockedFolio<'_, M::Inode>,
        reason: Fallback,
    ) -> Result {
        self.sink.flush();
        if !folio.may_have_buffers() {
            // There is no memory to read it.
            return Err(ENOMEM);
        }
        self.sink.tally.fallback(reason);
        folio.read_through_buffers(self.mapper.get_block())
    }
}

/// A folio while its plan is carried out.
enum Target<'f, I> {
    /// One run, or none, so far.
    Whole(LockedFolio<'f, I>),
    /// Several runs.
    Split(SplitReader<'f>),
}

impl<'f, I: InodeType> Target<'f, I> {
    fn folio(&self) -> &Folio {
        match self {
            Self::Whole(folio) => folio,
            Self::Split(split) => split.folio(),
        }
    }

    /// The folio will not be uptodate. It is unlocked when this value and all its parts are gone.
    fn fail(&self) {
        if let Self::Split(split) = self {
            split.fail();
        }
    }

    /// Reads what is pending of a folio that has more runs than that. With no memory to do that the
    /// folio comes back.
    fn read(
        self,
        sink: &mut Sink<'_>,
        pending: &mut Pending<&BlockDevice>,
    ) -> Result<Result<Self>, LockedFolio<'f, I>> {
        let mut split = match self {
            Self::Whole(folio) => {
                // What waits for memory may wait for the folios of the bio.
                sink.flush();
                SplitReader::new(folio)?
            }
            Self::Split(split) => split,
        };
        let read = sink.read_pending(&mut split, pending);
        Ok(read.map(|()| Self::Split(split)))
    }
}
