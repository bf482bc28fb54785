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
    in_flight,
    BlockDevice,
    Sector,
    SplitRead, //
};
use crate::{
    abstractions::mm::{
        ByteRange,
        Folio,
        LockedFolio, //
    },
    bindings,
};
use core::{
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr::{
        self,
        NonNull, //
    },
};
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

/// A read bio under construction.
///
/// # Invariants
///
/// - `bio` is a valid read bio that this value owns alone and that was never submitted.
/// - Every folio in it is a locked page-cache folio whose lock it owns, each added once; or
///   `bi_private` is an `Arc<SplitRead>` turned raw, and its folio belongs to that.
pub struct ReadBio {
    bio: NonNull<bindings::bio>,
}

impl ReadBio {
    /// Allocates a bio for up to `pages` pages (more are clamped to the most a bio can carry)
    /// that reads from `sector` of `device`, with the allocation flags of `folio`'s mapping.
    ///
    /// [`None`] if there is no memory. C: `bio_alloc()`.
    pub fn new(
        device: &BlockDevice,
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

    /// The same for one vector, waiting for memory if there is none: the bio pool has some again
    /// as soon as other bios end. The caller must hold no bio that was not submitted. [`None`] is
    /// next to impossible. C: the `bio_alloc()` of `__bh_submit()`.
    pub(super) fn new_waiting(
        device: &BlockDevice,
        sector: Sector,
        intent: ReadIntent,
    ) -> Option<Self> {
        Self::allocate(device, sector, 1, intent, bindings::RUST_MPAGE_GFP_NOFS)
    }

    fn allocate(
        device: &BlockDevice,
        sector: Sector,
        pages: u32,
        intent: ReadIntent,
        gfp: bindings::gfp_t,
    ) -> Option<Self> {
        let vecs = pages.clamp(1, bindings::BIO_MAX_VECS) as u16;
        // SAFETY: `device` is valid by its invariants, and `fs_bio_set` is initialised at boot.
        let bio = unsafe {
            bindings::bio_alloc_bioset(
                device.as_raw(),
                vecs,
                intent.flags(),
                gfp,
                ptr::addr_of_mut!(bindings::fs_bio_set),
            )
        };
        let bio = NonNull::new(bio)?;
        // SAFETY: A bio fresh from the allocator is ours alone.
        unsafe {
            (*bio.as_ptr()).bi_iter.bi_sector = sector.0;
            (*bio.as_ptr()).bi_end_io = Some(end_whole_folios);
        }
        // INVARIANT: Fresh, read, unsubmitted, without folios.
        Some(Self { bio })
    }

    #[inline(always)]
    fn raw(&mut self) -> *mut bindings::bio {
        self.bio.as_ptr()
    }

    /// The device that this bio reads from.
    #[inline(always)]
    pub fn device(&self) -> &BlockDevice {
        // SAFETY: The bio is valid; its device stays open while an unsubmitted bio refers to it,
        // because `new` borrowed it from an open mount.
        unsafe { BlockDevice::from_raw((*self.bio.as_ptr()).bi_bdev) }
    }

    /// The sector behind the last one that this bio reads.
    #[inline(always)]
    pub fn end(&self) -> Sector {
        // SAFETY: The bio is valid and ours.
        let iter = unsafe { ptr::addr_of!((*self.bio.as_ptr()).bi_iter).read_unaligned() };
        Sector(iter.bi_sector).advanced_by(iter.bi_size)
    }

    /// Bytes that this bio reads.
    #[inline(always)]
    pub fn bytes(&self) -> u32 {
        // SAFETY: The bio is valid and ours.
        unsafe { ptr::addr_of!((*self.bio.as_ptr()).bi_iter.bi_size).read_unaligned() }
    }

    /// Adds `range` of a folio, to be read behind what the bio has; the folio is unlocked when
    /// the bio ends. A full bio hands the folio back. C: `bio_add_folio()`.
    #[inline]
    pub fn add(&mut self, folio: LockedFolio, range: ByteRange) -> Result<(), LockedFolio> {
        // SAFETY: The bio is ours, and the folio is locked and so cannot go away.
        if unsafe { bindings::bio_add_folio(self.raw(), folio.as_raw(), range.len, range.start) } {
            // INVARIANT: The lock is the bio's from here on.
            let _ = ManuallyDrop::new(folio);
            Ok(())
        } else {
            Err(folio)
        }
    }

    /// Adds a piece of a folio that several bios read. The bio must be empty and takes nothing
    /// else; a bio that cannot take even this hands the share back.
    pub(super) fn add_piece(
        &mut self,
        split: Arc<SplitRead>,
        range: ByteRange,
    ) -> Result<(), Arc<SplitRead>> {
        let bio = self.raw();
        let folio = split.folio().as_raw();
        // SAFETY: The bio is ours; the split read owns the folio's lock while `split` lives.
        if !unsafe { bindings::bio_add_folio(bio, folio, range.len, range.start) } {
            return Err(split);
        }
        // SAFETY: The bio is ours. INVARIANT: `bi_private` now holds the share.
        unsafe {
            (*bio).bi_private = Arc::into_raw(split).cast_mut().cast();
            (*bio).bi_end_io = Some(end_piece);
        }
        Ok(())
    }

    /// Gives the bio to the block layer. A bio that reaches over the end of an odd-sized device is
    /// cut there and the rest of its folios zeroed.
    ///
    /// C: `submit_bio()`, `guard_bio_eod()`.
    pub fn submit(self) {
        let mut this = ManuallyDrop::new(self);
        this.trim_to_device();
        in_flight::begin();
        // SAFETY: The bio is valid, has a completion, and is never touched again by us.
        unsafe { bindings::submit_bio(this.raw()) };
    }

    /// C: `guard_bio_eod()`, which is not exported. A device of unknown size is left alone, and a
    /// bio that starts beyond the end is refused by the block layer.
    fn trim_to_device(&mut self) {
        // SAFETY: The bio is valid and ours.
        let iter = unsafe { ptr::addr_of!((*self.bio.as_ptr()).bi_iter).read_unaligned() };
        let sectors = self.device().sectors();
        if sectors == 0 || iter.bi_sector >= sectors {
            return;
        }
        let room = sectors - iter.bi_sector;
        if u64::from(iter.bi_size >> Sector::SHIFT) <= room {
            return;
        }
        // Smaller than `bi_size`, so it fits.
        let keep = (room << Sector::SHIFT) as u32;
        self.zero_from(keep as usize);
        // SAFETY: The bio is valid and ours. The vector keeps naming every folio, so that the
        // completion finds them all.
        unsafe { ptr::addr_of_mut!((*self.raw()).bi_iter.bi_size).write_unaligned(keep) };
    }

    /// Zeroes what the bio would read from byte `keep` on.
    fn zero_from(&mut self, keep: usize) {
        let bio = self.raw();
        let mut done = 0usize;
        // SAFETY: An unsubmitted bio has `bi_vcnt` initialised entries.
        let vecs =
            unsafe { core::slice::from_raw_parts((*bio).bi_io_vec, usize::from((*bio).bi_vcnt)) };
        for vec in vecs {
            let len = vec.bv_len as usize;
            let skip = keep.saturating_sub(done).min(len);
            // SAFETY: The entry names `len` bytes of locked folios; the helper takes ranges over
            // several pages.
            unsafe {
                bindings::rust_mpage_helper_zero_bvec(ptr::from_ref(vec).cast_mut(), skip as u32)
            };
            done += len;
        }
    }
}

impl Drop for ReadBio {
    /// Ends the folios as failed reads.
    fn drop(&mut self) {
        in_flight::begin();
        // SAFETY: The bio is ours and was never submitted; its completion runs here and frees it.
        unsafe { bindings::rust_mpage_helper_bio_io_error(self.raw()) };
    }
}

// SAFETY: A bio belongs to no thread.
unsafe impl Send for ReadBio {}

/// Completion of a bio of whole folios. C: `mpage_read_end_io()`.
///
/// # Safety
///
/// `bio` must come from a [`ReadBio`], and the block layer must be done with it.
unsafe extern "C" fn end_whole_folios(bio: *mut bindings::bio) {
    // SAFETY: The bio is valid until the `bio_put()` below.
    let success = unsafe { (*bio).bi_status } == 0;
    let mut iter = MaybeUninit::<bindings::folio_iter>::uninit();
    // SAFETY: The helpers initialise and advance the iterator over the bio's own vector; by the
    // invariants of `ReadBio` each folio in it is locked, appears once, and is ours to end.
    unsafe {
        let iter = iter.as_mut_ptr();
        bindings::rust_mpage_helper_bio_first_folio(iter, bio, 0);
        while !(*iter).folio.is_null() {
            // The folio may be gone as soon as it is unlocked: step first.
            let folio = (*iter).folio;
            bindings::rust_mpage_helper_bio_next_folio(iter, bio);
            bindings::folio_end_read(folio, success);
        }
        bindings::bio_put(bio);
    }
    in_flight::end();
}

/// Completion of a bio that reads a piece of one folio.
///
/// # Safety
///
/// As for [`end_whole_folios`]; `bi_private` must hold an `Arc<SplitRead>`.
unsafe extern "C" fn end_piece(bio: *mut bindings::bio) {
    // SAFETY: By the invariants of `ReadBio` this is the share that `add_piece` put there, and
    // nobody else takes it.
    let split = unsafe { Arc::<SplitRead>::from_raw((*bio).bi_private.cast()) };
    // SAFETY: The bio is valid until the `bio_put()` below.
    if unsafe { (*bio).bi_status } != 0 {
        split.fail();
    }
    // SAFETY: The bio is ours and over.
    unsafe { bindings::bio_put(bio) };
    drop(split);
    in_flight::end();
}
