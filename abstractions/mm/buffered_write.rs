// SPDX-License-Identifier: GPL-2.0

//! Buffered writes: the seam between a file's page cache and how a write gets into it.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Everything that puts new data into the cache goes through this file: `write(2)` and its
//! relatives ([`begin`], [`end`]), directories ([`prepare`], [`commit`]), the first store to a
//! mapped page ([`FaultVTable`]) and the rest of a block behind a new end of file
//! ([`truncate_tail`]). For now it is the kernel's buffer_head code; a path without buffer_heads
//! can take its place here and no filesystem will notice.
//!
//! Locks: `begin` and `prepare` hold the folio's lock, `end` releases it; a fault takes
//! `invalidate_lock` shared around the folio's. The mapper is called with the folio locked.

// Until the wrappers of directories and of mapped files call it all.
#![allow(dead_code)]

use crate::{
    abi,
    bindings,
    mpage::BlockMapper, //
};
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::{
        from_err_ptr,
        to_result,
        Result, //
    },
    page::PAGE_SHIFT, //
};

/// Finds or makes the folio for a write at `pos` and makes ready up to `len` bytes of it, as many
/// as it has: blocks that the write does not cover wholly are read, missing ones allocated.
/// Returns the folio, locked and with a reference.
///
/// With an error the blocks that were allocated for this are still there; behind the end of the
/// file they are to be cut.
///
/// C: `block_write_begin()`; folios may be of any order.
///
/// # Safety
///
/// `mapping` must be that of an inode of `M::Inode` whose `i_rwsem` the caller holds, as in a
/// `write_begin` operation.
pub(crate) unsafe fn begin<M: BlockMapper>(
    mapping: *mut bindings::address_space,
    pos: u64,
    len: u32,
) -> Result<NonNull<bindings::folio>> {
    let index = pos >> PAGE_SHIFT;
    // SAFETY: The mapping is valid.
    let folio = from_err_ptr(unsafe {
        bindings::__filemap_get_folio_mpol(
            mapping,
            index as usize,
            bindings::RUST_MPAGE_FGP_WRITEBEGIN,
            (*mapping).gfp_mask,
            ptr::null_mut(),
        )
    })?;
    // SAFETY: from_err_ptr() has checked it, and FGP_CREAT never returns null.
    let folio = unsafe { NonNull::new_unchecked(folio) };
    // SAFETY: The folio is locked and ours, of the inode of the mapping.
    let result = unsafe { prepare::<M>(folio, pos, len) };
    if let Err(error) = result {
        // SAFETY: Lock and reference are ours.
        unsafe {
            bindings::folio_unlock(folio.as_ptr());
            bindings::rust_mpage_helper_folio_put(folio.as_ptr());
        }
        return Err(error);
    }
    Ok(folio)
}

/// Takes over what was copied into a folio of [`begin`]: marks it dirty, moves the end of the file,
/// unlocks and puts the folio. Returns how many bytes of the write count, perhaps fewer than
/// `copied`.
///
/// C: `generic_write_end()`.
///
/// # Safety
///
/// `folio` must come from [`begin`] for the same `pos`; the rest are the arguments of a
/// `write_end` operation.
pub(crate) unsafe fn end(
    iocb: *const bindings::kiocb,
    mapping: *mut bindings::address_space,
    pos: u64,
    len: u32,
    copied: u32,
    folio: NonNull<bindings::folio>,
) -> u32 {
    // SAFETY: By the safety requirements. The result is between 0 and `copied`.
    unsafe {
        bindings::generic_write_end(
            iocb,
            mapping,
            pos as bindings::loff_t,
            len,
            copied,
            folio.as_ptr(),
            ptr::null_mut(),
        ) as u32
    }
}

