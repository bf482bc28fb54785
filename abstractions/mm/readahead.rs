// SPDX-License-Identifier: GPL-2.0

//! Readahead requests.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::LockedFolio;
use crate::{
    abstractions::fs::InodeType,
    bindings, //
};
use core::marker::PhantomData;

/// A readahead request for a file of `I`: locked folios in file order, each handed out once.
///
/// Folios that are not taken are unlocked by the caller of the `readahead` operation
/// (`read_pages()` in mm/readahead.c).
///
/// # Invariants
///
/// `rac` points to a valid `struct readahead_control` that nobody else uses for `'a`. The host of
/// its mapping is an inode of `I` that is in use for `'a`.
pub struct Readahead<'a, I> {
    rac: *mut bindings::readahead_control,
    _request: PhantomData<(&'a mut bindings::readahead_control, &'a I)>,
}

impl<'a, I: InodeType> Readahead<'a, I> {
    /// Takes over a request for `'a`.
    ///
    /// # Safety
    ///
    /// `rac` must be the argument of a `readahead` operation that is running, for `'a`, for an
    /// inode of `I`.
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
    pub fn inode(&self) -> &'a I {
        // SAFETY: The request and its mapping are valid, and the host is one of `I`, by the type
        // invariants.
        unsafe { I::from_raw((*(*self.rac).mapping).host) }
    }

    /// Pages that the request still has, beginning with the folio that [`Self::next`] returned
    /// last. C: `readahead_count()`.
    #[inline(always)]
    pub fn pages_left(&self) -> u32 {
        // SAFETY: The request is valid by the type invariants.
        unsafe { (*self.rac)._nr_pages }
    }
}

impl<'a, I: InodeType> Iterator for Readahead<'a, I> {
    type Item = LockedFolio<'a, I>;

    /// The next folio; its lock is the caller's. C: `readahead_folio()`.
    #[inline]
    fn next(&mut self) -> Option<LockedFolio<'a, I>> {
        // SAFETY: The request is valid and ours by the type invariants.
        let folio = unsafe { bindings::rust_mpage_helper_readahead_folio(self.rac) };
        if folio.is_null() {
            return None;
        }
        // SAFETY: readahead_folio() returns locked page-cache folios and passes the lock on.
        Some(unsafe { LockedFolio::from_raw(folio) })
    }
}
