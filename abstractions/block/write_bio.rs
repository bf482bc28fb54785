// SPDX-License-Identifier: GPL-2.0

//! Bios that write folios of the page cache.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)
//!
//! A [`WriteBio`] owns the end of the writeback of the folios that were added to it. It ends in
//! exactly one way: [`WriteBio::submit`] gives it to the block layer, whose completion ends the
//! writeback of every folio once; or it is dropped, and then its folios end as failed writes.

use super::{
    bio::{
        EndedBio,
        UnsubmittedBio, //
    },
    split_write::SplitWrite,
    BlockDevice,
    Sector, //
};
use crate::{
    abstractions::{
        fs::{
            Inode,
            InodeType, //
        },
        mm::{
            ByteRange,
            DirtyFolio,
            Folio,
            WritebackControl,
            WritingFolio, //
        },
    },
    bindings,
};
use kernel::sync::Arc;

/// A write bio under construction, for a device that is open for `'d`. Dropped, its folios end as
/// failed writes.
///
/// # Invariants
///
/// Every folio in the bio is under writeback, whose end it owns, each added once; or it is that of
/// a [`WritePiece`].
#[must_use = "its folios end as failed writes"]
pub struct WriteBio<'d>(UnsubmittedBio<'d>);

impl<'d> WriteBio<'d> {
    /// Allocates a bio for up to `pages` pages (more are clamped to the most a bio can carry) that
    /// writes to `sector` of `device`, for a request: with its urgency, on account of its cgroup,
    /// and with the write hint of its inode.
    ///
    /// [`None`] if there is no memory, which the bio pool makes next to impossible.
    /// C: `bio_alloc()`, `wbc_to_write_flags()`, `wbc_init_bio()`.
    pub fn new<I: InodeType>(
        device: &'d BlockDevice,
        sector: Sector,
        pages: u32,
        request: &WritebackControl<'_, I>,
    ) -> Option<Self> {
        let inode: &Inode = request.inode().as_ref();
        // SAFETY: The request is valid by its invariants.
        let urgency = unsafe { bindings::rust_mpage_helper_wbc_to_write_flags(request.as_raw()) };
        let flags = bindings::req_op_REQ_OP_WRITE | urgency;
        let gfp = bindings::RUST_MPAGE_GFP_NOFS;
        // SAFETY: The completion ends the writeback of folios, and nothing else is added by `add`.
        let mut bio = unsafe {
            UnsubmittedBio::allocate(device, sector, pages, flags, gfp, end_whole_folios)?
        };
        // SAFETY:
        // - the bio is ours, so its field may be set; the inode is valid, as it is borrowed;
        // - the request is valid by its invariants, and the bio has its device.
        unsafe {
            (*bio.as_raw()).bi_write_hint = (*inode.as_raw()).i_write_hint;
            bindings::rust_mpage_helper_wbc_init_bio(request.as_raw(), bio.as_raw());
        }
        // INVARIANT: There are no folios yet.
        Some(Self(bio))
    }