/// Makes ready `len` bytes from file position `pos` of a locked folio to be changed; what reaches
/// out of the folio is left alone.
///
/// C: `__block_write_begin()`.
///
/// # Safety
///
/// `folio` must be locked by the caller, in the mapping of an inode of `M::Inode`, and have `pos`.
pub(crate) unsafe fn prepare<M: BlockMapper>(
    folio: NonNull<bindings::folio>,
    pos: u64,
    len: u32,
) -> Result {
    let get_block = abi::get_block_of::<M>();
    // SAFETY: A locked folio stays in its mapping.
    let left = unsafe {
        let folio = super::Folio::from_raw(folio.as_ptr());
        (folio.position() + folio.size() as u64).saturating_sub(pos)
    };
    let len = u32::try_from(left).map_or(len, |left| len.min(left));
    // SAFETY: By the safety requirements, and `len` bytes are in the folio.
    to_result(unsafe {
        bindings::__block_write_begin(
            folio.as_ptr(),
            pos as bindings::loff_t,
            len,
            get_block.as_raw(),
        )
    })
}

/// Takes over `copied` of the `len` bytes from file position `pos` of a folio that [`prepare`] made
/// ready: marks them valid and dirty. The folio stays locked; the end of the file is the caller's
/// to move, before it unlocks the folio. Returns how many bytes count.
///
/// C: `block_write_end()`.
///
/// # Safety
///
/// `folio` must be locked by the caller since [`prepare`], for the same `pos` and `len`.
pub(crate) unsafe fn commit(
    folio: NonNull<bindings::folio>,
    pos: u64,
    len: u32,
    copied: u32,
) -> u32 {
    // SAFETY: By the safety requirements. The result is between 0 and `copied`.
    unsafe {
        bindings::block_write_end(pos as bindings::loff_t, len, copied, folio.as_ptr()) as u32
    }
}

/// Zeroes the rest of the block that file position `from` is in, if the file has that block. To be
/// called before the file is cut at `from`, with its `i_rwsem` held: what comes after may be seen
/// when the file grows again.
///
/// # Errors
///
/// If the block has to be read and cannot be; the mapper's.
///
/// C: `block_truncate_page()`.
pub fn truncate_tail<M: BlockMapper>(_mapper: M, inode: &M::Inode, from: u64) -> Result {
    let inode = inode.as_ref();
    let get_block = abi::get_block_of::<M>();
    // SAFETY: The inode is referenced and one of `M::Inode`.
    to_result(unsafe {
        bindings::block_truncate_page(
            (*inode.as_raw()).i_mapping,
            from as bindings::loff_t,
            get_block.as_raw(),
        )
    })
}

/// What happens at faults in mapped files whose blocks `M` knows. C: `struct vm_operations_struct`.
pub(crate) struct FaultVTable<M>(PhantomData<M>);

impl<M: BlockMapper> FaultVTable<M> {
    /// For shared mappings that can be written, of a file of `M::Inode`.
    pub(crate) const OPERATIONS: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(bindings::filemap_fault),
        map_pages: Some(bindings::filemap_map_pages),
        page_mkwrite: Some(Self::page_mkwrite_callback),
        ..pin_init::zeroed()
    };

    /// The first store to a page: its blocks are allocated now, so that a full disk is a signal
    /// for who stores and not an error that nobody sees at writeback. C ext2 does not do this;
    /// compare `ext4_page_mkwrite()`.
    ///
    /// # Safety
    ///
    /// Called by the memory manager for a mapping with this table.
    unsafe extern "C" fn page_mkwrite_callback(
        fault: *mut bindings::vm_fault,
    ) -> bindings::vm_fault_t {
        // SAFETY: The fault and its mapping are valid for the call.
        let (vma, file) = unsafe {
            let vma = (*fault).__bindgen_anon_1.vma;
            (vma, (*vma).vm_file)
        };
        // SAFETY: A mapped file has an inode, of `M::Inode`, with a superblock and a mapping. The
        // locks are released below in reverse order.
        unsafe {
            let inode = (*file).f_inode;
            bindings::rust_mpage_helper_sb_start_pagefault((*inode).i_sb);
            bindings::file_update_time(file);
            bindings::rust_mpage_helper_filemap_invalidate_lock_shared((*inode).i_mapping);
            let error = bindings::block_page_mkwrite(vma, fault, abi::get_block_of::<M>().as_raw());
            bindings::rust_mpage_helper_filemap_invalidate_unlock_shared((*inode).i_mapping);
            bindings::rust_mpage_helper_sb_end_pagefault((*inode).i_sb);
            bindings::rust_mpage_helper_vmf_fs_error(error)
        }
    }
}
