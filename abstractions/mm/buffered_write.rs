// SPDX-License-Identifier: GPL-2.0

//! Buffered writes: the seam between a file's page cache and how a write gets into it.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Everything that puts new data into the cache goes through this file: `write(2)` and its
//! relatives, directories too ([`begin`], [`end`]), and the first store to a mapped page
//! ([`FaultVTable`]); what is behind the end of a file is in `file_end.rs`. For now it is the
//! kernel's buffer_head code; a path without buffer_heads can take its place here and no filesystem
//! will notice.
//!
//! Locks: `begin` locks the folio, and in front of it that of the file's old end; `end` releases
//! both. A fault takes `invalidate_lock` shared around the folio's. The mapper is called with the
//! folios locked.

use super::{
    file_end::{
        GrabbedFolio,
        OldEnd, //
    },
    without_fs_reclaim, //
};
use crate::{
    abi,
    abstractions::fs::{
        Inode,
        InodeType, //
    },
    bindings,
    mpage::BlockMapper, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::error::{
    to_result,
    Result, //
};

/// The folios of a write, from [`begin`] to [`end`].
///
/// # Invariants
///
/// Both are locked and referenced, and lock and reference are this value's. `old_end` was made
/// ready by [`OldEnd`]; without one the end of the file is in `folio` or at the end of a page, or the
/// write leaves no gap behind it.
pub(crate) struct Begun {
    pub(crate) folio: NonNull<bindings::folio>,
    pub(crate) old_end: Option<NonNull<bindings::folio>>,
}

/// Finds or makes the folio for a write at `pos` and makes ready up to `len` bytes of it, as many
/// as it has: blocks that the write does not cover wholly are read, missing ones allocated. If the
/// write will leave a gap behind the end of the file, what is there is zero from now on, and the
/// folio with the end stays locked, too: both locks are held until the size is another.
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
) -> Result<Begun> {
    // SAFETY: By the safety requirements.
    let inode = unsafe { M::Inode::from_raw((*mapping).host) };
    let (folio, old_end) = match OldEnd::clear::<M>(inode, pos)?.map(|end| end.into_folio_of(pos)) {
        None => (GrabbedFolio::of(inode.as_ref(), pos)?, None),
        Some(Ok(folio)) => (folio, None),
        // Writeback may have a bio with folios in front of the end, and wait for the lock of that;
        // so nobody who holds it waits for writeback to get memory.
        Some(Err(end)) => (
            without_fs_reclaim(|| GrabbedFolio::of(inode.as_ref(), pos))?,
            Some(end),
        ),
    };
    // SAFETY: The folio is locked and ours, of the inode of the mapping.
    unsafe { prepare::<M>(&folio, pos, len)? };
    // INVARIANT: Locks and references are passed on.
    Ok(Begun {
        folio: folio.into_raw(),
        old_end: old_end.map(OldEnd::into_raw),
    })
}

/// Takes over what was copied into the folio of [`begin`]: marks it dirty, moves the end of the
/// file, unlocks and puts the folios. Returns how many bytes of the write count, perhaps fewer than
/// `copied`.
///
/// C: `generic_write_end()`, which moves the end to `pos` even if nothing was copied.
///
/// # Safety
///
/// `begun` must come from [`begin`] for the same `mapping`, `pos` and `len`, and its locks and
/// references must be the caller's; the rest are the arguments of a `write_end` operation.
pub(crate) unsafe fn end(
    mapping: *mut bindings::address_space,
    pos: u64,
    len: u32,
    copied: u32,
    begun: Begun,
) -> u32 {
    // SAFETY: By the safety requirements locks and references are ours.
    let (folio, old_end) = unsafe {
        (
            GrabbedFolio::from_raw(begun.folio),
            begun.old_end.map(|folio| GrabbedFolio::from_raw(folio)),
        )
    };
    // SAFETY: By the safety requirements. The result is between 0 and `copied`.
    let written = unsafe {
        bindings::block_write_end(pos as bindings::loff_t, len, copied, folio.as_raw()) as u32
    };
    // SAFETY: The mapping's host is valid.
    let inode = unsafe { Inode::from_raw((*mapping).host) };
    let end = pos + u64::from(written);
    let grows = written != 0 && end > inode.size();
    if grows {
        // With the folio locked, or writeback would zero what is in it, and with that of the old
        // end, or somebody could have stored behind it.
        //
        // SAFETY: The inode is valid, and the end of a write is a size that a file can have.
        unsafe {
            bindings::rust_mpage_helper_i_size_write(inode.as_raw(), end as bindings::loff_t)
        };
    }
    drop(folio);
    drop(old_end);
    if grows {
        inode.mark_dirty();
    }
    written
}

/// Makes ready `len` bytes from file position `pos` of a folio to be changed; what reaches out of
/// the folio is left alone.
///
/// C: `__block_write_begin()`.
///
/// # Safety
///
/// `folio` must be in the mapping of an inode of `M::Inode`, and have `pos`.
unsafe fn prepare<M: BlockMapper>(folio: &GrabbedFolio, pos: u64, len: u32) -> Result {
    let get_block = abi::get_block_of::<M>();
    let left = (folio.position() + folio.size() as u64).saturating_sub(pos);
    let len = u32::try_from(left).map_or(len, |left| len.min(left));
    // SAFETY: The folio is locked, and `len` bytes are in it; the rest by the safety requirements.
    to_result(unsafe {
        bindings::__block_write_begin(
            folio.as_raw(),
            pos as bindings::loff_t,
            len,
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
