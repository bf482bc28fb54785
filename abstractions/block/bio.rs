// SPDX-License-Identifier: GPL-2.0

//! What bios that read and bios that write have in common: a bio before it is submitted, and after
//! it has ended. In between it is the block layer's, and nothing here can touch it.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)
//!
//! Locks: none. Completions run in interrupt context, so nothing of [`EndedBio`] sleeps.

use super::{
    in_flight,
    BlockDevice,
    Sector, //
};
use crate::{
    abstractions::mm::{
        ByteRange,
        Folio, //
    },
    bindings,
};
use core::{
    marker::PhantomData,
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        to_result,
        Result, //
    },
    sync::Arc, //
};

/// What the block layer calls when a bio has ended. It makes an [`EndedBio`] of it.
pub(super) type Completion = unsafe extern "C" fn(*mut bindings::bio);

/// A bio under construction, for a device that is open for `'d`. It ends in one way:
/// [`Self::submit`], or it is dropped, and then its completion sees it fail.
///
/// # Invariants
///
/// `bio` is a valid bio that this value owns alone and that was never submitted. Its completion is
/// fit for all that was added to it. Its device is open for `'d`.
#[must_use = "the bio fails"]
pub(super) struct UnsubmittedBio<'d> {
    bio: NonNull<bindings::bio>,
    _device: PhantomData<&'d BlockDevice>,
}

// SAFETY: A bio belongs to no thread.
unsafe impl Send for UnsubmittedBio<'_> {}

impl<'d> UnsubmittedBio<'d> {
    /// Allocates a bio for up to `pages` pages; more are clamped to the most a bio can carry.
    ///
    /// [`None`] if there is no memory. C: `bio_alloc()`.
    ///
    /// # Safety
    ///
    /// `completion` must be fit to end whatever will be added.
    #[inline(always)]
    pub(super) unsafe fn allocate(
        device: &'d BlockDevice,
        sector: Sector,
        pages: u32,
        flags: bindings::blk_opf_t,
        gfp: bindings::gfp_t,
        completion: Completion,
    ) -> Option<Self> {
        let vecs = pages.clamp(1, bindings::BIO_MAX_VECS) as u16;
        // SAFETY: `device` is valid by its invariants, and `fs_bio_set` is initialised at boot.
        let bio = unsafe {
            bindings::bio_alloc_bioset(
                device.as_raw(),
                vecs,
                flags,
                gfp,
                ptr::addr_of_mut!(bindings::fs_bio_set),
            )
        };
        let bio = NonNull::new(bio)?;
        // SAFETY: A bio fresh from the allocator is ours alone.
        unsafe {
            (*bio.as_ptr()).bi_iter.bi_sector = sector.0;
            (*bio.as_ptr()).bi_end_io = Some(completion);
        }
        // INVARIANT: Fresh and unsubmitted; the completion is fit by the safety requirements.
        Some(Self {
            bio,
            _device: PhantomData,
        })
    }

    /// The C pointer.
    #[inline(always)]
    pub(super) fn as_raw(&mut self) -> *mut bindings::bio {
        self.bio.as_ptr()
    }

    #[inline(always)]
    fn iter(&self) -> bindings::bvec_iter {
        // SAFETY: The bio is valid and ours.
        unsafe { ptr::addr_of!((*self.bio.as_ptr()).bi_iter).read_unaligned() }
    }

