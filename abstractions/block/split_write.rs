// SPDX-License-Identifier: GPL-2.0

//! A folio that several bios write.
//!
//! A folio whose blocks are scattered needs one bio for each run. Every bio holds a share of one
//! [`SplitWrite`], and so does the [`SplitWriter`] that issues them; when the last share goes, in
//! any order and on any processor, the writeback of the folio ends, with an error if a piece had
//! one. There is no count to get wrong.
//!
//! Pieces are submitted one by one: holding an unsubmitted bio while another is allocated could
//! empty the bio pool and wait for itself.
//!
//! Locks: the folio stays locked until all pieces are issued.

use super::{
    write_bio::WritePiece,
    BlockDevice,
    Sector, //
};
use crate::abstractions::{
    fs::InodeType,
    mm::{
        without_fs_reclaim,
        Buffers,
        ByteRange,
        DirtyFolio,
        Folio,
        FolioBlocks,
        StartedFolio,
        WritebackControl,
        WritingFolio, //
    },
};
use core::{
    cell::Cell,
    mem::ManuallyDrop,
    ops::Range, //
};
use kernel::{
    alloc::flags::{
        __GFP_NOWARN, //
        GFP_KERNEL,
        GFP_NOWAIT,
    },
    error::{
        code::{
            EINVAL,
            ENOMEM, //
        },
        to_result,
        Error, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        UniqueArc, //
    },
};

/// The shares of a folio that several bios write.
pub(super) struct SplitWrite {
    folio: ManuallyDrop<WritingFolio>,
    /// The last error of a piece; 0 for none.
    errno: Atomic<i32>,
}

impl SplitWrite {
    /// The folio.
    pub(super) fn folio(&self) -> &Folio {
        &self.folio
    }

    /// A piece could not be written.
    pub(super) fn fail(&self, error: Error) {
        self.errno.store(error.to_errno(), Relaxed);
    }
}

impl Drop for SplitWrite {
    fn drop(&mut self) {
        let result = to_result(self.errno.load(Relaxed));
        // SAFETY: The value is going away; the folio is not used again.
        let folio = unsafe { ManuallyDrop::take(&mut self.folio) };
        folio.end(result);
    }
}

/// Issues the writes of a folio's pieces; dropping it says that there is no other.
#[must_use = "what is not written of the folio is lost"]
pub struct SplitWriter<'w, I> {
    folio: StartedFolio<'w, I>,
    split: Arc<SplitWrite>,
    /// A piece could not be issued, and is dirty still.
    keeps_some: Cell<bool>,
}

impl<'w, I: InodeType> SplitWriter<'w, I> {
    /// Starts the writeback of `folio` in pieces; what of it is behind the end of the file is
    /// zeroed. With no memory the folio comes back, at once if it can be written through buffers;
    /// and so does one that is not uptodate: what is in it is nobody's.
    pub fn new(folio: DirtyFolio<'w, I>) -> Result<Self, DirtyFolio<'w, I>> {
        if !folio.is_uptodate() {
            return Err(folio);
        }
        folio.zero_behind(folio.file_size());
        Self::of_valid_pieces(folio)
    }

    /// As [`Self::new`], of a folio of which only what is valid, and zero behind the end of the
    /// file, will be written.
    pub(crate) fn of_valid_pieces(folio: DirtyFolio<'w, I>) -> Result<Self, DirtyFolio<'w, I>> {
        // Memory first, so that there is no value to unwind.
        let place = UniqueArc::<SplitWrite>::new_uninit(GFP_NOWAIT | __GFP_NOWARN);
        let Ok(place) = place.or_else(|error| match folio.may_have_buffers() {
            true => Err(error),
            // There is no other way.
            false => without_fs_reclaim(|| UniqueArc::new_uninit(GFP_KERNEL)),
        }) else {
            return Err(folio);
        };
        let folio = folio.start_writeback();
        let split = SplitWrite {
            // SAFETY: The writeback was started here, and its end is nobody else's.
            folio: ManuallyDrop::new(unsafe { WritingFolio::from_raw(folio.as_raw()) }),
            errno: Atomic::new(0),
        };
        Ok(Self {
            folio,
            split: place.write(split).into(),
            keeps_some: Cell::new(false),
        })
    }

    /// The folio.
    pub fn folio(&self) -> &Folio {
        &self.folio
    }

    /// The buffers of the folio. None if it has none.
    pub fn buffers(&self) -> Buffers<'_, 'w> {
        self.folio.buffers()
    }

    /// The first dirty blocks of the folio in a range of it, which has no buffers.
    pub(crate) fn next_dirty(&self, range: Range<u32>) -> Option<Range<u32>> {
        self.folio.blocks()?.next_dirty(range)
    }

    /// The blocks of the folio; [`None`] if folios of the file have buffer_heads.
    pub(crate) fn blocks(&self) -> Option<FolioBlocks<'_>> {
        self.folio.blocks()
    }

    /// A piece cannot be written.
    pub fn fail(&self, error: Error) {
        self.split.fail(error);
    }

    /// Whether there was no memory to issue a piece, which has a place and is dirty still.
    pub(crate) fn keeps_some(&self) -> bool {
        self.keeps_some.get()
    }

    /// Makes the folio dirty again: not all of it is being written.
    pub fn redirty(&self) {
        self.folio.redirty();
    }

    /// Gives up the data that has no block.
    pub fn give_up_unmapped(&self) {
        self.folio.give_up_unmapped();
    }

    /// Writes `range` of the folio to `sector` of `device` with a bio of its own; its blocks there
    /// are clean from now on. Without memory for the bio, or if there are no such sectors in the
    /// folio, the writeback ends with an error, and the folio stays dirty.
    pub fn write_piece(
        &self,
        device: &BlockDevice,
        sector: Sector,
        range: ByteRange,
        request: &WritebackControl<'_, I>,
    ) {
        if !self.folio.has_sectors(range) {
            return self.keep(EINVAL);
        }
        let Some(piece) = WritePiece::new(device, sector, request, self.split.clone(), range)
        else {
            return self.keep(ENOMEM);
        };
        self.folio.clean(range);
        piece.submit();
    }

    /// A piece cannot be issued.
    fn keep(&self, error: Error) {
        if !self.keeps_some.replace(true) {
            self.redirty();
        }
        self.split.fail(error);
    }
}
