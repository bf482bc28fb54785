// SPDX-License-Identifier: GPL-2.0

//! Large folios that give way to their pages.
//!
//! Readahead and writes bring large folios into the cache, and one bad block fails all of such a
//! folio. The next reader asks for it by itself, with `read_folio`. It is then given up, and its
//! pages are read one by one: what can be read is, and a bad block costs what it costs without
//! large folios. So is one with holes of which a page is about to be stored to through a mapping:
//! only that page gets blocks.
//!
//! Locks: the caller holds `invalidate_lock` shared, as for any `read_folio`, so that the file is
//! not truncated meanwhile. The folio's lock is released before those of the pages are taken.

use super::{
    Folio,
    LockedFolio,
    StoredFolio, //
};
use crate::{
    abstractions::fs::{
        Inode,
        InodeType, //
    },
    bindings, //
};
use core::{
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    error::{
        code::{
            EINTR,
            ENOMEM, //
        },
        from_err_ptr,
        to_result,
        Result, //
    },
    ffi::c_int,
    page::PAGE_SIZE,
};

/// A `read_folio` operation.
type ReadFolioFn = unsafe extern "C" fn(*mut bindings::file, *mut bindings::folio) -> c_int;

impl Folio {
    /// Whether a write of the file has failed and nobody has asked since, with `fsync(2)`: what is
    /// in memory is perhaps nowhere else.
    fn write_has_failed(&self) -> bool {
        let failed = 1 << bindings::mapping_flags_AS_EIO | 1 << bindings::mapping_flags_AS_ENOSPC;
        self.mapping_flags() & failed != 0
    }
}

impl<I: InodeType> StoredFolio<'_, I> {
    /// Whether another folio may take its place: it is larger than the mapping's smallest, and
    /// there is nothing in it that is not on the disk, nor will be, for nobody who may change it
    /// has it.
    pub(super) fn can_go(&self) -> bool {
        self.is_large()
            && self.is_uptodate()
            && !self.flag(bindings::pageflags_PG_dirty)
            && !self.flag(bindings::pageflags_PG_writeback)
            && self.blocks().is_some_and(|blocks| !blocks.keeps_dirty())
            && !self.write_has_failed()
            // SAFETY: The folio is valid.
            && !unsafe { bindings::rust_mpage_helper_folio_maybe_pinned(self.as_raw()) }
    }

    /// Whether it is larger than the mapping's smallest.
    pub(super) fn is_large(&self) -> bool {
        self.order() > self.min_order()
    }

    /// Unlocks the folio, writes what is dirty of it, and waits for that. Errors are the file's.
    #[cold]
    pub(super) fn write_out(self) {
        let (mapping, start) = (self.mapping(), self.position() as i64);
        let end = start + self.size() as i64 - 1;
        drop(self);
        // SAFETY: The mapping is that of an inode that is in use by the type invariants. No folio
        // is locked.
        unsafe {
            bindings::filemap_fdatawrite_range(mapping, start, end);
            bindings::filemap_fdatawait_range_keep_errors(mapping, start, end);
        }
    }

    /// Removes the folio from the cache, and reads page `page` of the file by itself: whoever looks
    /// for it finds a folio of that page alone, also where large ones are asked for.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, `EINTR`; the mapper's; what the device says.
    ///
    /// # Safety
    ///
    /// [`Self::can_go`] must hold. The mapping and its host must stay valid for the call.
    #[cold]
    pub(super) unsafe fn give_way_to_page(self, page: usize) -> Result {
        let mapping = self.mapping();
        let folio = ManuallyDrop::new(self).as_raw();
        // SAFETY:
        // - the folio is locked and in the mapping, and nothing is lost with it by the safety
        //   requirements, so it may be removed;
        // - the lock is ours to release, and keeps the folio valid until then;
        // - the mapping is valid, for its file is mapped, and reads with its own operation;
        // - the reference to what has been read is ours to give back.
        unsafe {
            let removed = to_result(bindings::generic_error_remove_folio(mapping, folio));
            bindings::folio_unlock(folio);
            removed?;
            let page = bindings::read_cache_folio(mapping, page, None, ptr::null_mut());
            bindings::rust_mpage_helper_folio_put(from_err_ptr(page)?);
        }
        Ok(())
    }
}

