// SPDX-License-Identifier: GPL-2.0

//! The functions of `include/linux/rust_mpage.h`.

use super::get_block::GetBlock;
use crate::{
    abstractions::{
        fs::Inode,
        mm::{
            DirtyFolio,
            LockedFolio,
            Readahead,
            WritebackControl, //
        }, //
    },
    bindings,
    mpage::{
        self,
        Hooked, //
    }, //
};
use kernel::{
    error::to_result,
    ffi::c_int, //
};

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
    // SAFETY: By the safety requirements; the inode is in use by whoever reads it.
    let request = unsafe { Readahead::<'_, Inode>::from_raw(rac) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    mpage::readahead(mapper, request);
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
    // SAFETY: By the safety requirements; the inode is in use by whoever reads it.
    let folio = unsafe { LockedFolio::<'_, Inode>::from_raw(folio) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    mpage::read_folio(mapper, folio).map_or_else(|error| error.to_errno(), |()| 0)
}

/// C counterpart: `mpage_writepages()`.
///
/// # Safety
///
/// As the header says: `mapping` and `wbc` are the arguments of a running `writepages` operation,
/// and `get_block` is the filesystem's.
#[no_mangle]
unsafe extern "C" fn rust_mpage_writepages(
    mapping: *mut bindings::address_space,
    wbc: *mut bindings::writeback_control,
    get_block: bindings::get_block_t,
) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { __rust_mpage_writepages(mapping, wbc, get_block, None) }
}

/// A C filesystem's own handler of a folio.
type WriteFolio =
    unsafe extern "C" fn(*mut bindings::folio, *mut bindings::writeback_control) -> c_int;

/// C counterpart: `__mpage_writepages()`.
///
/// # Safety
///
/// As for [`rust_mpage_writepages`], and `write_folio` is a handler as the header says.
#[no_mangle]
unsafe extern "C" fn __rust_mpage_writepages(
    mapping: *mut bindings::address_space,
    wbc: *mut bindings::writeback_control,
    get_block: bindings::get_block_t,
    write_folio: Option<WriteFolio>,
) -> c_int {
    // SAFETY: By the safety requirements; the inode is in use by whoever writes it back.
    let request = unsafe { WritebackControl::<'_, Inode>::from_raw(mapping, wbc) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    let result = match write_folio {
        None => mpage::writepages(mapper, request),
        Some(write_folio) => mpage::writepages_with(mapper, request, |request, folio| {
            let folio = folio.into_raw();
            // SAFETY: The handler may be called with a folio of the request, locked and picked.
            let answer = unsafe { write_folio(folio.as_ptr(), request.as_raw()) };
            if answer > 0 {
                // SAFETY: The handler has left the folio and its lock as they were.
                Hooked::Declined(unsafe { DirtyFolio::from_raw(request, folio) })
            } else {
                Hooked::Handled(to_result(answer))
            }
        }),
    };
    result.map_or_else(|error| error.to_errno(), |()| 0)
}

/// The header and the definitions say the same.
const _: () = {
    type WritepagesFn = unsafe extern "C" fn(
        *mut bindings::address_space,
        *mut bindings::writeback_control,
        bindings::get_block_t,
    ) -> c_int;
    type HookedWritepagesFn = unsafe extern "C" fn(
        *mut bindings::address_space,
        *mut bindings::writeback_control,
        bindings::get_block_t,
        Option<WriteFolio>,
    ) -> c_int;
    type ReadaheadFn =
        unsafe extern "C" fn(*mut bindings::readahead_control, bindings::get_block_t);
    type ReadFolioFn = unsafe extern "C" fn(*mut bindings::folio, bindings::get_block_t) -> c_int;

    let _: [ReadaheadFn; 2] = [bindings::rust_mpage_readahead, rust_mpage_readahead];
    let _: [ReadFolioFn; 2] = [bindings::rust_mpage_read_folio, rust_mpage_read_folio];
    let _: [WritepagesFn; 2] = [bindings::rust_mpage_writepages, rust_mpage_writepages];
    let _: [HookedWritepagesFn; 2] = [bindings::__rust_mpage_writepages, __rust_mpage_writepages];
};
