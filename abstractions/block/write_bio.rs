// SPDX-License-Identifier: GPL-2.0

//! Bios that write folios of the page cache.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)
//!
//! A [`WriteBio`] owns the end of the writeback of the folios that were added to it. It ends in
//! exactly one way: [`WriteBio::submit`] gives it to the block layer, whose completion ends the
//! writeback of every folio once; or it is dropped, and then its folios end as failed writes.

use super::{
    in_flight,
    split_write::SplitWrite,
    BlockDevice,
    Sector, //
};
use crate::{
    abstractions::{
        fs::Inode,
        mm::{
            ByteRange,
            DirtyFolio,
            WritebackControl,
            WritingFolio, //
        },
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
use kernel::{
    error::{
        to_result,
        Result, //
    },
    sync::Arc, //
};

/// A write bio under construction.
///
/// # Invariants
///
/// - `bio` is a valid write bio that this value owns alone and that was never submitted.
/// - Every folio in it is under writeback, whose end it owns, each added once; or `bi_private` is
///   an `Arc<SplitWrite>` turned raw, and the end belongs to that.
pub struct WriteBio {
    bio: NonNull<bindings::bio>,
}

impl WriteBio {
    /// Allocates a bio for up to `pages` pages (more are clamped to the most a bio can carry) that
    /// writes to `sector` of `device`, for a request that is about `inode`: with its urgency, on
    /// account of its cgroup, and with the write hint of the inode.
    ///
    /// [`None`] if there is no memory, which the bio pool makes next to impossible.
    /// C: `bio_alloc()`, `wbc_to_write_flags()`, `wbc_init_bio()`.
    pub fn new(
        device: &BlockDevice,
        sector: Sector,
        pages: u32,
        request: &WritebackControl<'_>,
        inode: &Inode,
    ) -> Option<Self> {
        let vecs = pages.clamp(1, bindings::BIO_MAX_VECS) as u16;
        // SAFETY: `device` and the request are valid by their invariants, and `fs_bio_set` is
        // initialised at boot.
        let bio = unsafe {
            bindings::bio_alloc_bioset(
                device.as_raw(),
                vecs,
                bindings::req_op_REQ_OP_WRITE
                    | bindings::rust_mpage_helper_wbc_to_write_flags(request.as_raw()),
                bindings::RUST_MPAGE_GFP_NOFS,
                ptr::addr_of_mut!(bindings::fs_bio_set),
            )
        };
        let bio = NonNull::new(bio)?;
        // SAFETY: A bio fresh from the allocator is ours alone; request and inode are valid.
        unsafe {
            (*bio.as_ptr()).bi_iter.bi_sector = sector.0;
            (*bio.as_ptr()).bi_end_io = Some(end_whole_folios);
            (*bio.as_ptr()).bi_write_hint = (*inode.as_raw()).i_write_hint;
            bindings::rust_mpage_helper_wbc_init_bio(request.as_raw(), bio.as_ptr());
        }
        // INVARIANT: Fresh, write, unsubmitted, without folios.
        Some(Self { bio })
    }

    #[inline(always)]
    fn raw(&mut self) -> *mut bindings::bio {
        self.bio.as_ptr()
    }

    /// The device that this bio writes to.
    #[inline(always)]
    pub fn device(&self) -> &BlockDevice {
        // SAFETY: The bio is valid; its device stays open while an unsubmitted bio refers to it,
        // because `new` borrowed it from an open mount.
        unsafe { BlockDevice::from_raw((*self.bio.as_ptr()).bi_bdev) }
    }

    /// The sector behind the last one that this bio writes.
    #[inline(always)]
    pub fn end(&self) -> Sector {
        // SAFETY: The bio is valid and ours.
        let iter = unsafe { ptr::addr_of!((*self.bio.as_ptr()).bi_iter).read_unaligned() };
        Sector(iter.bi_sector).advanced_by(iter.bi_size)
    }

    /// Bytes that this bio writes.
    #[inline(always)]
    pub fn bytes(&self) -> u32 {
        // SAFETY: The bio is valid and ours.
        unsafe { ptr::addr_of!((*self.bio.as_ptr()).bi_iter.bi_size).read_unaligned() }
    }

    /// Adds the first `len` bytes of a folio, to be written behind what the bio has. Its buffers,
    /// if any, are marked clean, its writeback starts, and it is unlocked; the writeback ends when
    /// the bio does. A full bio hands the folio back, as it was. C: `bio_add_folio()`.
    pub fn add<'w>(&mut self, folio: DirtyFolio<'w>, len: usize) -> Result<(), DirtyFolio<'w>> {
        // SAFETY: The bio is ours, and the folio is locked and so cannot go away.
        if !unsafe { bindings::bio_add_folio(self.raw(), folio.as_raw(), len, 0) } {
            return Err(folio);
        }
        // INVARIANT: The writeback that is started here is the bio's to end.
        let started = folio.start_writeback();
        started.clean_buffers(ByteRange { start: 0, len });
        Ok(())
    }

    /// Adds a piece of a folio that several bios write. The bio must be empty and takes nothing
    /// else; a bio that cannot take even this hands the share back.
    pub(super) fn add_piece(
        &mut self,
        split: Arc<SplitWrite>,
        range: ByteRange,
    ) -> Result<(), Arc<SplitWrite>> {
        let bio = self.raw();
        let folio = split.folio().as_raw();
        // SAFETY: The bio is ours; the folio is under writeback while `split` lives.
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
    /// cut there, for there is nowhere to write the rest.
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
        // SAFETY: The bio is valid and ours. The vector keeps naming every folio, so that the
        // completion finds them all.
        unsafe { ptr::addr_of_mut!((*self.raw()).bi_iter.bi_size).write_unaligned(keep) };
    }
}

