// SPDX-License-Identifier: GPL-2.0

//! The acting half of reading: folios and runs become bios.
//!
//! Locks: none here; folios come locked and are unlocked by the bio that takes them.
//!
//! C counterpart: the second half of `do_mpage_readpage()`, from `alloc_new` on.

use super::{
    counters::Tally,
    pending::Pending, //
};
use crate::{
    abstractions::{
        block::{
            BlockDevice,
            ReadBio,
            ReadIntent,
            Sector,
            SplitReader, //
        },
        mm::{
            ByteRange,
            LockedFolio,
            WatchedFolio, //
        },
    },
    mpage::window::{
        Run,
        Span, //
    },
};
use kernel::error::{
    code::{
        EIO,
        ENOMEM, //
    },
    Result, //
};

/// Where a folio of one run went.
pub(super) enum Joined<'f, I> {
    /// The bio owns it.
    InBio,
    /// There is no memory for a bio.
    NoMemory(LockedFolio<'f, I>),
}

/// The acting half: bios.
pub(super) struct Sink<'d> {
    pub(super) block_bits: u32,
    intent: ReadIntent,
    /// The bio that the next folio may join.
    bio: Option<ReadBio<'d>>,
    pub(super) tally: Tally,
}

impl<'d> Sink<'d> {
    /// For reading folios of a file with blocks of `1 << block_bits` bytes.
    pub(super) fn new(block_bits: u32, intent: ReadIntent) -> Self {
        Self {
            block_bits,
            intent,
            bio: None,
            tally: Tally::default(),
        }
    }

    pub(super) fn bytes(&self, span: Span) -> ByteRange {
        ByteRange {
            start: (span.start as usize) << self.block_bits,
            len: (span.len as usize) << self.block_bits,
        }
    }

    /// The first sector of a run. `EIO` if no device can have it.
    fn sector(&self, run: &Run<&BlockDevice>) -> Result<Sector> {
        Sector::of_block(run.block.0, self.block_bits).ok_or(EIO)
    }

    /// Submits the current bio.
    pub(super) fn flush(&mut self) {
        if let Some(bio) = self.bio.take() {
            self.tally.bio(bio.bytes().into());
            bio.submit();
        }
    }

    /// Carries out what is pending of a folio of several runs; nothing is then.
    pub(super) fn read_pending(
        &mut self,
        split: &mut SplitReader<'_>,
        pending: &mut Pending<&BlockDevice>,
    ) -> Result {
        if let Some(hole) = pending.hole_before.take() {
            split.zero(self.bytes(hole));
        }
        if let Some(run) = pending.run.take() {
            self.read_piece(split, run)?;
        }
        if let Some(hole) = pending.hole_behind.take() {
            split.zero(self.bytes(hole));
        }
        Ok(())
    }

    /// Reads a run of a folio of several.
    pub(super) fn read_piece(
        &mut self,
        split: &mut SplitReader<'_>,
        run: Run<&BlockDevice>,
    ) -> Result {
        self.flush();
        let range = self.bytes(run.span);
        let sector = self.sector(&run).inspect_err(|_| split.fail())?;
        if !split.read_piece(run.device, sector, range, self.intent) {
            return Err(ENOMEM);
        }
        self.tally.bio(range.len as u64);
        Ok(())
    }

    /// Reads a folio of one run: adds it to the current bio if it continues that, and submits the
    /// bio if nothing can continue it.
    #[inline(always)]
    pub(super) fn join<'f, I>(
        &mut self,
        mut folio: LockedFolio<'f, I>,
        run: Run<&'d BlockDevice>,
        blocks: u32,
        pages_left: u32,
    ) -> Result<Joined<'f, I>> {
        let sector = self.sector(&run)?;
        let range = self.bytes(run.span);
        if run.span.len == blocks {
            folio.set_mapped_to_disk();
        }
        let continues = |bio: &ReadBio<'_>| bio.device() == run.device && bio.end() == sector;
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
    fn added<'f, I>(&mut self, last: Option<WatchedFolio>) -> Result<Joined<'f, I>> {
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
