// SPDX-License-Identifier: GPL-2.0

//! Faults in mapped files.
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)
//!
//! Locks: `sb_start_pagefault()`, inside it `invalidate_lock` shared, inside that the folio's. The
//! blocks are asked for with the folio locked.

use super::{
    BlockSource,
    GetBlockFn, //
};
use crate::bindings;
use core::marker::PhantomData;

/// What happens at faults in mapped files whose blocks `S` knows. C: `struct vm_operations_struct`.
pub(in crate::abstractions) struct FaultVTable<S>(PhantomData<S>);

impl<S: BlockSource> FaultVTable<S> {
    /// For shared mappings that can be written, of a file of `S::Inode`.
    pub(in crate::abstractions) const OPERATIONS: bindings::vm_operations_struct =
        bindings::vm_operations_struct {
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
        let get_block = GetBlockFn::<S::Inode>::of::<S>().as_raw();
        // SAFETY: A mapped file has an inode, of `S::Inode`, with a superblock and a mapping. The
        // locks are released below in reverse order.
        unsafe {
            let inode = (*file).f_inode;
            bindings::rust_mpage_helper_sb_start_pagefault((*inode).i_sb);
            bindings::file_update_time(file);
            bindings::rust_mpage_helper_filemap_invalidate_lock_shared((*inode).i_mapping);
            let error = bindings::block_page_mkwrite(vma, fault, get_block);
            bindings::rust_mpage_helper_filemap_invalidate_unlock_shared((*inode).i_mapping);
            bindings::rust_mpage_helper_sb_end_pagefault((*inode).i_sb);
            bindings::rust_mpage_helper_vmf_fs_error(error)
        }
    }
}
