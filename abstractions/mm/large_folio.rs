// SPDX-License-Identifier: GPL-2.0

//! Large folios that could not be read.
//!
//! Readahead brings large folios into the cache, and one bad block fails all of such a folio. The
//! next reader asks for it by itself, with `read_folio`. It is then given up, and its pages are
//! read one by one: what can be read is, and a bad block costs what it costs without large folios.
//!
//! Locks: the caller holds `invalidate_lock` shared, as for any `read_folio`, so that the file is
//! not truncated meanwhile. The folio's lock is released before those of the pages are taken.

use super::LockedFolio;
use crate::bindings;
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

impl<I> LockedFolio<'_, I> {
    /// Whether the folio is more than has to be read at once, and to be read again: larger than
    /// the mapping's smallest, not uptodate, and with nothing in it that is not on the disk.
    #[inline]
    pub(crate) fn can_be_given_up(&self) -> bool {
        self.order() > self.min_order()
            && !self.is_uptodate()
            && !self.flag(bindings::pageflags_PG_dirty)
            && !self.flag(bindings::pageflags_PG_writeback)
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
    /// [`Self::can_be_given_up`] must hold. The mapping and its host must stay valid for the call,
    /// and `read` must be sound to call for folios of the mapping, and not lead here again.
    #[cold]
    pub(crate) unsafe fn read_page_by_page(self, read: ReadFolioFn) -> Result {
        let mapping = self.mapping();
        let first = self.position() / PAGE_SIZE as u64;
        let pages = u64::from(self.pages());
        let folio = ManuallyDrop::new(self).as_raw();
        // SAFETY: The folio is locked and in the mapping, and nothing is lost with it by the
        // safety requirements. It stays valid until the lock, which is ours, is released.
        unsafe {
            let removed = to_result(bindings::generic_error_remove_folio(mapping, folio));
            bindings::folio_unlock(folio);
            removed?;
        }
        // SAFETY: The mapping's host is valid by the safety requirements.
        let size = unsafe { ptr::addr_of!((*(*mapping).host).i_size).read_volatile() }.max(0);
        let end = (first + pages).min((size as u64).div_ceil(PAGE_SIZE as u64));
        for index in first..end {
            // SAFETY: The mapping is valid, and `read` suits it by the safety requirements.
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
