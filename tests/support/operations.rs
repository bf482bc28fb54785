// SPDX-License-Identifier: GPL-2.0

//! What C calls: the mapper's table, and the operations of `engines`.
//!
//! Locks: the folios come locked, and the library unlocks them. Nothing here takes a lock.

use super::{
    bindings,
    TestInode, //
};
use crate::{
    engines::{
        Buffered,
        Careless,
        Dropping,
        Good,
        Operations,
        Unbuffered, //
    },
    table::What, //
};
use core::ptr;
use kernel::prelude::*;
use rust_mpage::{
    fs::{
        AddressSpaceOperations,
        AddressSpaceVTable,
        InodeType, //
    },
    mm::WritebackControl, //
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

pub(super) static GOOD: kernel::bindings::address_space_operations = table::<Good>();
pub(super) static DROPPING: kernel::bindings::address_space_operations = table::<Dropping>();
pub(super) static CARELESS: kernel::bindings::address_space_operations = table::<Careless>();
pub(super) static BUFFERED: kernel::bindings::address_space_operations = table::<Buffered>();
pub(super) static UNBUFFERED: kernel::bindings::address_space_operations =
    kernel::bindings::address_space_operations {
        readahead: Some(readahead::<Unbuffered>),
        read_folio: Some(read_folio::<Unbuffered>),
        ..AddressSpaceVTable::<Unbuffered>::FILE_OPERATIONS
    };

/// The table of a filesystem that is written against the library's Rust interface. What is in a
/// folio before it is read is junk.
const fn table<O: Operations>() -> kernel::bindings::address_space_operations {
    kernel::bindings::address_space_operations {
        readahead: Some(readahead::<O>),
        read_folio: Some(read_folio::<O>),
        writepages: Some(writepages::<O>),
        ..AddressSpaceVTable::<O>::OPERATIONS
    }
}

/// # Safety
///
/// To be called as a `readahead` operation of a [`TestInode`].
unsafe extern "C" fn readahead<O>(rac: *mut kernel::bindings::readahead_control)
where
    O: AddressSpaceOperations<Inode = TestInode>,
{
    // SAFETY:
    // - the request is valid, and its folios locked and not read yet;
    // - it is what the operation is called with by whoever calls this.
    unsafe {
        bindings::test_junk_request(rac);
        if let Some(readahead) = AddressSpaceVTable::<O>::OPERATIONS.readahead {
            readahead(rac);
        }
    }
}

/// # Safety
///
/// To be called as a `read_folio` operation of a [`TestInode`].
unsafe extern "C" fn read_folio<O>(
    file: *mut kernel::bindings::file,
    folio: *mut kernel::bindings::folio,
) -> c_int
where
    O: AddressSpaceOperations<Inode = TestInode>,
{
    // SAFETY:
    // - the folio is locked, and not read yet;
    // - both are what the operation is called with by whoever calls this.
    unsafe {
        bindings::test_junk_folio(folio);
        match AddressSpaceVTable::<O>::OPERATIONS.read_folio {
            Some(read_folio) => read_folio(file, folio),
            None => EINVAL.to_errno(),
        }
    }
}

/// # Safety
///
/// To be called as a `writepages` operation of a [`TestInode`].
unsafe extern "C" fn writepages<O: Operations>(
    mapping: *mut kernel::bindings::address_space,
    wbc: *mut kernel::bindings::writeback_control,
) -> c_int {
    // SAFETY: By the safety requirements.
    let request = unsafe { WritebackControl::from_raw(mapping, wbc) };
    O::writepages(request).map_or_else(|error| error.to_errno(), |()| 0)
}
