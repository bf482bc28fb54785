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
    abstractions::fs::Inode,
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
        code::{
            EIO,
            ENOMEM, //
        },
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
/// C: `block_truncate_page()`, which finds the wrong block in a large folio.
pub fn truncate_tail<M: BlockMapper>(_mapper: M, inode: &M::Inode, from: u64) -> Result {
    let inode = inode.as_ref();
    let block_size = 1u64 << inode.block_bits();
    if from % block_size == 0 {
        return Ok(());
    }
    let folio = GrabbedFolio::of(inode, from)?;
    // SAFETY: The folio is locked and in its mapping while it is grabbed.
    let place = unsafe { super::Folio::from_raw(folio.0.as_ptr()) };
    let offset = (from - place.position()) as usize;
    let end = offset + (block_size - from % block_size) as usize;
    let bh = folio.buffer(inode, offset);
    // SAFETY: The buffers of a locked folio stay as they are, and nobody else maps them; the inode
    // is referenced and one of `M::Inode`, which is what the function is for.
    unsafe {
        if !bindings::rust_mpage_helper_buffer_mapped(bh) {
            let map = abi::get_block_of::<M>().as_raw().ok_or(EIO)?;
            to_result(map(inode.as_raw(), from >> inode.block_bits(), bh, 0))?;
            if !bindings::rust_mpage_helper_buffer_mapped(bh) {
                // A hole: there is nothing that could be seen.
                return Ok(());
            }
        }
        if place.is_uptodate() {
            bindings::rust_mpage_helper_set_buffer_uptodate(bh);
        }
        let read = bindings::rust_mpage_helper_bh_read(bh);
        if read < 0 {
            return to_result(read);
        }
        bindings::rust_mpage_helper_folio_zero_segment(folio.0.as_ptr(), offset, end);
        bindings::mark_buffer_dirty(bh);
    }
    Ok(())
}

/// A folio of the cache, found or made.
///
/// # Invariants
///
/// The folio is locked and in its mapping; lock and a reference are the value's.
struct GrabbedFolio(NonNull<bindings::folio>);

impl GrabbedFolio {
    /// The one that has file position `pos`. C: `filemap_grab_folio()`.
    fn of(inode: &Inode, pos: u64) -> Result<Self> {
        // SAFETY: The inode is valid, and so is its mapping.
        let folio = from_err_ptr(unsafe {
            let mapping = (*inode.as_raw()).i_mapping;
            bindings::__filemap_get_folio_mpol(
                mapping,
                (pos >> PAGE_SHIFT) as usize,
                bindings::RUST_MPAGE_FGP_GRAB,
                (*mapping).gfp_mask,
                ptr::null_mut(),
            )
        })?;
        // INVARIANT: The folio is locked and referenced by the flags.
        NonNull::new(folio).map(Self).ok_or(ENOMEM)
    }

    /// The buffer of byte `offset` of the folio; makes buffers if it has none.
    fn buffer(&self, inode: &Inode, offset: usize) -> *mut bindings::buffer_head {
        let bits = inode.block_bits();
        // SAFETY: The folio is locked, so its buffers are a ring that stays as it is; it has one
        // for each block. create_empty_buffers() does not fail.
        unsafe {
            let mut bh = bindings::rust_mpage_helper_folio_buffers(self.0.as_ptr());
            if bh.is_null() {
                bh = bindings::create_empty_buffers(self.0.as_ptr(), 1 << bits, 0);
            }
            for _ in 0..offset >> bits {
                bh = (*bh).b_this_page;
            }
            bh
        }
    }
}

impl Drop for GrabbedFolio {
    fn drop(&mut self) {
        // SAFETY: Lock and reference are ours by the type invariants.
        unsafe {
            bindings::folio_unlock(self.0.as_ptr());
            bindings::rust_mpage_helper_folio_put(self.0.as_ptr());
        }
    }
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
