// SPDX-License-Identifier: GPL-2.0

//! The functions of `include/linux/rust_mpage.h`.

use super::get_block::GetBlock;
use crate::{
    abstractions::{
        fs::{
            Inode,
            InodeType, //
        },
        mm::{
            LockedFolio,
            Readahead, //
        }, //
    },
    bindings,
    mpage, //
};
use kernel::ffi::c_int;

/// C counterpart: `mpage_readahead()`.
///
/// # Safety
///
/// As the header says: `rac` is the argument of a running `readahead` operation, and `get_block`
/// is the filesystem's.
#[no_mangle]
unsafe extern "C" fn rust_mpage_readahead(
    rac: *mut bindings::readahead_control,
    get_block: bindings::get_block_t,
) {
    // SAFETY: By the safety requirements.
    let request = unsafe { Readahead::from_raw(rac) };
    // SAFETY: The inode is referenced by whoever reads it.
    let inode = unsafe { Inode::from_raw(request.host()) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    mpage::readahead(mapper, inode, request);
}

/// C counterpart: `mpage_read_folio()`.
///
/// # Safety
///
/// As the header says: `folio` is a locked page-cache folio whose lock passes to the callee, and
/// `get_block` is the filesystem's.
#[no_mangle]
unsafe extern "C" fn rust_mpage_read_folio(
    folio: *mut bindings::folio,
    get_block: bindings::get_block_t,
) -> c_int {
    // SAFETY: By the safety requirements.
    let folio = unsafe { LockedFolio::from_raw(folio) };
    // SAFETY: The inode is referenced by whoever reads it.
    let inode = unsafe { Inode::from_raw(folio.host()) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    mpage::read_folio(mapper, inode, folio).map_or_else(|error| error.to_errno(), |()| 0)
}

/// The header and the definitions say the same.
const _: () = {
    type ReadaheadFn =
        unsafe extern "C" fn(*mut bindings::readahead_control, bindings::get_block_t);
    type ReadFolioFn = unsafe extern "C" fn(*mut bindings::folio, bindings::get_block_t) -> c_int;

    let _: [ReadaheadFn; 2] = [bindings::rust_mpage_readahead, rust_mpage_readahead];
    let _: [ReadFolioFn; 2] = [bindings::rust_mpage_read_folio, rust_mpage_read_folio];
};
