// SPDX-License-Identifier: GPL-2.0

//! The functions of `include/linux/rust_mpage.h` that `fs/mpage.c` had in 2017, for callers that
//! hold pages themselves.

use super::get_block::GetBlock;
use crate::{
    abstractions::{
        fs::Inode,
        mm::{
            DirtyFolio,
            Folio,
            LockedFolio,
            PageList,
            WritebackControl, //
        }, //
    },
    bindings,
    mpage, //
};
use core::ptr::NonNull;
use kernel::{
    error::code::EAGAIN,
    ffi::{
        c_int,
        c_uint, //
    }, //
};

/// C counterpart: `mpage_readpages()` of 2017.
///
/// # Safety
///
/// As the header says: `pages` is a list of pages for `mapping`, which is the mapping of an inode,
/// and `get_block` is the filesystem's.
#[no_mangle]
unsafe extern "C" fn rust_mpage_readpages(
    mapping: *mut bindings::address_space,
    pages: *mut bindings::list_head,
    nr_pages: c_uint,
    get_block: bindings::get_block_t,
) -> c_int {
    // SAFETY: By the safety requirements; the inode is in use by whoever reads it.
    let list = unsafe { PageList::from_raw(mapping, pages, nr_pages) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    mpage::readpages(mapper, list);
    0
}

/// C counterpart: `mpage_readpage()` of 2017.
///
/// # Safety
///
/// As the header says: `page` is a page of a locked page-cache folio whose lock passes to the
/// callee, and `get_block` is the filesystem's.
#[no_mangle]
unsafe extern "C" fn rust_mpage_readpage(
    page: *mut bindings::page,
    get_block: bindings::get_block_t,
) -> c_int {
    // SAFETY: By the safety requirements.
    let folio = unsafe { bindings::rust_mpage_helper_page_folio(page) };
    // SAFETY: By the safety requirements; the inode is in use by whoever reads it.
    let folio = unsafe { LockedFolio::<'_, Inode>::from_raw(folio) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    mpage::read_folio(mapper, folio).map_or_else(|error| error.to_errno(), |()| 0)
}

/// C counterpart: `mpage_writepage()` of 2017.
///
/// # Safety
///
/// As the header says: `page` is a page of a page-cache folio that is locked, not under writeback
/// and was picked for `wbc`; unless this returns `-EAGAIN`, its lock passes to the callee.
/// `get_block` is the filesystem's.
#[no_mangle]
unsafe extern "C" fn rust_mpage_writepage(
    page: *mut bindings::page,
    get_block: bindings::get_block_t,
    wbc: *mut bindings::writeback_control,
) -> c_int {
    // SAFETY:
    // - the page is valid by the safety requirements;
    // - a page of the page cache has a folio, which is not at address 0;
    // - that is locked, and so stays in its mapping, by the safety requirements.
    let (raw, folio) = unsafe {
        let raw = bindings::rust_mpage_helper_page_folio(page);
        (NonNull::new_unchecked(raw), Folio::from_raw(raw))
    };
    // SAFETY: By the safety requirements; the caller leaves `wbc` alone meanwhile, and the inode is
    // in use by whoever writes it back.
    let request = unsafe { WritebackControl::<'_, Inode>::from_raw(folio.mapping(), wbc) };
    // SAFETY: By the safety requirements.
    let mapper = unsafe { GetBlock::new(get_block) };
    // SAFETY: By the safety requirements.
    let folio = unsafe { DirtyFolio::from_raw(&request, raw) };
    // A folio that comes back is the caller's again, its lock and the duty to write it.
    let left = mpage::writepage(mapper, &request, folio).map_err(DirtyFolio::into_raw);
    left.map_or_else(|_| EAGAIN.to_errno(), |()| 0)
}

/// The header and the definitions say the same.
const _: () = {
    type ReadpagesFn = unsafe extern "C" fn(
        *mut bindings::address_space,
        *mut bindings::list_head,
        c_uint,
        bindings::get_block_t,
    ) -> c_int;
    type ReadpageFn = unsafe extern "C" fn(*mut bindings::page, bindings::get_block_t) -> c_int;

    type WritepageFn = unsafe extern "C" fn(
        *mut bindings::page,
        bindings::get_block_t,
        *mut bindings::writeback_control,
    ) -> c_int;

    let _: [ReadpagesFn; 2] = [bindings::rust_mpage_readpages, rust_mpage_readpages];
    let _: [ReadpageFn; 2] = [bindings::rust_mpage_readpage, rust_mpage_readpage];
    let _: [WritepageFn; 2] = [bindings::rust_mpage_writepage, rust_mpage_writepage];
};
