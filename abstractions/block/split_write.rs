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
    BlockDevice,
    Sector,
    WriteBio, //
};
use crate::abstractions::{
    fs::InodeType,
    mm::{
        Buffers,
        ByteRange,
        DirtyFolio,
        Folio,
        StartedFolio,
        WritebackControl,
        WritingFolio, //
    },
};
use core::mem::ManuallyDrop;
use kernel::{
    alloc::flags::{
        __GFP_NOWARN, //
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
}

impl<'w, I: InodeType> SplitWriter<'w, I> {
    /// Starts the writeback of `folio` in pieces; what of it is behind the end of the file is zeroed.
    /// With no memory the folio comes back, and so does one that is not uptodate: what is in it is
    /// nobody's.
    pub fn new(folio: DirtyFolio<'w, I>) -> Result<Self, DirtyFolio<'w, I>> {
        if !folio.is_uptodate() {
            return Err(folio);
        }
        folio.zero_behind(folio.file_size());
        Self::of_valid_pieces(folio)
    }

    /// As [`Self::new`], of a folio of which only what is valid, and zero behind the end of the file,
    /// will be written.
    pub(crate) fn of_valid_pieces(folio: DirtyFolio<'w, I>) -> Result<Self, DirtyFolio<'w, I>> {
        // Memory first, so that there is no value to unwind.
        let Ok(place) = UniqueArc::<SplitWrite>::new_uninit(GFP_NOWAIT | __GFP_NOWARN) else {
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

    /// A piece cannot be written.
    pub fn fail(&self, error: Error) {
        self.split.fail(error);
    }

    /// Makes the folio dirty again: not all of it is being written.
    pub fn redirty(&self) {
        self.folio.redirty();
    }

    /// Marks the buffers of the folio that have no block clean: their data is given up.
    pub fn clean_unmapped_buffers(&self) {
        self.folio.clean_unmapped_buffers();
    }

    /// Writes `range` of the folio to `sector` of `device` with a bio of its own, and marks its
    /// buffers clean. Without memory for the bio, or if there are no such sectors in the folio, the
    /// writeback ends with an error, and the folio stays dirty.
    pub fn write_piece(
        &self,
        device: &BlockDevice,
        sector: Sector,
        range: ByteRange,
        request: &WritebackControl<'_, I>,
    ) {
        if !self.folio.has_sectors(range) {
            self.redirty();
            return self.split.fail(EINVAL);
        }
        // A range of one folio is contiguous in memory and takes one vector.
        let Some(mut bio) = WriteBio::new(device, sector, 1, request) else {
            self.redirty();
            return self.split.fail(ENOMEM);
        };
        if bio.add_piece(self.split.clone(), range).is_err() {
            self.redirty();
            return self.split.fail(ENOMEM);
        }
        self.folio.clean_buffers(range);
        bio.submit();
    }
}
