// SPDX-License-Identifier: GPL-2.0

//! What C calls: the mapper's table, and operations that lead to the library's Rust interface.
//!
//! Locks: the folios come locked, and the library unlocks them. Nothing here takes a lock.

use super::{
    bindings,
    TestInode, //
};
use crate::table::{
    TableMapper,
    What, //
};
use core::ptr;
use kernel::prelude::*;
use rust_mpage::{
    block::{
        ReadBio,
        ReadIntent,
        Sector,
        WriteBio, //
    },
    fs::{
        AddressSpaceOperations,
        AddressSpaceVTable,
        InodeType, //
    },
    mm::{
        LockedFolio,
        Readahead,
        WritebackControl, //
    }, //
};

/// The table for the C mapper of `page_cache.c`, which is declared in `page_cache.h`.
///
/// # Safety
///
/// `inode` must be a [`TestInode`], and `mapping` writable.
#[no_mangle]
unsafe extern "C" fn test_lookup(
    _table: *mut c_void,
    inode: *mut kernel::bindings::inode,
    at: u64,
    max: u64,
    create: bool,
    mapping: *mut bindings::test_mapping,
) -> c_int {
    // SAFETY: By the safety requirements.
    let inode = unsafe { TestInode::from_raw(inode) };
    let answer = match inode.ask(at, max, create) {
        Ok(answer) => answer,
        Err(error) => return error.to_errno(),
    };
    let main = inode.main_device().as_raw();
    let (bdev, block) = match answer.what {
        What::Hole => return 0,
        What::Fails(error) => return error.to_errno(),
        What::NoDevice(block) => (ptr::null_mut(), block),
        What::Other(block) => (inode.other_device().as_raw(), block),
        What::Run(block)
        | What::Boundary(block)
        | What::Fresh(block)
        | What::Filled(block)
        | What::NoLength(block)
        | What::TooLong(block) => (main, block),
    };
    let answer = bindings::test_mapping {
        len: answer.len,
        block,
        bdev,
        mapped: true,
        boundary: matches!(answer.what, What::Boundary(_)),
        filled: matches!(answer.what, What::Filled(_)),
        fresh: matches!(answer.what, What::Fresh(_))
            || (create && matches!(answer.what, What::TooLong(_))),
    };
    // SAFETY: By the safety requirements.
    unsafe { mapping.write(answer) };
    0
}

/// The definition is what the header declares.
const _: unsafe extern "C" fn(
    *mut c_void,
    *mut kernel::bindings::inode,
    u64,
    u64,
    bool,
    *mut bindings::test_mapping,
) -> c_int = test_lookup;

/// Operations of a filesystem written against the library's Rust interface.
struct RustOperations;

impl AddressSpaceOperations for RustOperations {
    type Inode = TestInode;

    fn read_folio(inode: &TestInode, folio: LockedFolio) -> Result {
        rust_mpage::read_folio(TableMapper, inode, folio)
    }

    fn readahead(inode: &TestInode, request: Readahead<'_>) {
        rust_mpage::readahead(TableMapper, inode, request)
    }

    fn bmap(_inode: &TestInode, _block: u64) -> Result<Option<u64>> {
        Err(EINVAL)
    }
}

pub(super) static RUST: kernel::bindings::address_space_operations =
    kernel::bindings::address_space_operations {
        readahead: Some(rust_readahead),
        read_folio: Some(rust_read_folio),
        writepages: Some(rust_writepages),
        ..AddressSpaceVTable::<RustOperations>::OPERATIONS
    };

/// Operations that put folios into a bio and drop that.
pub(super) static DROPPING: kernel::bindings::address_space_operations =
    kernel::bindings::address_space_operations {
        read_folio: Some(dropping_read_folio),
        writepages: Some(dropping_writepages),
        dirty_folio: Some(bindings::block_dirty_folio),
        invalidate_folio: Some(bindings::block_invalidate_folio),
        ..pin_init::zeroed()
    };

/// # Safety
///
/// To be called as a `readahead` operation of a [`TestInode`].
unsafe extern "C" fn rust_readahead(rac: *mut kernel::bindings::readahead_control) {
    // SAFETY: By the safety requirements.
    unsafe {
        bindings::test_junk_request(rac);
        if let Some(readahead) = AddressSpaceVTable::<RustOperations>::OPERATIONS.readahead {
            readahead(rac);
        }
    }
}

/// # Safety
///
/// To be called as a `read_folio` operation of a [`TestInode`].
unsafe extern "C" fn rust_read_folio(
    file: *mut kernel::bindings::file,
    folio: *mut kernel::bindings::folio,
) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe {
        bindings::test_junk_folio(folio);
        match AddressSpaceVTable::<RustOperations>::OPERATIONS.read_folio {
            Some(read_folio) => read_folio(file, folio),
            None => EINVAL.to_errno(),
        }
    }
}

/// # Safety
///
/// To be called as a `writepages` operation of a [`TestInode`].
unsafe extern "C" fn rust_writepages(
    mapping: *mut kernel::bindings::address_space,
    wbc: *mut kernel::bindings::writeback_control,
) -> c_int {
    // SAFETY: By the safety requirements.
    let (inode, request) = unsafe {
        (
            TestInode::from_raw((*mapping).host),
            WritebackControl::from_raw(mapping, wbc),
        )
    };
    rust_mpage::writepages(TableMapper, inode, request)
        .map_or_else(|error| error.to_errno(), |()| 0)
}

/// # Safety
///
/// As for [`rust_writepages`].
unsafe extern "C" fn dropping_writepages(
    mapping: *mut kernel::bindings::address_space,
    wbc: *mut kernel::bindings::writeback_control,
) -> c_int {
    // SAFETY: By the safety requirements.
    let (inode, mut request) = unsafe {
        (
            TestInode::from_raw((*mapping).host),
            WritebackControl::from_raw(mapping, wbc),
        )
    };
    let device = inode.main_device();
    let mut bio = None;
    let result = request.for_each(|request, folio| {
        if bio.is_none() {
            bio = WriteBio::new(device, Sector(0), 1, request, inode.as_ref());
        }
        let len = folio.size();
        // A folio that the bio cannot take is dropped.
        let _ = bio.as_mut().ok_or(ENOMEM)?.add(folio, len);
        Ok(())
    });
    result.map_or_else(|error| error.to_errno(), |()| 0)
}

/// # Safety
///
/// To be called as a `read_folio` operation of a [`TestInode`].
unsafe extern "C" fn dropping_read_folio(
    _file: *mut kernel::bindings::file,
    folio: *mut kernel::bindings::folio,
) -> c_int {
    // SAFETY: By the safety requirements the folio is locked, and its mapping valid.
    let inode = unsafe { TestInode::from_raw(host_of(folio)) };
    // SAFETY: The lock is passed to this operation.
    let folio = unsafe { LockedFolio::from_raw(folio) };
    let range = folio.whole();
    let device = inode.main_device();
    let Some(mut bio) = ReadBio::new(device, Sector(0), 1, ReadIntent::Demand, &folio) else {
        return ENOMEM.to_errno();
    };
    // Whether it took the folio or not, it is not submitted.
    let _ = bio.add(folio, range);
    0
}

/// The inode of a folio.
///
/// # Safety
///
/// The folio must be in a mapping and stay there.
unsafe fn host_of(folio: *mut kernel::bindings::folio) -> *mut kernel::bindings::inode {
    // SAFETY: By the safety requirements.
    unsafe { (*(*folio).__bindgen_anon_1.__bindgen_anon_1.mapping).host }
}