impl<I: InodeType> LockedFolio<'_, I> {
    /// Whether the folio is more than has to be read at once, and to be read again: larger than the
    /// mapping's smallest, not uptodate, and with nothing in it that is not on the disk. Not one of
    /// which some blocks are valid.
    #[inline]
    pub(crate) fn can_be_given_up(&self) -> bool {
        self.is_larger_than_due() && !self.has_block_bits()
    }

    /// As [`Self::can_be_given_up`], if what is to be read of it has failed: some of its blocks are
    /// valid, of the file's not all, and none is dirty.
    #[inline]
    pub(crate) fn is_read_in_part(&self) -> bool {
        self.is_larger_than_due() && self.has_block_bits() && self.misses_only()
    }

    #[inline]
    fn is_larger_than_due(&self) -> bool {
        self.order() > self.min_order()
            && !self.is_uptodate()
            && !self.flag(bindings::pageflags_PG_dirty)
            && !self.flag(bindings::pageflags_PG_writeback)
    }

    /// Whether some of the file's blocks in the folio are not valid, and none is dirty.
    #[cold]
    fn misses_only(&self) -> bool {
        // SAFETY: The folio is locked while it is borrowed; one that has bits has no buffers.
        let blocks = unsafe { (**self).blocks() };
        let plain: &Inode = self.inode().as_ref();
        let end = blocks.count_inside(plain.size());
        !blocks.keeps_dirty() && !blocks.are_valid(0..end) && !self.write_has_failed()
    }

    /// Removes the folio from the cache and reads its pages one by one with `read`. The caller
    /// says `AOP_TRUNCATED_PAGE`: who wants a page looks again, and finds it, read or failed.
    ///
    /// # Errors
    ///
    /// `ENOMEM`, or `EINTR` if the task is being killed. Pages that cannot be read are no error.
    ///
    /// # Safety
    ///
    /// [`Self::can_be_given_up`] or [`Self::is_read_in_part`] must hold. The mapping and its host
    /// must stay valid for the call, and `read` must be sound to call for folios of the mapping,
    /// and not lead here again.
    #[cold]
    pub(crate) unsafe fn read_page_by_page(self, read: ReadFolioFn) -> Result {
        let mapping = self.mapping();
        let first = self.position() / PAGE_SIZE as u64;
        let pages = u64::from(self.pages());
        let folio = ManuallyDrop::new(self).as_raw();
        // SAFETY:
        // - the folio is locked and in the mapping, and nothing is lost with it by the safety
        //   requirements, so it may be removed;
        // - the lock is ours to release, and keeps the folio valid until then.
        unsafe {
            let removed = to_result(bindings::generic_error_remove_folio(mapping, folio));
            bindings::folio_unlock(folio);
            removed?;
        }
        // SAFETY: The mapping's host is valid by the safety requirements.
        let size = unsafe { Inode::from_raw((*mapping).host) }.size();
        let end = (first + pages).min(size.div_ceil(PAGE_SIZE as u64));
        for index in first..end {
            // SAFETY:
            // - the mapping is valid by the safety requirements;
            // - `read` is sound to call for its folios by the safety requirements.
            let page = from_err_ptr(unsafe {
                bindings::read_cache_folio(mapping, index as usize, Some(read), ptr::null_mut())
            });
            match page {
                // SAFETY: The reference is ours.
                Ok(folio) => unsafe { bindings::rust_mpage_helper_folio_put(folio) },
                Err(error) if error == ENOMEM || error == EINTR => return Err(error),
                Err(_) => {}
            }
        }
        Ok(())
    }
}