impl Drop for WriteBio {
    /// Ends the folios as failed writes.
    fn drop(&mut self) {
        in_flight::begin();
        // SAFETY: The bio is ours and was never submitted; its completion runs here and frees it.
        unsafe { bindings::rust_mpage_helper_bio_io_error(self.raw()) };
    }
}

// SAFETY: A bio belongs to no thread.
unsafe impl Send for WriteBio {}

/// How a bio has ended.
///
/// # Safety
///
/// `bio` must be valid and over.
unsafe fn result_of(bio: *mut bindings::bio) -> Result {
    // SAFETY: By the safety requirements.
    to_result(unsafe { bindings::blk_status_to_errno((*bio).bi_status) })
}

/// Completion of a bio of whole folios. C: `mpage_write_end_io()`.
///
/// # Safety
///
/// `bio` must come from a [`WriteBio`], and the block layer must be done with it.
unsafe extern "C" fn end_whole_folios(bio: *mut bindings::bio) {
    // SAFETY: The bio is valid until the `bio_put()` below.
    let result = unsafe { result_of(bio) };
    let mut iter = MaybeUninit::<bindings::folio_iter>::uninit();
    // SAFETY: The helpers initialise and advance the iterator over the bio's own vector; by the
    // invariants of `WriteBio` each folio in it is under writeback, appears once, and is ours to
    // end.
    unsafe {
        let iter = iter.as_mut_ptr();
        bindings::rust_mpage_helper_bio_first_folio(iter, bio, 0);
        while !(*iter).folio.is_null() {
            // The folio may be gone as soon as its writeback has ended: step first.
            let folio = WritingFolio::from_raw((*iter).folio);
            bindings::rust_mpage_helper_bio_next_folio(iter, bio);
            folio.end(result);
        }
        bindings::bio_put(bio);
    }
    in_flight::end();
}

/// Completion of a bio that writes a piece of one folio.
///
/// # Safety
///
/// As for [`end_whole_folios`]; `bi_private` must hold an `Arc<SplitWrite>`.
unsafe extern "C" fn end_piece(bio: *mut bindings::bio) {
    // SAFETY: By the invariants of `WriteBio` this is the share that `add_piece` put there, and
    // nobody else takes it.
    let split = unsafe { Arc::<SplitWrite>::from_raw((*bio).bi_private.cast()) };
    // SAFETY: The bio is valid until the `bio_put()` below.
    if let Err(error) = unsafe { result_of(bio) } {
        split.fail(error);
    }
    // SAFETY: The bio is ours and over.
    unsafe { bindings::bio_put(bio) };
    drop(split);
    in_flight::end();
}
