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

mod list;

pub(crate) use self::list::readpages;

use super::{
    mapping::{
        plain,
        MapSource, //
    },
    plan::{
        FolioPlan,
        Run,
        Span,
        Step,
        Whole,
        Window, //
    },
    stats::{
        Fallback,
        Tally, //
    },
};
use crate::abstractions::{
    block::{
        BlockDevice,
        ReadBio,
        ReadIntent,
        Sector,
        SplitRead, //
    },
    mm::{
        Adopted,
        BlockState,
        ByteRange,
        Folio,
        LockedFolio,
        Readahead,
        WatchedFolio, //
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
struct Reader<'i, M: MapSource> {
    mapper: M,
    inode: &'i M::Inode,
    window: Window<&'i BlockDevice>,
    sink: Sink,
}

impl<'i, M: MapSource> Reader<'i, M> {
    fn new(mapper: M, inode: &'i M::Inode, intent: ReadIntent) -> Self {
        let block_bits = plain(inode).block_bits();
        Self {
            mapper,
            inode,
            // Nothing is asked before `read` has set the size.
            window: Window::new(0, block_bits),
            sink: Sink {
                block_bits,
                intent,
                bio: None,
                tally: Tally::default(),
            },
        }
    }

    fn submit(&mut self) {
        self.sink.flush();
    }

    /// Reads one folio; the request has `pages_left` pages from its start on.
    #[inline(always)]
    fn read(&mut self, folio: LockedFolio, pages_left: u32) -> Result {
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
                        self.sink.read_part(&target, part)?;
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
                last.map_or(Ok(()), |run| self.sink.read_part(&split, run))?;
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

    /// Whether a part has failed already, on a device that answers at once or that is gone.
    fn so_far(&self) -> Result {
        match self {
            Self::Split(split) if split.has_failed() => Err(EIO),
            _ => Ok(()),
        }
    }
}

/// Where a folio of one run went.
enum Joined {
    /// The bio owns it.
    InBio,
    /// There is no memory for a bio.
    NoMemory(LockedFolio),
}

/// The acting half: bios.
struct Sink {
    block_bits: u32,
    intent: ReadIntent,
    /// The bio that the next folio may join.
    bio: Option<ReadBio>,
    tally: Tally,
}

impl Sink {
    fn bytes(&self, span: Span) -> ByteRange {
        ByteRange {
            start: (span.start as usize) << self.block_bits,
            len: (span.len as usize) << self.block_bits,
        }
    }

    /// The first sector of a run. `EIO` if no device can have it.
    fn sector(&self, run: &Run<&BlockDevice>) -> Result<Sector> {
        let shift = self.block_bits - Sector::SHIFT;
        let sector = run.block.0 << shift;
        if sector >> shift != run.block.0 {
            return Err(EIO);
        }
        Ok(Sector(sector))
    }

    /// Submits the current bio.
    fn flush(&mut self) {
        if let Some(bio) = self.bio.take() {
            self.tally.bio(bio.bytes().into());
            bio.submit();
        }
    }

    /// Reads a run of a folio of several.
    fn read_part(&mut self, target: &Target, run: Run<&BlockDevice>) -> Result {
        self.flush();
        let range = self.bytes(run.span);
        let sector = self.sector(&run).inspect_err(|_| target.fail())?;
        let Target::Split(split) = target else {
            return Err(EIO);
        };
        if !split.read_piece(run.device, sector, range, self.intent) {
            return Err(ENOMEM);
        }
        self.tally.bio(range.len as u64);
        Ok(())
    }

    /// Reads a folio of one run: adds it to the current bio if it continues that, and submits the
    /// bio if nothing can continue it.
    #[inline(always)]
    fn join(
        &mut self,
        mut folio: LockedFolio,
        run: Run<&BlockDevice>,
        blocks: u32,
        pages_left: u32,
    ) -> Result<Joined> {
        let sector = self.sector(&run)?;
        let range = self.bytes(run.span);
        if run.span.len == blocks {
            folio.set_mapped_to_disk();
        }
        let continues = |bio: &ReadBio| bio.device() == run.device && bio.end() == sector;
        if !self.bio.as_ref().is_some_and(continues) {
            self.flush();
        }
        // If a hole follows, or metadata, no folio will continue this one.
        let last = run.boundary || run.span.end() < blocks;
        let last = last.then(|| folio.watch());
        if let Some(bio) = &mut self.bio {
            match bio.add(folio, range) {
                Ok(()) => return self.added(last),
                Err(back) => folio = back,
            }
            self.flush();
        }
        let Some(mut bio) = ReadBio::new(run.device, sector, pages_left, self.intent, &folio)
        else {
            return Ok(Joined::NoMemory(folio));
        };
        if let Err(folio) = bio.add(folio, range) {
            return Ok(Joined::NoMemory(folio));
        }
        self.bio = Some(bio);
        self.added(last)
    }

    /// A folio is in the current bio; if it is the `last` one, the bio goes. Says so if that has
    /// failed already, as on a device that is gone.
    #[inline(always)]
    fn added(&mut self, last: Option<WatchedFolio>) -> Result<Joined> {
        self.tally.folios += 1;
        if let Some(folio) = last {
            self.flush();
            if folio.has_failed() {
                return Err(EIO);
            }
        }
        Ok(Joined::InBio)
    }
}
