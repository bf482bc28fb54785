// SPDX-License-Identifier: GPL-2.0

//! Faults in mapped files.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)
//!
//! Locks: `sb_start_pagefault()`, inside it `invalidate_lock` shared, inside that the folio's. The
//! blocks are asked for with the folio locked.

use super::{
    FileWrites,
    Folio,
    FolioBlocks, //
};
use crate::{
    abstractions::fs::{
        Inode,
        InodeType, //
    },
    bindings,
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::{
        code::{
            EFAULT,
            EPERM, //
        },
        Result, //
    },
    page::PAGE_SHIFT, //
};

/// What happens at faults in mapped files that `W` writes to. C: `struct vm_operations_struct`.
pub(in crate::abstractions) struct FaultVTable<W>(PhantomData<W>);

impl<W: FileWrites> FaultVTable<W> {
    /// For shared mappings that can be written, of a file of `W::Inode`.
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
        // SAFETY:
        // - the fault is valid for the call, and so are its mapping, which is one of a file, and
        //   its page, which it has a reference to;
        // - the mapping keeps the file open.
        let (file, folio, page) = unsafe {
            let place = (*fault).__bindgen_anon_1;
            let folio = bindings::rust_mpage_helper_page_folio((*fault).page);
            ((*place.vma).vm_file, folio, place.pgoff)
        };
        // SAFETY: An open file keeps its inode; one that is mapped with this table has one of
        // `W::Inode`.
        let inode = unsafe { W::Inode::from_raw((*file).f_inode) };
        let plain: &Inode = inode.as_ref();
        // Its times stay, too.
        if plain.is_quota_file() {
            return bindings::vm_fault_reason_VM_FAULT_SIGBUS;
        }
        // SAFETY: The mapping keeps the file open, and the inode is the file's.
        let held = unsafe { HeldPages::new(file, plain) };
        // SAFETY: The fault has a reference to the folio until this returns.
        let result = unsafe { Self::make_writable(inode, folio, page) };
        drop(held);
        match result {
            Ok(Writable::Yes) => bindings::vm_fault_reason_VM_FAULT_LOCKED,
            Ok(Writable::LookAgain) => bindings::vm_fault_reason_VM_FAULT_NOPAGE,
            // SAFETY: Only converts the number.
            Err(error) => unsafe { bindings::rust_mpage_helper_vmf_fs_error(error.to_errno()) },
        }
    }

    /// Gives a folio, of which page `page` of the file is stored to, its blocks and makes it dirty.
    /// It stays locked, unless there is to be another look at which folio has the page: for the
    /// sake of one page a large folio does not get blocks for all of its holes.
    ///
    /// # Errors
    ///
    /// `EFAULT` if it is not in the file any more; `EPERM` if that is a quota file in use; the
    /// mapper's. It is unlocked then.
    ///
    /// C: `block_page_mkwrite()`; `ext4_page_mkwrite()` refuses what is immutable.
    ///
    /// # Safety
    ///
    /// The folio must be referenced.
    unsafe fn make_writable(
        inode: &W::Inode,
        folio: *mut bindings::folio,
        page: usize,
    ) -> Result<Writable> {
        let plain: &Inode = inode.as_ref();
        if plain.is_quota_file() {
            return Err(EPERM);
        }
        // SAFETY: The folio is referenced by the safety requirements.
        let mut stored = unsafe { Self::lock(inode, folio, page)? };
        if stored.is_large() && W::has_hole(&stored)? {
            if !stored.can_go() {
                stored.write_out();
                // SAFETY: As above, still.
                stored = unsafe { Self::lock(inode, folio, page)? };
            }
            if stored.can_go() {
                // SAFETY: As just tested.
                unsafe { stored.give_way_to_page(page)? };
                return Ok(Writable::LookAgain);
            }
        }
        W::give_blocks(&stored)?;
        // SAFETY: The folio is locked, and so in its mapping.
        unsafe { bindings::folio_wait_stable(stored.as_raw()) };
        // The lock is the fault's.
        let _ = ManuallyDrop::new(stored);
        Ok(Writable::Yes)
    }

    /// Locks a folio of which page `page` of the file is stored to.
    ///
    /// # Errors
    ///
    /// `EFAULT` if it, or that page, is not in the file any more.
    ///
    /// # Safety
    ///
    /// As of [`Self::make_writable`].
    unsafe fn lock(
        inode: &W::Inode,
        folio: *mut bindings::folio,
        page: usize,
    ) -> Result<StoredFolio<'_, W::Inode>> {
        let folio = NonNull::new(folio).ok_or(EFAULT)?;
        let plain: &Inode = inode.as_ref();
        // SAFETY:
        // - the folio is referenced by the safety requirements, and so may be locked, and its lock
        //   released, which is ours then;
        // - once it is locked its mapping stays what it is;
        // - the inode is in use, and keeps its mapping.
        unsafe {
            bindings::rust_mpage_helper_folio_lock(folio.as_ptr());
            let mapping = (*folio.as_ptr()).__bindgen_anon_1.__bindgen_anon_1.mapping;
            if mapping != (*plain.as_raw()).i_mapping {
                bindings::folio_unlock(folio.as_ptr());
                return Err(EFAULT);
            }
        }
        // INVARIANT: Locked, and in the mapping of `inode`, which is in use.
        let folio = StoredFolio(folio, PhantomData);
        // A large folio stays if the file is cut inside of it.
        if (page as u64) << PAGE_SHIFT >= plain.size() {
            return Err(EFAULT);
        }
        Ok(folio)
    }
}

