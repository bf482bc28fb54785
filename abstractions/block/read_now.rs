// SPDX-License-Identifier: GPL-2.0

//! Reads that somebody waits for on the spot: a block of which a write does not cover all.
//!
//! C header: [`include/linux/bio.h`](srctree/include/linux/bio.h)
//!
//! Locks: the caller has the folio's lock, and no bio that was not submitted.

use super::{
    bio::{
        EndedBio,
        UnsubmittedBio, //
    },
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
use kernel::error::{
    code::{
        EIO,
        ENOMEM, //
    },
    Result, //
};

/// Completion of a bio that was never submitted.
///
/// # Safety
///
/// `bio` must come from [`read_now`].
unsafe extern "C" fn give_back(bio: *mut bindings::bio) {
    // SAFETY: By the safety requirements.
    drop(unsafe { EndedBio::from_raw(bio) });
}

/// Reads a range of a folio from `sector` of `device` on, and waits for that. What is behind the
/// end of an odd-sized device is zero.
///
/// # Errors
///
/// What the device says; `EIO` if there are no such sectors in the folio; `ENOMEM`, which the bio
/// pool makes next to impossible.
///
/// # Safety
///
/// The caller must have locked the folio, and nobody may read the range.
pub(in crate::abstractions) unsafe fn read_now(
    device: &BlockDevice,
    sector: Sector,
    folio: &Folio,
    range: ByteRange,
) -> Result {
    let flags = bindings::req_op_REQ_OP_READ | 1 << bindings::req_flag_bits___REQ_SYNC;
    let gfp = bindings::RUST_MPAGE_GFP_NOFS;
    // SAFETY: The completion suits a bio that ends nothing.
    let bio = unsafe { UnsubmittedBio::allocate(device, sector, 1, flags, gfp, give_back) };
    let mut bio = bio.ok_or(ENOMEM)?;
    // SAFETY: The folio stays: the caller has locked it, and the bio is over when this returns.
    if !unsafe { bio.add(folio, range) } {
        return Err(EIO);
    }
    if let Some(keep) = bio.bytes_within_device() {
        let (from, end) = (range.start + keep as usize, range.end());
        // SAFETY: The folio is locked, nobody reads the range, and it is in the folio.
        unsafe { bindings::rust_mpage_helper_folio_zero_segment(folio.as_raw(), from, end) };
        bio.cut(keep);
    }
    bio.submit_and_wait()
}