    /// The device.
    #[inline(always)]
    pub(super) fn device(&self) -> &'d BlockDevice {
        // SAFETY: The bio is valid, and its device open for that long, by the type invariants.
        unsafe { BlockDevice::from_raw((*self.bio.as_ptr()).bi_bdev) }
    }

    /// The sector behind the last one that the bio is about.
    #[inline(always)]
    pub(super) fn end(&self) -> Sector {
        let iter = self.iter();
        Sector(iter.bi_sector).advanced_by(iter.bi_size)
    }

    /// The bytes that the bio is about.
    #[inline(always)]
    pub(super) fn bytes(&self) -> u32 {
        self.iter().bi_size
    }

    /// Adds `range` of a folio behind what the bio has. Whether it had room, and the folio has such
    /// sectors. C: `bio_add_folio()`, which believes that.
    ///
    /// # Safety
    ///
    /// If it had: the folio must stay until the completion is done with it.
    #[inline(always)]
    pub(super) unsafe fn add(&mut self, folio: &Folio, range: ByteRange) -> bool {
        if !folio.has_sectors(range) {
            return false;
        }
        // SAFETY: The bio is ours, the folio valid, and it stays by the safety requirements; the
        // range is in it.
        unsafe { bindings::bio_add_folio(self.as_raw(), folio.as_raw(), range.len, range.start) }
    }

    /// Makes the bio one of `range` of a folio that several bios share, and of nothing else.
    /// [`None`] if it cannot take even this; the share is dropped then.
    ///
    /// # Safety
    ///
    /// The bio must be empty, and nothing be added to it. The folio must stay while the share
    /// lives, and `completion` must take the share with [`EndedBio::take_share`].
    pub(super) unsafe fn of_piece<T>(
        mut self,
        folio: impl FnOnce(&T) -> &Folio,
        range: ByteRange,
        share: Arc<T>,
        completion: Completion,
    ) -> Option<Self> {
        // SAFETY: The folio stays by the safety requirements.
        if !unsafe { self.add(folio(&share), range) } {
            return None;
        }
        let bio = self.as_raw();
        // SAFETY: The bio is ours. INVARIANT: The share is there for the completion to take, which
        // has nothing else to end.
        unsafe {
            (*bio).bi_private = Arc::into_raw(share).cast_mut().cast();
            (*bio).bi_end_io = Some(completion);
        }
        Some(self)
    }

    /// If the bio reaches over the end of its device, the bytes that are within. A device of
    /// unknown size is left alone, and a bio that starts beyond the end is refused by the block
    /// layer.
    ///
    /// C: the first half of `guard_bio_eod()`, which is not exported.
    #[inline(always)]
    pub(super) fn bytes_within_device(&self) -> Option<u32> {
        let iter = self.iter();
        let sectors = self.device().sectors();
        if sectors == 0 || iter.bi_sector >= sectors {
            return None;
        }
        let room = sectors - iter.bi_sector;
        // Smaller than `bi_size`, so it fits.
        (u64::from(iter.bi_size >> Sector::SHIFT) > room).then_some((room << Sector::SHIFT) as u32)
    }

    /// Makes the bio shorter. Its vector keeps naming every folio, so that the completion finds
    /// them all. C: the second half of `guard_bio_eod()`.
    pub(super) fn cut(&mut self, bytes: u32) {
        // SAFETY: The bio is valid and ours.
        unsafe { ptr::addr_of_mut!((*self.as_raw()).bi_iter.bi_size).write_unaligned(bytes) };
    }

    /// Gives the bio to the block layer, unless it is empty: drivers rely on that there is
    /// something to do. C: `submit_bio()`.
    #[inline(always)]
    pub(super) fn submit(self) {
        if self.bytes() == 0 {
            return;
        }
        let mut this = ManuallyDrop::new(self);
        in_flight::begin();
        // SAFETY: The bio is valid, has a completion, and is never touched again by us.
        unsafe { bindings::submit_bio(this.as_raw()) };
    }

    /// Gives the bio to the block layer and waits until it has ended; its completion is not called.
    /// C: `submit_bio_wait()`.
    pub(super) fn submit_and_wait(self) -> Result {
        let mut this = ManuallyDrop::new(self);
        // SAFETY:
        // - the bio is valid and ours to submit, and submit_bio_wait() gives it a completion;
        // - it is over when that returns, so its reference may be given back.
        unsafe {
            let result = to_result(bindings::submit_bio_wait(this.as_raw()));
            bindings::bio_put(this.as_raw());
            result
        }
    }
}

impl Drop for UnsubmittedBio<'_> {
    /// The bio fails.
    fn drop(&mut self) {
        in_flight::begin();
        // SAFETY: The bio is ours and was never submitted; its completion runs here and frees it.
        unsafe { bindings::rust_mpage_helper_bio_io_error(self.as_raw()) };
    }
}

/// A bio that has ended, in its completion. Dropped, it is given back.
///
/// # Invariants
///
/// The pointer is to a valid bio of an [`UnsubmittedBio`] that the block layer is done with.
pub(super) struct EndedBio(NonNull<bindings::bio>);

impl EndedBio {
    /// Takes over a bio.
    ///
    /// # Safety
    ///
    /// `bio` must be what a [`Completion`] was called with, and nobody else takes it over.
    #[inline(always)]
    pub(super) unsafe fn from_raw(bio: *mut bindings::bio) -> Self {
        // SAFETY: The block layer calls completions with a bio.
        // INVARIANT: By the safety requirements.
        Self(unsafe { NonNull::new_unchecked(bio) })
    }

    #[inline(always)]
    fn status(&self) -> bindings::blk_status_t {
        // SAFETY: The bio is valid.
        unsafe { (*self.0.as_ptr()).bi_status }
    }

    /// Whether all of it was read or written.
    #[inline(always)]
    pub(super) fn is_ok(&self) -> bool {
        self.status() == 0
    }

    /// The same, with the errno. C: `blk_status_to_errno()`.
    pub(super) fn result(&self) -> Result {
        // SAFETY: The function takes any status.
        to_result(unsafe { bindings::blk_status_to_errno(self.status()) })
    }

    /// Calls `end` with each folio that was added, once. The folio may be gone after that.
    /// C: `bio_for_each_folio_all()`.
    #[inline(always)]
    pub(super) fn for_each_folio(&self, mut end: impl FnMut(*mut bindings::folio)) {
        let mut iter = MaybeUninit::<bindings::folio_iter>::uninit();
        let iter = iter.as_mut_ptr();
        // SAFETY:
        // - the iterator is ours, and initialised by the first call;
        // - the bio is valid by the type invariants, and has its own vector still;
        // - the step to the next folio is made while the last one is still there.
        unsafe {
            bindings::rust_mpage_helper_bio_first_folio(iter, self.0.as_ptr(), 0);
            while !(*iter).folio.is_null() {
                let folio = (*iter).folio;
                bindings::rust_mpage_helper_bio_next_folio(iter, self.0.as_ptr());
                end(folio);
            }
        }
    }

    /// The share of a folio that the bio was about.
    ///
    /// # Safety
    ///
    /// It must have been given with [`UnsubmittedBio::add_piece`], with this type, and may be taken
    /// once.
    pub(super) unsafe fn take_share<T>(&self) -> Arc<T> {
        // SAFETY: The bio is valid by the type invariants. `add_piece()` has put there what
        // `Arc::into_raw()` gave for this type, and it is taken once, by the safety requirements.
        unsafe { Arc::from_raw((*self.0.as_ptr()).bi_private.cast()) }
    }
}

impl Drop for EndedBio {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: The bio is ours and over.
        unsafe { bindings::bio_put(self.0.as_ptr()) };
        in_flight::end();
    }
}
