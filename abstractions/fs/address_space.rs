// SPDX-License-Identifier: GPL-2.0

//! What fills the page cache of a file.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)
//!
//! Left out: writing.

use super::InodeType;
use crate::{
    abstractions::mm::{
        LockedFolio,
        Readahead, //
    },
    bindings,
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// How the pages of a file are read. C: parts of `struct address_space_operations`.
pub trait AddressSpaceOperations: 'static {
    /// The inode that has the pages.
    type Inode: InodeType;

    /// Starts the read of one folio, which is unlocked when the read ends.
    fn read_folio(inode: &Self::Inode, folio: LockedFolio) -> Result;

    /// Starts reads of the folios of a request.
    fn readahead(inode: &Self::Inode, request: Readahead<'_>);

    /// The number on the device of the file's block number `block`, in the filesystem's blocks;
    /// `None` for a hole.
    fn bmap(inode: &Self::Inode, block: u64) -> Result<Option<u64>>;
}

/// The table of what a mapping can do.
pub(super) struct AddressSpaceVTable<A>(PhantomData<A>);

impl<A: AddressSpaceOperations> AddressSpaceVTable<A> {
    // A folio may have buffers, if it fell back to them, so the operations for buffers are here.
    pub(super) const OPERATIONS: bindings::address_space_operations =
        bindings::address_space_operations {
            read_folio: Some(Self::read_folio_callback),
            readahead: Some(Self::readahead_callback),
            bmap: Some(Self::bmap_callback),
            dirty_folio: Some(bindings::block_dirty_folio),
            invalidate_folio: Some(bindings::block_invalidate_folio),
            migrate_folio: Some(bindings::buffer_migrate_folio),
            is_partially_uptodate: Some(bindings::block_is_partially_uptodate),
            error_remove_folio: Some(bindings::generic_error_remove_folio),
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// Called by the VFS with a locked folio of a mapping with this table; the lock is passed on.
    unsafe extern "C" fn read_folio_callback(
        _file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: A locked folio stays in its mapping, whose host has this table.
        let (inode, folio) = unsafe {
            let mapping = (*folio).__bindgen_anon_1.__bindgen_anon_1.mapping;
            (
                A::Inode::from_raw((*mapping).host),
                LockedFolio::from_raw(folio),
            )
        };
        from_result(|| A::read_folio(inode, folio).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with a request for a mapping with this table.
    unsafe extern "C" fn readahead_callback(rac: *mut bindings::readahead_control) {
        // SAFETY: The request is valid and this operation's; the mapping's host has this table.
        let (inode, request) = unsafe {
            (
                A::Inode::from_raw((*(*rac).mapping).host),
                Readahead::from_raw(rac),
            )
        };
        A::readahead(inode, request);
    }

    /// # Safety
    ///
    /// Called by the VFS with a mapping with this table.
    unsafe extern "C" fn bmap_callback(
        mapping: *mut bindings::address_space,
        block: bindings::sector_t,
    ) -> bindings::sector_t {
        // SAFETY: The mapping's host has this table and is referenced by the caller.
        let inode = unsafe { A::Inode::from_raw((*mapping).host) };
        // The interface has no errors: block 0 stands for a hole and for a failure.
        A::bmap(inode, block).ok().flatten().unwrap_or(0)
    }
}
