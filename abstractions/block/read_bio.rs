// SPDX-License-Identifier: GPL-2.0

//! Bios that read folios of the page cache.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)
//!
//! A [`ReadBio`] owns the locked folios that were added to it. It ends in exactly one way:
//! [`ReadBio::submit`] gives it to the block layer, whose completion unlocks every folio once; or
//! it is dropped, and then its folios end as failed reads. There is no way to touch a bio or its
//! folios after submission.

use super::{
    bio::{
        EndedBio,
        UnsubmittedBio, //
    },
    split_read::SplitRead,
    BlockDevice,
    Sector, //
};
use crate::{
    abstractions::mm::{
        ByteRange,
        Folio,
        LockedFolio, //
    },
    bindings,
};
use core::mem::ManuallyDrop;
use kernel::sync::Arc;

/// Why a read is made; it decides flags and how hard allocations try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadIntent {
    /// Somebody waits for this very folio.
    Demand,
    /// Nobody waits yet: `REQ_RAHEAD`, and allocations that fail quietly.
    Readahead,
}

impl ReadIntent {
    #[inline(always)]
    fn flags(self) -> bindings::blk_opf_t {
        match self {
            Self::Demand => bindings::req_op_REQ_OP_READ,
            Self::Readahead => {
                bindings::req_op_REQ_OP_READ | 1 << bindings::req_flag_bits___REQ_RAHEAD
            }
        }
    }

    #[inline(always)]
    fn gfp(self, mapping: bindings::gfp_t) -> bindings::gfp_t {
        let base = bindings::GFP_KERNEL & mapping;
        match self {
            Self::Demand => base,
            Self::Readahead => base | bindings::RUST_MPAGE_GFP_READAHEAD,
        }
    }
}

/// A read bio under construction, for a device that is open for `'d`. Dropped, its folios end as
/// failed reads.
///
/// # Invariants
///
/// Every folio in the bio is a locked page-cache folio whose lock it owns, each added once, and
/// what of it the bio does not read is zeroed; or it is that of a [`ReadPiece`].
#[must_use = "its folios end as failed reads"]
pub struct ReadBio<'d>(UnsubmittedBio<'d>);

impl<'d> ReadBio<'d> {
    /// Allocates a bio for up to `pages` pages (more are clamped to the most a bio can carry)
    /// that reads from `sector` of `device`, with the allocation flags of `folio`'s mapping.
    ///
    /// [`None`] if there is no memory. C: `bio_alloc()`.
    pub fn new(
        device: &'d BlockDevice,
        sector: Sector,
        pages: u32,
        intent: ReadIntent,
        folio: &Folio,
    ) -> Option<Self> {
        Self::allocate(
            device,
            sector,
            pages,
            intent,
            intent.gfp(folio.mapping_gfp()),
        )
    }

    fn allocate(
        device: &'d BlockDevice,
        sector: Sector,
        pages: u32,
        intent: ReadIntent,
        gfp: bindings::gfp_t,
    ) -> Option<Self> {
        // SAFETY: The completion ends locked folios, and nothing else is added by `add`.
        let bio = unsafe {
            UnsubmittedBio::allocate(device, sector, pages, intent.flags(), gfp, end_whole_folios)
        };
        // INVARIANT: There are no folios yet.
        bio.map(Self)
    }

