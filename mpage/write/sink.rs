// SPDX-License-Identifier: GPL-2.0

//! The acting half of writing: folios and runs become bios.
//!
//! Locks: none here; folios come locked and are unlocked by the bio that takes them.
//!
//! C counterpart: the second half of `mpage_write_folio()`, from `page_is_mapped` on.

use super::{
    counters::Tally,
    plan::{
        pages_left,
        Bounds, //
    }, //
};
use crate::{
    abstractions::{
        block::{
            BlockDevice,
            Sector,
            SplitWriter,
            WriteBio, //
        },
        fs::{
            Inode,
            InodeType, //
        },
        mm::{
            ByteRange,
            DirtyFolio,
            WritebackControl, //
        },
    },
    mpage::window::{
        Run,
        Span, //
    },
};
use kernel::{
    error::{
        code::EIO,
        Error, //
    },
    page::PAGE_SHIFT, //
};

/// Where a folio of one run went.
pub(super) enum Joined<'w, I> {
    /// The bio owns the end of its writeback.
    InBio,
    /// There is no memory for a bio.
    NoMemory(DirtyFolio<'w, I>),
    /// No device can have the block, or it is none of the folio.
    Nowhere(DirtyFolio<'w, I>),
}

/// The acting half: bios.
pub(super) struct Sink<'i> {
    pub(super) inode: &'i Inode,
    pub(super) block_bits: u32,
    /// The bio that the next folio may join.
    bio: Option<WriteBio<'i>>,
    pub(super) tally: Tally,
}

impl<'i> Sink<'i> {
    /// For writing folios of `inode`.
    pub(super) fn new(inode: &'i Inode) -> Self {
        Self {
            inode,
            block_bits: inode.block_bits(),
            bio: None,
            tally: Tally::default(),
        }
    }

    fn bytes(&self, span: Span) -> ByteRange {
        ByteRange {
            start: (span.start as usize) << self.block_bits,
            len: (span.len as usize) << self.block_bits,
        }
    }

    /// The first sector of a run, if a device can have it.
    fn sector(&self, run: &Run<&BlockDevice>) -> Option<Sector> {
        Sector::of_block(run.block.0, self.block_bits)
    }

    /// Submits the current bio.
    pub(super) fn flush(&mut self) {
        if let Some(bio) = self.bio.take() {
            self.tally.bio(bio.bytes().into());
            bio.submit();
        }
    }

    /// A folio could not be mapped.
    pub(super) fn fail<I>(&mut self, request: &WritebackControl<'_, I>, error: Error) {
        self.tally.failed_folios += 1;
        request.record_error(error);
    }

    /// Writes a run of a folio of several.
    pub(super) fn write_piece<I: InodeType>(
        &mut self,
        request: &WritebackControl<'_, I>,
        split: &SplitWriter<'_, I>,
        run: Run<&BlockDevice>,
    ) {
        let range = self.bytes(run.span);
        match self.sector(&run) {
            Some(sector) => {
                self.tally.bio(range.len as u64);
                split.write_piece(run.device, sector, range, request);
                self.push_boundary(&run);
            }
            None => split.fail(EIO),
        }
    }

    /// Writes a folio of one run: adds it to the current bio if it continues that, and submits the
    /// bio if nothing can continue it.
    pub(super) fn join<'w, I: InodeType>(
        &mut self,
        request: &WritebackControl<'_, I>,
        mut folio: DirtyFolio<'w, I>,
        run: Run<&'i BlockDevice>,
    ) -> Joined<'w, I> {
        let Some(sector) = self.sector(&run) else {
            return Joined::Nowhere(folio);
        };
        let range = self.bytes(run.span);
        let continues = |bio: &WriteBio<'_>| bio.device() == run.device && bio.end() == sector;
        if !self.bio.as_ref().is_some_and(continues) {
            self.flush();
        }
        // If there is more of the folio, or metadata comes next, no folio will continue this one.
        let last = run.boundary || range.end() < folio.size();
        if let Some(bio) = &mut self.bio {
            match bio.add_valid(folio, range) {
                Ok(()) => {
                    self.added(&run, last);
                    return Joined::InBio;
                }
                Err(back) => folio = back,
            }
            self.flush();
        }
        let pages = pages_left(folio.position(), &self.bounds(request), PAGE_SHIFT);
        let Some(mut bio) = WriteBio::new(run.device, sector, pages, request) else {
            return Joined::NoMemory(folio);
        };
        if let Err(folio) = bio.add_valid(folio, range) {
            // There is room in it; so there are no such sectors in the folio.
            return Joined::Nowhere(folio);
        }
        self.bio = Some(bio);
        self.added(&run, last);
        Joined::InBio
    }

    /// A folio is in the current bio; if it is the `last` one, the bio goes.
    fn added(&mut self, run: &Run<&BlockDevice>, last: bool) {
        self.tally.folios += 1;
        if last {
            self.flush();
            self.push_boundary(run);
        }
    }

    /// The block behind a boundary is metadata, which the next write would have to seek over: if it
    /// is dirty, it goes now. C: `write_boundary_block()`.
    fn push_boundary(&self, run: &Run<&BlockDevice>) {
        if run.boundary {
            if let Some(next) = run.block.0.checked_add(u64::from(run.span.len)) {
                run.device.push_cached(next, self.block_bits);
            }
        }
    }

    fn bounds<I>(&self, request: &WritebackControl<'_, I>) -> Bounds {
        Bounds {
            size: self.inode.size(),
            range_end: request.range_end(),
            pages_wanted: request.pages_wanted(),
            pages_cached: request.pages_cached(),
        }
    }
}
