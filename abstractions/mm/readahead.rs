// SPDX-License-Identifier: GPL-2.0

//! Readahead requests.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::LockedFolio;
use crate::bindings;
use core::marker::PhantomData;

/// A readahead request: locked folios in file order, each handed out once.
///
/// Folios that are not taken are unlocked by the caller of the `readahead` operation
/// (`read_pages()` in mm/readahead.c).
///
/// # Invariants
///
/// `rac` points to a valid `struct readahead_control` that nobody else uses for `'a`.
pub struct Readahead<'a> {
    rac: *mut bindings::readahead_control,
    _request: PhantomData<&'a mut bindings::readahead_control>,
}

impl<'a> Readahead<'a> {
    /// Takes over a request for `'a`.
    ///
    /// # Safety
    ///
    /// `rac` must be the argument of a `readahead` operation that is running, for `'a`.
    #[inline(always)]
    pub unsafe fn from_raw(rac: *mut bindings::readahead_control) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            rac,
            _request: PhantomData,
        }
    }

    /// The inode whose mapping is read.
    #[inline(always)]
    pub(crate) fn host(&self) -> *mut bindings::inode {
        // SAFETY: The request and its mapping are valid by the type invariants.
        unsafe { (*(*self.rac).mapping).host }
    }

    /// Pages that the request still has, beginning with the folio that [`Self::next`] returned
    /// last. C: `readahead_count()`.
    #[inline(always)]
    pub fn pages_left(&self) -> u32 {
        // SAFETY: The request is valid by the type invariants.
        unsafe { (*self.rac)._nr_pages }
    }
}

impl Iterator for Readahead<'_> {
    type Item = LockedFolio;

    /// The next folio; its lock is the caller's. C: `readahead_folio()`.
    #[inline]
    fn next(&mut self) -> Option<LockedFolio> {
        // SAFETY: The request is valid and ours by the type invariants.
        let folio = unsafe { bindings::rust_mpage_helper_readahead_folio(self.rac) };
        if folio.is_null() {
            return None;
        }
        // SAFETY: readahead_folio() returns locked page-cache folios and passes the lock on.
        Some(unsafe { LockedFolio::from_raw(folio) })
    }
}