    /// The device that this bio writes to.
    #[inline]
    pub fn device(&self) -> &'d BlockDevice {
        self.0.device()
    }

    /// The sector behind the last one that this bio writes.
    #[inline]
    pub fn end(&self) -> Sector {
        self.0.end()
    }

    /// Bytes that this bio writes.
    #[inline]
    pub fn bytes(&self) -> u32 {
        self.0.bytes()
    }

    /// Adds the first `len` bytes of a folio, to be written behind what the bio has; what of it is
    /// behind the end of the file is zeroed. Its blocks there are clean from now on, its writeback
    /// starts, and it is unlocked; the writeback ends when the bio does. A full bio hands the folio
    /// back, and so does any if `len` is not whole sectors of it, or the folio is not uptodate:
    /// what is in it then is nobody's. C: `bio_add_folio()`.
    pub fn add<'w, I: InodeType>(
        &mut self,
        folio: DirtyFolio<'w, I>,
        len: usize,
    ) -> Result<(), DirtyFolio<'w, I>> {
        if !folio.is_uptodate() {
            return Err(folio);
        }
        folio.zero_behind(folio.file_size());
        self.add_valid(folio, ByteRange { start: 0, len })
    }

    /// As [`Self::add`], of `range` of a folio, which is valid, and zero behind the end of the
    /// file.
    pub(crate) fn add_valid<'w, I>(
        &mut self,
        folio: DirtyFolio<'w, I>,
        range: ByteRange,
    ) -> Result<(), DirtyFolio<'w, I>> {
        // SAFETY: The folio is locked, and then under writeback until the completion ends that.
        if !unsafe { self.0.add(&folio, range) } {
            return Err(folio);
        }
        self.end_where_it_can_be_dropped(&folio);
        // INVARIANT: The writeback that is started here is the bio's to end.
        let started = folio.start_writeback();
        started.clean(range);
        Ok(())
    }

    /// Has the bio end in a task, where a folio can leave memory, if this is one that is not to
    /// stay when it has been written. C: what `iomap_writeback_folio()` does about dropping behind.
    fn end_where_it_can_be_dropped(&mut self, folio: &Folio) {
        // SAFETY: The bio is ours and not submitted, and the folio is valid.
        unsafe { bindings::rust_mpage_helper_bio_may_drop(self.0.as_raw(), folio.as_raw()) };
    }

    /// Gives the bio to the block layer. A bio that reaches over the end of an odd-sized device is
    /// cut there, for there is nowhere to write the rest.
    ///
    /// C: `submit_bio()`, `guard_bio_eod()`.
    pub fn submit(mut self) {
        if let Some(keep) = self.0.bytes_within_device() {
            self.0.cut(keep);
        }
        self.0.submit();
    }
}

/// A bio of one piece of a folio that several bios write. It is for nothing else, and so there is
/// nothing that can be added to it.
///
/// # Invariants
///
/// The bio has a share of a `SplitWrite`, to which the end of its folio's writeback belongs, and no
/// other folio.
#[must_use = "the piece ends as a failed write"]
pub(super) struct WritePiece<'d>(WriteBio<'d>);

impl<'d> WritePiece<'d> {
    /// Allocates a bio that writes `range` of the folio of `split` to `sector` of `device`.
    ///
    /// [`None`] if there are no such sectors in the folio; for want of memory it is next to
    /// impossible.
    pub(super) fn new<I: InodeType>(
        device: &'d BlockDevice,
        sector: Sector,
        request: &WritebackControl<'_, I>,
        split: Arc<SplitWrite>,
        range: ByteRange,
    ) -> Option<Self> {
        // A range of one folio is contiguous in memory and takes one vector.
        let mut bio = WriteBio::new(device, sector, 1, request)?;
        bio.end_where_it_can_be_dropped(split.folio());
        // SAFETY:
        // - the bio is empty, for it has been allocated just now, and nothing is added to it by the
        //   invariants of `Self`;
        // - the folio stays while a share of the split write lives: it is under writeback;
        // - `end_piece` takes the share.
        let bio = unsafe { bio.0.of_piece(SplitWrite::folio, range, split, end_piece) };
        // INVARIANT: As made.
        bio.map(|bio| Self(WriteBio(bio)))
    }

    /// Gives the bio to the block layer, as [`WriteBio::submit`].
    pub(super) fn submit(self) {
        self.0.submit();
    }
}

/// Completion of a bio of whole folios. C: `mpage_write_end_io()`.
///
/// # Safety
///
/// `bio` must come from a [`WriteBio`], and the block layer must be done with it.
unsafe extern "C" fn end_whole_folios(bio: *mut bindings::bio) {
    // SAFETY: By the safety requirements.
    let bio = unsafe { EndedBio::from_raw(bio) };
    let result = bio.result();
    bio.for_each_folio(|folio| {
        // SAFETY: By the invariants of `WriteBio` each folio in it is under writeback, appears
        // once, and is ours to end.
        unsafe { WritingFolio::from_raw(folio) }.end(result);
    });
}

/// Completion of a bio that writes a piece of one folio.
///
/// # Safety
///
/// `bio` must be that of a [`WritePiece`], and the block layer must be done with it.
unsafe extern "C" fn end_piece(bio: *mut bindings::bio) {
    // SAFETY: By the safety requirements.
    let bio = unsafe { EndedBio::from_raw(bio) };
    // SAFETY: The share of a `WritePiece` is one of a `SplitWrite`, and nobody else takes it.
    let split = unsafe { bio.take_share::<SplitWrite>() };
    if let Err(error) = bio.result() {
        split.fail(error);
    }
}