    /// The device that this bio reads from.
    #[inline(always)]
    pub fn device(&self) -> &'d BlockDevice {
        self.0.device()
    }

    /// The sector behind the last one that this bio reads.
    #[inline(always)]
    pub fn end(&self) -> Sector {
        self.0.end()
    }

    /// Bytes that this bio reads.
    #[inline(always)]
    pub fn bytes(&self) -> u32 {
        self.0.bytes()
    }

    /// Adds `range` of a folio, to be read behind what the bio has, and zeroes the rest of it; the
    /// folio is unlocked when the bio ends. A full bio hands the folio back, and so does any if
    /// there are no such sectors in it. C: `bio_add_folio()`.
    #[inline]
    pub fn add<'f, I>(
        &mut self,
        folio: LockedFolio<'f, I>,
        range: ByteRange,
    ) -> Result<(), LockedFolio<'f, I>> {
        // SAFETY: The folio is locked and so cannot go away before the completion unlocks it.
        if unsafe { self.0.add(&folio, range) } {
            folio.zero_around(range);
            // INVARIANT: The lock is the bio's from here on, and the rest is zeroed.
            let _ = ManuallyDrop::new(folio);
            Ok(())
        } else {
            Err(folio)
        }
    }

    /// Gives the bio to the block layer. A bio that reaches over the end of an odd-sized device is
    /// cut there and the rest of its folios zeroed.
    ///
    /// C: `submit_bio()`, `guard_bio_eod()`.
    pub fn submit(mut self) {
        if let Some(keep) = self.0.bytes_within_device() {
            self.zero_from(keep as usize);
            self.0.cut(keep);
        }
        self.0.submit();
    }

    /// Zeroes what the bio would read from byte `keep` on.
    fn zero_from(&mut self, keep: usize) {
        let bio = self.0.as_raw();
        let mut done = 0usize;
        // SAFETY: The bio is valid.
        let count = unsafe { (*bio).bi_vcnt };
        for index in 0..usize::from(count) {
            // SAFETY:
            // - an unsubmitted bio has `bi_vcnt` initialised entries, and this is one of them;
            // - each names `len` bytes of locked folios, of which no more are zeroed; the helper
            //   takes ranges over several pages.
            unsafe {
                let vec = (*bio).bi_io_vec.add(index);
                let len = (*vec).bv_len as usize;
                let skip = keep.saturating_sub(done).min(len);
                bindings::rust_mpage_helper_zero_bvec(vec, skip as u32);
                done += len;
            }
        }
    }
}

/// A bio of one piece of a folio that several bios read. It is for nothing else, and so there is
/// nothing that can be added to it.
///
/// # Invariants
///
/// The bio has a share of a `SplitRead`, to which its folio belongs, and no other folio.
#[must_use = "the piece ends as a failed read"]
pub(super) struct ReadPiece<'d>(ReadBio<'d>);

impl<'d> ReadPiece<'d> {
    /// Allocates a bio that reads `range` of the folio of `split` from `sector` of `device` on. If
    /// there is no memory it waits: the bio pool has some again as soon as other bios end.
    ///
    /// [`None`] if there are no such sectors in the folio; for want of memory it is next to
    /// impossible. C: the `bio_alloc()` of `__bh_submit()`.
    pub(super) fn new<'f>(
        device: &'d BlockDevice,
        sector: Sector,
        intent: ReadIntent,
        split: Arc<SplitRead<'f>>,
        range: ByteRange,
    ) -> Option<Self> {
        // A range of one folio is contiguous in memory and takes one vector.
        let bio = ReadBio::new(device, sector, 1, intent, split.folio()).or_else(|| {
            ReadBio::allocate(device, sector, 1, intent, bindings::RUST_MPAGE_GFP_NOFS)
        })?;
        // SAFETY:
        // - the bio is empty, for it has been allocated just now, and nothing is added to it by the
        //   invariants of `Self`;
        // - the folio stays while a share of the split read lives, which owns its lock;
        // - `end_piece` takes the share, to which it is all the same how long its folio's inode is
        //   in use.
        let bio = unsafe { bio.0.of_piece(SplitRead::folio, range, split, end_piece) };
        // INVARIANT: As made.
        bio.map(|bio| Self(ReadBio(bio)))
    }

    /// Gives the bio to the block layer, as [`ReadBio::submit`].
    pub(super) fn submit(self) {
        self.0.submit();
    }
}

/// Completion of a bio of whole folios. C: `mpage_read_end_io()`.
///
/// # Safety
///
/// `bio` must come from a [`ReadBio`], and the block layer must be done with it.
unsafe extern "C" fn end_whole_folios(bio: *mut bindings::bio) {
    // SAFETY: By the safety requirements.
    let bio = unsafe { EndedBio::from_raw(bio) };
    let success = bio.is_ok();
    // SAFETY: By the invariants of `ReadBio` each folio in it is locked, appears once, and is ours
    // to end.
    bio.for_each_folio(|folio| unsafe { bindings::folio_end_read(folio, success) });
}

/// Completion of a bio that reads a piece of one folio.
///
/// # Safety
///
/// `bio` must be that of a [`ReadPiece`], and the block layer must be done with it.
unsafe extern "C" fn end_piece(bio: *mut bindings::bio) {
    // SAFETY: By the safety requirements.
    let bio = unsafe { EndedBio::from_raw(bio) };
    // SAFETY: The share of a `ReadPiece` is one of a `SplitRead`, and nobody else takes it.
    let split = unsafe { bio.take_share::<SplitRead<'_>>() };
    if !bio.is_ok() {
        split.fail();
    }
}