/// Nobody freezes the filesystem of an inode, or takes pages out of its file.
///
/// # Invariants
///
/// This value owns a page fault of the superblock, and `invalidate_lock` of the mapping, shared.
#[must_use = "the lock is released"]
struct HeldPages<'i>(&'i Inode);

impl<'i> HeldPages<'i> {
    /// Waits for both. In between the file's times are set.
    ///
    /// # Safety
    ///
    /// `file` must be open, and `inode` its inode.
    unsafe fn new(file: *mut bindings::file, inode: &'i Inode) -> Self {
        let raw = inode.as_raw();
        // SAFETY:
        // - the inode is in use, and so its superblock is mounted: a page fault may begin, which
        //   `drop` ends;
        // - the file is open by the safety requirements, and the filesystem not frozen any more;
        // - the inode keeps its mapping, whose lock `drop` releases.
        unsafe {
            bindings::rust_mpage_helper_sb_start_pagefault((*raw).i_sb);
            bindings::file_update_time(file);
            bindings::rust_mpage_helper_filemap_invalidate_lock_shared((*raw).i_mapping);
        }
        // INVARIANT: Just above.
        Self(inode)
    }
}

impl Drop for HeldPages<'_> {
    fn drop(&mut self) {
        let raw = self.0.as_raw();
        // SAFETY:
        // - the lock is ours by the type invariants;
        // - the page fault is ours by the type invariants, and ends when nothing is locked in it.
        unsafe {
            bindings::rust_mpage_helper_filemap_invalidate_unlock_shared((*raw).i_mapping);
            bindings::rust_mpage_helper_sb_end_pagefault((*raw).i_sb);
        }
    }
}

/// Whether a folio can be stored to.
enum Writable {
    /// It is locked.
    Yes,
    /// It is gone.
    LookAgain,
}

/// A folio of the cache of an inode of `I` that somebody is about to store to through a mapping.
///
/// # Invariants
///
/// The folio is locked and this value owns the lock, which also keeps the folio in its mapping. The
/// mapping's host is an inode of `I` that is in use for `'f`.
#[must_use = "the folio is unlocked"]
pub struct StoredFolio<'f, I>(pub(super) NonNull<bindings::folio>, PhantomData<&'f I>);

impl<'f, I: InodeType> StoredFolio<'f, I> {
    /// The inode whose mapping the folio is in.
    pub(crate) fn inode(&self) -> &'f I {
        // SAFETY: The host is one of `I`, and in use for that long, by the type invariants.
        unsafe { I::from_raw(self.host()) }
    }

    /// The blocks of the folio; [`None`] if folios of the file have buffer_heads.
    pub(crate) fn blocks(&self) -> Option<FolioBlocks<'_>> {
        // SAFETY: The folio is locked while it is borrowed.
        unsafe { (**self).blocks_without_buffers() }
    }
}

impl<I> Deref for StoredFolio<'_, I> {
    type Target = Folio;

    fn deref(&self) -> &Folio {
        // SAFETY: By the type invariants the folio is locked, and so stays in its mapping.
        unsafe { Folio::from_raw(self.0.as_ptr()) }
    }
}

impl<I> Drop for StoredFolio<'_, I> {
    /// Unlocks the folio.
    fn drop(&mut self) {
        // SAFETY: The lock is ours by the type invariants.
        unsafe { bindings::folio_unlock(self.0.as_ptr()) };
    }
}
