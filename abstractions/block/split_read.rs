// SPDX-License-Identifier: GPL-2.0

//! A folio that several bios read.
//!
//! A folio whose blocks are scattered needs one bio for each run. Every bio holds a share of one
//! [`SplitRead`], and so does whoever issues them; when the last share goes, in any order and on
//! any processor, the folio ends: uptodate if no piece failed. There is no count to get wrong.
//!
//! Pieces are submitted one by one: holding an unsubmitted bio while another is allocated could
//! empty the bio pool and wait for itself.

use super::{
    BlockDevice,
    ReadBio,
    ReadIntent,
    Sector, //
};
use crate::abstractions::mm::{
    ByteRange,
    Folio,
    LockedFolio, //
};
use core::mem::ManuallyDrop;
use kernel::{
    alloc::flags::{
        __GFP_NOWARN, //
        GFP_NOWAIT,
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

/// A locked folio that several bios read.
pub struct SplitRead {
    folio: ManuallyDrop<LockedFolio>,
    failed: Atomic<i32>,
}

impl SplitRead {
    /// Starts a split read of `folio`. With no memory the folio comes back.
    pub fn new(folio: LockedFolio) -> Result<Arc<Self>, LockedFolio> {
        // Memory first, so that there is no value to unwind.
        let Ok(place) = UniqueArc::<Self>::new_uninit(GFP_NOWAIT | __GFP_NOWARN) else {
            return Err(folio);
        };
        let split = Self {
            folio: ManuallyDrop::new(folio),
            failed: Atomic::new(0),
        };
        Ok(place.write(split).into())
    }

    /// Zeroes `range` of the folio, which no piece reads.
    pub fn zero(&self, range: ByteRange) {
        self.folio.zero(range);
    }

    /// The folio.
    pub fn folio(&self) -> &Folio {
        &self.folio
    }

    /// A piece could not be read: the folio will not be uptodate.
    pub fn fail(&self) {
        self.failed.store(1, Relaxed);
    }

    /// Whether a piece has failed so far.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Relaxed) != 0
    }

    /// Reads `range` of the folio from `sector` of `device` with a bio of its own, and returns
    /// whether there was memory for one, if need be after waiting: other pieces may be on their
    /// way, so there is no other way to read the folio. If there was none the folio will not be
    /// uptodate.
    pub fn read_piece(
        self: &Arc<Self>,
        device: &BlockDevice,
        sector: Sector,
        range: ByteRange,
        intent: ReadIntent,
    ) -> bool {
        // A range of one folio is contiguous in memory and takes one vector.
        let bio = ReadBio::new(device, sector, 1, intent, self.folio());
        let Some(mut bio) = bio.or_else(|| ReadBio::new_waiting(device, sector, intent)) else {
            self.fail();
            return false;
        };
        if bio.add_piece(self.clone(), range).is_err() {
            self.fail();
            return false;
        }
        bio.submit();
        true
    }
}

impl Drop for SplitRead {
    fn drop(&mut self) {
        let success = !self.has_failed();
        // SAFETY: The value is going away; the folio is not used again.
        let folio = unsafe { ManuallyDrop::take(&mut self.folio) };
        folio.end_read(success);
    }
}
